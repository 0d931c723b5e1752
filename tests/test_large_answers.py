"""Large answers: the same bytes in pieces, and no more of them held than there may be."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.security.large_answers import LARGE, PIECE, LargeAnswers
from tests.conftest import on_a_loop

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def receive() -> Message:
    await asyncio.Future()
    raise AssertionError


class Reader:
    """Takes messages, but waits with each until it may."""

    def __init__(self, *, reads: bool) -> None:
        self.may_read = asyncio.Event()
        if reads:
            self.may_read.set()
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.may_read.wait()
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]


@given(sizes=st.lists(st.sampled_from([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, LARGE + 7])))
def test_every_byte_comes_once_and_in_its_place(sizes: list[int]) -> None:
    parts = [bytes([number % 251]) * size for number, size in enumerate(sizes)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def stream() -> Any:
            for part in parts:
                yield part

        await StreamingResponse(stream())(scope, receive, send)

    async def ask() -> Reader:
        reader = Reader(reads=True)
        await LargeAnswers(app, LARGE)(SCOPE, receive, reader.send)
        return reader

    reader = on_a_loop(ask())
    assert reader.body == b"".join(parts)
    *others, last = reader.messages[1:]
    assert all(message["more_body"] for message in others)
    assert not last.get("more_body")
    assert max(len(message["body"]) for message in reader.messages[1:]) <= PIECE


@pytest.mark.parametrize("most", [1, 2 * LARGE, 5 * LARGE])
def test_no_more_is_held_than_may_be(most: int) -> None:
    body = b"m" * (2 * LARGE)

    async def ask() -> list[Reader]:
        answers = LargeAnswers(Response(body), most)
        slow = [Reader(reads=False) for _ in range(4)]
        asked = [asyncio.create_task(answers(SCOPE, receive, each.send)) for each in slow]
        await asyncio.sleep(0)
        small, large = Reader(reads=True), Reader(reads=True)
        await LargeAnswers(Response(b"small"), most)(SCOPE, receive, small.send)
        assert small.body == b"small"
        for each in slow:
            each.may_read.set()
        await asyncio.gather(*asked)
        await answers(SCOPE, receive, large.send)
        assert large.body == body, "there is room again"
        return slow

    told = on_a_loop(ask())
    sent = [reader for reader in told if reader.status == 200]
    refused = [reader for reader in told if reader.status == 503]
    assert len(sent) == max(1, most // len(body))
    assert len(sent) + len(refused) == len(told)
    assert all(reader.body == body for reader in sent)
    for reader in refused:
        assert b'"code":"too_many_answers"' in reader.body
        assert any(name == b"retry-after" for name, _ in reader.messages[0]["headers"])
