"""The clients of `soak.py`, all in one process that leaves the server what it needs of the machine.

Takes a plan as a line of JSON and answers with one: how many requests of each kind there were, how
they were answered, and everything that was not as it should be. It speaks HTTP on plain sockets, as
it also sends what no library would.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from soak_requests import Asked, Mix

PIECE = 65_536
MOST_PROBLEMS = 50
ANNOUNCED = {"queue_full", "deadline", "too_many_uploads"}  # codes of a 503 that is no failure


@dataclass
class Answer:
    """What came of a request, however far it came."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False


@dataclass
class Report:
    """What all clients have seen."""

    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    wrong: int = 0
    compared: int = 0  # texts that were held against the same request alone
    refused: int = 0

    def note(self, asked: Asked, problem: str) -> None:
        self.wrong += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(f"{asked.kind}: {asked.method} {asked.path}: {problem}")


class Connection:
    """One to the server, kept as long as it keeps it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._netloc = parts.hostname, parts.port, parts.netloc
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer, or as much of it as there is when the client leaves."""
        answer = Answer()
        try:
            async with asyncio.timeout(asked.leaves_after_s):
                await self._exchange(asked, answer)
        except TimeoutError:
            if asked.leaves_after_s is None:
                raise
        except (ConnectionError, asyncio.IncompleteReadError):
            if asked.noise is None and 413 not in asked.statuses:
                raise
        if not answer.whole or answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._writer:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _exchange(self, asked: Asked, answer: Answer) -> None:
        if asked.noise is not None:
            self.close()
        is_new = self._writer is None
        try:
            await self._send(asked)
            await self._head(answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            if is_new or answer.status is not None:
                raise
            self.close()  # it was idle for too long
            await self._send(asked)
            await self._head(answer)
        await self._body(answer)

    async def _send(self, asked: Asked) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        if asked.noise is not None:
            self._writer.write(asked.noise)
        else:
            fields = {"Host": self._netloc, **asked.headers, "Content-Length": len(asked.body)}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            self._writer.write(f"{asked.method} {asked.path} HTTP/1.1\r\n{lines}\r\n".encode())
            self._writer.write(asked.body)
        with suppress(ConnectionError):  # it may have answered before it had all
            await self._writer.drain()

    async def _head(self, answer: Answer) -> None:
        assert self._reader
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        answer.status = int(lines[0].split()[1])
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            answer.headers[name.lower()] = value

    async def _body(self, answer: Answer) -> None:
        assert self._reader
        if answer.headers.get("transfer-encoding") == "chunked":
            while size := int(await self._reader.readline(), 16):
                answer.body += await self._reader.readexactly(size)
                await self._reader.readexactly(2)
            await self._reader.readexactly(2)
        elif (length := answer.headers.get("content-length")) is not None:
            left = int(length)
            while left:
                piece = await self._reader.read(min(left, PIECE))
                if not piece:
                    raise ConnectionResetError("the answer ended too soon")
                answer.body += piece
                left -= len(piece)
        answer.whole = True


class Client:
    """Asks one thing after another until the time is over."""

    def __init__(self, plan: Mapping[str, Any], number: int, report: Report) -> None:
        self._plan, self._report = plan, report
        self._mix = Mix(plan["seed"] * 1000 + number, plan["completions"], plan["job"])
        self._draw = random.Random(number)
        self._connection = Connection(plan["url"])

    async def run(self, ends: float) -> None:
        await asyncio.sleep(self._draw.random() * self._plan["pause_s"])
        while time.monotonic() < ends:
            await self._one(self._mix.next())
            await asyncio.sleep(self._draw.expovariate(1 / self._plan["pause_s"]))
        self._connection.close()

    async def _one(self, asked: Asked) -> None:
        report, began = self._report, time.monotonic()
        report.kinds[asked.kind] += 1
        try:
            async with asyncio.timeout(self._plan["bound_s"]):
                answer = await self._connection.ask(asked)
        except TimeoutError:
            report.note(asked, f"no end after {self._plan['bound_s']} s")
            self._connection.close()
            return
        except (OSError, EOFError, ValueError) as error:
            report.note(asked, f"{type(error).__name__}: {error}")
            self._connection.close()
            return
        if answer.whole:
            report.seconds.setdefault(asked.kind, []).append(time.monotonic() - began)
        report.statuses[str(answer.status)] += 1
        self._judge(asked, answer)

    def _judge(self, asked: Asked, answer: Answer) -> None:
        if asked.noise is not None:
            if answer.status is not None and not 400 <= answer.status < 500:
                self._report.note(asked, f"{asked.noise[:20]!r} was answered {answer.status}")
            return
        if answer.status is None:
            if asked.leaves_after_s is None and answer.whole:
                self._report.note(asked, "no answer")
            return
        if answer.status not in asked.statuses:
            self._report.note(asked, f"{answer.status} {bytes(answer.body[:200])!r}")
        elif answer.status >= 400:
            self._judge_error(asked, answer)
        elif asked.text is not None:
            self._judge_texts(asked, answer, self._plan["completions_alone"][asked.text])

    def _judge_error(self, asked: Asked, answer: Answer) -> None:
        """It has the one shape; a 503 says when to come again."""
        if not answer.whole:
            return
        try:
            error = json.loads(answer.body)["error"]
        except (ValueError, KeyError, TypeError):
            if answer.headers.get("content-type", "").startswith("application/json"):
                self._report.note(asked, f"{answer.status} {bytes(answer.body[:200])!r}")
            return
        if answer.status == 503:
            self._report.refused += 1
            if "retry-after" not in answer.headers or error["code"] not in ANNOUNCED:
                self._report.note(asked, f"503 {error} {answer.headers}")

    def _judge_texts(self, asked: Asked, answer: Answer, alone: Sequence[Any]) -> None:
        """They are those of the same request alone, or how these begin if the client has left."""
        if b'"stream": true' in asked.body:
            texts, problem = streamed(answer)
        elif answer.whole:
            choices = json.loads(answer.body)["choices"]
            texts = {it["index"]: (it["text"], it["finish_reason"]) for it in choices}
            problem = None
        else:
            return None
        if problem:
            return self._report.note(asked, problem)
        self._report.compared += 1
        for index, (text, reason) in texts.items():
            wanted, ended = alone[index]
            right = text == wanted and reason == ended if answer.whole else wanted.startswith(text)
            if not right:
                self._report.note(asked, f"text {asked.text}.{index}: {text!r} and not {wanted!r}")
        if answer.whole and len(texts) != len(alone):
            self._report.note(asked, f"{len(texts)} texts and not {len(alone)}")


def streamed(answer: Answer) -> tuple[dict[int, tuple[str, str | None]], str | None]:
    """The texts of a stream with how they ended, by index; and what is wrong with it."""
    *events, rest = bytes(answer.body).split(b"\n\n")
    texts: dict[int, tuple[str, str | None]] = {}
    done = False
    for event in events:
        data = event.removeprefix(b"data: ")
        if data == b"[DONE]":
            done = True
            continue
        content = json.loads(data)
        if "error" in content:
            return texts, f"an error in the stream: {content['error']}"
        for choice in content["choices"]:
            text, ended = texts.get(choice["index"], ("", None))
            texts[choice["index"]] = (text + choice["text"], choice["finish_reason"] or ended)
    if answer.whole and (rest or not done):
        return texts, "the stream ended without [DONE]"
    return texts, None


async def run(plan: Mapping[str, Any]) -> Report:
    report = Report()
    ends = time.monotonic() + plan["seconds"]
    clients = [Client(plan, number, report) for number in range(plan["clients"])]
    await asyncio.gather(*(client.run(ends) for client in clients))
    return report


def main() -> None:
    os.nice(5)
    report = asyncio.run(run(json.loads(sys.stdin.readline())))
    print(json.dumps(vars(report)), flush=True)


if __name__ == "__main__":
    main()
