"""Texts through the Python client, blocking and async, against the model's own numbers."""

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from model.cpu_batch import CpuBatch
from model.run_folder import RunFolder
from sidelight.client import AsyncSidelight, Completion, Piece, Sidelight, SidelightError
from tests.conftest import LiveServer, on_a_loop, wait_until

ROMEO = "ROMEO:"


@pytest.fixture(scope="module")
def sidelight(live: LiveServer) -> Iterator[Sidelight]:
    with Sidelight(live.url) as client:
        yield client


def idle(live: LiveServer) -> bool:
    return live.gauge("sequences_active") == live.gauge("sequences_waiting") == 0


def text_of(pieces: list[Piece], index: int = 0) -> str:
    return "".join(piece.text for piece in pieces if piece.index == index)


def test_a_completion_has_all_texts_and_says_why_they_end(sidelight: Sidelight) -> None:
    done = sidelight.complete("baseline", [ROMEO, "To be"], 8, n=2, seed=1)
    assert [len(text) for text in done.texts] == [8] * 4 and done.text == done.texts[0]
    assert [choice.finish_reason for choice in done.choices] == ["length"] * 4
    assert done.usage.completion_tokens == 32
    assert done.usage.prompt_tokens == len(ROMEO) + len("To be")
    assert done.choices[0].tokens is None
    assert done.text == sidelight.generate("baseline", ROMEO, 8, seed=1)
    stopped = sidelight.complete("baseline", ROMEO, 8, seed=1, stop=done.text[3:5])
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.text == done.text[: done.text.index(done.text[3:5])]


def test_a_step_is_another_run(sidelight: Sidelight) -> None:
    texts = {
        sidelight.generate(run, ROMEO, 30, seed=1)
        for run in ("baseline", "baseline@10", "baseline@50")
    }
    assert len(texts) == 3


def test_tokens_come_with_their_log_probabilities(sidelight: Sidelight) -> None:
    done = sidelight.complete("baseline", "To", 5, logprobs=2, echo=True, seed=2)
    tokens = done.choices[0].tokens
    assert tokens is not None and "".join(token.text for token in tokens) == done.text
    assert tokens[0].logprob is None and tokens[0].top == {}
    assert [token.offset for token in tokens] == list(range(7))
    for token in tokens[1:]:
        assert token.logprob == token.top[token.text] and len(token.top) in {2, 3}
        best = sorted(token.top.values())[-2:]
        assert math.exp(best[-1]) + math.exp(best[0]) < 1


def test_a_score_is_the_models(sidelight: Sidelight, shared_checkpoints: Path) -> None:
    text = "To be, or not"
    score = sidelight.score("baseline@50", text)
    folder = RunFolder(shared_checkpoints / "baseline")
    ids = torch.tensor(folder.read_tokenizer().encode(text))
    with torch.inference_mode():
        logits = folder.load_model(50)(ids[None])[0]
    expected = torch.log_softmax(logits, -1)[range(len(text) - 1), ids[1:]].numpy()
    assert score.tokens == list(text) and np.isnan(score.logprobs[0])
    np.testing.assert_allclose(score.logprobs[1:], expected, atol=1e-5)
    assert score.loss == pytest.approx(-expected.mean(), abs=1e-5)
    assert math.isnan(sidelight.score("baseline", "T").loss)


def test_a_stream_brings_the_same_text_in_pieces(sidelight: Sidelight, live: LiveServer) -> None:
    whole = sidelight.complete("baseline", ROMEO, 60, n=2, seed=3, logprobs=1)
    pieces = list(sidelight.stream("baseline", ROMEO, 60, n=2, seed=3, logprobs=1))
    assert all(piece.text or piece.finish_reason for piece in pieces)
    for index, choice in enumerate(whole.choices):
        assert text_of(pieces, index) == choice.text
        mine = [piece for piece in pieces if piece.index == index]
        assert [piece.finish_reason for piece in mine] == [None] * (len(mine) - 1) + ["length"]
        assert [token for piece in mine for token in piece.tokens or []] == choice.tokens
    assert idle(live)


@pytest.mark.usefixtures("slow_model")
def test_whoever_stops_reading_stops_the_server(sidelight: Sidelight, live: LiveServer) -> None:
    for piece in sidelight.stream("baseline", ROMEO, 10_000):
        assert piece.finish_reason is None and live.gauge("sequences_active") == 1
        break
    wait_until(lambda: idle(live), timeout_s=2)
    pieces = sidelight.stream("baseline", ROMEO, 10_000)
    next(pieces)
    assert live.gauge("sequences_active") == 1
    pieces.close()
    wait_until(lambda: idle(live), timeout_s=2)
    assert list(pieces) == []
    with sidelight.stream("baseline", ROMEO, 10_000) as pieces:
        next(pieces)
    wait_until(lambda: idle(live), timeout_s=2)


