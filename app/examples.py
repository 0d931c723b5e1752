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


def of_request(examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An operation's part that lists them."""
    listed = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": listed}}}}
