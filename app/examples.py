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
    "in ten seconds at most": {"model": "baseline", "prompt": "ROMEO:", "max_time": 10},
    "the best of four, without a line break and hardly repeating itself": {
        "model": "baseline",
        "prompt": "ROMEO:",
        "best_of": 4,
        "logit_bias": {"0": -100},
        "presence_penalty": 0.2,
        "frequency_penalty": 0.1,
    },
    "how likely a text is": {
        "model": "baseline",
        "prompt": "To be, or not to be",
        "max_tokens": 0,
        "echo": True,
        "logprobs": 0,
    },
    "until a blank line": {"model": "baseline", "prompt": "ROMEO:", "stop": ["\n\n"], "top_k": 10},
}

COMPLETION: dict[str, Any] = {
    "id": "cmpl-7b0c2a",
    "object": "text_completion",
    "created": 1790000000,
    "model": "baseline",
    "choices": [
        {
            "index": 0,
            "text": "\nWhat the se",
            "logprobs": None,
            "finish_reason": "length",
        }
    ],
    "usage": {"prompt_tokens": 6, "completion_tokens": 12, "total_tokens": 18},
    "context": {"prompt_tokens": 6, "seen_tokens": 6, "seen_text": "ROMEO:"},
    "contexts": None,
}


def _unfinished(text: str) -> dict[str, Any]:
    choice: dict[str, Any] = COMPLETION["choices"][0]
    return choice | {"text": text, "finish_reason": None}


_CHUNK = {key: COMPLETION[key] for key in ("id", "object", "created", "model")}
_CHUNKS = [
    _CHUNK
    | {
        "choices": [_unfinished("")],
        "context": COMPLETION["context"],
        "contexts": None,
    },
    _CHUNK | {"choices": [_unfinished("\nWh")]},
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
    "one map for each layer": {
        "run": "baseline",
        "text": "To be, or not to be",
        "kind": "rollout",
        "merge": "heads",
    },
}

ATTENTION: dict[str, Any] = {
    "run": "baseline",
    "step": None,
    "tokens": ["O", "h"],
    "text_offset": 0,
    "n_layer": 4,
    "n_head": 4,
    "kind": "raw",
    "merge": None,
    "merge_by": "mean",
    "layers": [0],
    "heads": [1],
    "largest": 1.0,
    "shape": [1, 1, 2, 2],
    "maps": [[[[1.0, 0.0], [0.25, 0.75]]]],
}


ROLES_REQUESTS: dict[str, dict[str, Any]] = {
    "a line": {"run": "baseline", "text": "To be, or not to be"},
    "a snapshot": {"run": "baseline", "step": 50, "text": "To be, or not to be"},
}

COMPARISON_REQUESTS: dict[str, dict[str, Any]] = {
    "before and after": {
        "text": "To be, or not to be",
        "a": {"run": "baseline", "step": 50},
        "b": {"run": "baseline"},
    },
    "two runs, the best matching": {
        "text": "To be, or not to be",
        "a": {"run": "baseline"},
        "b": {"run": "case-1"},
        "match": "anywhere",
        "without_first": True,
    },
}

INSIDE_REQUESTS: dict[str, dict[str, Any]] = {
    "the last token": {"run": "baseline", "text": "Oh", "layer": 0, "head": 1, "top": 1},
    "why `b` follows": {
        "run": "baseline",
        "text": "not to be",
        "layer": 1,
        "head": 0,
        "query": 6,
        "target": "b",
    },
}

_READ: dict[str, Any] = {
    "run": "baseline",
    "step": None,
    "tokens": ["O", "h"],
    "text_offset": 0,
    "n_layer": 4,
    "n_head": 4,
}

ROLES: dict[str, Any] = _READ | {
    "roles": [
        {
            "name": "previous",
            "title": "Previous token",
            "definition": "Mean attention to the token just before the query.",
            "source": "Voita et al. 2019, Analyzing Multi-Head Self-Attention",
            "unit": "share",
            "on": "text",
            "badge_from": 0.4,
        },
    ],
    "heads": [
        {
            "layer": 0,
            "head": 0,
            "scores": {
                "previous": 0.97,
                "first": 0.03,
                "self": 0.0,
                "induction": 0.002,
                "duplicate": 0.003,
                "diffuse": 0.05,
                "entropy": 0.22,
                "distance": 1.27,
            },
            "corrected": {
                "previous": 0.97,
                "self": 0.0,
                "induction": 0.002,
                "duplicate": 0.003,
                "diffuse": 0.05,
                "entropy": 0.22,
                "distance": 1.27,
            },
            "badges": ["previous"],
        },
    ],
    "random_tokens": 32,
    "random_sequences": 8,
}

