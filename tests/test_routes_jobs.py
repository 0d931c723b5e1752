"""`/api/jobs` on a real port: what is refused, what is told, and what a watcher misses: nothing."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run
from tests.training_fixtures import TEXT

pytestmark = pytest.mark.usefixtures("jobs_begin_at_once")

SLOW = 90
TINY = {
    "model": {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 8},
    "train": {"max_iters": 60, "eval_interval": 10, "eval_iters": 2, "snapshots": 4},
}
ENDLESS = {**TINY, "train": {"max_iters": 10_000_000, "eval_interval": 100, "snapshots": 20}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("jobs")
    write_run(root / "checkpoints", "baseline", steps=(10,))
    settings = Settings(checkpoints=root / "checkpoints", data=root / "data", devices="cpu")
    with LiveServer(settings) as server:
        server.http.post("/api/corpora?name=small.txt", content=TEXT)
        yield server
        for job in server.http.get("/api/jobs").json()["jobs"]:
            if job["state"] in ("queued", "running"):
                server.http.post(f"/api/jobs/{job['id']}/cancel")
        wait_until(lambda: not active(server), SLOW)


def active(server: LiveServer) -> list[str]:
    jobs = server.http.get("/api/jobs").json()["jobs"]
    return [job["id"] for job in jobs if job["state"] in ("queued", "running")]


def begin(server: LiveServer, **body: Any) -> dict[str, Any]:
    answer = server.http.post("/api/jobs", json={"corpus": "small", **body})
    assert answer.status_code == 202, answer.text
    return answer.json()


def wait_for(server: LiveServer, id: str, *states: str) -> dict[str, Any]:
    wait_until(lambda: server.http.get(f"/api/jobs/{id}").json()["state"] in states, SLOW)
    return server.http.get(f"/api/jobs/{id}").json()


def watch(
    server: LiveServer, id: str, last: str | None = None, most: int | None = None
) -> list[dict[str, Any]]:
    """The events of a job, as {event, id, data}; all of them, or the first `most`."""
    headers = {"Last-Event-ID": last} if last else {}
    events: list[dict[str, Any]] = []
    url = f"{server.url}/api/jobs/{id}/events"
    with httpx.stream("GET", url, headers=headers, timeout=SLOW) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("event", "id"):
                event[name] = value
            elif name == "data":
                event["data"] = json.loads(value)
            elif event:
                events.append(event)
                event = {}
                if len(events) == most:
                    break
    return events


# What is refused, by its field

WRONG = {
    "both": ({"preset": "baseline", "config": {}}, "config", "either preset or config"),
    "neither": ({}, "config", "either preset or config"),
    "preset": ({"preset": "tiny"}, "preset", "baseline"),
    "field": ({"config": {"model": {"heads": 2}}}, "config.model.heads", "no such field"),
    "bound": ({"config": {"train": {"max_iters": 0}}}, "config.train.max_iters", "greater"),
    "type": ({"config": {"train": {"batch_size": "many"}}}, "config.train.batch_size", "integer"),
    "kind": ({"config": {"model": {"kind": "rnn"}}}, "config.model", "gpt"),
    "heads": ({"config": {"model": {"n_embd": 10}}}, "config.model.n_embd", "divisible by n_head"),
    "parts": ({"config": {"train": {"grad_accum": 3}}}, "config.train.grad_accum", "divisible"),
    "warm-up": (
        {"config": {"train": {"warmup_iters": 5000}}},
        "config.train.warmup_iters",
        "below",
    ),
    "context": (
        {"config": {"model": {"block_size": 1024}}},
        "config.model.block_size",
        "longer than the text",
    ),
    "window": ({"config": {"train": {"window": 8000}}}, "config.train.window", "longer than"),
    "memory": (
        {"config": {"model": {"n_embd": 8192, "n_layer": 96, "block_size": 64}}},
        "config.model.n_embd",
        "GB",
    ),
    "batch": (
        {"config": {"train": {"batch_size": 65536}, "model": {"n_embd": 512, "n_layer": 8}}},
        "config.train.batch_size",
        "GB",
    ),
    "device": ({"preset": "baseline", "device": "cuda:7"}, "device", "there are cpu"),
    "no device": ({"preset": "baseline", "device": "tpu"}, "device", "match"),
    "run id": ({"preset": "baseline", "run_id": "../up"}, "run_id", "match"),
    "tokens": (
        {"config": {"model": {"vocab_size": 100}}, "tokenizer": "bpe"},
        "config.model.vocab_size",
        "256",
    ),
    "weights": (
        {"config": TINY, "init_from": {"run": "baseline"}},
        "config.model.block_size",
        "differs",
    ),
    "snapshot": (
        {"preset": "baseline", "init_from": {"run": "baseline", "step": 3}},
        "init_from.step",
        "snapshots at 10",
    ),
}


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/check"])
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_succeed_is_refused_by_its_field(server, path, case) -> None:
    body, param, words = WRONG[case]
    answer = server.http.post(path, json={"corpus": "small", **body})
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert words in error["message"]


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/check"])
def test_unknown_texts_and_runs_are_404(server, path) -> None:
    unknown_text = server.http.post(path, json={"preset": "baseline", "corpus": "none.txt"})
    assert unknown_text.status_code == 404
    assert unknown_text.json()["error"]["param"] == "corpus"
    body = {"preset": "baseline", "corpus": "small", "init_from": {"run": "none"}}
    assert server.http.post(path, json=body).status_code == 404


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/check"])
def test_a_run_that_exists_is_a_conflict(server, path) -> None:
    body = {"config": TINY, "corpus": "small", "run_id": "baseline"}
    answer = server.http.post(path, json=body)
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("run_id", "run_exists")


def test_an_unknown_job_is_404_everywhere(server) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/log"),
        ("GET", "/events"),
        ("POST", "/cancel"),
        ("POST", "/resume"),
        ("DELETE", ""),
    ):
        answer = server.http.request(method, f"/api/jobs/nothing{path}")
        assert answer.status_code == 404, (method, path)
        assert answer.json()["error"]["code"] == "unknown_job"


# What is told before


def test_a_check_tells_what_would_be_and_starts_nothing(server) -> None:
    before = server.http.get("/api/jobs").json()["jobs"]
    answer = server.http.post(
        "/api/jobs/check", json={"config": TINY, "corpus": "small", "title": "Baseline"}
    )
    check = answer.json()
    assert answer.status_code == 200, answer.text
    assert check["run_id"] == "baseline-2", "the next free one"
    assert check["config"]["model"]["vocab_size"] == len(set(TEXT))
    assert check["tokens_per_step"] == 16 * 8
    assert 0 < check["memory_bytes"] < check["memory_available_bytes"]
    C, V = 16, len(set(TEXT))
    block = 4 * C + 3 * C * C + (C * C + C) + (4 * C * C + 4 * C) + (4 * C * C + C)
    assert check["params"] == V * C + 8 * C + block + 2 * C + V * C + V
    assert server.http.get("/api/jobs").json()["jobs"] == before


def test_bytes_and_pairs_decide_the_vocabulary(server) -> None:
    sizes = {}
    for tokenizer in ("byte", "bpe"):
        config = {**TINY, "model": {**TINY["model"], "vocab_size": 300}}
        body = {"config": config, "corpus": "small", "tokenizer": tokenizer}
        check = server.http.post("/api/jobs/check", json=body).json()
        sizes[tokenizer] = check["config"]["model"]["vocab_size"]
    assert sizes == {"byte": 256, "bpe": 300}


def test_the_devices_are_listed(server) -> None:
    (device,) = server.http.get("/api/jobs").json()["devices"]
    assert device["id"] == "cpu" and device["default"] and device["name"]


# Runs of jobs


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", ["character", "byte", "bpe"])
def test_a_trained_run_is_on_every_page_and_can_be_used(server, tokenizer) -> None:
    config = {**TINY, "model": {**TINY["model"], "vocab_size": 300}}
    job = begin(server, config=config, run_id=f"with-{tokenizer}", tokenizer=tokenizer)
    done = wait_for(server, job["id"], "done", "failed")
    assert done["state"] == "done", done["message"]
    assert done["progress"] == 1.0 and done["has_run"] and not done["resumable"]
    run = server.http.get(f"/api/runs/with-{tokenizer}").json()
    assert run["tokenizer"] == tokenizer and run["metrics"][-1]["step"] == 60
    body = {"model": f"with-{tokenizer}", "prompt": "ROMEO", "max_tokens": 5, "seed": 1}
    assert server.http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    body = {"run": f"with-{tokenizer}", "text": "ROMEO", "step": run["steps"][-1]}
    assert server.http.post("/api/attention", json=body).status_code == 200
    for page in ("/", "/attention", "/runs", "/train"):
        assert f"with-{tokenizer}" in server.http.get(page).text


@pytest.mark.slow
def test_a_run_can_be_prompted_while_it_trains_and_the_server_answers(server) -> None:
    job = begin(server, config=ENDLESS, run_id="while")
    wait_until(lambda: server.http.get(f"/api/jobs/{job['id']}").json()["has_run"], SLOW)
    assert server.http.get("/api/runs/while").json()["training"]
    body = {"model": "while", "prompt": "R", "max_tokens": 5}
    assert server.http.post("/v1/completions", json=body).status_code == 200
    slowest = 0.0
    for _ in range(30):
        began = time.perf_counter()
        server.http.get("/healthz")
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 2
    cancelled = server.http.post(f"/api/jobs/{job['id']}/cancel")
    assert cancelled.status_code == 202
    over = wait_for(server, job["id"], "cancelled")
    assert over["resumable"] and "resume" in over["message"]
    again = server.http.post(f"/api/jobs/{job['id']}/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "job_over")
    kept = server.http.get("/api/runs/while").json()
    assert kept["steps"] and not kept["training"]
    assert server.http.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert server.http.get("/api/runs/while").status_code == 200, "the run stays"


# Watching


def steps_of(events: list[dict[str, Any]], kind: str) -> list[int]:
    return [event["data"]["step"] for event in events if event["event"] == kind]


@pytest.mark.slow
def test_a_watcher_sees_everything_once_in_order(server) -> None:
    job = begin(server, config=TINY, run_id="watched")
    events = watch(server, job["id"])
    assert events[0]["event"] == "state" and events[-1]["event"] == "end"
    last_state = [event for event in events if event["event"] == "state"][-1]
    assert last_state["data"]["state"] == "done"
    run = server.http.get("/api/runs/watched").json()
    assert steps_of(events, "metric") == [metric["step"] for metric in run["metrics"]]
    assert steps_of(events, "sample") == [sample["step"] for sample in run["samples"]]
    assert steps_of(events, "snapshot") == run["steps"]
    assert all(event["id"] for event in events)


@pytest.mark.slow
def test_whoever_comes_back_misses_nothing(server) -> None:
    job = begin(server, config=TINY, run_id="left")
    seen: list[dict[str, Any]] = []
    last = None
    for _ in range(200):  # a connection that breaks after every third event
        events = watch(server, job["id"], last, most=3)
        seen += events
        last = events[-1]["id"] if events else last
        if events and events[-1]["event"] == "end":
            break
    run = server.http.get("/api/runs/left").json()
    assert steps_of(seen, "metric") == [metric["step"] for metric in run["metrics"]]
    assert steps_of(seen, "sample") == [sample["step"] for sample in run["samples"]]
    assert steps_of(seen, "snapshot") == run["steps"]


@pytest.mark.slow
def test_a_latecomer_is_told_the_whole_story_of_a_job_that_is_over(server) -> None:
    job = begin(server, config=TINY, run_id="late")
    wait_for(server, job["id"], "done")
    events = watch(server, job["id"])
    run = server.http.get("/api/runs/late").json()
    assert steps_of(events, "metric") == [metric["step"] for metric in run["metrics"]]
    assert events[0]["data"]["state"] == "done"
    nonsense = watch(server, job["id"], "not an id")
    assert steps_of(nonsense, "metric") == steps_of(events, "metric")


@pytest.mark.slow
def test_fifty_watchers_share_one_look_at_the_folder(server) -> None:
    job = begin(server, config=ENDLESS, run_id="popular")
    wait_until(lambda: server.http.get(f"/api/jobs/{job['id']}").json()["has_run"], SLOW)
    ready = threading.Barrier(51, timeout=SLOW)

    def read(_: int) -> int:
        url = f"{server.url}/api/jobs/{job['id']}/events"
        with httpx.stream("GET", url, timeout=SLOW) as answer:
            lines = answer.iter_lines()
            next(lines)
            ready.wait()
            return sum(1 for line in lines if line.startswith("event: metric"))

    with ThreadPoolExecutor(50) as pool:
        counts = [pool.submit(read, i) for i in range(50)]
        ready.wait()
        followers = server.app.state.watchers.following()
        assert followers == {job["id"]: 50}, "one for all of them"
        server.http.post(f"/api/jobs/{job['id']}/cancel")
        assert len({count.result() for count in counts}) == 1, "all see the same"
    wait_until(lambda: server.app.state.watchers.following() == {}, SLOW)


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_begin_as_ever")
def test_folders_named_from_where_the_server_was_started_serve_its_jobs(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(checkpoints=Path("runs"), data=Path("data"), devices="cpu")
    with LiveServer(settings) as server:
        server.http.post("/api/corpora?name=small.txt", content=TEXT)
        job = begin(server, config=TINY, run_id="near")
        assert wait_for(server, job["id"], "done", "failed")["message"] == ""
    assert (tmp_path / "runs" / "near" / "model.safetensors").is_file()
