"""Texts written on from a prompt, and texts scored."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from sidelight.asking import WRITING_S, Ask, Call
from sidelight.completion import Completion, Piece, Sampling, completion, pieces
from sidelight.errors import refused
from sidelight.listening import Listener
from sidelight.naming import run_at
from sidelight.server_events import ServerEvent

PATH = "/v1/completions"
DONE = "[DONE]"

Prompt = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]


@dataclass(frozen=True)
class Score:
    """How likely a run finds a text."""

    tokens: list[str]
    logprobs: NDArray[np.float64]  # (token): natural; NaN for the first, which nothing comes before

    @property
    def loss(self) -> float:
        """Nats per token; NaN for a text of one token."""
        return -float(self.logprobs[1:].mean()) if len(self.tokens) > 1 else math.nan


def complete(
    run: str,
    prompt: Prompt = "",
    max_tokens: int = 100,
    *,
    logprobs: int | None = None,
    echo: bool = False,
    **sampling: Unpack[Sampling],
) -> Call[Completion]:
    """Write on from a prompt, or from each of several; token ids are taken too.

    `logprobs` adds each token's log-probability, and those of so many likeliest ones. `echo` begins
    each text with its prompt. `sampling` may have temperature, top_p, top_k, min_p,
    repetition_penalty, presence_penalty, frequency_penalty, logit_bias, seed, n, best_of, stop,
    past_context, max_time.
    """
    body = _body(run, prompt, max_tokens, sampling) | {"logprobs": logprobs, "echo": echo}
    answer = yield Ask("POST", PATH, json=body, wait_s=WRITING_S)
    return completion(answer.json())


def generate(
    run: str, prompt: str, max_tokens: int = 100, **sampling: Unpack[Sampling]
) -> Call[str]:
    """The text that follows `prompt`; `seed=1` writes the same again, and so on as `complete`."""
    body = _body(run, prompt, max_tokens, sampling)
    answer = yield Ask("POST", PATH, json=body, wait_s=WRITING_S)
    return completion(answer.json()).text


def score(run: str, text: str) -> Call[Score]:
    """How likely each token of a text is, given those before it."""
    wanted = {"logprobs": 0, "echo": True}
    answer = yield Ask("POST", PATH, json=_body(run, text, 0, {}) | wanted)
    tokens = completion(answer.json()).choices[0].tokens or []
    logprobs = [math.nan if token.logprob is None else token.logprob for token in tokens]
    return Score([token.text for token in tokens], np.array(logprobs))


def stream(
    run: str,
    prompt: Prompt = "",
    max_tokens: int = 100,
    *,
    logprobs: int | None = None,
    echo: bool = False,
    **sampling: Unpack[Sampling],
) -> Listener[Piece]:
    """The same as `complete`, piece by piece as it is written."""
    body = _body(run, prompt, max_tokens, sampling) | {"logprobs": logprobs, "echo": echo}
    return _Writing(body | {"stream": True})


class _Writing(Listener[Piece]):
    """A text that is lost with its connection: what wrote it has stopped."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def ask(self) -> Ask:
        return Ask("POST", PATH, json=self._body, wait_s=WRITING_S)

    def hear(self, event: ServerEvent) -> Iterator[Piece]:
        if event.data == DONE:
            self.over = True
            return
        chunk = json.loads(event.data)
        if "error" in chunk:
            raise refused(chunk)
        yield from pieces(chunk)


def _body(run: str, prompt: Prompt, max_tokens: int, sampling: Sampling) -> dict[str, Any]:
    named = run_at(run)
    wanted = {"model": named["run"], "step": named["step"], "prompt": prompt}
    return wanted | dict(sampling) | {"max_tokens": max_tokens}
