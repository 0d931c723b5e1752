"""Two replicas on a real Ray cluster, behind `sidelight serve`, next to the app by itself."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import httpx
import psutil
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import cli
from app.main import create_app
from app.settings import Settings
from model.config import BigramConfig, GPTConfig
from tests.conftest import CHARACTERS, wait_until, write_run
from tests.ray_fixtures import RayHead, free_port, processes_with, wait_for

TEXTS, MAPS = "/v1/completions", "/api/attention"
# A token takes it milliseconds, so that no text is at its end before a test is.
LARGE = GPTConfig(vocab_size=len(CHARACTERS), block_size=64, n_layer=8, n_head=4, n_embd=256)
LONG = {"max_tokens": 10_000, "stream": True}
MAX_ACTIVE, MAX_TEXTS = 3, 6  # of a replica, and of one client on all together


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    for seed, name in enumerate(("one", "two", "three", "four")):
        write_run(root, name, seed=seed)
    for seed, name in enumerate(("large-one", "large-two")):
        write_run(root, name, LARGE, seed=seed)
    write_run(root, "bigram", BigramConfig(vocab_size=len(CHARACTERS)))
    return root


@pytest.fixture(scope="module")
def alone(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    data = tmp_path_factory.mktemp("data")
    app = create_app(Settings(checkpoints=runs, data=data, client_sequences=MAX_TEXTS))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


class Served:
    """`sidelight serve` with two replicas."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)

    def figures(self, name: str) -> dict[str, float]:
        """One of /metrics, by replica."""
        pattern = rf'^sidelight_{name}{{replica="(\w+)"}} (\S+)$'
        found = re.findall(pattern, self.http.get("/metrics").text, re.MULTILINE)
        return {replica: float(value) for replica, value in found}

    def home(self, run: str, max_tokens: int = 1) -> str:
        """The replica that answers for it."""
        answer = self.http.post(TEXTS, json={"model": run, "max_tokens": max_tokens})
        assert answer.status_code == 200, answer.text
        return answer.headers["x-sidelight-replica"]

    def writing(self) -> float:
        return sum(self.figures("sequences_active").values())

    def is_idle(self) -> bool:
        return self.writing() == 0


@pytest.fixture(scope="module")
def served(
    ray_head: RayHead, runs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    errors = folder / "errors.txt"
    command = [sys.executable, "-m", "app", "serve", "--port=0", f"--checkpoints={runs}"]
    command += ["--replicas=2", f"--ray-cluster={ray_head.cluster}"]
    settings = {"DATA": str(folder), "MAX_ACTIVE": str(MAX_ACTIVE), "MAX_WAITING": "8"}
    settings |= {"CLIENT_SEQUENCES": str(MAX_TEXTS), "SHUTDOWN_SECONDS": "1"}
    environment = os.environ | {f"SIDELIGHT_{name}": value for name, value in settings.items()}
    with (
        errors.open("w") as file,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=file, text=True
        ) as server,
    ):
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            assert "at " in said, errors.read_text()
            served = Served(said.split("at ")[1].split()[0])
            wait_until(lambda: served.http.get("/readyz").status_code == 200, 120)  # compiled
            yield served
            served.http.close()
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0, errors.read_text()
        finally:
            server.kill()
    # One that had only begun, in place of one that was lost, ends once it is there.
    wait_until(lambda: not processes_with("ServeReplica:sidelight"), 30)


