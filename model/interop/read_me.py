"""The README.md that goes out with a run."""

import json
from collections.abc import Iterator

from model.config import GPTConfig, RunConfig
from model.tokenizer import Tokenizer, UnknownCharacters

HUGGING_FACE = """---
library_name: transformers
pipeline_tag: text-generation
---
{about}
```python
from transformers import pipeline

write = pipeline("text-generation", model=".")  # this folder
print(write({prompt}, do_sample=True, top_k=0, temperature=1.0)[0]["generated_text"])
```

A text has at most {block_size:,} tokens, the prompt's among them: there are no positions beyond.
"""
ONNX = """{about}
`model.onnx` predicts the next token at every place of a text.

| | name | type | shape |
|---|---|---|---|
| input | `ids` | int64 | (batch, length), {lengths} |
| output | `logits` | float32 | (batch, length, {vocab_size}) |

`tokenizer.json` turns a text into ids and back; the `tokenizers` library reads it. Weights have
the names that they have in the run; those of linear layers are (in, out).

```python
import numpy as np
import onnxruntime
import tokenizers

tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
network = onnxruntime.InferenceSession("model.onnx")
ids = tokenizer.encode({prompt}).ids
(logits,) = network.run(["logits"], {{"ids": np.array([ids])}})
print(repr(tokenizer.decode([int(logits[0, -1].argmax())])))
```
"""


def huggingface_read_me(run: RunConfig, step: int | None, tokenizer: Tokenizer, note: str) -> str:
    """For a folder of transformers; `note` is what else there is to know about it, or nothing."""
    model = run.model
    assert isinstance(model, GPTConfig)
    return HUGGING_FACE.format(
        about=_about(run, step) + (f"\n{note}\n" if note else ""),
        prompt=_prompt(tokenizer),
        block_size=model.block_size,
    )


def onnx_read_me(run: RunConfig, step: int | None, tokenizer: Tokenizer) -> str:
    """For a folder with `model.onnx`."""
    model, lengths = run.model, "of any length"
    if isinstance(model, GPTConfig) and model.attention_window is None:
        lengths = f"at most {model.block_size:,} long"
    return ONNX.format(
        about=_about(run, step),
        lengths=lengths,
        vocab_size=model.vocab_size,
        prompt=_prompt(tokenizer),
    )


def _about(run: RunConfig, step: int | None) -> str:
    """Which run it is, and what is known of how it came to be; what people wrote on one line."""
    return "\n\n".join(" ".join(part.split()) for part in _parts(run, step)) + "\n"


def _parts(run: RunConfig, step: int | None) -> Iterator[str]:
    yield f"# {run.title}"
    which = f"Run `{run.id}` of Sidelight" + ("" if step is None else f" at step {step:,}")
    yield f"{which}: a {run.model.kind} model with {run.params:,} parameters."
    if run.corpus is not None and run.train is not None:
        yield f"Trained on {run.corpus.name}, {run.train.max_iters:,} iterations at most."
    if run.imported is not None:
        yield f"Brought into Sidelight from `{run.imported.file}` ({run.imported.layout})."
    if run.hypothesis:
        yield f"Hypothesis: {run.hypothesis}"
    if run.outcome:
        yield f"Outcome: {run.outcome}"


def _prompt(tokenizer: Tokenizer) -> str:
    """Something to begin a text with, as Python and JSON write it."""
    try:
        tokenizer.encode("\n")
    except UnknownCharacters:
        return json.dumps(tokenizer.token_text(0))
    return json.dumps("\n")
