"""The registry on real run folders: what it notices, what it keeps, and what it survives."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from app.errors import UnknownRun, UnusableRun
from app.registry import Registry
from model.run_folder import RunFolder
from tests.conftest import write_run

PLENTY = 10**9


def ids(registry: Registry) -> list[str]:
    return [run.id for run in registry.runs()]


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
    folders = [write_run(tmp_path, name) for name in ("a", "b", "c")]
    size = folders[0].weight_bytes()
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


def break_config(path: Path) -> None:
    (path / "config.json").write_text('{"format": 1, "id": 3}')


def break_metrics(path: Path) -> None:
    (path / "metrics.jsonl").write_text('{"step": 1}\n')


def break_vocabulary(path: Path) -> None:
    (path / "tokenizer.json").write_text('{"kind": "character", "vocabulary": ["a", "b"]}')


def lose_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (break_config, "config.json"),
        (break_metrics, "metrics.jsonl"),
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