@pytest.mark.usefixtures("slow_model")
def test_whoever_stops_waiting_stops_the_server(live: LiveServer) -> None:
    cancelled = live.gauge("sequences_cancelled_total")

    async def gone(times: int) -> None:
        def is_so() -> bool:
            return idle(live) and live.gauge("sequences_cancelled_total") == cancelled + times

        await asyncio.to_thread(wait_until, is_so, 2)

    async def leave() -> None:
        async with AsyncSidelight(live.url) as client:
            async for _ in client.stream("baseline", ROMEO, 10_000):
                break
            await gone(1)
            async with client.stream("baseline", ROMEO, 10_000) as pieces:
                await anext(pieces)
            await gone(2)
            waiting = asyncio.create_task(client.generate("baseline", ROMEO, 10_000))
            await asyncio.to_thread(wait_until, lambda: live.gauge("sequences_active") == 1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await gone(3)

    on_a_loop(leave())


def test_async_calls_come_to_the_same(sidelight: Sidelight, live: LiveServer) -> None:
    async def ask() -> tuple[list[Completion], list[Piece]]:
        async with AsyncSidelight(live.url) as client:
            both = (client.complete("baseline", ROMEO, 20, seed=seed) for seed in (1, 2))
            together = await asyncio.gather(*both)
            return together, [p async for p in client.stream("baseline", ROMEO, 20, seed=1)]

    texts, pieces = on_a_loop(ask())
    assert texts == [sidelight.complete("baseline", ROMEO, 20, seed=seed) for seed in (1, 2)]
    assert text_of(pieces) == texts[0].text


@pytest.mark.usefixtures("slow_model")
def test_a_full_server_says_when_to_come_again(sidelight: Sidelight) -> None:
    with sidelight.stream("baseline", ROMEO, 10_000, n=2) as pieces:
        next(pieces)
        with pytest.raises(SidelightError) as full:
            sidelight.complete("baseline", ROMEO, n=3)
    assert (full.value.status, full.value.code) == (503, "queue_full")
    assert full.value.retry_after is not None and full.value.retry_after > 0


def test_a_refusal_says_all_that_the_server_does(sidelight: Sidelight) -> None:
    for ask in (sidelight.generate, lambda *args: list(sidelight.stream(*args))):
        with pytest.raises(SidelightError, match="vocabulary") as refused:
            ask("baseline", "€")
        error = refused.value
        assert (error.status, error.param, error.code) == (400, "prompt", "unknown_characters")
        assert error.retry_after is None and error.message == str(error)
    with pytest.raises(SidelightError) as refused:
        sidelight.generate("baseline", "To", max_token=3)  # type: ignore[call-arg]
    assert refused.value.param == "max_token"


def test_a_text_that_fails_on_the_way_raises(
    sidelight: Sidelight, live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CpuBatch._write

    def breaking(batch: CpuBatch, taken: np.ndarray, uniform: np.ndarray) -> None:
        if any(len(sequence.ids) + len(uniform) > 12 for sequence in batch.sequences):
            raise RuntimeError
        write(batch, taken, uniform)

    monkeypatch.setattr(CpuBatch, "_write", breaking)
    with pytest.raises(SidelightError) as failed:
        list(sidelight.stream("baseline", ROMEO, 10_000))
    assert (failed.value.code, failed.value.status) == ("writing_failed", None)
    monkeypatch.undo()
    assert idle(live)


def test_a_text_is_not_whole_before_its_server_says_so() -> None:
    chunk = '{"choices": [{"index": 0, "text": "To", "logprobs": null, "finish_reason": null}]}'
    asked: list[httpx.Request] = []

    def half_of_it(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, text=f"data: {chunk}\n\n")

    transport = httpx.MockTransport(half_of_it)
    http = httpx.Client(base_url="http://any", transport=transport)
    pieces = Sidelight(client=http).stream("baseline")
    assert next(pieces).text == "To"
    with pytest.raises(httpx.RemoteProtocolError, match="before its last event"):
        next(pieces)

    async def read() -> None:
        http = httpx.AsyncClient(base_url="http://any", transport=transport)
        [piece async for piece in AsyncSidelight(client=http).stream("baseline")]

    with pytest.raises(httpx.RemoteProtocolError):
        on_a_loop(read())
    assert len(asked) == 2, "what was lost is not written once more"


def test_no_server_is_httpxs_error(live: LiveServer) -> None:
    with Sidelight("http://127.0.0.1:9") as nobody:
        with pytest.raises(httpx.ConnectError):
            nobody.runs()
        with pytest.raises(httpx.ConnectError):
            next(nobody.stream("baseline"))
