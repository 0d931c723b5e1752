"""`sidelight import` and `sidelight export`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from app.cli import cli
from app.hidden_folder import HIDDEN
from model.run_folder import RunFolder
from tests.conftest import write_run
from tests.foreign_models import LETTERS, LectureModel, nanogpt, nanogpt_checkpoint, save_nanogpt


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def sidelight(*arguments: Any) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_a_run_is_taken_out_and_brought_in(tmp_path: Path, checkpoints: Path) -> None:
    write_run(checkpoints, "origin", steps=(10,))
    for out in (tmp_path / "out.zip", tmp_path / "folder"):
        said = sidelight("export", "origin", "--out", out, "--checkpoints", checkpoints)
        assert said.exit_code == 0 and f"{out} is ready" in said.output
        source = out if out.is_file() else out / "origin"
        id = out.stem
        said = sidelight("import", source, "--run-id", id, "--checkpoints", checkpoints)
        assert said.exit_code == 0, said.output
        weights = [RunFolder(checkpoints / run).weights_path() for run in ("origin", id)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    assert sidelight("runs", "--checkpoints", checkpoints).output.count("Origin") == 3


def test_nanogpts_folder_gives_the_id(tmp_path: Path, checkpoints: Path) -> None:
    folder = save_nanogpt(tmp_path / "out-letters", nanogpt_checkpoint(nanogpt()), letters=None)
    (tmp_path / "letters.txt").write_text(LETTERS)
    arguments = ("import", folder / "ckpt.pt", "--checkpoints", checkpoints)
    refused = sidelight(*arguments)
    assert refused.exit_code == 1 and "--vocabulary" in refused.stderr
    said = sidelight(*arguments, "--vocabulary", tmp_path / "letters.txt", "--title", "Letters")
    assert said.exit_code == 0, said.output
    config = RunFolder(checkpoints / "out-letters").read_config()
    assert config.title == "Letters" and config.imported is not None
    assert config.imported.file == "out-letters/ckpt.pt"
    again = sidelight(*arguments, "--vocabulary", tmp_path / "letters.txt")
    assert again.exit_code == 1 and "--run-id" in again.stderr


def test_what_is_refused_leaves_nothing(tmp_path: Path, checkpoints: Path) -> None:
    torch.save(LectureModel().state_dict(), tmp_path / "model.pt")
    (tmp_path / "broken.pt").write_bytes((tmp_path / "model.pt").read_bytes()[:-500])
    for arguments in (
        [tmp_path / "nowhere.pt"],
        [tmp_path / "broken.pt"],
        [tmp_path / "model.pt", "--vocabulary", "no-such-text"],
        [tmp_path / "model.pt", "--vocabulary", tmp_path / "model.pt"],
        [tmp_path / "model.pt", "--run-id", "../up"],
    ):
        said = sidelight("import", *arguments, "--checkpoints", checkpoints)
        assert said.exit_code == 1 and said.stderr.startswith("sidelight: "), said.output
        assert said.stderr.count("\n") == 1
    assert not checkpoints.exists() or not list(checkpoints.iterdir())


def test_an_export_overwrites_nothing(tmp_path: Path, checkpoints: Path) -> None:
    write_run(checkpoints, "origin")
    (tmp_path / "mine").mkdir()
    for arguments in (
        ["origin", "--out", tmp_path / "mine"],
        ["nobody", "--out", tmp_path / "new"],
        ["origin", "--step", "3", "--out", tmp_path / "new"],
    ):
        said = sidelight("export", *arguments, "--checkpoints", checkpoints)
        assert said.exit_code == 1 and said.stderr.startswith("sidelight: "), said.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "mine"]
    assert not list(tmp_path.rglob(f"{HIDDEN}*"))