@pytest.mark.slow
def test_replicas_answer_what_the_app_answers_alone(served: Served, alone: TestClient) -> None:
    asked = [
        (TEXTS, {"model": "one", "prompt": "To be", "max_tokens": 40, "seed": 7}),
        (TEXTS, {"model": "two", "max_tokens": 40, "seed": 7, "n": 2, "logprobs": 3}),
        (TEXTS, {"model": "bigram", "max_tokens": 40, "seed": 7, "stop": "e"}),
        (TEXTS, {"model": "one", "max_tokens": 40, "seed": 7, "stream": True}),
        (MAPS, {"run": "one", "text": "To be, or not"}),
        (f"{MAPS}/comparison", {"a": {"run": "one"}, "b": {"run": "two"}, "text": "To be"}),
        (f"{MAPS}/inside", {"run": "two", "text": "To be", "layer": 1, "head": 0, "query": 3}),
        # And what is wrong, here or there
        (TEXTS, {"model": "nobody"}),
        (TEXTS, {"model": "one", "max_tokens": "many"}),
        (TEXTS, {"model": "one", "prompt": "€"}),
        (TEXTS, {"model": "one", "n": MAX_TEXTS + 1}),
        (TEXTS, ["one"]),
        (MAPS, {"run": "nobody", "text": "To be"}),
        (MAPS, {"run": 1, "text": "To be"}),
        (MAPS, {"text": "To be"}),
        (f"{MAPS}/nothing", {"run": "one"}),
        (TEXTS, {"model": "one", "prompt": "a" * 2_000_000}),
    ]
    for path, body in asked:
        there, here = served.http.post(path, json=body), alone.post(path, json=body)
        assert told(there) == told(here), (path, str(body)[:80])
        for name in ("content-type", "content-security-policy", "x-content-type-options"):
            assert there.headers.get(name) == here.headers.get(name)


def told(answer: httpx.Response) -> tuple[int, str]:
    """Without what is new each time; a stream's pieces, whose sizes are chance, put together."""
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        *events, done = (line[len("data: ") :] for line in text.splitlines() if line)
        choices = [choice for event in events for choice in json.loads(event)["choices"]]
        text = "".join(choice["text"] for choice in choices) + done
    return answer.status_code, re.sub(r'cmpl-\w+|"created":\d+', "", text)


@pytest.mark.slow
def test_a_run_stays_where_it_is_and_runs_are_shared_out(served: Served) -> None:
    homes = {name: served.home(name) for name in ("one", "two", "three", "four")}
    assert sorted(map(list(homes.values()).count, set(homes.values()))) == [2, 2]
    for name, home in homes.items():
        assert {served.home(name) for _ in range(5)} == {home}
        maps = served.http.post(MAPS, json={"run": name, "text": "To be"})
        assert maps.headers["x-sidelight-replica"] == home
    assert set(served.figures("tokens_total")) == set(homes.values())


@pytest.mark.slow
def test_jobs_and_pages_are_the_servers_own(served: Served) -> None:
    for path in ("/", "/train", "/api/jobs", "/api/runs", "/api/corpora", "/v1/models"):
        answer = served.http.get(path)
        assert answer.status_code == 200
        assert "x-sidelight-replica" not in answer.headers
    assert served.http.get("/readyz").json()["ready"] is True
    refused = served.http.post("/api/jobs", json={"preset": "nothing"})
    assert refused.status_code == 422


@pytest.mark.slow
def test_text_arrives_while_it_is_written_and_a_client_that_leaves_frees_its_place(
    served: Served,
) -> None:
    cancelled = sum(served.figures("sequences_cancelled_total").values())
    body = {"model": "large-one", **LONG}
    with served.http.stream("POST", TEXTS, json=body) as answer:
        home = answer.headers["x-sidelight-replica"]
        lines = (line for line in answer.iter_lines() if line)
        for _ in range(5):
            next(lines)
        assert served.figures("sequences_active")[home] == 1, "the text should still be growing"
    wait_until(served.is_idle, 5)
    assert sum(served.figures("sequences_cancelled_total").values()) == cancelled + 1

    with pytest.raises(httpx.ReadTimeout):  # it waits for the whole text, and gives up
        served.http.post(TEXTS, json=body | {"stream": False}, timeout=0.5)
    wait_until(served.is_idle, 5)
    assert sum(served.figures("sequences_cancelled_total").values()) == cancelled + 2


