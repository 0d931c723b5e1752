"""What keeps a server from starting is one line that names the setting."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.settings import ROOT, Settings
from app.starting import OTHERS, PREFIX, read_settings


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


@pytest.mark.slow
def test_a_misspelt_setting_stops_a_real_server(tmp_path: Path) -> None:
    settings = {"DATA": str(tmp_path), "PORT": "0", "MAX_ACTVE": "32"}
    environment = os.environ | {f"{PREFIX}{name}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "sidelight: SIDELIGHT_MAX_ACTVE: there is no such setting; "
        "the nearest is SIDELIGHT_MAX_ACTIVE\n"
    )


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("APIKEY", "API_KEY"),
        ("JOBS_SECONDS", "JOB_SECONDS"),
        ("max_jbos", "MAX_JOBS"),
        ("", ""),
    ],
)
@pytest.mark.parametrize(
    "command", [["serve"], ["runs"], ["keys", "list"], ["train", "--resume=none"]]
)
def test_so_it_does_every_command(
    tmp_path: Path, monkeypatch, misspelt: str, meant: str, command: list[str]
) -> None:
    monkeypatch.setenv("SIDELIGHT_DATA", str(tmp_path))
    monkeypatch.setenv("SIDELIGHT_DEVICES", "abacus")  # no server may run in this process
    monkeypatch.setenv(f"{PREFIX}{misspelt}", "planted-value")
    out = [f"--out={tmp_path}"] if command[0] == "train" else []
    line = refusal(*command, *out)
    assert line.startswith(f"sidelight: {PREFIX}{misspelt}: there is no such setting; ")
    assert f"the nearest is {PREFIX}{meant}" in line
    assert "planted-value" not in line


def test_names_that_others_read_stop_nothing(monkeypatch) -> None:
    for name in OTHERS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("sidelight_port", "8123")  # in small letters a setting is one as well
    assert read_settings().port == 8123


def test_every_name_that_is_read_is_known() -> None:
    reads = re.compile(rf"""(?:\benviron(?:\.get\(|\[)\\?["']|\$\{{)({PREFIX}[A-Z_]+)""")
    folders = ("app", "bench", "docs", "model", "sidelight", "tests")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    paths += [ROOT / name for name in ("Dockerfile", "Makefile", "compose.yaml", "README.md")]
    texts = [path for path in paths if path.suffix in {"", ".ipynb", ".md", ".py", ".yaml"}]
    read = {name for path in texts for name in reads.findall(path.read_text("utf-8"))}
    assert {"SIDELIGHT_URL", "SIDELIGHT_MEMORY", "SIDELIGHT_PORT"} <= read
    assert read <= OTHERS | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def refusal(*command: str) -> str:
    """The one line."""
    result = CliRunner().invoke(cli, command or ["serve"])
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("sidelight: ")
    return line
