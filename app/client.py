"""Sidelight from a notebook: asks a running server, gives numpy arrays.

    from app.client import Sidelight

    sidelight = Sidelight("http://127.0.0.1:8000")
    seen = sidelight.attention("baseline", "To be, or not to be")
    seen.maps[2, 1]                                  # layer 2, head 1: (query, key)
    sidelight.attention("baseline@388", "To be")     # the same run at step 388

It needs httpx, which the extra `client` brings and `make run` installs; nothing of the server's.
"""

import io
import json
from dataclasses import dataclass
from typing import Any, Literal, Self

import httpx
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Kind = Literal["raw", "value_weighted", "output_weighted", "rollout"]

TIMEOUT_S = 120  # a model may have to be loaded, and a long text read


class SidelightError(Exception):
    """The server refused; `param` is the field at fault and `code` a fixed word for the reason."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.code = param, code


@dataclass(frozen=True)
class Attention:
    """What every head looks at."""

    tokens: list[str]
    maps: Array  # (layer, head, query, key)
    text_offset: int  # characters of the text before the first token


@dataclass(frozen=True)
class Roles:
    """What every head does, a score for each role."""

    names: list[str]
    scores: Array  # (layer, head, role)
    corrected: Array  # the same without the first token; NaN where that makes no sense
    badges: dict[tuple[int, int], list[str]]  # by (layer, head)


@dataclass(frozen=True)
class Comparison:
    """How much each head of one side differs from its partner on the other."""

    divergence: Array  # (layer, head) of the first side: Jensen-Shannon in bits; NaN if unmatched
    similarity: Array  # (layer, head): cosine of the two maps
    partners: dict[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class NextToken:
    """The likeliest next tokens, and their probabilities after each stage of sampling."""

    stages: list[str]
    tokens: list[str]
    probabilities: Array  # (token, stage)


class Sidelight:
    """A server's runs. Each method names a run as `baseline`, or as `baseline@388` at a step.

    All raise SidelightError when the server refuses, and httpx's errors when there is none.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", client: httpx.Client | None = None
    ) -> None:
        self._http = client or httpx.Client(base_url=url, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def runs(self) -> list[dict[str, Any]]:
        """Every run with its configuration, losses and the steps of its snapshots."""
        runs: list[dict[str, Any]] = self._answer(self._http.get("/api/runs")).json()["runs"]
        return runs

    def attention(
        self,
        run: str,
        text: str,
        *,
        kind: Kind = "raw",
        merge: Literal["heads", "all"] | None = None,
        merge_by: Literal["mean", "max"] = "mean",
        length: int | None = None,
    ) -> Attention:
        """The maps of all heads, exact; `merge` makes one of each layer's, or of all."""
        body = _reading(run, text, length) | {"kind": kind, "merge": merge, "merge_by": merge_by}
        file = self._post("/api/attention", body, accept="application/x-npy")
        maps = np.load(io.BytesIO(file.content), allow_pickle=False)
        facts = self._facts(body)
        return Attention(facts["tokens"], maps, facts["text_offset"])

    def roles(self, run: str, text: str) -> Roles:
        """Scores of every head, by role: previous, first, induction and so on."""
        reply = self._analysis("roles", _reading(run, text))
        names = [role["name"] for role in reply["roles"]]
        shape = (reply["n_layer"], reply["n_head"], len(names))

        def scores(field: str) -> Array:
            rows = [[head[field].get(name, np.nan) for name in names] for head in reply["heads"]]
            return np.array(rows, np.float32).reshape(shape)

        badges = {(head["layer"], head["head"]): head["badges"] for head in reply["heads"]}
        return Roles(names, scores("scores"), scores("corrected"), badges)

    def compare(
        self,
        a: str,
        b: str,
        text: str,
        *,
        match: Literal["place", "layer", "anywhere"] = "place",
        without_first: bool = False,
    ) -> Comparison:
        """Each head of `a` beside one of `b`: the one at its place, or the best matching."""
        body = {"text": text, "a": _run_at(a), "b": _run_at(b), "match": match}
        reply = self._analysis("comparison", body | {"without_first": without_first})
        shape = (reply["a"]["n_layer"], reply["a"]["n_head"])

        def grid(field: str) -> Array:
            return np.array([pair[field] for pair in reply["pairs"]], np.float32).reshape(shape)

        partners = {tuple(p["a"]): tuple(p["b"]) for p in reply["pairs"] if p["b"] is not None}
        return Comparison(grid("divergence"), grid("similarity"), partners)

    def inside(
        self, run: str, text: str, layer: int, head: int, query: int | None = None
    ) -> dict[str, Any]:
        """One query of one head: `row` in arrays over the keys, with `lens` and `attribution`."""
        body = _reading(run, text) | {"layer": int(layer), "head": int(head), "query": query}
        reply = self._analysis("inside", body)
        row = {name: np.array(values) for name, values in reply["row"].items()}
        return reply | {"row": row}

    def importance(
        self, run: str, text: str, fill: Literal["zero", "mean"] = "zero"
    ) -> tuple[float, Array]:
        """The loss in nats per token, and what it changes by without each head: (layer, head)."""
        reply = self._analysis("importance", _reading(run, text) | {"fill": fill})
        return reply["loss"], np.array(reply["changes"], np.float32)

    def without_heads(
        self,
        run: str,
        text: str,
        heads: list[tuple[int, int]],
        fill: Literal["zero", "mean"] = "zero",
        **writing: Any,
    ) -> dict[str, Any]:
        """Loss, next token and text before and after; `generate=100, seed=1` and so on write on."""
        body = (
            _reading(run, text)
            | {"heads": [[int(i) for i in head] for head in heads], "fill": fill}
            | writing
        )
        return self._analysis("ablation", body)

    def next_token(self, run: str, text: str, **drawing: Any) -> NextToken:
        """What follows; `temperature`, `top_k`, `top_p` … add a stage each, `top` more tokens."""
        reply = self._analysis("distribution", _reading(run, text) | drawing)
        candidates = reply["candidates"]
        probabilities = np.array([c["probabilities"] for c in candidates], np.float32)
        return NextToken(reply["stages"], [c["token"] for c in candidates], probabilities)

    def generate(self, run: str, prompt: str, max_tokens: int = 100, **sampling: Any) -> str:
        """The text that follows `prompt`; `seed=1` writes the same again."""
        named = _run_at(run)
        body = {"model": named["run"], "step": named["step"], "prompt": prompt} | sampling
        reply = self._post("/v1/completions", body | {"max_tokens": max_tokens}).json()
        text: str = reply["choices"][0]["text"]
        return text

    def _facts(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the .npy file has no room for: the compact form's header, of the smallest map."""
        small = body | {"layers": [0], "heads": [0]}
        content = self._post("/api/attention", small, accept="application/octet-stream").content
        end = 4 + int.from_bytes(content[:4], "little")
        facts: dict[str, Any] = json.loads(content[4:end])
        return facts

    def _analysis(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        reply: dict[str, Any] = self._post(f"/api/attention/{name}", body).json()
        return reply

    def _post(
        self, path: str, body: dict[str, Any], accept: str = "application/json"
    ) -> httpx.Response:
        return self._answer(self._http.post(path, json=body, headers={"Accept": accept}))

    def _answer(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        try:
            error = response.json()["error"]
        except (ValueError, KeyError):
            raise SidelightError(f"the server answered {response.status_code}") from None
        raise SidelightError(error["message"], error["param"], error["code"])


def _run_at(name: str) -> dict[str, Any]:
    run, _, step = name.partition("@")
    if step and not step.isdecimal():
        raise SidelightError(f"{name}: what follows @ must be a step, as in baseline@388", "run")
    return {"run": run, "step": int(step) if step else None}


def _reading(name: str, text: str, length: int | None = None) -> dict[str, Any]:
    return _run_at(name) | {"text": text, "length": length}
