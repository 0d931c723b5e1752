"""The clients of `serving.py`, in a process of their own so that they slow nothing down but it.

Takes plans as lines of JSON, answers each with a line. It speaks HTTP on plain sockets and reads
what came only when all is over: what is timed is when bytes arrive.
"""

import asyncio
import json
import random
import string
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ATTENTION_TEXT = 32


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    host: str

    def send(self, method: str, path: str, body: Any = None, headers: str = "") -> None:
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self.writer.write(head.encode() + content)

    async def whole(self) -> bytes:
        """The body of an answer that says how long it is; the connection can be used again."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:] if line)
        body = await self.reader.readexactly(int(fields[b"content-length"]))
        if head.split()[1] != b"200":
            raise RuntimeError(body.decode())
        return body


async def connect(url: str) -> Connection:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    return Connection(reader, writer, parts.netloc)


async def stream(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """When it began, its events with text as (when, characters), and its bytes on the wire."""
    began = time.perf_counter()
    connection = await connect(url)
    connection.send("POST", "/v1/completions", {"stream": True, **body}, "Connection: close\r\n")
    pieces: list[tuple[float, bytes]] = []
    while data := await connection.reader.read(65536):
        pieces.append((time.perf_counter(), data))
    connection.writer.close()
    written = [(at, characters(event)) for at, event in events(pieces)]
    return {
        "began": began,
        "events": [(at, count) for at, count in written if count],
        "bytes": sum(len(data) for _, data in pieces),
    }


def events(pieces: list[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """Each event with the moment at which its last byte came."""
    raw, text, opened = b"", b"", False
    for at, data in pieces:
        raw += data
        if not opened:
            head, _, rest = raw.partition(b"\r\n\r\n")
            if not rest:
                continue
            if head.split()[1] != b"200":
                raise RuntimeError(raw.decode())
            raw, opened = rest, True
        while (end := raw.find(b"\r\n")) >= 0:
            size = int(raw[:end], 16)
            if len(raw) < end + 2 + size + 2:
                break
            text += raw[end + 2 : end + 2 + size]
            raw = raw[end + 2 + size + 2 :]
        *whole, text = text.split(b"\n\n")
        yield from ((at, event) for event in whole)


def characters(event: bytes) -> int:
    """How many an event brings; here each is a token. Raises RuntimeError for an error."""
    data = event.removeprefix(b"data: ")
    if data == b"[DONE]":
        return 0
    content = json.loads(data)
    if "error" in content:
        raise RuntimeError(content["error"]["message"])
    return sum(len(choice["text"]) for choice in content["choices"])


async def streams(url: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All at once."""
    return await asyncio.gather(*(stream(url, body) for body in bodies))


async def attention(url: str, run: str, clients: int, seconds: float) -> list[float]:
    """Milliseconds of each request for all of a run's maps; every client asks without a pause."""
    ends = time.perf_counter() + seconds

    async def ask() -> list[float]:
        connection, taken = await connect(url), []
        while time.perf_counter() < ends:
            text = "".join(random.choices(string.ascii_lowercase, k=ATTENTION_TEXT))
            began = time.perf_counter()
            accept = "Accept: application/octet-stream\r\n"
            connection.send("POST", "/api/attention", {"run": run, "text": text}, accept)
            await connection.whole()
            taken.append(1000 * (time.perf_counter() - began))
        connection.writer.close()
        return taken

    return [ms for taken in await asyncio.gather(*(ask() for _ in range(clients))) for ms in taken]


async def stop(url: str, body: dict[str, Any]) -> float:
    """Milliseconds from leaving a stream in its middle until the server writes nothing more."""
    watching, connection = await connect(url), await connect(url)
    connection.send("POST", "/v1/completions", {"stream": True, **body})
    for _ in range(10):
        await connection.reader.read(65536)
    if await active(watching) != 1:
        raise RuntimeError("the stream that is to be stopped is not being written")
    began = time.perf_counter()
    connection.writer.close()
    while await active(watching):
        pass
    taken = time.perf_counter() - began
    watching.writer.close()
    return 1000 * taken


async def active(connection: Connection) -> float:
    connection.send("GET", "/metrics")
    lines = (await connection.whole()).decode().splitlines()
    return next(float(x.split()[1]) for x in lines if x.startswith("sidelight_sequences_active "))


KINDS = {"streams": streams, "attention": attention, "stop": stop}


def main() -> None:
    for line in sys.stdin:
        plan = json.loads(line)
        answer = asyncio.run(KINDS[plan.pop("kind")](**plan))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
