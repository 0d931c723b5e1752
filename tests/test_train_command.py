"""`sidelight train` as a person uses it: in a terminal, with Ctrl-C, and wrong options."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import cli
from model.config import TrainConfig
from model.run_folder import RunFolder
from tests.conftest import wait_until
from tests.training_fixtures import TEXT, untimed

ROOT = Path(__file__).resolve().parents[1]
SMALL = [f"model.{field}" for field in ("n_layer=1", "n_head=2", "n_embd=16", "block_size=8")]
SHORT = ["train.max_iters=30", "train.eval_interval=10", "train.eval_iters=2", "train.snapshots=2"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def command(*arguments: str, changes: list[str] = SMALL + SHORT) -> list[str]:
    sets = [word for change in changes for word in ("--set", change)]
    return [sys.executable, "-m", "app", "train", *arguments, *sets]


def train(*arguments: str, changes: list[str] = SMALL + SHORT) -> Result:
    """The same in this process, which has imported torch already."""
    return CliRunner().invoke(cli, command(*arguments, changes=changes)[3:])


@pytest.mark.usefixtures("short_samples")
def test_changes_reach_the_run(tmp_path: Path, text: Path) -> None:
    ended = train("baseline", "--run-id", "mine", "--corpus", str(text), "--out", str(tmp_path))
    assert ended.exit_code == 0, ended.stderr
    config = RunFolder(tmp_path / "mine").read_config()
    assert (config.model.n_embd, config.train.max_iters) == (16, 30)
    assert [line.split()[0] for line in ended.stdout.splitlines()[2:-1]] == ["0", "10", "20", "30"]
    assert ended.stdout.splitlines()[-1] == f"{tmp_path / 'mine'} is ready"


@pytest.mark.slow
@pytest.mark.usefixtures("short_samples")
def test_ctrl_c_keeps_what_was_trained_and_says_how_to_go_on(tmp_path: Path, text: Path) -> None:
    long = [*SMALL, "train.max_iters=1200", "train.eval_interval=100", "train.eval_iters=10"]
    long.append("train.snapshots=30")
    arguments = ["baseline", "--run-id", "mine", "--corpus", str(text), "--out"]
    folder = RunFolder(tmp_path / "mine")
    process = subprocess.Popen(
        command(*arguments, str(tmp_path), changes=long),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: len(folder.read_metrics()) > 2, 120)
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert not complaints
    assert f"go on with: sidelight train --resume mine --out {tmp_path}" in said
    assert folder.state.exists() and not folder.is_finished()

    resume = ["--resume", "mine", "--out", str(tmp_path)]
    lost = train(*resume, changes=[])
    assert lost.exit_code == 1 and "name that file with --corpus" in lost.stderr
    ended = train(*resume, "--corpus", str(text), changes=[])
    assert ended.exit_code == 0, ended.stderr
    (tmp_path / "unbroken").mkdir()
    unbroken = train(*arguments, str(tmp_path / "unbroken"), changes=long)
    assert unbroken.exit_code == 0
    assert untimed(folder) == untimed(RunFolder(tmp_path / "unbroken" / "mine"))


@pytest.mark.slow
def test_a_terminal_gets_a_bar(tmp_path: Path, text: Path) -> None:
    own, terminals = pty.openpty()
    arguments = ("baseline", "--run-id", "mine", "--corpus", str(text), "--out", str(tmp_path))
    steps = ("train.max_iters=800", "train.eval_interval=400")
    process = subprocess.Popen(
        command(*arguments, changes=[*SMALL, *SHORT[2:], *steps]),
        cwd=ROOT,
        stdout=terminals,
        stderr=terminals,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(terminals)
    seen = b""
    try:
        while True:
            seen += os.read(own, 4096)
    except OSError:  # the other end is closed
        process.wait(timeout=60)
    finally:
        process.kill()
        os.close(own)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert re.search(r"━+ +[\d,]+/800 +loss \d\.\d+, [\d,]+ tokens/s", plain), plain[-500:]
    assert "is ready" in plain


@pytest.mark.parametrize(
    ("arguments", "changes", "words"),
    [
        ([], [], "name a preset, or a run to go on with"),
        (["baseline", "--resume", "x"], [], "name a preset, or a run to go on with"),
        (["tiny"], [], "there is no preset 'tiny'; there are bigram"),
        (["baseline"], ["model.n_head=3"], "model.n_embd: 64 is not divisible by n_head (3)"),
        (["baseline"], ["model.heads=3"], "give a field of model or train"),
        (["baseline"], ["train.max_iters=none"], "train.max_iters"),
        (["baseline"], ["train.max_iters"], "give a field of model or train"),
        (["baseline", "--corpus", "nowhere.txt"], [], "there is no text file 'nowhere.txt'"),
        (["baseline", "--device", "cuda:9"], [], "there is no device 'cuda:9' here"),
        (["baseline", "--tokenizer", "word"], [], "tokenizer"),
        (["baseline", "--init-from", "nothing"], [], "nothing/config.json"),
        (["--resume", "nothing"], [], "has nothing to go on from"),
    ],
)
def test_wrong_options_are_said_in_a_line_and_nothing_is_left(
    tmp_path: Path, arguments: list[str], changes: list[str], words: str
) -> None:
    ended = train(*arguments, "--out", str(tmp_path), changes=changes)
    assert ended.exit_code == 1
    assert words in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_defaults_are_the_preset() -> None:
    from app.train_command import plan_of

    plan = plan_of("case-1", "mine", [], "character", "", None)
    assert plan.train == TrainConfig(max_iters=10_000) and plan.id == "mine"
