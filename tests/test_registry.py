"""The registry on real run folders: what it notices, what it keeps, and what it survives."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from app.errors import UnknownRun, UnusableRun
from app.main import create_app
from app.registry import Registry
from app.settings import Settings
from model.config import BigramConfig, GPTConfig
from model.cpu_batch import CpuBatch
from model.parameter_count import parameter_count
from model.run_folder import RunFolder, Stamp
from tests.conftest import GPT, METRICS, wait_until, write_run

PLENTY = 10**9


def ids(registry: Registry) -> list[str]:
    return [run.id for run in registry.runs()]


def memory_of(config: GPTConfig) -> int:
    """Bytes of a GPT's float32 weights and of the engine's copy."""
    return 2 * 4 * parameter_count(config)


def test_notices_new_changed_and_removed_runs(tmp_path: Path) -> None:
    registry = Registry(tmp_path, PLENTY)
    assert ids(registry) == []
    folder = write_run(tmp_path, "one")
    assert ids(registry) == ["one"]
    with registry.lend("one") as before:
        pass
    write_run(tmp_path, "two")
    write_run(tmp_path, "one", seed=5)
    assert ids(registry) == ["one", "two"]
    with registry.lend("one") as after:
        name, weight = next(iter(after.model.state_dict().items()))
        assert not torch.equal(weight, before.model.state_dict()[name])
    config = folder.read_config()
    folder.write_config(config.model_copy(update={"outcome": "It learned."}))
    assert registry.run("one").config.outcome == "It learned."
    shutil.rmtree(folder.path)
    assert ids(registry) == ["two"]
    with pytest.raises(UnknownRun, match="no run 'one'; there are two"), registry.lend("one"):
        pass


def test_a_missing_folder_holds_no_runs(tmp_path: Path) -> None:
    assert Registry(tmp_path / "none", PLENTY).runs() == []


def test_lends_the_same_model_again_until_it_is_replaced(tmp_path: Path) -> None:
    write_run(tmp_path, "one", steps=(10,))
    registry = Registry(tmp_path, PLENTY)
    with registry.lend("one") as a, registry.lend("one") as b, registry.lend("one", 10) as c:
        assert a.model is b.model
        assert c.model is not a.model
        assert (a.step, c.step) == (None, 10)
        assert not a.model.training
    with pytest.raises(UnknownRun, match="no snapshot at step 11; it has 10"):
        registry.lend("one", 11).__enter__()


def test_a_model_is_loaded_once_however_many_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path, "one")
    registry = Registry(tmp_path, PLENTY)
    loads: list[int | None] = []
    everyone_asked = threading.Event()
    load_model = RunFolder.load_model

    def slow_load(folder: RunFolder, step: int | None = None, device: str = "cpu"):
        loads.append(step)
        assert everyone_asked.wait(10)
        return load_model(folder, step, device)

    monkeypatch.setattr(RunFolder, "load_model", slow_load)

    def borrow(_: int) -> int:
        with registry.lend("one") as loaded:
            return id(loaded.model)

    with ThreadPoolExecutor(8) as pool:
        borrowed = [pool.submit(borrow, i) for i in range(8)]
        assert ids(registry) == ["one"], "a load must not hold up other questions"
        everyone_asked.set()
        assert len({future.result() for future in borrowed}) == 1
    assert loads == [None]


def test_the_least_recently_used_go_when_the_budget_is_spent(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_run(tmp_path, name)
    size = memory_of(GPT)
    registry = Registry(tmp_path, 2 * size)

    def model(name: str) -> object:
        with registry.lend(name) as loaded:
            return loaded.model

    a, b = model("a"), model("b")
    assert registry.loaded_bytes() == 2 * size
    assert model("a") is a
    model("c")
    assert registry.loaded_bytes() == 2 * size
    assert model("a") is a, "a was used after b"
    assert model("b") is not b
    with registry.lend("a") as one, registry.lend("b"), registry.lend("c"):
        assert registry.loaded_bytes() == 3 * size, "what is on loan stays"
        with registry.lend("a") as again:
            assert again.model is one.model
    assert registry.loaded_bytes() == 2 * size


def test_a_model_makes_room_for_itself_as_soon_as_it_is_loaded(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path, name)
    registry = Registry(tmp_path, memory_of(GPT))
    with registry.lend("a"):
        pass
    with registry.lend("b"):
        assert registry.loaded_bytes() == memory_of(GPT)


def test_a_budget_that_is_too_small_for_a_model_lends_it_all_the_same(tmp_path: Path) -> None:
    write_run(tmp_path, "a")
    registry = Registry(tmp_path, 1)
    with registry.lend("a") as one, registry.lend("a") as other:
        assert one.model is other.model
    assert registry.loaded_bytes() == 0


def test_what_counts_is_the_memory_and_not_the_file(tmp_path: Path) -> None:
    """A snapshot's file has half of it; a GPT has its weights twice, other families once."""
    bigram = BigramConfig(vocab_size=GPT.vocab_size)
    snapshot = write_run(tmp_path, "gpt", steps=(10,)).weights_path(10)
    assert snapshot.stat().st_size < memory_of(GPT) / 2
    write_run(tmp_path, "bigram", bigram)
    registry = Registry(tmp_path, PLENTY)
    with registry.lend("gpt", 10):
        assert registry.loaded_bytes() == memory_of(GPT)
    with registry.lend("bigram"):
        assert registry.loaded_bytes() == memory_of(GPT) + GPT.vocab_size**2 * 4


