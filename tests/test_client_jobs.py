"""Jobs through the Python client: a real queue with pretended training, broken connections."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from app import main
from app.jobs.launcher import Device, Status
from app.settings import Settings
from sidelight import job_events
from sidelight.client import AsyncSidelight, JobEvent, Sidelight, SidelightError
from tests.conftest import LiveServer, on_a_loop, wait_until, write_run
from tests.fake_jobs import END, Event, FakeJobs, job, metric, sample, snapshot, torn
from tests.test_queue import Pretended
from tests.training_fixtures import TEXT

TINY = {"model": {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 8}}


@pytest.fixture(scope="module")
def pretended() -> Pretended:
    return Pretended(Device("cpu", "CPU"))


@pytest.fixture(scope="module")
def server(pretended: Pretended, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("jobs")
    write_run(root / "checkpoints", "baseline", steps=(10,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "launcher_for", lambda _: pretended)
        with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "data")) as server:
            server.http.post("/api/corpora?name=small.txt", content=TEXT)
            yield server


@pytest.fixture(scope="module")
def sidelight(server: LiveServer) -> Iterator[Sidelight]:
    with Sidelight(server.url) as client:
        yield client


@pytest.fixture
def fake(server: LiveServer) -> Iterator[FakeJobs]:
    fake = FakeJobs()
    own, routes = server.app.router.routes, fake.routes()
    own[:0] = routes
    yield fake
    del own[: len(routes)]


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_events, "PAUSES_S", (0.01, 0.01))


def test_a_job_is_begun_cancelled_and_resumed(sidelight: Sidelight, pretended: Pretended) -> None:
    made = sidelight.train(config=TINY, corpus="small", run_id="mine", hypothesis="It learns.")
    assert made["run_id"] == "mine" and made["hypothesis"] == "It learns."
    assert made["config"]["model"]["n_embd"] == 16 and made["corpus"] == "small"
    wait_until(lambda: made["id"] in pretended.running)
    with sidelight.watch(made["id"]) as events:
        first = next(events)
        assert first.kind == "state" and first.data["state"] == "running"
        sidelight.cancel(made["id"])
        wait_until(lambda: pretended.stopped == [made["id"]])
        pretended.end(made["id"], Status("cancelled", "stopped; resume it to go on"))
        *_, last = events
    assert last.kind == "state" and last.data["state"] == "cancelled" and last.data["resumable"]
    with pytest.raises(SidelightError) as over:
        sidelight.cancel(made["id"])
    assert (over.value.status, over.value.code) == (409, "job_over")
    del pretended.ended[made["id"]]
    assert sidelight.resume(made["id"])["state"] in {"queued", "running"}
    wait_until(lambda: made["id"] in pretended.running)
    pretended.end(made["id"], Status("done"))
    *_, last = sidelight.watch(made["id"])
    assert last.kind == "state" and (last.data["state"], last.data["attempt"]) == ("done", 2)
    assert [each["id"] for each in sidelight.jobs()] == [made["id"]]


def test_a_job_may_start_from_a_step_of_a_run(sidelight: Sidelight, pretended: Pretended) -> None:
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 16}
    begun = sidelight.train(config={"model": sizes}, corpus="small", init_from="baseline@10")
    assert begun["init_from"] == {"run": "baseline", "step": 10}
    wait_until(lambda: begun["id"] in pretended.running)
    pretended.end(begun["id"], Status("done"))
    wait_until(lambda: sidelight.job(begun["id"])["state"] == "done")


def test_refusals_name_the_setting(sidelight: Sidelight) -> None:
    with pytest.raises(SidelightError) as refused:
        sidelight.train(config={"model": {"n_embd": 10}}, corpus="small")
    assert (refused.value.status, refused.value.param) == (422, "config.model.n_embd")
    with pytest.raises(SidelightError) as unknown:
        next(sidelight.watch("no-such-job"))
    assert unknown.value.status == 404


# Events


STORY: list[Event] = [("state", job()), metric(0, 4.0), snapshot(0), sample(0, "To be"), metric(1)]
OVER: list[Event] = [("state", job("done")), END]
TOLD = [kind for kind, _ in (*STORY, OVER[0])]


def watched(way: str, *arguments: Any, **fields: Any) -> list[JobEvent]:
    """All events of the job `fake`, by the blocking client or by the other."""
    if way == "blocking":
        with Sidelight(*arguments, **fields) as client:
            return list(client.watch("fake"))

    async def watch() -> list[JobEvent]:
        async with AsyncSidelight(*arguments, **fields) as client:
            return [event async for event in client.watch("fake")]

    return on_a_loop(watch())


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_events_say_what_they_are(server: LiveServer, fake: FakeJobs, way: str) -> None:
    news = ("news", {"of": "a later server"})
    fake.streams = [[*STORY, news, *OVER]]
    events = watched(way, server.url)
    assert [event.kind for event in events] == TOLD
    assert [event.data for event in events] == [data for _, data in (*STORY, OVER[0])]


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("way", ["blocking", "async"])
def test_a_lost_connection_is_made_again(server: LiveServer, fake: FakeJobs, way: str) -> None:
    fake.streams = [[*STORY, torn(0)], 503, [*STORY[:1], torn(0)], 502, OVER]
    events = watched(way, server.url)
    assert [event.kind for event in events] == [*TOLD[:-1], "state", "state"]
    assert fake.last_ids == [None, "e4", "e4", "e0", "e0"]


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("way", ["blocking", "async"])
def test_a_job_that_is_gone_is_not_waited_for(server: LiveServer, fake: FakeJobs, way: str) -> None:
    fake.streams = [[*STORY, torn(0)], 404]
    with pytest.raises(SidelightError) as gone:
        watched(way, server.url)
    assert gone.value.status == 404
    assert len(fake.last_ids) == 2


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer whose connection breaks in the middle of its second event."""

    def __iter__(self) -> Iterator[bytes]:
        yield f"id: 1\nevent: state\ndata: {json.dumps(job())}\n\nid: 2\nevent: met".encode()
        raise httpx.ReadError("cut")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


def broken(asked: list[str | None]) -> Callable[[httpx.Request], httpx.Response]:
    """The server of a story that is never told to its end."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        if len(asked) > 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, stream=Cut())

    return answer


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("way", ["blocking", "async"])
def test_after_some_time_the_server_is_given_up(way: str) -> None:
    asked: list[str | None] = []
    kind = httpx.Client if way == "blocking" else httpx.AsyncClient
    http = kind(base_url="http://nobody", transport=httpx.MockTransport(broken(asked)))
    with pytest.raises(httpx.ConnectError):
        watched(way, client=http)
    assert asked == [None, "1", "1"]
