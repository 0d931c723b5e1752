"""Examples in the API's description. A test sends them to a live app and compares the answers."""

import json
from typing import Any

COMPLETION_REQUESTS: dict[str, dict[str, Any]] = {
    "one text": {"model": "baseline", "prompt": "ROMEO:", "max_tokens": 12, "seed": 1},
    "the likeliest, with probabilities": {
        "model": "baseline",
        "prompt": "To be",
        "max_tokens": 2,
        "temperature": 0,
        "logprobs": 2,
    },
    "streamed": {"model": "baseline", "prompt": "ROMEO:", "max_tokens": 40, "stream": True},
    "until a blank line": {"model": "baseline", "prompt": "ROMEO:", "stop": ["\n\n"], "top_k": 10},
}

COMPLETION: dict[str, Any] = {
    "id": "cmpl-7b0c2a",
    "object": "text_completion",
    "created": 1790000000,
    "model": "baseline",
    "choices": [{"index": 0, "text": "\nWhat the se", "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 6, "completion_tokens": 12, "total_tokens": 18},
    "context": {"prompt_tokens": 6, "seen_tokens": 6, "seen_text": "ROMEO:"},
    "contexts": None,
}

_CHUNK = {key: COMPLETION[key] for key in ("id", "object", "created", "model")}
_CHUNKS = [
    _CHUNK
    | {
        "choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": None}],
        "usage": None,
        "context": COMPLETION["context"],
        "contexts": None,
    },
    _CHUNK
    | {
        "choices": [{"index": 0, "text": "\nWh", "logprobs": None, "finish_reason": None}],
        "usage": None,
    },
]
COMPLETION_STREAM = "".join(f"data: {json.dumps(c)}\n\n" for c in _CHUNKS) + "data: [DONE]\n\n"

MODELS: dict[str, Any] = {
    "object": "list",
    "data": [{"id": "baseline", "object": "model", "created": 1790000000, "owned_by": "sidelight"}],
}

CORPUS_TEXT = "Tyger Tyger, burning bright,\nIn the forests of the night;\n"

CORPUS: dict[str, Any] = {
    "id": "tyger",
    "name": "tyger.txt",
    "bytes": 58,
    "characters": 58,
    "lines": 2,
    "distinct": 19,
    "sha256": "df43c9bf755b89dd0762ee6c881521ff9dbce3dab045119f3a85f1343c2772d4",
    "canonical": False,
    "builtin": False,
    "created": "2026-09-21T12:00:00Z",
    "preview": CORPUS_TEXT,
    "vocabulary": [[" ", 8], ["e", 5], ["g", 5]],
    "problem": None,
}

ATTENTION_REQUESTS: dict[str, dict[str, Any]] = {
    "one head": {"run": "baseline", "text": "Oh", "layers": [0], "heads": [1]},
    "every head": {"run": "baseline", "text": "To be, or not to be"},
}

ATTENTION: dict[str, Any] = {
    "run": "baseline",
    "step": None,
    "tokens": ["O", "h"],
    "text_offset": 0,
    "n_layer": 4,
    "n_head": 4,
    "layers": [0],
    "heads": [1],
    "shape": [1, 1, 2, 2],
    "maps": [[[[1.0, 0.0], [0.25, 0.75]]]],
}


JOB_REQUESTS: dict[str, dict[str, Any]] = {
    "a preset": {"preset": "baseline", "hypothesis": "It will do as the shipped one did."},
    "one change": {
        "config": {"model": {"n_head": 2}, "train": {"max_iters": 1000}},
        "title": "Half the heads",
        "hypothesis": "Fewer, wider heads cost little.",
    },
}

SWEEP_REQUESTS: dict[str, dict[str, Any]] = {
    "the exercise": {"presets": ["baseline", "case-1", "case-2", "case-3"]},
    "a grid": {
        "preset": "baseline",
        "grid": {"model.n_head": [2, 4, 8], "train.learning_rate": [0.0005, 0.001, 0.002]},
    },
    "random values": {
        "config": {"train": {"max_iters": 1000}},
        "random": {
            "count": 8,
            "fields": {
                "train.learning_rate": {"min": 0.0003, "max": 0.01, "log": True},
                "model.n_layer": {"values": [2, 4, 6]},
            },
        },
    },
}

JOB_EVENTS = """\
event: metric
id: 1.100.0.0
data: {"step":100,"train_loss":2.41,"val_loss":2.43,"learning_rate":0.001,"elapsed_s":1.2,\
"tokens_per_s":42000.0,"estimate":null}

event: progress
id: 1.100.0.0
data: {"step":130,"progress":0.026,"elapsed_s":1.6,"remaining_s":59.9,"tokens_per_s":41600.0,\
"loss":2.38,"phase":"training","learning_rate":0.001}

"""


def of_request(examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An operation's part that lists them."""
    listed = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": listed}}}}