def test_whoever_asks_for_one_run_waits_for_no_other_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(20):
        write_run(tmp_path, f"run-{i}")
    registry = Registry(tmp_path, PLENTY)
    looked_at: set[str] = set()
    stamp = RunFolder.stamp

    def noted(folder: RunFolder) -> Stamp:
        looked_at.add(folder.id)
        return stamp(folder)

    monkeypatch.setattr(RunFolder, "stamp", noted)
    registry.run("run-7")
    with registry.lend("run-7"):
        pass
    assert looked_at == {"run-7"}
    assert len(registry.runs()) == len(looked_at) == 20


def test_a_name_leads_nowhere_but_to_a_folder_of_its_own(tmp_path: Path) -> None:
    write_run(tmp_path, "outside")
    write_run(tmp_path / "inside", "one")
    registry = Registry(tmp_path / "inside", PLENTY)
    for name in ("../outside", "../inside/one", "one/", "one\n", ".", "", "one/../one"):
        with pytest.raises(UnknownRun, match="there are one"):
            registry.run(name)


def test_readiness_loads_one_run_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(5):
        write_run(tmp_path, f"run-{i}")
    os.truncate(RunFolder(tmp_path / "run-0").weights_path(), 100)
    loads: list[str] = []
    load_model = RunFolder.load_model

    def noted(folder: RunFolder, step: int | None = None, device: str = "cpu"):
        loads.append(folder.id)
        return load_model(folder, step, device)

    monkeypatch.setattr(RunFolder, "load_model", noted)
    with TestClient(create_app(Settings(checkpoints=tmp_path))) as client:
        for _ in range(2):
            wait_until(lambda: client.get("/readyz").status_code == 200)
        assert "run-0" in client.get("/readyz").json()["broken"]
    assert loads == ["run-0", "run-1"]


