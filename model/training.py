"""The loop that makes a run: batches in, weights, metrics, samples and snapshots out."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from model.config import NGramConfig, RunConfig
from model.corpus import Corpus
from model.distributed import World, joined_world
from model.families import build_model
from model.gradients import Gradients
from model.language_model import LanguageModel
from model.ngram import NGram
from model.optim import build_optimizers, learning_rate_factor, set_learning_rate
from model.recording import Note, Recorder
from model.run_folder import Metric, RunFolder
from model.tokenizer import Tokenizer
from model.train_state import TrainState, capture, restore
from model.windows import draw_starts, windows_at

CPU = torch.device("cpu")
PROGRESS_S = 0.5
STATE_S = 15.0  # between two states that no snapshot asks for


@dataclass(frozen=True)
class Progress:
    """How far a training is; `loss` is the last batch's."""

    step: int
    max_iters: int
    elapsed_s: float
    tokens_per_s: float
    learning_rate: float
    loss: float | None = None
    phase: str = "training"


@dataclass(frozen=True)
class Watcher:
    """Whom a training tells what it does, and who may end it; called from two threads."""

    on_progress: Callable[[Progress], None] = lambda _: None
    on_metric: Callable[[Metric], None] = lambda _: None
    wants_stop: Callable[[], bool] = lambda: False


