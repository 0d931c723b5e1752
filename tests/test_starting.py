"""What keeps a server from starting is one line that names the setting."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("DEVICES", "cuda:7", ["'cuda:7'", "only", "cpu"]),
        ("DEVICES", "cpu,tpu", ["'tpu'", "cpu"]),
        ("DEVICES", "", ["''", "cpu"]),
        ("RAY_ADDRESS", "head:8265", ["head:8265", "http"]),
        ("PORT", "http", ["'http'", "integer"]),
        ("PORT", "70000", ["65535", "'70000'"]),
        ("MAX_ACTIVE", "0", ["1", "'0'"]),
        ("API_KEY", "short", ["16"]),
        ("ALLOWED_HOSTS", "lab,http://lab.example/", ["'http://lab.example'", "lab.example is"]),
        ("ALLOWED_HOSTS", "lab.example:8000", ["'lab.example:8000'"]),
        ("CORS_ORIGINS", "lab.example", ["'lab.example'", "https://"]),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, monkeypatch, setting, value, says) -> None:
    monkeypatch.setenv("SIDELIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv(f"SIDELIGHT_{setting}", value)
    line = refusal()
    assert f"SIDELIGHT_{setting}" in line and all(word in line for word in says), line
    assert setting != "API_KEY" or value not in line


@pytest.mark.parametrize("setting", ["CHECKPOINTS", "DATA"])
def test_a_folder_that_is_a_file_is_named(tmp_path: Path, monkeypatch, setting: str) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIDELIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv(f"SIDELIGHT_{setting}", str(tmp_path / "file"))
    assert f"SIDELIGHT_{setting}: {tmp_path / 'file'} is a file" in refusal()


def test_a_folder_that_cannot_be_made_is_named(monkeypatch) -> None:
    monkeypatch.setenv("SIDELIGHT_DATA", "/proc/nowhere/data")
    assert "SIDELIGHT_DATA: /proc/nowhere/data" in refusal()


def test_a_port_in_use_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIDELIGHT_DATA", str(tmp_path / "data"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("SIDELIGHT_PORT", str(port))
        line = refusal()
    assert f"127.0.0.1:{port}: " in line and line.endswith("; try another --port")


def test_an_address_of_another_machine_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIDELIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SIDELIGHT_HOST", "192.0.2.1")
    monkeypatch.setenv("SIDELIGHT_PORT", "0")
    assert refusal().endswith("; try another --host")


def refusal() -> str:
    """The one line."""
    result = CliRunner().invoke(cli, ["serve"])
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("sidelight: ")
    return line