def test_an_evaluation_more_is_told_and_loads_nothing_anew(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one", steps=(10,))
    folder.weights_path().unlink()
    registry = Registry(tmp_path, PLENTY)
    with registry.lend("one") as before:
        assert before.run.last == METRICS[-1]
    more = METRICS[-1].model_copy(update={"step": 200, "val_loss": 2.9})
    folder.write_metrics([*METRICS, more])
    assert [run.last for run in registry.runs()] == [more]
    assert registry.run("one").metrics() == [*METRICS, more]
    with registry.lend("one") as after:
        assert after.run.last == more
        assert after.model is before.model


def test_a_run_knows_the_evaluation_of_the_weights_it_has(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one")
    worse = METRICS[-1].model_copy(update={"step": 200, "val_loss": 2.9})
    folder.write_metrics([*METRICS, worse])
    registry = Registry(tmp_path, PLENTY)
    run = registry.run("one")
    assert (run.kept, run.last, run.estimate) == (worse, worse, METRICS[0].estimate)
    config = folder.read_config()
    best = config.train.model_copy(update={"weights": "best"})
    folder.write_config(config.model_copy(update={"train": best}))
    assert registry.run("one").kept == METRICS[-1]
    folder.write_metrics([])
    run = registry.run("one")
    assert (run.kept, run.last, run.estimate) == (None, None, None)


def test_a_history_that_breaks_after_the_look_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one")
    run = Registry(tmp_path, PLENTY).run("one")
    assert (run.metrics(), run.samples()) == (METRICS, folder.read_samples())
    for name, read in (("metrics", run.metrics), ("samples", run.samples)):
        (folder.path / f"{name}.jsonl").write_text("{")
        with pytest.raises(UnusableRun, match=rf"one/{name}\.jsonl"):
            read()


def break_config(path: Path) -> None:
    (path / "config.json").write_text('{"format": 1, "id": 3}')


def break_metrics(path: Path) -> None:
    (path / "metrics.jsonl").write_text('{"step": 1}\n')


def break_samples(path: Path) -> None:
    (path / "samples.jsonl").write_text('{"step": 1}\n')


def break_vocabulary(path: Path) -> None:
    (path / "tokenizer.json").write_text('{"kind": "character", "vocabulary": ["a", "b"]}')


def lose_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (break_config, "config.json"),
        (break_metrics, "metrics.jsonl"),
        (break_samples, "samples.jsonl"),
        (break_vocabulary, "tokenizer.json"),
        (lose_weights, "model.safetensors"),
    ],
)
def test_a_broken_folder_is_named_and_harms_nothing(tmp_path: Path, damage, file: str) -> None:
    write_run(tmp_path, "good")
    damage(write_run(tmp_path, "bad").path)
    registry = Registry(tmp_path, PLENTY)
    assert ids(registry) == ["good"]
    assert file in registry.broken()["bad"]
    with pytest.raises(UnusableRun, match=file):
        registry.run("bad")
    write_run(tmp_path, "bad")
    assert ids(registry) == ["bad", "good"], "mended, it is back"


def test_torn_weights_break_a_run_until_they_are_replaced(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one")
    weights = folder.weights_path()
    os.truncate(weights, weights.stat().st_size // 2)
    registry = Registry(tmp_path, PLENTY)
    with pytest.raises(UnusableRun, match=r"model\.safetensors"), registry.lend("one"):
        pass
    assert ids(registry) == []
    assert "model.safetensors" in registry.broken()["one"]
    assert registry.loaded_bytes() == 0
    write_run(tmp_path, "one")
    with registry.lend("one") as loaded:
        assert loaded.run.id == "one"


def test_a_run_in_training_lends_its_newest_snapshot(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one", steps=(10, 50))
    folder.weights_path().unlink()
    registry = Registry(tmp_path, PLENTY)
    with registry.lend("one") as loaded:
        assert loaded.step == 50


@pytest.mark.parametrize("half_weights", [False, True])
def test_half_weights_are_taken_where_they_are_asked_for(
    tmp_path: Path, half_weights: bool
) -> None:
    folder = write_run(tmp_path, "one")
    model = folder.load_model()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):  # so that no choice can change
            module.weight = torch.nn.Parameter(module.weight.half().float())
    folder.write_weights(model)
    registry = Registry(tmp_path, 10**9, half_weights=half_weights)
    with registry.lend("one") as loaded:
        batch = loaded.batch()
        assert batch is loaded.batch()
        assert isinstance(batch, CpuBatch)
        assert batch._weights.qkv.dtype == ("uint16" if half_weights else "float32")
