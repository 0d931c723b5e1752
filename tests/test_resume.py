"""A training that was stopped goes on as if it never had been."""

import shutil
from pathlib import Path

import pytest
import torch

from model.config import GPTConfig, InitFrom, NGramConfig, TrainConfig
from model.corpus import Corpus, text_file
from model.recording import Diverged, Recorder
from model.run_folder import RunFolder
from model.state_folder import RunBusy
from model.train_state import UnusableState
from model.training import Watcher
from tests.training_fixtures import CPU, FAST, SMALL, go, plan_of, stop_after, untimed

pytestmark = pytest.mark.usefixtures("short_samples")

DROPPING = SMALL.model_copy(update={"dropout": 0.2})


def stopped(root: Path, plan, corpus: Corpus, steps: int) -> RunFolder:
    folder = RunFolder(root / plan.id)
    assert not go(folder, plan, corpus, watcher=Watcher(wants_stop=stop_after(steps)))
    return folder


@pytest.mark.parametrize("steps", [0, 1, 7, 10, 39])
@pytest.mark.parametrize(
    "changes",
    [{}, {"optimizer": "muon", "schedule": "linear"}, {"weights": "best", "learning_rate": 0.1}],
    ids=["adamw", "muon", "best"],
)
def test_a_resumed_run_is_the_unbroken_run(corpus, tmp_path, steps, changes) -> None:
    plan = plan_of(model=DROPPING, train=FAST.model_copy(update=changes))
    unbroken = RunFolder(tmp_path / "unbroken" / "run")
    assert go(unbroken, plan, corpus)
    folder = stopped(tmp_path, plan, corpus, steps)
    assert go(folder, plan, corpus)
    assert untimed(folder) == untimed(unbroken)
    assert folder.read_samples() == unbroken.read_samples()
    assert folder.weights_path().read_bytes() == unbroken.weights_path().read_bytes()
    assert set(folder.snapshot_steps()) == set(unbroken.snapshot_steps()) | {steps}
    assert not folder.state.path.exists()


def test_a_run_may_be_stopped_again_and_again(corpus, tmp_path) -> None:
    plan = plan_of(model=DROPPING)
    unbroken = RunFolder(tmp_path / "unbroken" / "run")
    go(unbroken, plan, corpus)
    folder = stopped(tmp_path, plan, corpus, 3)
    for steps in (5, 1, 20):
        assert not go(folder, plan, corpus, watcher=Watcher(wants_stop=stop_after(steps)))
    assert go(folder, plan, corpus)
    assert untimed(folder) == untimed(unbroken)


def test_a_stopped_run_can_be_used_where_it_was_stopped(corpus, tmp_path) -> None:
    folder = stopped(tmp_path, plan_of(), corpus, 17)
    assert folder.is_run() and not folder.is_finished()
    assert folder.snapshot_steps()[-1] == 17
    short = RunFolder(tmp_path / "short" / "run")
    go(short, plan_of(train=FAST.model_copy(update={"max_iters": 17})), corpus)
    for name, tensor in short.load_model().state_dict().items():
        assert torch.equal(folder.load_model(17).state_dict()[name], tensor.half().float())


def test_what_was_noted_after_the_state_is_noted_again(corpus, tmp_path, monkeypatch) -> None:
    """As a kill leaves it: metrics and samples that are further than the state."""
    plan = plan_of(train=FAST.model_copy(update={"snapshots": 8, "eval_interval": 1}))
    unbroken = RunFolder(tmp_path / "unbroken" / "run")
    go(unbroken, plan, corpus)
    folder = stopped(tmp_path, plan, corpus, 30)
    state = folder.state.training.read_bytes()
    further = stopped(tmp_path / "further", plan, corpus, 36)
    for name in ("metrics.jsonl", "samples.jsonl"):
        shutil.copy(further.path / name, folder.path / name)
    shutil.copytree(further.path / "snapshots", folder.path / "snapshots", dirs_exist_ok=True)
    folder.state.training.write_bytes(state)
    assert max(metric.step for metric in folder.read_metrics()) > 30
    assert go(folder, plan, corpus)
    assert untimed(folder) == untimed(unbroken)
    assert folder.read_samples() == unbroken.read_samples()
    assert 36 not in folder.snapshot_steps()


def test_another_text_is_refused(corpus, tmp_path) -> None:
    folder = stopped(tmp_path, plan_of(), corpus, 5)
    other = tmp_path / "text.txt"
    other.write_text(corpus.text + "More.")
    with pytest.raises(UnusableState, match="has changed"):
        go(folder, plan_of(), text_file(other))