@pytest.mark.slow
def test_another_replica_helps_while_home_is_full(served: Served) -> None:
    body = {"model": "large-one", **LONG}
    with ExitStack() as stack:

        def begin(count: int) -> str:
            stream = served.http.stream("POST", TEXTS, json=body | {"n": count})
            return stack.enter_context(stream).headers["x-sidelight-replica"]

        *homes, other = (begin(1) for _ in range(MAX_ACTIVE + 1))
        assert len(set(homes)) == 1
        assert other not in homes
        assert served.home("large-one") == other
        over = served.http.post(TEXTS, json=body | {"n": MAX_TEXTS - 2})
        assert over.status_code == 429, "a client's texts count together, wherever they are"
        assert over.json()["error"]["code"] == "client_limit"
        assert int(over.headers["retry-after"]) > 0
    wait_until(served.is_idle, 5)
    assert served.home("large-one") == homes[0]


@pytest.mark.slow
def test_when_a_replica_is_lost_the_other_goes_on(served: Served) -> None:
    homes = {name: served.home(name) for name in ("large-one", "large-two")}
    assert len(set(homes.values())) == 2
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        begun = {}
        for name in homes:
            stream = served.http.stream("POST", TEXTS, json={"model": name, **LONG})
            begun[name] = pool.submit(last_line, stack.enter_context(stream).iter_lines())
        whole = [pool.submit(served.home, name, 100) for name in homes]
        wait_for(lambda: served.writing() == 4, 10, lambda: served.http.get("/metrics").text)
        psutil.Process(next(replica_processes())).kill()

        wait_until(lambda: any(end.done() for end in begun.values()))
        [lost] = [name for name, end in begun.items() if end.done()]
        [kept] = homes.keys() - {lost}
        assert json.loads(begun[lost].result())["error"]["code"] == "no_replica"
        whole_from = {answer.result() for answer in whole}  # the lost one's was asked again
        assert homes[lost] not in whole_from
        assert homes[kept] in whole_from
        assert served.home(lost) != homes[lost]
        assert not begun[kept].done()


def replica_processes() -> Iterator[int]:
    for process in psutil.process_iter(["cmdline"]):
        if "ServeReplica:sidelight" in " ".join(process.info["cmdline"] or []):
            yield process.pid


def last_line(lines: Iterator[str]) -> str:
    try:
        *_, last = (line for line in lines if line)
    except httpx.HTTPError as error:
        return str(error)
    return last.removeprefix("data: ")


def test_no_key_goes_along_to_a_replica(runs: Path, tmp_path: Path) -> None:
    """What a cluster's machines say to each other is not encrypted."""
    from ray.serve.exceptions import RayServeException

    from app.replicas.front import Front

    replicas = Mock()
    replicas.options().remote.side_effect = RayServeException("it was only looked at")
    settings = Settings(checkpoints=runs, data=tmp_path, api_key="a-key-that-is-long-enough")
    app = create_app(settings, partial(Front, replicas=replicas, settings=settings))
    headers = {"Authorization": "Bearer a-key-that-is-long-enough", "Cookie": "sidelight=theirs"}
    with TestClient(app) as client:
        answer = client.post(TEXTS, json={"model": "one"}, headers=headers)
    assert answer.json()["error"]["code"] == "no_replica"
    sent, body = replicas.options().remote.call_args.args
    assert body == b'{"model":"one"}' and (b"content-type", b"application/json") in sent["headers"]
    assert "theirs" not in str(sent) and "long-enough" not in str(sent)


@pytest.mark.parametrize("missing", ["ray", "ray.serve"])
def test_without_ray_serve_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in [missing, *(name for name in sys.modules if name.startswith(f"{missing}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    result = CliRunner().invoke(cli, ["serve", "--port=0", "--replicas=2"])
    assert result.exit_code == 1
    assert result.stderr.endswith("pip install 'sidelight[ray]'\n")


def test_a_cluster_that_is_not_there_is_said_plainly() -> None:
    address = f"127.0.0.1:{free_port()}"
    arguments = ["serve", "--port=0", "--replicas=2", f"--ray-cluster={address}"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert f"the Ray cluster at {address} cannot be joined" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("address", ["http://head:8265", "ray://head:10001", "head"])
def test_the_cluster_is_a_host_and_a_port(address: str) -> None:
    with pytest.raises(ValueError, match="ray_cluster"):
        Settings(ray_cluster=address)
