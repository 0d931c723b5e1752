"""What two replicas on Ray Serve give a server's readers, beside the server by itself.

    python bench/replicas.py --json FILE [--rounds N]

`sidelight serve` and `sidelight serve --replicas 2`, which starts a Ray of its own, both with the
shipped runs on this machine. They are measured by turns, while the other is idle. One client alone
waits for a stream's first byte and for attention maps; then many ask for whole texts, each for
those of one of four runs and again as soon as it is answered.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from measuring import Row, finish, row
from streams import Connection, connect

ROOT = Path(__file__).resolve().parents[1]
RUNS = ("baseline", "case-1", "case-2", "case-3")
REPLICAS, CLIENTS = 2, 16
SHORT, LONG = 16, 256  # tokens
ALONE, SECONDS = 50, 5.0

Measured = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with served() as plain, served(f"--replicas={REPLICAS}") as replicas:
        pairs = [
            (asyncio.run(measured(replicas)), asyncio.run(measured(plain)))
            for _ in range(options.rounds)
        ]
    finish([*rows(pairs)], options.json)


def rows(pairs: list[tuple[Measured, Measured]]) -> Iterator[Row]:
    for name in pairs[0][0]:
        values, peers = ([one[name] for one in side] for side in zip(*pairs, strict=True))
        unit = "ms" if name.endswith("_ms") else "1/s"
        yield row(f"replicas_{name}", unit, values, peers, own_peer=True)


@contextmanager
def served(*options: str) -> Iterator[str]:
    """The address of a server that is ready."""
    command = [sys.executable, "-m", "app", "serve", "--port=0", *options]
    with tempfile.TemporaryDirectory() as data:
        environment = os.environ | {"SIDELIGHT_DATA": data, "SIDELIGHT_CLIENT_SEQUENCES": "0"}
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                url = server.stdout.readline().split("at ")[1].split()[0]
                while httpx.get(f"{url}/readyz", timeout=60).status_code != 200:
                    time.sleep(0.1)
                yield url
            finally:
                server.send_signal(signal.SIGTERM)


async def measured(url: str) -> Measured:
    first_bytes, maps = [], []
    async with connected(url) as connection:
        for run in RUNS:
            await text(connection, run, SHORT)
        for _ in range(ALONE):
            first_bytes.append(await first_byte(url))
            maps.append(await attention(connection))
    return {
        "first_byte_ms": 1000 * statistics.median(first_bytes),
        "attention_ms": 1000 * statistics.median(maps),
        f"texts_of_{SHORT}_for_{CLIENTS}_clients": await texts_per_second(url, SHORT),
        f"texts_of_{LONG}_for_{CLIENTS}_clients": await texts_per_second(url, LONG),
    }


async def texts_per_second(url: str, tokens: int) -> float:
    began = time.perf_counter()

    async def keep_asking(run: str) -> int:
        answered = 0
        async with connected(url) as connection:
            while time.perf_counter() - began < SECONDS:
                await text(connection, run, tokens)
                answered += 1
        return answered

    asking = (keep_asking(RUNS[i % len(RUNS)]) for i in range(CLIENTS))
    answered = sum(await asyncio.gather(*asking))
    return answered / (time.perf_counter() - began)


async def text(connection: Connection, run: str, tokens: int) -> None:
    connection.send("POST", "/v1/completions", about(run, tokens))
    await connection.whole()


async def first_byte(url: str) -> float:
    """Seconds from asking for a stream to its first byte; then it is left."""
    async with connected(url) as connection:
        began = time.perf_counter()
        connection.send("POST", "/v1/completions", about(RUNS[0], LONG) | {"stream": True})
        await connection.reader.readexactly(1)
        return time.perf_counter() - began


async def attention(connection: Connection) -> float:
    """Seconds for all maps of a short text."""
    began = time.perf_counter()
    body = {"run": RUNS[0], "text": "To be, or not to be"}
    connection.send("POST", "/api/attention", body, headers="Accept: application/octet-stream\r\n")
    await connection.whole()
    return time.perf_counter() - began


def about(run: str, tokens: int) -> dict[str, Any]:
    return {"model": run, "prompt": "ROMEO:", "max_tokens": tokens}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url)
    try:
        yield connection
    finally:
        connection.writer.close()


if __name__ == "__main__":
    main()
