"""The command line, as a person runs it."""

import csv
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
import typer
from click.testing import Result
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import cli
from model.attention import attention_maps
from model.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "docs/runs.md", "docs/models.md")


def sidelight(root: Path, *arguments: str) -> Result:
    """Exit code and output of one command, in this process: torch takes seconds to import."""
    return CliRunner().invoke(cli, arguments, env={"SIDELIGHT_CHECKPOINTS": str(root)})


def documented_commands() -> list[str]:
    pages = "".join((ROOT / name).read_text("utf-8") for name in DOCUMENTS)
    return re.findall(r"(?:\.venv/bin/|`)sidelight ([a-z][^`#\n]*[^`#\s])", pages)


@pytest.mark.parametrize("command", documented_commands())
def test_commands_in_the_documents_are_understood(command: str) -> None:
    name, *arguments = shlex.split(command)
    typer.main.get_group(cli).commands[name].make_context(name, arguments)  # parses, runs nothing


def test_runs_are_listed(shared_checkpoints: Path) -> None:
    result = sidelight(shared_checkpoints, "runs")
    head, *rows = result.stdout.splitlines()
    assert head.split()[:2] == ["run", "title"]
    assert [row.split()[0] for row in rows] == ["baseline", "bigram", "case-1", "ngram"]
    assert rows[0].split()[-2:] == ["2.5000", "2.6000"]


def test_generate_writes_on(shared_checkpoints: Path) -> None:
    arguments = ("generate", "baseline", "ROMEO:", "--max-tokens", "30", "--seed", "1")
    once, again = (sidelight(shared_checkpoints, *arguments) for _ in range(2))
    assert once.exit_code == 0, once.stderr
    assert once.stdout.startswith("ROMEO:")
    assert len(once.stdout) == len("ROMEO:") + 30 + 1
    assert once.stdout == again.stdout
    other = sidelight(shared_checkpoints, *arguments, "--past-context", "jump")
    assert other.stdout[: len("ROMEO:") + 10] == once.stdout[: len("ROMEO:") + 10]  # inside
    assert len(other.stdout) == len(once.stdout)
    assert other.stdout != once.stdout


def test_attention_is_printed_or_written(shared_checkpoints: Path, tmp_path: Path) -> None:
    folder = RunFolder(shared_checkpoints / "baseline")
    expected = attention_maps(folder.load_model(), folder.read_tokenizer().encode("To be")).numpy()
    printed = sidelight(
        shared_checkpoints, "attention", "baseline", "To be", "--layer", "1", "--head", "0"
    )
    last = printed.stdout.splitlines()[-1].split()
    assert [float(cell) for cell in last[1:]] == pytest.approx(expected[1, 0, -1], abs=0.006)
    array, table = tmp_path / "maps.npy", tmp_path / "maps.csv"
    sidelight(shared_checkpoints, "attention", "baseline", "To be", "--out", str(array))
    np.testing.assert_allclose(np.load(array), expected, atol=1e-6)  # other numbers of threads
    sidelight(
        shared_checkpoints, "attention", "baseline", "To be", "--head", "1", "--out", str(table)
    )
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 15
    row = next(r for r in rows if (r["layer"], r["query"], r["key"]) == ("1", "3", "2"))
    assert (row["head"], row["query_token"], row["key_token"]) == ("1", "b", " ")
    assert float(row["weight"]) == pytest.approx(expected[1, 1, 3, 2])


