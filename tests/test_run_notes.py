"""A run's notes: edited one by one, in its folder, by whoever is there, and never by halves."""

import errno
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.registry import Registry
from app.replicas.asked import needs_a_run
from app.settings import ROOT, Settings
from model.run_folder import RunFolder, run_folders
from model.run_notes import NotesChanged, edit_notes
from sidelight.client import Sidelight, SidelightError
from tests.conftest import GPT, write_run

SHIPPED = ("bigram", "ngram", "baseline", "case-1", "case-2", "case-3", "modern")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path, "one")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server of its own, whose run `one` may be noted on."""
    root = tmp_path_factory.mktemp("noted")
    write_run(root, "one")
    app = create_app(Settings(checkpoints=root, data=root / ".data"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def refusal(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


def test_an_edit_changes_its_notes_and_nothing_else(folder: RunFolder) -> None:
    def lines() -> list[str]:
        return (folder.path / "config.json").read_text().splitlines()

    before, files = lines(), sorted(path.name for path in folder.path.iterdir())
    edit_notes(folder, {"outcome": "“It” did\n2 % better", "verdict": "partly"})
    changed = [(old, new) for old, new in zip(before, lines(), strict=True) if old != new]
    assert changed == [
        ('  "outcome": "",', '  "outcome": "“It” did\\n2 % better",'),
        ('  "verdict": null,', '  "verdict": "partly",'),
    ]
    assert sorted(path.name for path in folder.path.iterdir()) == files
    with pytest.raises(NotesChanged, match="verdict has been changed"):
        edit_notes(folder, {"outcome": ""}, read={"hypothesis": "It learns.", "verdict": None})
    edit_notes(folder, {"outcome": "", "verdict": None}, read={"verdict": "partly"})
    assert lines() == before


def test_edits_wait_for_one_another(folder: RunFolder) -> None:
    """Whoever counts up what he has read may be refused, but never counts over another's count."""
    edit_notes(folder, {"outcome": "0"})

    def counts_up(_: int) -> bool:
        read = folder.read_config().outcome
        try:
            edit_notes(folder, {"outcome": str(int(read) + 1)}, read={"outcome": read})
        except NotesChanged:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        counted = sum(pool.map(counts_up, range(24)))
    assert folder.read_config().outcome == str(counted)

    elsewhere = os.open(folder.path, os.O_RDONLY)  # as another process would
    fcntl.flock(elsewhere, fcntl.LOCK_EX)
    waiting = threading.Thread(target=edit_notes, args=(folder, {"outcome": "mine"}))
    waiting.start()
    edit = folder.read_config().model_copy(update={"hypothesis": "theirs"})
    folder.write_config(edit)
    os.close(elsewhere)
    waiting.join()
    noted = folder.read_config()
    assert (noted.hypothesis, noted.outcome) == ("theirs", "mine")


def test_a_model_in_use_stays_loaded_until_its_shape_changes(folder: RunFolder) -> None:
    registry = Registry(folder.path.parent, 10**9)
    with registry.lend("one") as before:
        edit_notes(folder, {"outcome": "Noted."})
        with registry.lend("one") as during:
            assert during.model is before.model
            assert during.run.config.outcome == "Noted."
    registry.listing()
    with registry.lend("one") as after:
        assert after.model is before.model
    other = folder.read_config().model_copy(update={"model": GPT.model_copy(update={"n_head": 1})})
    folder.write_config(other)  # the same weights would fit
    with registry.lend("one") as reshaped:
        assert reshaped.model is not before.model


def test_the_api_edits_what_it_is_given(served: TestClient) -> None:
    before = served.get("/api/runs/one").json()
    answer = served.patch("/api/runs/one", json={"verdict": "refuted", "outcome": "It did not."})
    assert answer.status_code == 200
    summary = served.get("/api/runs").json()["runs"][0]
    assert answer.json() == summary
    assert summary == {
        name: {"verdict": "refuted", "outcome": "It did not."}.get(name, before[name])
        for name in summary
    }
    seen = {"outcome": "It did not.", "verdict": None}
    body = {"hypothesis": "It learns more.", "if_unchanged": seen}
    assert refusal(served.patch("/api/runs/one", json=body)) == (409, "verdict", "notes_changed")
    body["if_unchanged"] = seen | {"verdict": "refuted"}
    assert served.patch("/api/runs/one", json=body).json()["hypothesis"] == "It learns more."
    assert served.patch("/api/runs/one", json={"verdict": None}).json()["verdict"] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, None),
        ({"if_unchanged": {"outcome": ""}}, None),
        ({"title": "Mine"}, "title"),
        ({"hypothesis": None}, "hypothesis"),
        ({"hypothesis": "w" * 10_001}, "hypothesis"),
        ({"outcome": "\ud800"}, "outcome"),
        ({"outcome": 3}, "outcome"),
        ({"verdict": "yes"}, "verdict"),
        ({"verdict": ""}, "verdict"),
        ({"verdict": None, "if_unchanged": {"title": ""}}, "if_unchanged.title"),
    ],
)
def test_what_cannot_be_noted_is_named(
    served: TestClient, body: dict[str, Any], param: str | None
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = served.patch("/api/runs/one", content=json.dumps(body), headers=headers)
    assert refusal(answer)[:2] == (422, param)
    assert answer.json()["error"]["message"].startswith(param or "there is nothing to change")


def test_what_stands_in_the_way_is_said(
    served: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noted(run: str = "one", **headers: str) -> tuple[int, str | None, str | None]:
        return refusal(served.patch(f"/api/runs/{run}", json={"outcome": "x"}, headers=headers))

    assert noted("none") == (404, "run", "unknown_run")
    assert noted(**{"Sec-Fetch-Site": "cross-site"}) == (403, "Origin", "foreign_page")
    state = served.app.state  # type: ignore[attr-defined]
    folder = RunFolder(state.settings.checkpoints / "one")
    with folder.state.locked():  # as `sidelight train` does
        assert noted() == (409, "run", "run_training")
    folder.state.remove()
    with monkeypatch.context() as patch:
        patch.setattr(state.queue, "run_ids", lambda: {"one"})
        assert noted() == (409, "run", "run_training")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", _read_only)
        assert noted() == (507, None, "disk")
    config = folder.path / "config.json"
    whole = config.read_text()
    config.write_text(whole.replace('"format": 1', '"format": 1, "mood": 2'))
    assert noted() == (503, None, "broken_run")
    config.write_text(whole)
    assert folder.read_config().outcome != "x"
    # With replicas it is the server in front that writes; they see the folder.
    assert not needs_a_run({"method": "PATCH", "path": "/api/runs/one"})


def _read_only(*_: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_the_client_sends_what_it_is_told(served: TestClient) -> None:
    client = Sidelight(client=served)
    run = client.annotate("one", hypothesis="", outcome="As expected.", verdict="confirmed")
    assert (run["hypothesis"], run["outcome"], run["verdict"]) == ("", "As expected.", "confirmed")
    assert client.annotate("one", hypothesis="It learns.")["verdict"] == "confirmed"
    with pytest.raises(SidelightError, match="outcome: somebody has changed it") as refused:
        client.annotate("one", verdict=None, if_unchanged={"outcome": ""})
    assert refused.value.status == 409
    assert client.annotate("one", verdict=None)["verdict"] is None


def test_every_shipped_hypothesis_has_its_verdict() -> None:
    configs = {it.id: it.read_config() for it in run_folders(ROOT / "checkpoints")}
    for id in SHIPPED:
        assert bool(configs[id].hypothesis) == (configs[id].verdict is not None), id
    assert configs["case-3"].verdict == "refuted"