def train(
    folder: RunFolder,
    run: RunConfig,
    corpus: Corpus,
    tokenizer: Tokenizer,
    device: torch.device,
    watcher: Watcher | None = None,
    start: LanguageModel | None = None,
) -> bool:
    """Train `run` on `corpus` into `folder`; tells whether it came to its end.

    It goes on from the folder's state where there is one, as if it had never stopped; otherwise
    from the weights of `start`, or from random ones. The folder becomes a run with its first
    snapshot, or when it is done where none is asked for. Asked to stop, it keeps a snapshot and
    its state. On the CPU the same configuration gives the same weights with the same number of
    threads, bit for bit. Raises RunBusy, UnusableState, Diverged, and OSError when the disk
    refuses; what was written before stays whole.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with joined_world(device) as world:
        if world.is_first:
            folder.create()
        with folder.state.locked() if world.is_first else nullcontext():
            try:
                trainer = Trainer(folder, run, corpus, tokenizer, device, watcher, world, start)
                return trainer.train()
            except BaseException:
                if world.is_first and not (folder.is_run() or folder.state.exists()):
                    folder.remove()  # nothing in it is of use, and its name is free again
                raise


class Trainer:
    """One training run: `train` is the whole story, each method below one of its parts."""

    def __init__(
        self,
        folder: RunFolder,
        run: RunConfig,
        corpus: Corpus,
        tokenizer: Tokenizer,
        device: torch.device,
        watcher: Watcher | None = None,
        world: World | None = None,
        start: LanguageModel | None = None,
    ) -> None:
        assert run.train is not None  # only of an imported run is it not known
        self.folder, self.run, self.config = folder, run, run.train
        # Counting is done by sorting, where a GPU is of no use.
        self.device = CPU if isinstance(run.model, NGramConfig) else device
        self.watcher, self.world = watcher or Watcher(), world or World()
        self.tokenizer = tokenizer
        self.train_ids, self.val_ids = (
            torch.from_numpy(tokenizer.encode_array(part)).to(self.device)
            for part in corpus.split()
        )
        torch.manual_seed(self.config.seed)
        self.model = build_model(run.model)
        if start is not None:
            self.model.load_weights(start.state_dict())
        self.model.to(self.device)
        self.window = self.config.window or self.model.block_size
        require_windows(min(len(self.train_ids), len(self.val_ids)), self.window)
        if self.config.batch_size % (self.world.size * self.config.grad_accum):
            raise ValueError(
                f"batch_size ({self.config.batch_size}) is no multiple of {self.world.size} "
                f"processes times grad_accum ({self.config.grad_accum})"
            )
        self.generator = torch.Generator().manual_seed(self.config.seed)
        self.snapshots = set(snapshot_steps(self.config.max_iters, self.config.snapshots))

    def train(self) -> bool:
        """Tells whether it came to its end, rather than being stopped."""
        if self.world.is_first:
            self.folder.write_tokenizer(self.tokenizer)
        with half_the_threads() as threads:
            if isinstance(self.model, NGram):
                if self.world.is_first:
                    self._count(self.model, threads)
                finished = True
            else:
                finished = self._descend(threads)
        if finished and self.world.is_first:
            if not self.folder.is_run():
                self.folder.write_config(self.run)
            self.folder.state.remove()
        return finished

    def recorder(self, threads: int, elapsed_s: float = 0.0) -> Recorder:
        return Recorder(
            self.folder,
            self.run,
            self.tokenizer,
            (self.train_ids, self.val_ids),
            self.model,
            self.window,
            threads,
            self.watcher.on_metric,
            elapsed_s,
        )

    def _count(self, model: NGram, threads: int) -> None:
        """An n-gram model learns in one pass."""
        self.folder.forget_after(-1)
        with self.recorder(threads) as recorder:
            model.count(self.train_ids)
            self.run = self.run.model_copy(update={"params": model.size})
            recorder.record(self._final_note(self.config.max_iters), model)
            recorder.wait()
        self.folder.write_weights(model)

    def _descend(self, threads: int) -> bool:
        """Gradient descent: nothing in the loop waits for the device, but to tell of progress."""
        optimizers = build_optimizers(self.model, self.config)
        self.model.train()
        gradients = Gradients(self.model, self.config, self.device, self.world)
        if self.device.type == "cuda" or self.config.compile:
            self._tell(0, 0.0, phase="compiling")
            gradients.prepare(*self._batch_like())
        noted, elapsed_s = self._resume(optimizers)
        with self.recorder(threads, elapsed_s) as recorder:
            stopped_at = self._loop(noted, optimizers, gradients, recorder)
            if stopped_at is not None:
                self._keep(stopped_at, optimizers, recorder)
                return False
        return True

    def _loop(
        self,
        noted: int,
        optimizers: Sequence[torch.optim.Optimizer],
        gradients: Gradients,
        recorder: Recorder,
    ) -> int | None:
        """All steps that are left; the step before which it was stopped, or None at the end.

        All there was to note up to the step `noted` is already.
        """
        states_due = progress_due = 0.0
        loss: Tensor | None = None
        end = self.config.max_iters
        for step in range(max(0, noted), end):
            snapshot = step > noted and step in self.snapshots
            evaluate = step > noted and step % self.config.eval_interval == 0
            if evaluate and self._has_stalled(recorder):
                end = step
                break
            if (snapshot or evaluate) and self.world.is_first:
                now = recorder.elapsed_s
                state = None
                if snapshot or now >= states_due:
                    state, states_due = self._state(step, optimizers, now), now + STATE_S
                note = Note(step, snapshot, evaluate, sample=snapshot, state=state)
                recorder.record(note, self.model)
            if self.world.any_at(step, self.watcher.wants_stop(), self.device):
                return step
            if (now := time.perf_counter()) >= progress_due and self.world.is_first:
                progress_due = now + PROGRESS_S
                self._tell(step, recorder.elapsed_s, loss)
            loss = self.step(step, *self.batch(), optimizers, gradients)
        if self.world.is_first:
            self._finish(end, recorder)
        return None

    def step(
        self,
        step: int,
        x: Tensor,
        y: Tensor,
        optimizers: Sequence[torch.optim.Optimizer],
        gradients: Gradients,
    ) -> Tensor:
        """Move the weights once, to make y (B, T) likelier after x (B, T); returns the loss ()."""
        set_learning_rate(optimizers, learning_rate_factor(self.config, step))
        loss = gradients(x, y)
        if self.config.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        for optimizer in optimizers:
            optimizer.step()
        return loss

    def batch(self) -> tuple[Tensor, Tensor]:
        """The next batch x and y (B, T): windows at random places, and what follows."""
        batch_size, tokens = self.config.batch_size, len(self.train_ids)
        starts = draw_starts(tokens, self.window, batch_size, self.generator)
        return windows_at(self.train_ids, self.world.rows(starts), self.window)

    def _batch_like(self) -> tuple[Tensor, Tensor]:
        """A batch of the right shape that takes nothing from the generator."""
        starts = self.world.rows(torch.zeros(self.config.batch_size, 1).long())
        return windows_at(self.train_ids, starts, self.window)

    def _has_stalled(self, recorder: Recorder) -> bool:
        """Whether to stop early; all processes must ask, at the same steps."""
        if self.config.patience is None:
            return False
        recorder.wait()
        return self.world.any(self.world.is_first and recorder.has_stalled(), self.device)

    def _state(
        self, step: int, optimizers: Sequence[torch.optim.Optimizer], elapsed_s: float
    ) -> TrainState:
        return capture(step, elapsed_s, self.model, optimizers, self.generator)

    def _resume(self, optimizers: Sequence[torch.optim.Optimizer]) -> tuple[int, float]:
        """The step up to which all is noted, -1 at the beginning, and the seconds until there."""
        noted, elapsed_s = -1, 0.0
        if self.folder.state.exists():
            state = self.folder.state.read()
            restore(state, self.model, optimizers, self.generator)
            noted, elapsed_s = state.step, state.elapsed_s
        if self.world.is_first:
            self.folder.forget_after(noted)
        else:  # what one process drops, another should not
            torch.manual_seed(self.config.seed + self.world.rank + noted + 1)
        return noted, elapsed_s

    def _keep(
        self, step: int, optimizers: Sequence[torch.optim.Optimizer], recorder: Recorder
    ) -> None:
        """Stopped: keep the weights of now and what it takes to go on, and note nothing else."""
        if self.world.is_first:
            state = self._state(step, optimizers, recorder.elapsed_s)
            recorder.record(Note(step, snapshot=True, state=state), self.model)
            recorder.wait()

    def _finish(self, step: int, recorder: Recorder) -> None:
        self._tell(step, recorder.elapsed_s, phase="evaluating")
        recorder.record(self._final_note(step), self.model)
        recorder.wait()
        best = recorder.best_step()
        if self.config.weights == "best" and best is not None and best != step:
            self.folder.write_snapshot(step, self.model)
            self.folder.write_weights_file(self.folder.state.read_best(best))
        else:
            self.folder.write_weights(self.model)

    def _final_note(self, step: int) -> Note:
        return Note(step, evaluate=True, sample=True, estimate=True)

    def _tell(
        self, step: int, elapsed_s: float, loss: Tensor | None = None, phase: str = "training"
    ) -> None:
        tokens = step * self.config.batch_size * self.window
        factor = learning_rate_factor(self.config, min(step, self.config.max_iters - 1))
        self.watcher.on_progress(
            Progress(
                step=step,
                max_iters=self.config.max_iters,
                elapsed_s=elapsed_s,
                tokens_per_s=tokens / elapsed_s if elapsed_s else 0.0,
                learning_rate=self.config.learning_rate * factor,
                loss=None if loss is None else float(loss),
                phase=phase,
            )
        )


def snapshot_steps(max_iters: int, snapshots: int) -> list[int]:
    """Step 0 and `snapshots` - 1 steps before the last, about evenly spaced in their logarithm."""
    if snapshots < 1:
        return []
    ratios = (max_iters ** (i / snapshots) for i in range(snapshots))
    return sorted({0} | {round(ratio) for ratio in ratios if 1 < ratio < max_iters})


def require_windows(tokens: int, window: int) -> None:
    """Raises ValueError if a split of that many tokens has no window with a token after it."""
    if tokens <= window:
        raise ValueError(
            f"the shorter split has {tokens} tokens, too few for a window of {window}: "
            "shorten block_size or use a longer text"
        )


@contextmanager
def half_the_threads() -> Iterator[int]:
    """Leave half of torch's threads to the recorder; yields how many each side has."""
    threads = torch.get_num_threads()
    half = max(1, threads // 2)
    torch.set_num_threads(half)
    try:
        yield half
    finally:
        torch.set_num_threads(threads)
