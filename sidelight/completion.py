"""What a run writes: whole, or piece by piece."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

FinishReason = Literal["length", "stop"]


class Sampling(TypedDict, total=False):
    """How tokens are drawn and where texts end; what is left out changes nothing."""

    temperature: float  # 0 always takes the likeliest
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: dict[int, float]  # by token id
    seed: int  # the same gives the same text again
    n: int  # texts for each prompt
    best_of: int  # so many are written, of which the n likeliest come; not of streams
    stop: str | list[str]
    past_context: Literal["exact", "jump"]
    max_time: float  # seconds


@dataclass(frozen=True)
class Token:
    """One token, with natural log-probabilities before temperature and filters."""

    text: str
    logprob: float | None  # None for a text's first token, which nothing comes before
    top: dict[str, float]  # the likeliest tokens there, and always this one
    offset: int  # where it begins in the text


@dataclass(frozen=True)
class Choice:
    """One text."""

    text: str
    finish_reason: FinishReason  # "stop": a stop string, or the text's end; "length": it was cut
    stop_reason: Literal["deadline"] | None  # "deadline": time was up
    tokens: list[Token] | None  # with `logprobs`


@dataclass(frozen=True)
class Usage:
    """How many tokens were read and written, over all texts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Completion:
    """All texts of one request, by prompt, then by seed."""

    choices: list[Choice]
    usage: Usage

    @property
    def texts(self) -> list[str]:
        return [choice.text for choice in self.choices]

    @property
    def text(self) -> str:
        """The first one."""
        return self.choices[0].text


@dataclass(frozen=True)
class Piece:
    """What has been written since the text's last piece; its very last has the reason."""

    text: str
    index: int  # of the text, where there are several
    tokens: list[Token] | None  # with `logprobs`
    finish_reason: FinishReason | None
    stop_reason: Literal["deadline"] | None


def completion(reply: Any) -> Completion:
    """From the server's JSON."""
    choices = [
        Choice(choice["text"], choice["finish_reason"], choice.get("stop_reason"), _tokens(choice))
        for choice in reply["choices"]
    ]
    counts = reply["usage"]
    usage = Usage(counts["prompt_tokens"], counts["completion_tokens"], counts["total_tokens"])
    return Completion(choices, usage)


def pieces(chunk: Any) -> list[Piece]:
    """From one event's JSON, without those that say nothing."""
    found = [
        Piece(
            choice["text"],
            choice["index"],
            _tokens(choice),
            choice["finish_reason"],
            choice.get("stop_reason"),
        )
        for choice in chunk["choices"]
    ]
    return [piece for piece in found if piece.text or piece.tokens or piece.finish_reason]


def _tokens(choice: Any) -> list[Token] | None:
    scores = choice["logprobs"]
    if scores is None:
        return None
    columns = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    return [
        Token(text, logprob, top or {}, offset)
        for text, logprob, top, offset in zip(*(scores[name] for name in columns), strict=True)
    ]
