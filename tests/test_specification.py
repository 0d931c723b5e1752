"""The live app against its own description: schemathesis makes the requests and judges the answers.

More of them: SPECIFICATION_EXAMPLES=300 for each operation, which `make fuzz` sends.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from model.config import BigramConfig, NGramConfig
from tests.conftest import CHARACTERS, LiveServer, write_run
from tests.fake_launcher import NothingStarts

TESTS = Path(__file__).resolve().parent
EXAMPLES = int(os.environ.get("SPECIFICATION_EXAMPLES", "0"))
KEY = "sk-sidelight-of-the-tests"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if EXAMPLES else 300)]


def settings(root: Path, **more: object) -> Settings:
    """Without what is one client's: schemathesis asks faster than any."""
    write_run(root / "checkpoints", "baseline", steps=(10, 50))
    write_run(root / "checkpoints", "case-1", seed=1)
    write_run(root / "checkpoints", "bigram", BigramConfig(vocab_size=len(CHARACTERS)))
    ngram = NGramConfig(vocab_size=len(CHARACTERS), order=3)
    write_run(root / "checkpoints", "ngram", ngram)
    return Settings(
        checkpoints=root / "checkpoints",
        data=root / "data",
        max_seconds=5,
        max_body_bytes=200_000,
        max_upload_bytes=300_000,
        max_import_bytes=300_000,
        attention_json_cells=200_000,
        wrong_keys_per_minute=10**6,
        **more,
    )


@pytest.fixture(scope="module")
def nothing_starts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.main.launcher_for", lambda _: NothingStarts())
        yield


@pytest.fixture(scope="module")
def open_server(
    nothing_starts: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with LiveServer(settings(tmp_path_factory.mktemp("open"))) as server:
        yield server


@pytest.fixture(scope="module")
def locked_server(
    nothing_starts: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with LiveServer(settings(tmp_path_factory.mktemp("locked"), api_key=KEY)) as server:
        yield server


def judge(server: LiveServer, folder: Path, *options: str) -> None:
    """Fails with schemathesis' report, which has a command line for each thing that it found."""
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        TESTS / "schemathesis.toml",
    ]
    command += ["run", f"{server.url}/openapi.json", "--seed", "1", "--generation-database", "none"]
    command += ["--no-color", "--warnings", "off", "--continue-on-failure", *options]
    environment = os.environ | {
        "PYTHONPATH": str(TESTS),
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    print(done.stdout)


def test_every_answer_is_as_described(open_server: LiveServer, tmp_path: Path) -> None:
    phases = "examples,coverage"
    judge(open_server, tmp_path, "--phases", phases, "--exclude-checks", "ignored_auth")


def test_so_is_every_answer_to_what_nobody_thought_of(
    open_server: LiveServer, tmp_path: Path
) -> None:
    """Also where one request goes on with what another has answered."""
    options = ["--phases", "fuzzing,stateful", "--exclude-checks", "ignored_auth"]
    judge(open_server, tmp_path, *options, "--max-examples", str(EXAMPLES or 5))


def test_nothing_is_answered_without_a_key(locked_server: LiveServer, tmp_path: Path) -> None:
    """What is described as needing one does, whether it is left out or wrong."""
    options = ["--phases", "examples,fuzzing", "--header", f"Authorization: Bearer {KEY}"]
    judge(locked_server, tmp_path, *options, "--max-examples", str(EXAMPLES or 3))
