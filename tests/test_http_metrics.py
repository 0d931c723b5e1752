"""Figures of requests, jobs, models and GPUs, and of how few names they are made."""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.figures.gpu import gpu_rows, gpus
from app.jobs.launcher import OVER
from app.main import create_app
from app.registry import Registry
from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run

KEY = "a-key-for-the-tests"


@pytest.fixture
def client(shared_checkpoints: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A server that nobody else has asked anything."""
    settings = Settings(
        checkpoints=shared_checkpoints, data=tmp_path, api_key=KEY, client_requests_per_minute=1
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        yield client


def families(client: TestClient) -> dict[str, Metric]:
    text = client.get("/metrics").text
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(client: TestClient, family: str, suffix: str = "") -> dict[tuple[str, ...], float]:
    """Of one family's samples, by their labels' values."""
    name = f"sidelight_{family}"
    return {
        tuple(sample.labels.values()): sample.value
        for sample in families(client)[name].samples
        if sample.name == name + suffix
    }


def test_families_are_well_formed(client: TestClient) -> None:
    client.get("/api/runs/nope")
    for name, family in families(client).items():
        assert family.documentation, name
        assert family.type in {"counter", "gauge", "histogram"}, name
        if name.startswith("sidelight_") and not name.endswith("_created"):
            for unit in ("ms", "minutes", "kb", "mb", "percent", "time"):
                assert not name.endswith(f"_{unit}"), name
            assert family.documentation.endswith("."), name
            if family.type == "counter":
                assert all(s.name.endswith(("_total", "_created")) for s in family.samples), name


def test_requests_are_counted_by_their_route(client: TestClient) -> None:
    for path in ("/api/runs/baseline", "/api/runs/bigram", "/api/runs/nope", "/healthz"):
        client.get(path)
    counted = values(client, "http_requests", "_total")
    assert counted["GET", "/api/runs/{id}", "200"] == 2
    assert counted["GET", "/api/runs/{id}", "404"] == 1
    assert counted["GET", "/healthz", "200"] == 1
    lasted = values(client, "http_request_duration_seconds", "_count")
    assert lasted["/api/runs/{id}",] == 3
    assert values(client, "http_requests_in_progress") == {(): 1}, "this one"


def test_bytes_are_counted(client: TestClient) -> None:
    before = values(client, "http_request_bytes", "_total")[()]
    body = b'{"model": "baseline", "max_tokens": 1}'
    answer = client.post("/v1/completions", content=body)
    assert values(client, "http_request_bytes", "_total")[()] == before + len(body)
    sent = values(client, "http_response_bytes", "_total")[()]
    assert sent > len(answer.content)


def test_labels_do_not_grow_with_what_is_asked(client: TestClient) -> None:
    client.get("/no")
    client.request("BREW", "/no")
    client.get("/api/runs/a")
    before = len(values(client, "http_requests", "_total"))
    for i in range(50):
        client.get(f"/no/{i}")
        client.request(f"BREW{i}", "/no")
        client.get(f"/api/runs/a{i}")
        client.get(f"/static/no/{i}")
    after = values(client, "http_requests", "_total")
    assert len(after) <= before + 2  # the static files', and /metrics' own
    assert {method for method, _, _ in after} == {"GET", "other"}


def test_refusals_are_counted_by_their_reason(client: TestClient, tmp_path: Path) -> None:
    asked = {"model": "baseline", "max_tokens": 1}
    client.post("/v1/completions", json=asked)
    for reason, method, path, sent in (
        ("rate", "POST", "/v1/completions", {"json": asked}),
        ("key", "GET", "/v1/models", {"headers": {"Authorization": "Bearer wrong"}}),
        ("host", "GET", "/healthz", {"headers": {"Host": "evil.example"}}),
        ("origin", "POST", "/api/jobs", {"headers": {"Origin": "https://evil.example"}}),
        ("body", "POST", "/api/jobs", {"content": b"x" * 2_000_001}),
    ):
        client.request(method, path, **sent)
        assert values(client, "http_refused", "_total")[reason,] == 1, reason
    reader = client.app.state.keys.add("reader", ["read"])
    client.post("/api/jobs", json={}, headers={"Authorization": f"Bearer {reader}"})
    assert values(client, "http_refused", "_total")["right",] == 1


def test_a_stream_is_in_progress_until_its_end(live: LiveServer, slow_model: None) -> None:
    before = live.gauge("http_requests_in_progress")
    body = {"model": "baseline", "max_tokens": 5000, "stream": True}
    with live.http.stream("POST", "/v1/completions", json=body) as answer:
        parts = answer.iter_bytes()  # kept, as the answer is closed with it
        next(parts)
        assert live.gauge("http_requests_in_progress") == before + 1
    wait_until(lambda: live.gauge("http_requests_in_progress") == before)


def test_what_runs_is_told(client: TestClient) -> None:
    import platform

    import torch

    (sample,) = families(client)["sidelight_build_info"].samples
    assert sample.value == 1
    assert sample.labels["python"] == platform.python_version()
    assert sample.labels["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_loads_and_evictions_are_counted(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_run(tmp_path, name)
    write_run(tmp_path, "bad").weights_path().write_bytes(b"no")
    registry = Registry(tmp_path, budget_bytes=1)
    for name in ("one", "two", "one"):
        with registry.lend(name):
            pass
    loads = registry.loads()
    assert (loads.done, loads.evicted, loads.failed) == (3, 3, 0)
    assert loads.seconds > 0


def test_ends_of_jobs_are_there_before_the_first(client: TestClient) -> None:
    assert values(client, "jobs_ended", "_total") == {(state,): 0 for state in OVER}
    assert values(client, "job_silence_seconds") == {(): 0}


def test_figures_come_even_where_the_jobs_cannot_be_read(client: TestClient) -> None:
    client.app.state.queue.store.close()
    assert values(client, "jobs_running") == {}
    assert values(client, "sequences_active") == {(): 0}


# GPUs: a stand-in for NVIDIA's library, as its header describes it
# ruff: noqa: N802


class Driver:
    """Two devices, of which the second tells nothing of its work and the third has dropped out."""

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 3
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: ctypes.c_uint, handle: Any) -> int:
        handle._obj.value = 1000 + index.value
        return 15 if index.value == 2 else 0

    def nvmlDeviceGetMemoryInfo(self, handle: ctypes.c_void_p, memory: Any) -> int:
        device = (handle.value or 0) - 999
        memory._obj.total, memory._obj.used = device * 80 * 10**9, device * 2 * 10**9
        return 0

    def nvmlDeviceGetName(self, handle: Any, name: Any, length: ctypes.c_uint) -> int:
        name.value = b"Some GPU"
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle: ctypes.c_void_p, busy: Any) -> int:
        busy._obj.gpu = 37
        return 0 if handle.value == 1000 else 3


def test_gpus_are_told_by_their_driver() -> None:
    first, second = gpus(Driver())
    assert first == ("cuda:0", "Some GPU", 2 * 10**9, 80 * 10**9, 0.37)
    assert (second.device, second.used_bytes, second.busy) == ("cuda:1", 4 * 10**9, None)
    rows = list(gpu_rows(Driver()))
    assert [row.value for row in rows if row.name == "gpu_busy_ratio"] == [0.37, None]


def test_a_machine_without_gpus_has_the_families(client: TestClient) -> None:
    assert gpus(None) == []
    names = {"gpu_memory_used_bytes", "gpu_memory_bytes", "gpu_busy_ratio"}
    assert {row.name for row in gpu_rows()} == names
    assert {f"sidelight_{name}" for name in names} <= families(client).keys()