def test_attention_of_every_kind_is_merged_and_written(
    shared_checkpoints: Path, tmp_path: Path
) -> None:
    folder = RunFolder(shared_checkpoints / "baseline")
    model, ids = folder.load_model(), folder.read_tokenizer().encode("To be")
    read = ("attention", "baseline", "To be")
    file = tmp_path / "maps.json"
    chosen = ("--kind", "rollout", "--merge", "heads", "--merge-by", "max")
    sidelight(shared_checkpoints, *read, *chosen, "--out", str(file))
    written = json.loads(file.read_text("utf-8"))
    expected = attention_maps(model, ids, kind="rollout", merge="heads", merge_by="max")
    np.testing.assert_allclose(written["maps"], expected.numpy(), atol=1e-7)
    assert (written["kind"], written["tokens"]) == ("rollout", list("To be"))
    printed = sidelight(shared_checkpoints, *read, "--merge", "all").stdout.splitlines()
    last = attention_maps(model, ids, merge="all")[0, 0, -1].tolist()
    assert [float(cell) for cell in printed[-1].split()[1:]] == pytest.approx(last, abs=0.006)
    table = tmp_path / "maps.csv"
    sidelight(shared_checkpoints, *read, "--merge", "heads", "--out", str(table))
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {(row["layer"], row["head"]) for row in rows} == {("0", ""), ("1", "")}
    assert len(rows) == 2 * 15


def test_attention_says_what_each_head_does(shared_checkpoints: Path, client: TestClient) -> None:
    head, *rows = sidelight(
        shared_checkpoints, "attention", "baseline", "To be", "--roles"
    ).stdout.splitlines()
    body = {"run": "baseline", "text": "To be"}
    answer = client.post("/api/attention/roles", json=body).json()
    assert head.split()[2:] == [role["name"] for role in answer["roles"]]
    assert [row.split()[0] for row in rows] == ["0.0", "0.1", "1.0", "1.1"]
    last = [float(cell) for cell in rows[-1].split()[-len(answer["roles"]) :]]
    assert last == pytest.approx(list(answer["heads"][-1]["scores"].values()), abs=0.006)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("generate", "nope"), "there is no run 'nope'; there are baseline"),
        (("generate", "baseline", "€"), "'€'"),
        (("attention", "bigram", "To", "--layer", "0", "--head", "0"), "no attention heads"),
        (("attention", "baseline", "To", "--layer", "9", "--head", "0"), "layers 0 to 1"),
        (("attention", "baseline", "To"), "--out"),
        (("attention", "baseline", "To", "--merge", "heads"), "name one --layer"),
        (("attention", "baseline", "To", "--out", "maps.png"), ".npy, .csv, .json"),
        (("attention", "baseline", "To", "--roles", "--out", "a.csv"), "--roles are printed"),
        (("attention", "bigram", "To", "--roles"), "no attention heads"),
        (("report", "baseline", "nope"), "there is no run 'nope'; there are baseline"),
        (("report", "--out", "report.pdf"), "--out must end in one of .md, .html, .json"),
        (("train", "nope"), "there are bigram, ngram, baseline"),
    ],
)
def test_what_goes_wrong_is_one_line(
    shared_checkpoints: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = sidelight(shared_checkpoints, *arguments)
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_serve_says_where_it_is_and_stops_on_ctrl_c(shared_checkpoints: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "app",
        "serve",
        "--port",
        "0",
        "--checkpoints",
        str(shared_checkpoints),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split("at ")[1].split()[0]
            assert len(httpx.get(f"{url}/v1/models").json()["data"]) == 4
            if (maps := Path(f"/proc/{server.pid}/maps")).exists():
                assert "_raylet" not in maps.read_text(), "without replicas Ray is not imported"
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=15)
        finally:
            server.kill()
    assert server.returncode == 0
    assert {json.loads(line)["level"] for line in errors.splitlines()} == {"info"}


def test_a_port_in_use_is_said_plainly(shared_checkpoints: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ("serve", "--port", port, "--host", "127.0.0.1")
        result = sidelight(shared_checkpoints, *arguments)
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_train_makes_a_run(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("To be, or not to be, that is the question.\n" * 40)
    arguments = ("train", "ngram", "--run-id", "mine", "--corpus", str(text))
    result = sidelight(tmp_path, *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"{tmp_path / 'mine'} is ready"
    assert RunFolder(tmp_path / "mine").read_config().title == "5-gram counts"
    written = sidelight(tmp_path, "generate", "mine", "To be", "--max-tokens", "5").stdout
    assert written.startswith("To be")
    again = sidelight(tmp_path, *arguments)
    assert again.exit_code == 1
    assert "is there already" in again.stderr
