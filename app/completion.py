"""What the engine writes, as OpenAI's completion: whole, or in chunks."""

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from starlette.concurrency import run_in_threadpool

from app.errors import RequestError
from app.prompting import Prompt
from app.registry import LoadedRun
from app.schemas import Choice, Completion, CompletionRequest, Logprobs, Usage
from app.sse import DONE, event
from app.stop_strings import Piece
from app.writing import Delivery, FinishReason, Writing
from model.sequence import Token
from model.tokenizer import TextDecoder


class Answer:
    """Puts the pieces of one request's texts into OpenAI's shapes."""

    def __init__(
        self,
        request: CompletionRequest,
        loaded: LoadedRun,
        prompts: Sequence[Prompt],
        writing: Writing,
    ) -> None:
        self._request, self._loaded = request, loaded
        self._prompts, self._writing = prompts, writing
        self._id = f"cmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._lengths = [0] * request.texts  # characters sent of each
        options = request.stream_options
        self._sends_usage = options is not None and options.include_usage

    async def whole(self) -> bytes:
        """Wait for the end; then a `Completion` as JSON. Raises WritingFailed."""
        parts = list[Delivery]()
        async for delivery in self._writing:
            parts.append(delivery)
        return await run_in_threadpool(self._put_together, parts)

    def _put_together(self, parts: Sequence[Delivery]) -> bytes:
        """In a thread: with log-probabilities it may be megabytes, of which each text is one go."""
        completion = self._of_parts(parts)
        around = completion.model_copy(update={"choices": []}).model_dump_json()
        choices = ",".join(choice.model_dump_json() for choice in completion.choices)
        return around.replace('"choices":[]', f'"choices":[{choices}]', 1).encode()

    def _of_parts(self, parts: Sequence[Delivery]) -> Completion:
        texts = [self._echoed(text) for text in range(len(self._lengths))]
        ends = [Delivery(text, [], "length") for text in range(len(texts))]
        for delivery in parts:
            texts[delivery.choice] += delivery.pieces
            ends[delivery.choice] = delivery
        choices = [
            self._choice(end._replace(pieces=pieces))
            for pieces, end in zip(texts, ends, strict=True)
        ]
        sent = [
            choices[text].model_copy(update={"index": index})
            for index, text in enumerate(self._best())
        ]
        return self._completion(sent, usage=self._usage(), first=True)

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Chunks as server-sent events; an error after the first byte is an event as well."""
        yield await run_in_threadpool(self._opening)
        try:
            async for delivery in self._writing:
                yield self._event([self._choice(delivery)])
        except RequestError as error:
            yield event(error.body())
            return
        if self._sends_usage:
            yield self._event([], usage=self._usage())
        yield DONE

    def _opening(self) -> bytes:
        """The first chunk. In a thread, as a prompt that is sent back may be long."""
        over: FinishReason | None = None if self._request.max_tokens else "length"
        choices = [
            self._choice(Delivery(text, self._echoed(text), over))
            for text in range(len(self._lengths))
        ]
        return self._event(choices, first=True)

    def _event(
        self, choices: list[Choice], *, usage: Usage | None = None, first: bool = False
    ) -> bytes:
        chunk = self._completion(choices, usage=usage, first=first)
        absent = set() if first else {"context", "contexts"}
        if not self._sends_usage:
            absent.add("usage")
        return event(chunk.model_dump(mode="json", exclude=absent))

    def _completion(
        self, choices: list[Choice], *, usage: Usage | None = None, first: bool = False
    ) -> Completion:
        contexts = [prompt.context for prompt in self._prompts]
        return Completion(
            id=self._id,
            created=self._created,
            model=self._loaded.run.id,
            choices=choices,
            usage=usage,
            context=contexts[0] if first else None,
            contexts=contexts if first and len(contexts) > 1 else None,
        )

    def _best(self) -> list[int]:
        """The texts to send: all, or of each prompt's the `n` likeliest by the token, in order."""
        n, per_prompt = self._request.n, self._request.texts_per_prompt
        texts, best = self._writing.texts, list[int]()
        for first in range(0, len(self._lengths), per_prompt):
            of_prompt = list(range(first, first + per_prompt))
            if per_prompt > n and texts:
                of_prompt.sort(key=lambda text: -texts[text].mean_logprob)
            best += of_prompt[:n]
        return best

    def _echoed(self, text: int) -> list[Piece]:
        """The prompt's tokens as if they had been written, if they are wanted."""
        if not self._request.echo:
            return []
        prompt = self._prompts[text // self._request.texts_per_prompt]
        decoder = TextDecoder(self._loaded.tokenizer)
        scores = prompt.scores or [None] * len(prompt.ids)
        pieces = [
            self._piece(decoder.feed(i), i, scored)
            for i, scored in zip(prompt.ids, scores, strict=True)
        ]
        if pieces and self._request.max_tokens == 0:  # else what is written completes it
            pieces[-1] = replace(pieces[-1], text=pieces[-1].text + decoder.flush())
        return pieces

    def _piece(self, text: str, id: int, scored: Token | None) -> Piece:
        shown = self._loaded.tokenizer.token_text
        if scored is None:
            return Piece(text, None, token=shown(id))
        top = [(shown(i), logprob) for i, logprob in scored.top]
        return Piece(text, scored.logprob, top, shown(id))

    def _choice(self, part: Delivery) -> Choice:
        text = "".join(piece.text for piece in part.pieces)
        logprobs = None
        if self._request.logprobs is not None:
            logprobs = _logprobs(part.pieces, self._lengths[part.choice])
        self._lengths[part.choice] += len(text)
        return Choice(
            index=part.choice,
            text=text,
            logprobs=logprobs,
            finish_reason=part.finish_reason,
            stop_reason=part.stop_reason,
        )

    def _usage(self) -> Usage:
        read, written = sum(len(prompt.ids) for prompt in self._prompts), self._writing.drawn
        return Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


def _logprobs(pieces: Sequence[Piece], offset: int) -> Logprobs:
    """`offset` is where the first piece begins in the choice's text."""
    offsets = [offset]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece.text))
    return Logprobs(
        tokens=[piece.token for piece in pieces],
        token_logprobs=[piece.logprob for piece in pieces],
        top_logprobs=[
            None if piece.logprob is None else {**dict(piece.top), piece.token: piece.logprob}
            for piece in pieces
        ],
        text_offset=offsets[:-1],
    )
