"""What a training begins with: its configuration, its tokenizer, and perhaps another's weights."""

from dataclasses import dataclass

import torch

from model.config import RunConfig, RunPlan
from model.corpus import Corpus
from model.language_model import LanguageModel
from model.planning import differing_shape, run_config, with_vocab_size
from model.run_folder import BrokenRun, RunFolder
from model.tokenizer import Tokenizer, train_tokenizer
from model.train_state import UnusableState


@dataclass(frozen=True)
class Start:
    """`model` has the weights to start from; random ones are drawn where it is None."""

    run: RunConfig
    tokenizer: Tokenizer
    model: LanguageModel | None = None


def prepare(folder: RunFolder, plan: RunPlan, corpus: Corpus, device: torch.device) -> Start:
    """From the folder where its training was stopped; otherwise from the plan and the text.

    Raises UnusableState if the text is not the one that the stopped training was on, BrokenRun or
    ValueError if another run's weights cannot be had or do not fit.
    """
    if folder.is_finished():
        raise ValueError(f"{folder.id} is finished: train under another id, or remove it first")
    if folder.state.exists() and folder.is_run():
        run = folder.read_config()
        assert run.corpus is not None  # only of an imported run is it not known
        if run.corpus.sha256 != corpus.sha256:
            raise UnusableState(
                f"the text {run.corpus.name!r} has changed since the training began: "
                "put it back, or start a new run"
            )
        return Start(run, folder.read_tokenizer())
    if plan.init_from is None:
        # Pairs are learned from what may be learned from; characters have to be all there are.
        text = corpus.split()[0] if plan.tokenizer == "bpe" else corpus.text
        tokenizer = train_tokenizer(plan.tokenizer, text, plan.model.vocab_size)
        return Start(run_config(plan, corpus, tokenizer, device), tokenizer)
    source = RunFolder(folder.path.parent / plan.init_from.run)
    return _from_weights(source, plan.init_from.step, plan, corpus, device)


def _from_weights(
    source: RunFolder, step: int | None, plan: RunPlan, corpus: Corpus, device: torch.device
) -> Start:
    """With the other run's tokenizer too, since its weights know no other."""
    other = source.read_config()
    tokenizer = source.read_tokenizer()
    different = differing_shape(plan.model, other.model)
    if different:
        raise ValueError(
            f"model.{different} differs from that of {other.id!r}, whose weights were to be taken"
        )
    plan = plan.model_copy(
        update={
            "tokenizer": other.tokenizer,
            "model": with_vocab_size(plan.model, tokenizer.vocab_size),
        }
    )
    if step is not None and step not in source.snapshot_steps():
        raise BrokenRun(f"{other.id} has no snapshot at step {step}")
    return Start(run_config(plan, corpus, tokenizer, device), tokenizer, source.load_model(step))
