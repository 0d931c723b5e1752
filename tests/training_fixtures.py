"""A small text and a small training, for the tests of all that trains."""

from pathlib import Path

import pytest
import torch

from model.config import GPTConfig, RunPlan, TrainConfig
from model.corpus import Corpus, text_file
from model.run_folder import RunFolder
from model.starting import prepare
from model.training import train

CPU = torch.device("cpu")
TEXT = "".join(
    f"{'ROMEO' if i % 3 else 'JULIET'}:\nO, speak again {i % 7} times, and then {i % 11} more.\n"
    for i in range(60)
)
SMALL = GPTConfig(vocab_size=2, block_size=8, n_layer=1, n_head=2, n_embd=16)
FAST = TrainConfig(
    max_iters=40, batch_size=8, learning_rate=1e-2, eval_interval=10, eval_iters=4, snapshots=3
)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return text_file(path)


def plan_of(run_id: str = "run", model=SMALL, train: TrainConfig = FAST, **fields) -> RunPlan:
    return RunPlan(id=run_id, title=run_id, model=model, train=train, **fields)


def go(folder: RunFolder, plan: RunPlan, corpus: Corpus, **options) -> bool:
    """Train as a job does: from the folder's state where there is one."""
    start = prepare(folder, plan, corpus, CPU)
    return train(folder, start.run, corpus, start.tokenizer, CPU, start=start.model, **options)


def untimed(folder: RunFolder) -> list[dict]:
    """The metrics without what differs from one time to the next."""
    times = {"elapsed_s", "tokens_per_s"}
    return [metric.model_dump(exclude=times) for metric in folder.read_metrics()]


def stop_after(steps: int):
    """Says yes when it is asked for the time `steps` + 1, which it is before each step."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= steps


@pytest.fixture
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of a tiny training's time would go into what it writes."""
    monkeypatch.setattr("model.recording.SAMPLE_TOKENS", 20)
