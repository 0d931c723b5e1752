"""Runs that differ in all that a comparison has to mind: text, tokens, device, origin, history."""

from pathlib import Path
from typing import Any

from model.byte_tokenizer import ByteTokenizer
from model.config import BigramConfig, CorpusInfo, ImportedFrom
from model.run_folder import Metric, RunFolder, Sample
from tests.conftest import GPT, METRICS, write_run

# Words that would be more than words, were they not escaped.
NASTY = '<script>alert(1)</script> | `a` ``` **b** [c](d) &amp; "q" \\| $x$ 100 %'
NASTY_TEXT = f"# no heading\n```\n~~~\n````text\n</pre><b>{NASTY}</b>\n\x00\x1b[31m| a | b |\n\n- x"


def varied_runs(root: Path) -> Path:
    """`baseline` and six others, in `root`."""
    write_run(root, "baseline")
    better = write_run(root, "better", GPT.model_copy(update={"n_head": 4}))
    better.write_metrics([METRICS[0], _end(val_loss=2.3, elapsed_s=3.3)])
    better.write_samples(
        [
            Sample(step=0, prompt="\n", text="first", seed=1337),
            Sample(step=100, prompt="\n", text=NASTY_TEXT, seed=1337),
            Sample(step=100, prompt="O", text="other prompt", seed=1337),
        ]
    )
    rewrite(better, title=NASTY, hypothesis=NASTY_TEXT, outcome=NASTY, verdict="partly")
    worse = write_run(root, "worse")
    worse.write_metrics([METRICS[0], _end(val_loss=2.7, elapsed_s=1.53)])
    worse.write_samples([])
    rewrite(worse, device="A <GPU>", verdict="refuted")
    tokens = write_run(
        root,
        "tokens",
        BigramConfig(vocab_size=ByteTokenizer().vocab_size),
        tokenizer=ByteTokenizer(),
    )
    tokens.write_metrics([METRICS[0], _end(val_loss=5.0, elapsed_s=0.05)])
    rewrite(tokens, tokens_per_character=0.4)
    other = write_run(root, "other-text")
    rewrite(other, corpus=CorpusInfo(name="another", sha256="1" * 64, characters=560))
    brought = write_run(root, "brought")
    brought.write_metrics([])
    origin = ImportedFrom(layout="nanogpt", file="ckpt.pt", sha256="2" * 64, steps=700)
    rewrite(brought, train=None, corpus=None, imported=origin, hypothesis="")
    unknown = write_run(root, "unknown-text")
    rewrite(unknown, corpus=None)
    return root


def rewrite(folder: RunFolder, **fields: Any) -> None:
    folder.write_config(folder.read_config().model_copy(update=fields))


def _end(val_loss: float, elapsed_s: float) -> Metric:
    return METRICS[1].model_copy(update={"val_loss": val_loss, "elapsed_s": elapsed_s})
