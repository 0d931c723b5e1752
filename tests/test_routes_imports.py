"""`POST /api/runs` and `/api/runs/{id}/export`: models in and out over HTTP."""

import io
import json
import os
import socket
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from fastapi.testclient import TestClient

from app.errors import Conflict
from app.hidden_folder import HIDDEN
from app.incoming_model import IncomingModel
from app.main import create_app
from app.settings import Settings
from model.config import BigramConfig
from model.run_folder import RunFolder
from tests.conftest import CHARACTERS, LiveServer, wait_until, write_run
from tests.foreign_models import LETTERS, LectureModel

MOST_BYTES = 300_000
LARGE = 50_000_000  # more than all buffers between a server and a client that does not read


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("in-and-out")
    write_run(root / "checkpoints", "origin", steps=(10, 50), seed=3)
    write_run(root / "checkpoints", "bigram", BigramConfig(vocab_size=len(CHARACTERS)))
    return Settings(
        checkpoints=root / "checkpoints", data=root / "data", max_import_bytes=MOST_BYTES
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def unchanged(settings: Settings) -> Iterator[None]:
    """Nothing is there afterwards that was not there before."""
    before = everything(settings)
    yield
    assert everything(settings) == before


def everything(settings: Settings) -> list[str]:
    """All files and folders; unlike `rglob`, `walk` lets some go while it looks."""
    roots = (settings.checkpoints, settings.data / "exports")
    walks = (step for root in roots for step in os.walk(root))
    return sorted(f"{at}/{name}" for at, folders, files in walks for name in folders + files)


def zipped(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for path in folder.rglob("*"):
            out.write(path, path.relative_to(folder.parent))
    return archive.getvalue()


def send(client: TestClient, content: Any, **query: str) -> Any:
    return client.post("/api/runs", params=query, content=content)


def refusal(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["message"]


def written(client: TestClient, run: str, **fields: Any) -> str:
    body = {"model": run, "prompt": "To be", "max_tokens": 30, "seed": 1, **fields}
    return client.post("/v1/completions", json=body).json()["choices"][0]["text"]


def test_a_run_goes_out_and_comes_in_as_it_was(client: TestClient, settings: Settings) -> None:
    sent = client.get("/api/runs/origin/export")
    assert sent.headers["content-type"] == "application/zip"
    assert sent.headers["content-disposition"] == 'attachment; filename="origin-run.zip"'
    answer = send(client, sent.content, name="origin-run.zip", id="copy", title="A copy")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["id"], answer.json()["title"]) == ("copy", "A copy")
    assert answer.json()["steps"] == [10, 50]
    listed = client.get("/api/runs").json()
    assert "copy" in {run["id"] for run in listed["runs"]}
    assert listed["max_import_bytes"] == MOST_BYTES
    assert written(client, "copy") == written(client, "origin")
    assert written(client, "copy", step=10) == written(client, "origin", step=10)
    kept = ("metrics.jsonl", "samples.jsonl", "snapshots/step-000050.safetensors")
    for name in (*kept, "tokenizer.json"):
        origin, copy = (settings.checkpoints / id / name for id in ("origin", "copy"))
        assert copy.read_bytes() == origin.read_bytes(), name
    assert not list(settings.checkpoints.glob(f"{HIDDEN}*"))


def test_a_state_dict_comes_in_with_the_characters_of_a_text(client: TestClient) -> None:
    file = io.BytesIO()
    torch.save(LectureModel().state_dict(), file)
    text = LETTERS + "a bad cab"
    corpus = client.post("/api/corpora?name=letters.txt", content=text * 9).json()["id"]
    answer = send(client, file.getvalue(), name="mine.pt", vocabulary=corpus)
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert run["id"] == "mine" and run["imported"]["layout"] == "exercise"
    assert run["corpus"] is None and run["config"]["train"] is None and run["val_loss"] is None
    assert client.get("/api/runs/mine").json()["vocabulary"] == list(LETTERS)
    assert len(written(client, "mine", prompt="a bad")) == 30
    assert client.post("/api/attention", json={"run": "mine", "text": "a"}).status_code == 200
    for page in ("/", "/runs", "/train", "/attention"):
        assert client.get(page).status_code == 200


@pytest.mark.usefixtures("unchanged")
class TestRefused:
    def test_a_taken_id(self, client: TestClient, settings: Settings) -> None:
        origin = zipped(settings.checkpoints / "origin")
        for query in ({"id": "origin"}, {"name": "origin.zip"}):
            status, param, message = refusal(send(client, origin, **query))
            assert (status, param) == (409, "id") and "'origin'" in message

    def test_what_is_no_model(self, client: TestClient) -> None:
        for content in (b"", b"hello", b"PK\x03\x04" + bytes(100), b"\x80\x04cos\nsystem\n."):
            status, param, message = refusal(send(client, content, name="what.pt", id="what"))
            assert (status, param) == (422, "file"), message

    def test_too_much(self, client: TestClient) -> None:
        def unannounced() -> Iterator[bytes]:
            yield from [bytes(100_000)] * 4

        for content in (bytes(MOST_BYTES + 1), unannounced()):
            answer = send(client, content, name="large.pt")
            assert answer.status_code == 413
            assert "300,000 bytes" in answer.json()["error"]["message"]

    def test_more_than_is_allowed_once_unpacked(self, client: TestClient) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("config.json", "{}")
            out.writestr("model.safetensors", bytes(10 * MOST_BYTES))
        assert archive.tell() < MOST_BYTES
        status, param, message = refusal(send(client, archive.getvalue(), name="bomb.zip"))
        assert (status, param) == (422, "file") and "300,000" in message

    @pytest.mark.parametrize("id", ["../origin", "Origin", "", "a/b", "x" * 65])
    def test_an_id_that_is_none(self, client: TestClient, settings: Settings, id: str) -> None:
        answer = send(client, zipped(settings.checkpoints / "origin"), id=id)
        assert refusal(answer)[:2] == (422, "id")

    def test_a_text_that_is_not_here(self, client: TestClient, settings: Settings) -> None:
        answer = send(client, zipped(settings.checkpoints / "origin"), id="x", vocabulary="no")
        assert refusal(answer)[:2] == (422, "vocabulary")

    def test_a_form(self, client: TestClient) -> None:
        answer = client.post("/api/runs", files={"file": b"abc"})
        assert refusal(answer)[:2] == (422, "file")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    def test_what_the_disk_does_not_take(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin = IncomingModel.__init__

        def on_a_full_disk(self: IncomingModel, *arguments: Any) -> None:
            begin(self, *arguments)
            self.upload = Path("/dev/full")

        monkeypatch.setattr(IncomingModel, "__init__", on_a_full_disk)
        answer = send(client, bytes(200_000), name="model.pt")
        assert answer.status_code == 507
        assert "No space left" in answer.json()["error"]["message"]

    def test_formats_that_a_run_cannot_have(self, client: TestClient) -> None:
        answer = client.get("/api/runs/bigram/export?format=huggingface")
        assert refusal(answer)[:2] == (422, "format")
        assert refusal(client.get("/api/runs/origin/export?format=gguf"))[:2] == (422, "format")
        assert refusal(client.get("/api/runs/origin/export?format=run&step=10"))[:2] == (
            422,
            "format",
        )
        assert client.get("/api/runs/no/export").status_code == 404
        assert client.head("/api/runs/no/export").status_code == 404
        assert client.head("/api/runs/bigram/export?format=huggingface").status_code == 422
        answer = client.get("/api/runs/origin/export?format=safetensors&step=11")
        assert refusal(answer)[:2] == (404, "step")


def test_every_format_that_is_promised_can_be_had(client: TestClient) -> None:
    promised = {run["id"]: run["exports"] for run in client.get("/api/runs").json()["runs"]}
    assert {"run", "safetensors", "huggingface"} <= {*promised["origin"]}
    assert "huggingface" not in promised["bigram"]
    for format in promised["origin"]:
        assert client.head(f"/api/runs/origin/export?format={format}").status_code == 200
    for format in ("safetensors", "huggingface"):
        sent = client.get("/api/runs/origin/export", params={"format": format, "step": 50})
        assert sent.status_code == 200, sent.text
        with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
            assert archive.testzip() is None
            assert {"config.json", "model.safetensors", "tokenizer.json"} <= {*archive.namelist()}
            json.loads(archive.read("config.json"))


def test_of_two_with_one_id_one_stays(client: TestClient, settings: Settings) -> None:
    origin, answers = zipped(settings.checkpoints / "origin"), []
    threads = [
        threading.Thread(target=lambda: answers.append(send(client, origin, id="twin").status_code))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]


def test_a_job_that_takes_the_id_meanwhile_keeps_it(tmp_path: Path) -> None:
    """Reading a model takes a while, and a job has no folder before it begins."""
    (tmp_path / "model.zip").write_bytes(zipped(write_run(tmp_path / "from", "origin").path))
    asked: list[str] = []

    def is_taken(id: str) -> bool:
        asked.append(id)
        return len(asked) > 1

    (tmp_path / "runs").mkdir()
    with (
        IncomingModel(tmp_path / "runs", MOST_BYTES, is_taken) as incoming,
        pytest.raises(Conflict, match="in the making"),
    ):
        incoming.bring_in(tmp_path / "model.zip", "model.zip", "theirs")
    assert not [*(tmp_path / "runs").iterdir()]


def test_who_leaves_in_the_middle_leaves_nothing_and_neither_does_a_killed_server(
    settings: Settings,
) -> None:
    leftover = settings.checkpoints / f"{HIDDEN}old"
    leftover.mkdir()
    with LiveServer(settings) as server:
        assert not leftover.exists()
        before = everything(settings)
        with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":")[-1]))) as half:
            half.sendall(b"POST /api/runs?name=a.pt HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            half.sendall(b"Content-Length: 200000\r\n\r\n" + bytes(100_000))
            wait_until(lambda: any(settings.checkpoints.glob(f"{HIDDEN}*")))
        wait_until(lambda: everything(settings) == before)
        assert server.http.get("/healthz").status_code == 200


def test_who_leaves_an_export_in_the_middle_frees_its_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds a file that has no name any more; a few hundred would fill the disk."""
    made: list[BinaryIO] = []

    def export_archive(*_: Any) -> tuple[BinaryIO, int]:
        made.append(tempfile.TemporaryFile())  # noqa: SIM115 - the app closes it
        made[-1].truncate(LARGE)
        return made[-1], LARGE

    monkeypatch.setattr("app.routes.exports.export_archive", export_archive)
    with LiveServer(settings.model_copy(update={"answers_mb": LARGE // 10**6 + 1})) as server:
        address, outgoing = (
            ("127.0.0.1", int(server.url.rsplit(":")[-1])),
            server.app.state.outgoing,
        )
        with socket.create_connection(address) as slow:
            slow.sendall(b"GET /api/runs/origin/export HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert slow.recv(12) == b"HTTP/1.1 200"
            assert outgoing.bytes == LARGE and not made[0].closed
            answer = server.http.get("/api/runs/origin/export")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too_many_answers")
            assert made[1].closed and not made[0].closed
        wait_until(lambda: made[0].closed)
        assert outgoing.bytes == 0
        assert len(server.http.get("/api/runs/origin/export").content) == LARGE
        wait_until(lambda: made[2].closed)


def test_an_import_never_shows_before_it_is_whole(settings: Settings) -> None:
    with IncomingModel(settings.checkpoints, MOST_BYTES) as incoming:
        assert incoming.upload.parent.name.startswith(HIDDEN)
        assert not RunFolder(incoming.upload.parent).is_run()
        assert os.listdir(incoming.upload.parent) == []
