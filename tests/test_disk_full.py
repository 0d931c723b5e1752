"""A disk that is full, or that may not be written to: said clearly, nothing half kept, and on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import cli
from app.keys.ring import KeyRing
from app.main import create_app
from app.settings import Settings
from model.config import GPTConfig
from tests.conftest import write_run
from tests.foreign_models import zipped

MEGABYTES = 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    path = tmp_path / "disk"
    path.mkdir()
    try:
        mount(f"-t tmpfs -o size={MEGABYTES}m tmpfs {path}")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def mount(arguments: str) -> None:
    subprocess.run(["mount", *arguments.split()], check=True, capture_output=True)


@pytest.fixture
def client(disk: Path) -> Iterator[TestClient]:
    write_run(disk / "checkpoints", "one", steps=(10,))
    app = create_app(Settings(checkpoints=disk / "checkpoints", data=disk / "data"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def filled(disk: Path) -> Path:
    """A file that takes all that is left."""
    path = disk / "filler"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    assert free(disk) == 0
    return path


def free(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_bsize


def require_full(answer: httpx.Response, says: str = "No space left on device") -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (507, "disk", "server_error")
    assert says in error["message"]


def content(disk: Path) -> dict[str, bytes]:
    paths = (path for path in disk.rglob("*") if path.is_file() and path.name != "filler")
    return {str(path): path.read_bytes() for path in paths}


def test_a_text_that_is_larger_than_the_disk(client: TestClient, disk: Path) -> None:
    before, room = content(disk), free(disk)
    require_full(client.post("/api/corpora?name=a.txt", content=b"To be.\n" * 10**6))
    assert (content(disk), free(disk)) == (before, room)
    assert client.post("/api/corpora?name=a.txt", content=b"To be.\n" * 99).status_code == 201


def test_a_model_that_is_larger_than_the_disk(
    client: TestClient, disk: Path, tmp_path: Path
) -> None:
    """As it is sent, and once more where only what is in it is too large."""
    wide = GPTConfig(vocab_size=43, block_size=16, n_layer=2, n_head=2, n_embd=160)
    large, small = (
        zipped(write_run(tmp_path, name, model).path, tmp_path / f"{name}.zip").read_bytes()
        for name, model in (
            ("wide", wide),
            ("small", write_run(tmp_path, "any").read_config().model),
        )
    )
    before, room = content(disk), free(disk)
    assert len(large) < room < 2 * len(large)
    require_full(client.post("/api/runs?name=wide.zip", content=bytes(4 * 10**6)))
    require_full(client.post("/api/runs?name=wide.zip", content=large))
    assert (content(disk), free(disk)) == (before, room)
    assert [run["id"] for run in client.get("/api/runs").json()["runs"]] == ["one"]
    assert client.post("/api/runs?name=small.zip", content=small).status_code == 201


def test_notes_and_exports_and_keys(client: TestClient, disk: Path) -> None:
    before, filler = content(disk), filled(disk)
    notes = {"outcome": "Better. " * 999}
    require_full(client.patch("/api/runs/one", json=notes))
    require_full(client.get("/api/runs/one/export"))
    require_full(client.get("/api/runs/one/export?format=safetensors"))
    with pytest.raises(OSError, match="No space"):
        KeyRing(disk / "data").add("me", ["read"])
    command = ["keys", "add", "me"]
    told = CliRunner().invoke(cli, command, env={"SIDELIGHT_DATA": str(disk / "data")})
    assert told.exit_code == 1
    assert "No space left" in told.stderr
    kept = {path: data for path, data in content(disk).items() if not path.endswith(".lock")}
    assert kept == before
    assert client.post("/v1/completions", json={"model": "one", "prompt": "To"}).status_code == 200
    assert client.get("/healthz").status_code == 200
    filler.unlink()
    assert client.patch("/api/runs/one", json=notes).status_code == 200
    assert client.get("/api/runs/one/export").status_code == 200


def test_checkpoints_that_may_only_be_read(disk: Path, tmp_path: Path) -> None:
    """As where a container has them as a volume for reading."""
    whole = zipped(write_run(disk, "one", steps=(10,)).path, tmp_path / "one.zip")
    mount(f"-o remount,ro {disk}")
    settings = Settings(checkpoints=disk, data=tmp_path / "data")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        asked = {"model": "one", "prompt": "To", "max_tokens": 5}
        assert client.post("/v1/completions", json=asked).status_code == 200
        assert client.get("/api/runs/one/export").status_code == 200
        assert client.get("/runs").status_code == 200
        says = "Read-only file system"
        require_full(client.patch("/api/runs/one", json={"outcome": "Better."}), says)
        require_full(client.post("/api/runs?name=a&id=two", content=whole.read_bytes()), says)
        assert client.post("/api/corpora?name=a", content=b"To be.\n" * 99).status_code == 201
        assert [run["id"] for run in client.get("/api/runs").json()["runs"]] == ["one"]
        assert client.get("/api/runs").json()["broken"] == []
