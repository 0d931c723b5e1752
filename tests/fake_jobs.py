"""A job that does what a test wants: for states that are hard to reach in earnest."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from model.config import GPTConfig, TrainConfig

Event = tuple[str, dict[str, Any]]
GPT = GPTConfig(vocab_size=43, block_size=16, n_layer=2, n_head=2, n_embd=8)


def job(state: str = "running", **fields: Any) -> dict[str, Any]:
    """A job as the API tells of it, of the run `baseline` that the tests have."""
    train = TrainConfig(max_iters=1000)
    return {
        "id": "fake",
        "run_id": "fake-run",
        "title": "Fake run",
        "state": state,
        "message": "",
        "progress": 0.25,
        "step": 250,
        "max_iters": 1000,
        "elapsed_s": 30.0,
        "remaining_s": 90.0,
        "tokens_per_s": 4321.0,
        "loss": 2.5,
        "position": None,
        "device": "cpu",
        "device_wanted": "auto",
        "created": "2026-01-01T00:00:00Z",
        "started": None,
        "ended": None,
        "hypothesis": "",
        "preset": None,
        "corpus": "none",
        "tokenizer": "character",
        "config": {"model": GPT.model_dump(), "train": train.model_dump()},
        "params": 12345,
        "init_from": None,
        "sweep": None,
        "attempt": 1,
        "resumable": state in {"failed", "cancelled", "interrupted"},
        "has_run": False,
    } | fields


def metric(step: int, loss: float = 2.0, rate: float = 1e-3) -> Event:
    return "metric", {
        "step": step,
        "train_loss": loss,
        "val_loss": loss + 0.125,
        "learning_rate": rate,
        "elapsed_s": step / 10,
        "tokens_per_s": 4000.0 + step,
        "estimate": None,
    }


def sample(step: int, text: str, prompt: str = "\n") -> Event:
    about = {"step": step, "prompt": prompt, "text": text}
    return "sample", about | {"seed": 7, "temperature": 0.5}


def snapshot(step: int) -> Event:
    return "snapshot", {"step": step}


END: Event = ("end", {})


def torn(retry_ms: int) -> Event:
    """The connection breaks here; the browser comes again after that time."""
    return "torn", {"retry_ms": retry_ms}


class FakeJobs:
    """Answers for the job `fake`: `streams` are those to one connection after another.

    A stream that neither ends nor is torn stays open. A number in place of one is a refusal.
    """

    def __init__(self) -> None:
        self.streams: list[list[Event] | int] = []
        self.last_ids: list[str | None] = []
        self.posts: list[str] = []
        self.refusal: dict[str, Any] | None = None

    def routes(self) -> list[Route]:
        """To be put before the server's own."""
        path = "/api/jobs/fake"
        return [
            Route(f"{path}/events", self._events),
            Route(f"{path}/log", self._log),
            Route(f"{path}/{{action}}", self._act, methods=["POST"]),
            Route(path, self._job),
        ]

    async def _events(self, request: Request) -> Response:
        self.last_ids.append(request.headers.get("last-event-id"))
        answer = self.streams[min(len(self.last_ids), len(self.streams)) - 1]
        if isinstance(answer, int):
            return JSONResponse({"error": {"message": "not now"}}, answer)
        return StreamingResponse(_sent(answer), media_type="text/event-stream")

    async def _log(self, request: Request) -> Response:
        return PlainTextResponse("step 1: 4.2\n")

    async def _job(self, request: Request) -> Response:
        return JSONResponse(job())

    async def _act(self, request: Request) -> Response:
        self.posts.append(request.path_params["action"])
        if self.refusal:
            return JSONResponse({"error": self.refusal}, 409)
        return JSONResponse(job("running"), 202)


async def _sent(events: list[Event]) -> AsyncGenerator[str]:
    for i, (name, data) in enumerate(events):
        if name == "torn":
            yield f"retry: {data['retry_ms']}\n\n"
            return
        yield f"id: e{i}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
        if name == "end":
            return
    while True:  # until the browser leaves
        yield ": nothing new\n\n"
        await asyncio.sleep(0.2)
