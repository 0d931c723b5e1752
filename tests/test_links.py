"""Nothing is read or written through a link, and what is on loan outlives its folder."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from app.export_archive import write_zip
from app.main import create_app
from app.settings import Settings
from model.corpus import Corpus
from model.families import build_model
from model.plain_file import open_plain, plain_size, read_plain
from model.run_folder import RunFolder, Sample
from model.run_notes import edit_notes
from model.tokenizer import CharTokenizer
from model.training import Watcher
from tests.conftest import CHARACTERS, GPT, METRICS, LiveServer, write_run
from tests.training_fixtures import go, plan_of, stop_after


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is nobody's business, with what a tidy-up would take for its own."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in (".profile", "step-000010.safetensors", "config.json", "best-000001.safetensors"):
        (folder / name).write_text("mine")
    return folder


def untouched(elsewhere: Path) -> bool:
    return {path.read_text() for path in elsewhere.iterdir()} == {"mine"} and len(
        list(elsewhere.iterdir())
    ) == 4


def test_what_is_written_goes_through_no_link(tmp_path: Path, elsewhere: Path) -> None:
    folder = RunFolder(tmp_path / "checkpoints" / "one")
    folder.path.parent.mkdir()
    folder.path.symlink_to(elsewhere)
    model = build_model(GPT)
    run = write_run(tmp_path, "one").read_config()
    for write in (
        folder.create,
        lambda: folder.write_tokenizer(CharTokenizer(CHARACTERS)),
        lambda: folder.write_metrics(METRICS),
        lambda: folder.write_samples([Sample(step=1, prompt="", text="", seed=1)]),
        lambda: folder.write_weights(model),
        lambda: folder.write_snapshot(10, model),
        lambda: folder.write_config(run),
        lambda: folder.state.locked().__enter__(),
        lambda: edit_notes(folder, {"outcome": "Better."}),
    ):
        with pytest.raises(Exception, match="link|BrokenRun|Not a directory"):
            write()
        assert untouched(elsewhere)
    folder.remove()
    assert untouched(elsewhere)


@pytest.mark.parametrize("inner", ["snapshots", "state"])
def test_neither_do_what_is_inside(tmp_path: Path, elsewhere: Path, inner: str) -> None:
    folder = write_run(tmp_path, "one")
    (folder.path / inner).symlink_to(elsewhere)
    with pytest.raises(OSError, match="link"), folder.state.locked():
        pass
    if inner == "snapshots":
        with pytest.raises(OSError, match="link"):
            folder.write_snapshot(10, build_model(GPT))
        assert folder.snapshot_steps() == []
        folder.forget_after(5)
    folder.state.remove()
    folder.remove()
    assert untouched(elsewhere)


@pytest.mark.usefixtures("short_samples")
def test_a_training_goes_on_through_no_link(
    tmp_path: Path, corpus: Corpus, elsewhere: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    assert not go(folder, plan_of(), corpus, watcher=Watcher(wants_stop=stop_after(25)))
    shutil.move(folder.path / "snapshots", tmp_path / "moved")
    (folder.path / "snapshots").symlink_to(elsewhere)
    with pytest.raises(OSError, match="link"):
        go(folder, plan_of(), corpus)
    assert untouched(elsewhere)


def test_a_file_that_takes_a_links_place_is_a_file(tmp_path: Path) -> None:
    folder, outside = write_run(tmp_path, "one"), tmp_path / "outside"
    outside.write_text("mine")
    for name in ("metrics.jsonl", "samples.jsonl"):
        (folder.path / name).unlink()
        (folder.path / name).symlink_to(outside)
    folder.write_metrics(METRICS)
    folder.write_samples([])
    assert folder.read_metrics() == METRICS
    assert outside.read_text() == "mine"


def test_an_export_that_was_turned_into_a_link_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="link"):
        write_zip({"file": tmp_path / "file"}, tmp_path / "out.zip")


def test_plain_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "inner").symlink_to("b")
    assert read_plain(tmp_path, "a/b/c", 5) == b"12345"
    assert read_plain(tmp_path / "link" / "b", "c", 5) == b"12345", "what leads there may be one"
    assert plain_size(tmp_path / "a", "b/c") == 5
    with pytest.raises(OSError, match="5 bytes, and at most 4"):
        read_plain(tmp_path, "a/b/c", 4)
    for folder, name in (
        (tmp_path / "link", "b/c"),
        (tmp_path, "link/b/c"),
        (tmp_path, "a/inner/c"),
    ):
        for look in (open_plain, plain_size):
            with pytest.raises(OSError, match="link"):
                look(folder, name)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path, "a/none")
    with pytest.raises(NotADirectoryError):
        open_plain(tmp_path, "a/b/c/d")


def test_the_folder_of_all_runs_may_be_a_link(tmp_path: Path) -> None:
    write_run(tmp_path / "disk", "one")
    (tmp_path / "checkpoints").symlink_to("disk")
    settings = Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data")
    with TestClient(create_app(settings)) as client:
        runs = client.get("/api/runs").json()
        assert ([run["id"] for run in runs["runs"]], runs["broken"]) == (["one"], [])
        assert client.patch("/api/runs/one", json={"outcome": "Good."}).status_code == 200


ASKED = {"model": "one", "prompt": "To", "max_tokens": 60, "seed": 7, "temperature": 0.8}


def written(server: LiveServer, meanwhile=lambda: None) -> str:
    """The text of a stream; `meanwhile` is done once its first part is here."""
    with server.http.stream("POST", "/v1/completions", json=ASKED | {"stream": True}) as answer:
        lines = answer.iter_lines()
        text = [next(lines)]
        meanwhile()
        text += list(lines)
    *events, end = (line.removeprefix("data: ") for line in text if line)
    assert end == "[DONE]"
    return "".join(json.loads(event)["choices"][0]["text"] for event in events)


@pytest.mark.usefixtures("slow_model")
@pytest.mark.parametrize("harm", ["cut", "deleted", "made NaN"])
def test_a_text_that_is_being_written_is_written_to_its_end(tmp_path: Path, harm: str) -> None:
    root = tmp_path / "checkpoints"
    folder = write_run(root, "one", GPT.model_copy(update={"n_embd": 64}))
    weights = folder.weights_path()

    def do_harm() -> None:
        match harm:
            case "cut":
                weights.write_bytes(b"")
            case "deleted":
                shutil.rmtree(folder.path)
            case "made NaN":
                model = folder.load_model()
                next(model.parameters()).fill_(torch.nan)
                folder.write_weights(model)

    write_run(root, "other")
    with LiveServer(Settings(checkpoints=root, data=tmp_path / "data")) as server:
        alone = written(server)
        assert len(alone) == ASKED["max_tokens"]
        assert written(server, do_harm) == alone
        answer = server.http.post("/v1/completions", json=ASKED)
        assert answer.status_code == (404 if harm == "deleted" else 503)
        other = server.http.post("/v1/completions", json=ASKED | {"model": "other"})
        assert other.status_code == 200
        broken = [it["id"] for it in server.http.get("/api/runs").json()["broken"]]
        assert broken == ([] if harm == "deleted" else ["one"])