COMPARISON: dict[str, Any] = {
    "a": _READ | {"step": 50},
    "b": _READ,
    "match": "place",
    "pairs": [{"a": [0, 0], "b": [0, 0], "divergence": 0.25, "similarity": 0.75}],
}

INSIDE: dict[str, Any] = _READ | {
    "layer": 0,
    "head": 1,
    "query": 1,
    "row": {
        "scale": 0.25,
        "score": [2.0, -1.2],
        "scaled": [0.5, -0.3],
        "masked": [False, False],
        "weight": [0.6899745, 0.3100255],
        "value": [1.5, 2.0],
        "weighted": [1.0349617, 0.620051],
    },
    "lens": [
        {
            "at": "embedding",
            "layer": None,
            "top": [["e", 0.25]],
            "target_probability": 0.125,
            "target_rank": 2,
        },
    ],
    "attribution": {
        "target": ",",
        "probability": 0.5,
        "logit": 4.75,
        "parts": [
            {"part": "embedding", "layer": None, "head": None, "logit": 1.25},
            {"part": "head", "layer": 0, "head": 0, "logit": 3.5},
        ],
    },
}

DISTRIBUTION_REQUESTS: dict[str, dict[str, Any]] = {
    "the model's own": {"run": "baseline", "text": "Oh"},
    "stage by stage": {
        "run": "baseline",
        "text": "Oh",
        "temperature": 0.8,
        "top_k": 3,
        "top_p": 0.9,
        "target": "!",
    },
}

DISTRIBUTION: dict[str, Any] = _READ | {
    "stages": ["model", "temperature", "top_k", "top_p"],
    "left": [65, 65, 3, 2],
    "candidates": [
        {
            "token": ",",
            "id": 6,
            "logit": 5.5,
            "probabilities": [0.5, 0.58, 0.7, 0.8],
        },
    ],
}

ABLATION_REQUESTS: dict[str, dict[str, Any]] = {
    "one head": {"run": "baseline", "text": "Oh", "heads": [[0, 1]]},
    "two heads, by their means": {
        "run": "baseline",
        "text": "To be, or not to be",
        "heads": [[0, 0], [1, 1]],
        "fill": "mean",
        "generate": 20,
        "seed": 1,
    },
}

ABLATION: dict[str, Any] = _READ | {
    "heads": [[0, 1]],
    "fill": "zero",
    "loss_before": 2.5,
    "loss_after": 2.75,
    "losses_before": [None, 2.5],
    "losses_after": [None, 2.75],
    "next": [{"token": ",", "before": 0.5, "after": 0.25}],
    "text_before": "",
    "text_after": "",
}

IMPORTANCE_REQUESTS: dict[str, dict[str, Any]] = {
    "switched off": {"run": "baseline", "text": "Oh"},
    "by their means": {"run": "baseline", "text": "To be, or not to be", "fill": "mean"},
}

IMPORTANCE: dict[str, Any] = _READ | {
    "fill": "zero",
    "loss": 2.5,
    "changes": [[0.25, 0.125, 0.5, 0.0]],
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


# FastAPI leaves what is null out of the description, in examples too; openapi.py puts it back.
NULL = "\0null"


def of_request(examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An operation's part that lists them."""
    listed = {name: {"value": kept(value)} for name, value in examples.items()}
    return {"requestBody": {"content": {"application/json": {"examples": listed}}}}


def of_answer(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """An operation's answer that shows it."""
    return {200: {"content": {"application/json": {"example": kept(example)}}}}


def kept(example: Any) -> Any:
    """The same, with what stands for null in its place."""
    return _replaced(example, None, NULL)


def put_back(document: Any) -> Any:
    """The opposite, of whatever has examples in it."""
    return _replaced(document, NULL, None)


def _replaced(value: Any, old: str | None, new: str | None) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, old, new) for inner in value]
    return new if value == old else value
