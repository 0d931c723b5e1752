"""One step's gradients: in parts, compiled, in bfloat16, in several processes: the same numbers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from model.config import GPTConfig, TrainConfig
from model.distributed import World
from model.families import build_model
from model.gradients import Gradients
from model.run_folder import RunFolder
from tests.training_fixtures import CPU, FAST, go, plan_of, untimed

CONFIG = GPTConfig(vocab_size=20, block_size=8, n_layer=2, n_head=2, n_embd=16)


def gradients_of(config: GPTConfig = CONFIG, **changes) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss and the gradients of a fixed batch of 8 windows."""
    torch.manual_seed(0)
    model = build_model(config).train()
    x, y = torch.randint(20, (2, 8, 8), generator=torch.manual_seed(1))
    gradients = Gradients(model, TrainConfig(batch_size=8, **changes), CPU, World())
    if changes.get("compile"):
        gradients.prepare(torch.zeros_like(x), torch.zeros_like(y))
    loss = gradients(x, y)
    return float(loss), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def plain(config: GPTConfig = CONFIG) -> tuple[float, dict[str, torch.Tensor]]:
    """The same by the book."""
    torch.manual_seed(0)
    model = build_model(config).train()
    x, y = torch.randint(20, (2, 8, 8), generator=torch.manual_seed(1))
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    loss.backward()
    return loss.item(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_parts_of_a_batch_give_the_gradients_of_the_whole(parts: int) -> None:
    loss, gradients = gradients_of(grad_accum=parts)
    wanted_loss, wanted = plain()
    assert loss == pytest.approx(wanted_loss, abs=1e-6)
    assert gradients.keys() == wanted.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6)


def test_bfloat16_is_close_and_keeps_the_weights_in_float32() -> None:
    loss, gradients = gradients_of(precision="bfloat16")
    wanted_loss, wanted = plain()
    assert loss == pytest.approx(wanted_loss, rel=0.02) and loss != wanted_loss
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())
    flat, wanted_flat = (
        torch.cat([tensor.flatten() for tensor in each.values()]) for each in (gradients, wanted)
    )
    assert F.cosine_similarity(flat, wanted_flat, dim=0) > 0.999


def test_each_call_begins_anew() -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG).train()
    x, y = torch.randint(20, (2, 8, 8), generator=torch.manual_seed(1))
    gradients = Gradients(model, TrainConfig(batch_size=8), CPU, World())
    gradients(x, y)
    first = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    gradients(x, y)
    for before, parameter in zip(first, model.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)


@pytest.mark.slow
def test_compiled_gradients_are_the_same() -> None:
    shallow = CONFIG.model_copy(update={"n_layer": 1})  # a second layer is compiled as the first
    loss, gradients = gradients_of(shallow, compile=True)
    wanted_loss, wanted = plain(shallow)
    assert loss == pytest.approx(wanted_loss, abs=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-3, atol=1e-5)


def test_preparing_draws_from_no_generator() -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG.model_copy(update={"dropout": 0.5})).train()
    x = torch.zeros(8, 8).long()
    before = torch.get_rng_state()
    gradients = Gradients(model, TrainConfig(batch_size=8), CPU, World())
    gradients.prepare(x, x)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in model.parameters())


# Several processes

WORKER = """
import sys; from pathlib import Path; from model.corpus import text_file
from model.run_folder import RunFolder
from model.config import TrainConfig
from tests.training_fixtures import go, plan_of
import model.recording; model.recording.SAMPLE_TOKENS = 20
folder, text, train = sys.argv[1:]
plan = plan_of(train=TrainConfig.model_validate_json(train))
print(go(RunFolder(Path(folder)), plan, text_file(Path(text))))
"""


def in_two_processes(folder: Path, text: Path, train: TrainConfig = FAST) -> list[str]:
    """As torchrun would start them, over gloo; what each said."""
    port = str(20_000 + os.getpid() % 20_000)
    root = Path(__file__).resolve().parents[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(text), train.model_dump_json()],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "CUDA_VISIBLE_DEVICES": ""},
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=200)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0]
    return said


@pytest.mark.slow
@pytest.mark.usefixtures("short_samples")
def test_two_processes_give_the_losses_of_one_with_the_double_batch(corpus, tmp_path) -> None:
    """Each has 4 of the 8 windows that the one process has."""
    alone = RunFolder(tmp_path / "alone" / "run")
    go(alone, plan_of(), corpus)
    together = RunFolder(tmp_path / "together" / "run")
    together.path.parent.mkdir()
    said = in_two_processes(together.path, tmp_path / "text.txt")
    assert [line.strip().splitlines()[-1] for line in said] == ["True", "True"]
    assert len(untimed(together)) == len(untimed(alone)) == 5
    for ours, theirs in zip(untimed(together), untimed(alone), strict=True):
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], abs=2e-4)
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=2e-4)
    assert together.is_finished()


@pytest.mark.slow
@pytest.mark.usefixtures("short_samples")
def test_processes_agree_on_stopping_early(corpus, tmp_path) -> None:
    wild = FAST.model_copy(update={"learning_rate": 1.0, "patience": 2, "max_iters": 400})
    alone = RunFolder(tmp_path / "alone" / "run")
    go(alone, plan_of(train=wild), corpus)
    together = RunFolder(tmp_path / "together" / "run")
    together.path.parent.mkdir()
    in_two_processes(together.path, tmp_path / "text.txt", wild)
    steps = [metric.step for metric in together.read_metrics()]
    assert steps == [metric.step for metric in alone.read_metrics()]
    assert steps[-1] < 400 and together.is_finished()
