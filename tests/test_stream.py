"""Streams on a real port, read by httpx and by OpenAI's own client."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

from app.settings import Settings
from model.cpu_batch import CpuBatch
from tests.conftest import LiveServer, wait_until

URL = "/v1/completions"
LONG = {"model": "baseline", "max_tokens": 10_000, "stream": True}


@pytest.fixture
def judge(live: LiveServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)


# A stream is closed with its iterator, so tests that keep reading keep a name for it.


def idle(live: LiveServer) -> bool:
    return live.gauge("sequences_active") == live.gauge("sequences_waiting") == 0


@pytest.mark.usefixtures("slow_model")
def test_text_arrives_while_it_is_written(live: LiveServer) -> None:
    with live.http.stream("POST", URL, json=LONG) as answer:
        lines = (line for line in answer.iter_lines() if line)
        for _ in range(4):
            next(lines)
        assert live.gauge("sequences_active") == 1, "the text should still be growing"
    wait_until(lambda: idle(live))


@pytest.mark.usefixtures("slow_model")
def test_a_client_that_leaves_frees_its_place(live: LiveServer) -> None:
    cancelled = live.gauge("sequences_cancelled_total")
    with live.http.stream("POST", URL, json=LONG) as answer:
        lines_of_answer = answer.iter_lines()
        next(lines_of_answer)
    wait_until(lambda: idle(live), timeout_s=2)
    assert live.gauge("sequences_cancelled_total") == cancelled + 1
    drawn = live.gauge("tokens_total")
    time.sleep(0.1)
    assert live.gauge("tokens_total") == drawn, "nothing is written for nobody"


@pytest.mark.usefixtures("slow_model")
def test_a_client_that_leaves_an_unstreamed_request_frees_its_place(live: LiveServer) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    body = json.dumps(LONG | {"stream": False}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        wait_until(lambda: live.gauge("sequences_active") == 1)
    wait_until(lambda: idle(live), timeout_s=2)


@pytest.mark.usefixtures("slow_model")
def test_a_client_that_leaves_the_queue_is_forgotten(live: LiveServer) -> None:
    with live.http.stream("POST", URL, json=LONG | {"n": 2}) as first:
        lines_of_first = first.iter_lines()
        next(lines_of_first)
        with live.http.stream("POST", URL, json=LONG | {"n": 2}) as second:
            lines_of_second = second.iter_lines()
            next(lines_of_second)
            assert live.gauge("sequences_waiting") == 2
            full = live.http.post(URL, json=LONG)
            assert full.status_code == 503
            assert int(full.headers["retry-after"]) > 0
            assert full.json()["error"]["code"] == "queue_full"
        wait_until(lambda: live.gauge("sequences_waiting") == 0, timeout_s=2)
        assert live.gauge("sequences_active") == 2
    wait_until(lambda: idle(live), timeout_s=2)


@pytest.mark.usefixtures("slow_model")
def test_a_short_text_does_not_wait_for_a_long_one(live: LiveServer) -> None:
    with live.http.stream("POST", URL, json=LONG) as long:
        lines_of_long = long.iter_lines()
        next(lines_of_long)
        short = live.http.post(URL, json={"model": "case-1", "max_tokens": 5})
        assert short.json()["usage"]["completion_tokens"] == 5
        assert live.gauge("sequences_active") == 1
    wait_until(lambda: idle(live))


def test_the_same_seed_gives_the_same_text_beside_others(live: LiveServer) -> None:
    def text(model: str) -> str:
        body = {"model": model, "seed": 3, "max_tokens": 60}
        answer = live.http.post(URL, json=body)
        return answer.json()["choices"][0]["text"]

    alone = [text("baseline"), text("case-1")]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(text, ["baseline", "case-1"])) == alone
        assert list(pool.map(text, ["case-1", "baseline"])) == alone[::-1]


def test_a_model_that_breaks_ends_its_stream_with_an_error(
    live: LiveServer, judge: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CpuBatch._write

    def breaking(batch: CpuBatch, taken: np.ndarray, uniform: np.ndarray) -> None:
        if any(len(sequence.ids) + len(uniform) > 6 for sequence in batch.sequences):
            raise RuntimeError("a secret")
        write(batch, taken, uniform)

    monkeypatch.setattr(CpuBatch, "_write", breaking)
    answer = live.http.post(URL, json=LONG)
    *_, last = [line for line in answer.text.split("\n\n") if line]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "writing_failed"
    assert "secret" not in answer.text
    whole = live.http.post(URL, json=LONG | {"stream": False})
    assert whole.status_code == 500
    with pytest.raises(openai.APIError, match="failed while writing"):
        list(judge.completions.create(model="baseline", prompt="To", max_tokens=50, stream=True))
    monkeypatch.undo()
    assert judge.completions.create(model="baseline", prompt="To", max_tokens=3).choices
    assert idle(live)


def test_openai_client_reads_a_completion(judge: openai.OpenAI) -> None:
    completion = judge.completions.create(
        model="baseline",
        prompt="ROMEO:",
        max_tokens=8,
        n=2,
        seed=1,
        logprobs=2,
        stop=None,
        temperature=0.8,
        top_p=0.9,
        user="me",
        extra_body={"top_k": 20},
    )
    assert [len(choice.text) for choice in completion.choices] == [8, 8]
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert "".join(logprobs.tokens or []) == completion.choices[0].text
    assert completion.usage is not None
    assert completion.usage.total_tokens == 6 + 16


def test_openai_client_reads_a_stream(judge: openai.OpenAI) -> None:
    fields = {"model": "baseline", "prompt": "ROMEO:", "max_tokens": 30, "seed": 2}
    whole = judge.completions.create(**fields)
    chunks = list(
        judge.completions.create(**fields, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].text
    assert chunks[-1].usage == whole.usage


def test_openai_client_knows_the_errors(judge: openai.OpenAI) -> None:
    assert next(model.id for model in judge.models.list()) == "baseline"
    with pytest.raises(openai.NotFoundError) as missing:
        judge.completions.create(model="gpt-4", prompt="")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        judge.completions.create(model="baseline", prompt="€")
    assert (wrong.value.param, wrong.value.code) == ("prompt", "unknown_characters")


@pytest.mark.usefixtures("slow_model")
def test_a_server_that_stops_does_not_wait_for_an_endless_stream(shared_checkpoints: Path) -> None:
    with LiveServer(Settings(checkpoints=shared_checkpoints)) as server:
        reading = threading.Event()

        def read() -> None:
            try:
                with httpx.stream("POST", server.url + URL, json=LONG, timeout=30) as answer:
                    for _ in answer.iter_lines():
                        reading.set()
            except httpx.HTTPError:
                pass

        reader = threading.Thread(target=read)
        reader.start()
        assert reading.wait(10)
    reader.join(10)
    assert not reader.is_alive()