@pytest.mark.parametrize("damage", ["cut", "nothing", "other"])
def test_a_state_that_cannot_be_used_is_refused_and_nothing_is_lost(
    corpus, tmp_path, damage
) -> None:
    folder = stopped(tmp_path, plan_of(), corpus, 5)
    metrics = folder.read_metrics()
    whole = folder.state.training.read_bytes()
    if damage == "other":
        wide = plan_of(model=SMALL.model_copy(update={"n_embd": 8}))
        whole = stopped(tmp_path / "other", wide, corpus, 5).state.training.read_bytes()
    folder.state.training.write_bytes(
        {"cut": whole[: len(whole) // 2], "nothing": b"", "other": whole}[damage]
    )
    with pytest.raises(UnusableState):
        go(folder, plan_of(), corpus)
    assert folder.read_metrics() == metrics
    assert folder.snapshot_steps()[-1] == 5


def test_only_one_process_trains_a_run(corpus, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    tried = []

    def try_it() -> bool:
        with pytest.raises(RunBusy, match="'run' is being trained"):
            go(RunFolder(folder.path), plan_of(), corpus)
        tried.append(True)
        return True

    assert not go(folder, plan_of(), corpus, watcher=Watcher(wants_stop=try_it))
    assert tried


def test_a_finished_run_is_not_trained_over(corpus, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    go(folder, plan_of(), corpus)
    before = folder.weights_path().read_bytes()
    with pytest.raises(ValueError, match="finished"):
        go(folder, plan_of(train=FAST.model_copy(update={"seed": 1})), corpus)
    assert folder.weights_path().read_bytes() == before


# Ends of other kinds


def test_training_stops_early_where_nothing_gets_better(corpus, tmp_path) -> None:
    patient = FAST.model_copy(update={"max_iters": 400, "patience": 3, "learning_rate": 1.0})
    folder = RunFolder(tmp_path / "run")
    assert go(folder, plan_of(train=patient), corpus)
    losses = {metric.step: metric.val_loss for metric in folder.read_metrics()}
    best = min(losses, key=losses.__getitem__)
    assert max(losses) < 400 and folder.is_finished()
    # Three evaluations without a better one, and the one at which that is known.
    assert max(losses) == best + 40
    again = stopped(tmp_path / "again", plan_of(train=patient), corpus, best + 15)
    assert go(again, plan_of(train=patient), corpus)
    assert untimed(again) == untimed(folder)


def test_the_best_weights_are_kept_and_the_last_ones_as_a_snapshot(corpus, tmp_path) -> None:
    wild = FAST.model_copy(update={"learning_rate": 0.3, "weights": "best"})
    folder = RunFolder(tmp_path / "run")
    go(folder, plan_of(train=wild), corpus)
    metrics = folder.read_metrics()
    best = min(metrics, key=lambda metric: metric.val_loss)
    assert 0 < best.step < 40, "this should have got worse at the end"
    to_best = RunFolder(tmp_path / "short" / "run")
    go(to_best, plan_of(train=wild.model_copy(update={"max_iters": best.step})), corpus)
    assert folder.weights_path().read_bytes() == to_best.weights_path().read_bytes()
    assert 40 in folder.snapshot_steps()


def test_a_loss_that_is_no_number_ends_the_training(corpus, tmp_path, monkeypatch) -> None:
    wild = FAST.model_copy(update={"learning_rate": 10.0, "optimizer": "adamw", "grad_clip": None})
    bigger = GPTConfig(block_size=8, n_layer=2, n_head=2, n_embd=16, init="gpt2")
    folder = RunFolder(tmp_path / "run")

    def poison(recorder, note, model, record=Recorder.record) -> None:
        if note.step == 20:
            with torch.no_grad():
                model.wte.weight.fill_(torch.nan)
        record(recorder, note, model)

    monkeypatch.setattr(Recorder, "record", poison)
    with pytest.raises(Diverged, match="at step 20: lower learning_rate"):
        go(folder, plan_of(model=bigger, train=wild), corpus)
    assert [metric.step for metric in folder.read_metrics()] == [0, 10]


def test_a_folder_that_is_deleted_stays_deleted(corpus, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")

    def delete() -> bool:
        shutil.rmtree(folder.path, ignore_errors=True)
        return False

    with pytest.raises(OSError):
        go(folder, plan_of(), corpus, watcher=Watcher(wants_stop=delete))
    assert not folder.path.exists()


def test_a_training_that_cannot_begin_leaves_nothing(corpus, tmp_path) -> None:
    """So that the id can be used again: pairs make a text shorter than its characters told."""
    pairs = plan_of(
        model=SMALL.model_copy(update={"vocab_size": 400, "block_size": 200}), tokenizer="bpe"
    )
    with pytest.raises(ValueError, match="too few for a window of 200"):
        go(RunFolder(tmp_path / "run"), pairs, corpus)
    assert not (tmp_path / "run").exists()


# Another run's weights


def test_a_run_starts_from_anothers_weights(corpus, tmp_path) -> None:
    first = RunFolder(tmp_path / "first")
    go(first, plan_of("first"), corpus)
    second = RunFolder(tmp_path / "second")
    longer = SMALL.model_copy(update={"dropout": 0.1})
    go(second, plan_of("second", longer, init_from=InitFrom(run="first")), corpus)
    begin, end = second.read_metrics()[0], first.read_metrics()[-1]
    assert begin.val_loss == pytest.approx(end.val_loss, abs=1e-6)
    assert second.read_config().init_from == InitFrom(run="first")
    assert second.read_tokenizer().encode("ROMEO") == first.read_tokenizer().encode("ROMEO")


def test_weights_that_do_not_fit_are_refused_by_the_field(corpus, tmp_path) -> None:
    go(RunFolder(tmp_path / "first"), plan_of("first"), corpus)
    wider = SMALL.model_copy(update={"n_embd": 32})
    with pytest.raises(ValueError, match=r"model\.n_embd differs"):
        go(
            RunFolder(tmp_path / "second"),
            plan_of("second", wider, init_from=InitFrom(run="first")),
            corpus,
        )
    assert not (tmp_path / "second").exists()


def test_an_ngram_that_was_interrupted_counts_again(corpus, tmp_path) -> None:
    plan = plan_of(model=NGramConfig(order=3), train=TrainConfig(max_iters=1, window=8))
    folder = RunFolder(tmp_path / "run")
    folder.create()
    assert go(folder, plan, corpus)
    assert folder.is_finished() and len(folder.read_metrics()) == 1


def test_the_same_device_is_told(corpus, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    go(folder, plan_of(), corpus)
    assert "cores" in (folder.read_config().device or "") and CPU.type == "cpu"
