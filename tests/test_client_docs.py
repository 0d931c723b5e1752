"""The page of the Python client is true: its examples run, and it leaves no call out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from app import main
from app.jobs.launcher import Device, Status
from app.settings import Settings
from sidelight.client import Sidelight
from tests.conftest import LiveServer, in_a_thread, write_run
from tests.foreign_models import (
    LETTERS,
    LectureModel,
    nanogpt,
    nanogpt_checkpoint,
    save_huggingface,
    save_nanogpt,
)
from tests.test_queue import Pretended

PAGE = Path(__file__).resolve().parents[1] / "docs" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
URL = "http://127.0.0.1:8000"


class Quick(Pretended):
    """Jobs whose run is there as soon as they start, unless it is `more-poems`, which goes on."""

    def __init__(self, checkpoints: Path) -> None:
        super().__init__(Device("cpu", "CPU"))
        self._checkpoints = checkpoints

    def start(self, folder: Path, device: str) -> str:
        handle = super().start(folder, device)
        if "more-poems" not in (folder / "spec.json").read_text():
            write_run(self._checkpoints, "poems", steps=(50,))
            self.end(handle, Status("done"))
        return handle

    def stop(self, folder: Path, handle: str) -> None:
        self.end(handle, Status("cancelled"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("documented")
    write_run(root / "checkpoints", "baseline", steps=(388,))
    write_run(root / "checkpoints", "case-1", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "launcher_for", lambda _: Quick(root / "checkpoints"))
        with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "data")) as server:
            yield server


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that has what the examples name."""
    monkeypatch.chdir(tmp_path)
    Path("poems.txt").write_text(LETTERS * 40)
    torch.save(LectureModel().state_dict(), "ours.pt")
    save_huggingface(tmp_path / "gpt2")
    save_nanogpt(tmp_path / "out-letters", nanogpt_checkpoint(nanogpt()))
    Path("data/letters").mkdir(parents=True)
    Path("out-letters/meta.pkl").rename("data/letters/meta.pkl")


@pytest.mark.usefixtures("at_home")
def test_every_example_runs(server: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(EXAMPLES) > 10
    known: dict[str, object] = {}

    def run(example: str) -> None:
        exec(compile(example.replace(URL, server.url), str(PAGE), "exec"), known)

    for example in EXAMPLES:
        in_a_thread(run, example)
    shown = capsys.readouterr().out
    assert "prompt unknown_characters 400" in shown
    assert "done \n" in shown and "100 2.6\n" in shown and "cancelled True 2\n" in shown
    assert Path("baseline@388-safetensors.zip").is_file()
    assert len(known["texts"]) == 2  # type: ignore[arg-type]
    runs = {run["id"] for run in Sidelight(server.url).runs()}
    assert {"poems", "gpt2", "out-letters", "ours"} <= runs


def test_every_call_is_on_the_page() -> None:
    calls = [name for name in vars(Sidelight) if not name.startswith("_")]
    assert [call for call in calls if f"sidelight.{call}(" not in "".join(EXAMPLES)] == []
