"""Tiny runs in a temporary folder, and the app on top of them: in process, and on a real port."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import hypothesis
import numpy as np
import pytest
import torch
import uvicorn
from fastapi.testclient import TestClient

from app.main import create_app
from app.serving import configuration
from app.settings import Settings
from model.config import (
    BigramConfig,
    CorpusInfo,
    GPTConfig,
    ModelConfig,
    NGramConfig,
    RunConfig,
    TrainConfig,
)
from model.cpu_batch import CpuBatch
from model.families import build_model
from model.ngram import NGram
from model.run_folder import Estimate, Metric, RunFolder, Sample
from model.tokenizer import CharTokenizer, Tokenizer

# A time limit for each example says more about what else the machine does than about the code.
hypothesis.settings.register_profile("sidelight", deadline=None)
hypothesis.settings.load_profile("sidelight")

pytest_plugins = [
    "tests.browser_fixtures",
    "tests.job_fixtures",
    "tests.ray_fixtures",
    "tests.training_fixtures",
]

Result = TypeVar("Result")

CHARACTERS = "\n !',-.:?ABEFHIJMORTWabcdefghiklmnoprstuvwy"
TEXT = "ROMEO:\nTo be, or not to be.\n" * 20
GPT = GPTConfig(vocab_size=len(CHARACTERS), block_size=16, n_layer=2, n_head=2, n_embd=8)
METRICS = [
    Metric(
        step=0,
        train_loss=4.0,
        val_loss=4.1,
        learning_rate=1e-3,
        elapsed_s=0.0,
        tokens_per_s=0.0,
        estimate=Estimate(train_loss=3.9, val_loss=4.2),
    ),
    Metric(
        step=100,
        train_loss=2.5,
        val_loss=2.6,
        learning_rate=1e-3,
        elapsed_s=1.5,
        tokens_per_s=34000.0,
    ),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests run last, so that a mistake shows early.

    Where several processes share the tests, each takes a file's quick ones or its slow ones whole.
    """
    for item in items:
        speed = "slow" if "slow" in item.keywords else "quick"
        place = (
            "Ray" if "ray_head" in item.fixturenames else item.path.stem
        )  # one cluster at a time
        item.add_marker(pytest.mark.xdist_group(f"{place}, {speed}"))
    items.sort(key=lambda item: "slow" in item.keywords)


def write_run(
    root: Path,
    run_id: str,
    model: ModelConfig = GPT,
    seed: int = 0,
    steps: tuple[int, ...] = (),
    tokenizer: Tokenizer | None = None,
    text: str = TEXT,
) -> RunFolder:
    """A run with random weights, as different from each other's as their seeds.

    An n-gram model has counted `text`. The tokens are CHARACTERS where no `tokenizer` is given.
    """
    folder = RunFolder(root / run_id)
    folder.create()
    tokenizer = tokenizer or CharTokenizer(CHARACTERS)
    torch.manual_seed(seed)
    for step in steps:
        folder.write_snapshot(step, build_model(model))
    network = build_model(model)
    if isinstance(network, NGram):
        network.count(torch.tensor(tokenizer.encode(text)))
    folder.write_tokenizer(tokenizer)
    folder.write_weights(network)
    folder.write_metrics(METRICS)
    folder.write_samples([Sample(step=100, prompt="\n", text="To be", seed=1337)])
    folder.write_config(
        RunConfig(
            id=run_id,
            title=run_id.title(),
            model=model,
            train=TrainConfig(max_iters=100),
            tokenizer=tokenizer.kind,
            corpus=CorpusInfo(name="test", sha256="0" * 64, characters=len(TEXT)),
            params=network.size,
            hypothesis="It learns.",
        )
    )
    return folder


@pytest.fixture(scope="session", autouse=True)
def _data_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test writes to the data of whoever runs the tests."""
    os.environ["SIDELIGHT_DATA"] = str(tmp_path_factory.mktemp("data"))
    os.environ["SIDELIGHT_ALLOWED_HOSTS"] = "testserver"  # what TestClient calls every server


@pytest.fixture(scope="session")
def shared_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs that no test changes."""
    root = tmp_path_factory.mktemp("checkpoints")
    write_run(root, "baseline", steps=(10, 50))
    write_run(root, "case-1", seed=1)
    write_run(root, "bigram", BigramConfig(vocab_size=len(CHARACTERS)))
    write_run(root, "ngram", NGramConfig(vocab_size=len(CHARACTERS), order=3))
    before = contents(root)
    yield root
    assert contents(root) == before, "a test has changed what others use"


def contents(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def client(
    shared_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The app without a port; it collects a whole stream before it answers."""
    data = tmp_path_factory.mktemp("data")
    app = create_app(Settings(checkpoints=shared_checkpoints, data=data, attention_json_cells=2000))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


class LiveServer:
    """The app behind uvicorn on a free port, in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)
        config = configuration(self.app, settings)
        config.port = 0
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=30, verify=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(timeout=10)
        assert not self._thread.is_alive(), "the server did not stop"

    def gauge(self, name: str) -> int:
        """A number from /metrics."""
        lines = self.http.get("/metrics").text.splitlines()
        return next(
            int(float(line.split()[1])) for line in lines if line.startswith(f"sidelight_{name} ")
        )


@pytest.fixture
def slow_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no text is at its end before a test is, however fast the machine."""
    write = CpuBatch._write

    def slow_write(batch: CpuBatch, taken: np.ndarray, uniform: np.ndarray) -> None:
        time.sleep(0.005 * len(uniform))
        write(batch, taken, uniform)

    monkeypatch.setattr(CpuBatch, "_write", slow_write)


def on_a_loop(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run`, wherever the test is."""
    return in_a_thread(asyncio.run, coroutine)


def in_a_thread(call: Callable[..., Result], *arguments: Any) -> Result:
    """For what begins an event loop: Playwright keeps one running in the tests' own thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *arguments).result()


def wait_until(condition, timeout_s: float = 10) -> None:
    """Ask again and again, and ever less often: what is waited for needs the machine too."""
    deadline, pause_s = time.monotonic() + timeout_s, 0.005
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, 0.05)


@pytest.fixture(scope="session")
def live(
    shared_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings(checkpoints=shared_checkpoints, data=data, max_active=2, max_waiting=2)
    with LiveServer(settings) as server:
        yield server
