"""Watching a job in a real browser: its states, its curves, its samples, its heads."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run
from tests.fake_jobs import END, Event, FakeJobs, job, metric, sample, snapshot, torn
from tests.training_fixtures import TEXT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("watch")
    write_run(root / "checkpoints", "baseline", steps=(10, 50))
    write_run(root / "checkpoints", "case-1", seed=1)
    with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "data")) as server:
        yield server
        for going in server.http.get("/api/jobs").json()["jobs"]:
            server.http.post(f"/api/jobs/{going['id']}/cancel")


@pytest.fixture
def fake(server: LiveServer) -> Iterator[FakeJobs]:
    fake = FakeJobs()
    own = server.app.router.routes
    routes = fake.routes()
    own[:0] = routes
    yield fake
    del own[: len(routes)]


@pytest.fixture
def watch(page: Page, server: LiveServer, fake: FakeJobs) -> Callable[..., None]:
    def open_page(*streams: list[Event] | int) -> None:
        fake.streams = list(streams)
        page.goto(f"{server.url}/train?job=fake")

    return open_page


def part(page: Page, name: str) -> Locator:
    return page.locator(f"#job-view [data-part={name}]").first


def state(page: Page) -> Locator:
    return page.locator("#job-view .state-badge")


def curve(page: Page, run: str = "fake-run") -> dict[str, list[float]]:
    """The validation losses that the figure shows of a run, by the place on its axis."""
    return part(page, "curves").evaluate(
        """(figure, uid) => {
          const trace = (figure.data ?? []).find((trace) => trace.uid === uid);
          return { x: [...(trace?.x ?? [])], y: [...(trace?.y ?? [])] };
        }""",
        f"{run} val_loss",
    )


# What a person sees of it


def test_a_running_job_tells_how_far_it_is(page: Page, watch) -> None:
    watch([("state", job()), metric(0, 4.0), metric(100, 2.5), metric(200, 2.25)])
    expect(page.get_by_role("heading", level=1)).to_have_text("Fake run")
    expect(state(page)).to_have_text("Running")
    expect(state(page).locator("svg")).to_have_count(1)
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "25")
    expect(bar).to_have_attribute("aria-valuetext", "Running, 25 %, 1 min 30 s left")
    for name, words in {
        "percent": "25 %",
        "steps": "step 250 of 1,000",
        "remaining": "1 min 30 s left",
        "elapsed": "30 s so far",
        "val": "2.3750",
        "train": "2.2500",
        "speed": "4,321",
        "rate": "0.001",
        "device": "cpu",
        "params": "12,345",
    }.items():
        expect(part(page, name)).to_have_text(words)
    expect(part(page, "cancel")).to_be_visible()
    expect(part(page, "resume")).to_be_hidden()
    expect(part(page, "prompt")).to_be_hidden()  # there is no run yet
    expect(page).to_have_title("25 % · Fake run")


def test_a_waiting_job_tells_its_place_and_what_will_come(page: Page, watch) -> None:
    none = {"progress": 0, "step": 0, "elapsed_s": 0, "remaining_s": None}
    watch([("state", job("queued", position=2, **none))])
    expect(state(page)).to_have_text("Queued, place 2")
    expect(part(page, "no-curves")).to_contain_text("first evaluation")
    expect(page.locator(".watch-samples .blank")).to_contain_text("before training")
    expect(page.locator(".watch-heads .blank")).to_contain_text("first snapshot")
    expect(part(page, "kept")).to_contain_text("Nothing has been trained yet")


def test_a_failed_job_says_why_and_can_be_resumed(page: Page, watch, fake: FakeJobs) -> None:
    why = "the loss became infinite at step 240; lower config.train.learning_rate"
    watch([("state", job("failed", message=why)), metric(200), END])
    expect(state(page)).to_have_text("Failed")
    expect(part(page, "message")).to_have_text(f"{why[0].upper()}{why[1:]}.")
    expect(part(page, "cancel")).to_be_hidden()
    expect(part(page, "resume")).to_be_visible()
    expect(part(page, "kept")).to_have_text("Resuming goes on from step 250.")
    part(page, "log-details").locator("summary").click()
    expect(page.locator("pre[data-part=log]")).to_have_text("step 1: 4.2\n")
    expect(part(page, "lost")).to_be_hidden()  # the stream has ended, as it should
    assert len(fake.last_ids) == 1


def test_cancelling_asks_nothing_and_says_what_it_keeps(page: Page, watch, fake: FakeJobs) -> None:
    watch([("state", job()), metric(100)])
    expect(part(page, "kept")).to_contain_text("Cancelling keeps the evaluations, samples")
    part(page, "cancel").click()
    expect(part(page, "cancel")).to_be_disabled()
    expect(part(page, "kept")).to_contain_text("Stopping")
    wait_until(lambda: fake.posts == ["cancel"])


def test_a_refused_action_shows_the_reason(page: Page, watch, fake: FakeJobs) -> None:
    fake.refusal = {"message": "run 'fake-run' exists", "param": "run_id", "code": "run_exists"}
    watch([("state", job("interrupted")), END])
    part(page, "resume").click()
    expect(part(page, "alert")).to_have_text("run 'fake-run' exists")
    expect(part(page, "resume")).to_be_enabled()


def test_an_interrupted_job_goes_on_from_an_earlier_step(page: Page, watch, fake: FakeJobs) -> None:
    before = [metric(step, 3.0) for step in (0, 100, 200, 300)]
    after = [metric(100, 2.0), metric(200, 2.0), metric(220, 1.0)]
    watch(
        [("state", job("interrupted", step=300)), *before, END],
        [("state", job("running", step=200)), *after],
    )
    expect(state(page)).to_have_text("Interrupted")
    wait_until(lambda: curve(page)["x"] == [0, 100, 200, 300])
    part(page, "resume").click()
    expect(state(page)).to_have_text("Running")
    wait_until(lambda: curve(page) == {"x": [0, 100, 200, 220], "y": [3.125, 2.125, 2.125, 1.125]})
    assert fake.posts == ["resume"]


def test_a_lost_connection_is_told_and_taken_up_again(page: Page, watch, fake: FakeJobs) -> None:
    done = job("done", progress=1, step=1000)
    watch(
        [("state", job()), metric(100), torn(retry_ms=1500)],
        [("state", done), metric(900), END],
    )
    expect(part(page, "lost")).to_be_visible()
    expect(part(page, "lost")).to_contain_text("trying again")
    expect(state(page)).to_have_text("Done", timeout=20_000)
    expect(part(page, "lost")).to_be_hidden()
    wait_until(lambda: curve(page)["x"] == [100, 900])
    assert fake.last_ids == [None, "e1"]


def test_a_server_that_refuses_for_a_while_is_asked_again(page: Page, watch) -> None:
    watch(503, [("state", job())])
    expect(state(page)).to_have_text("Running", timeout=20_000)


def test_a_job_that_is_gone_is_not_waited_for(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/train?job=nothing")
    expect(part(page, "gone")).to_contain_text("no such job")
    expect(part(page, "waiting")).to_be_hidden()


def test_earlier_runs_are_drawn_beside_it_and_the_address_keeps_them(page: Page, watch) -> None:
    watch([("state", job()), metric(0, 4.0), metric(100, 2.5)])
    wait_until(lambda: curve(page, "baseline") == {"x": [0, 100], "y": [4.1, 2.6]})
    part(page, "beside-words").click()
    page.get_by_label("Case-1").check()
    wait_until(lambda: curve(page, "case-1")["x"] == [0, 100])
    expect(page).to_have_url(re.compile(r"beside=baseline%2Ccase-1"))
    page.keyboard.press("Escape")
    expect(page.get_by_label("Case-1")).to_be_hidden()
    page.reload()
    wait_until(lambda: curve(page, "case-1")["x"] == [0, 100])
    part(page, "axis").select_option("time")
    wait_until(lambda: curve(page, "baseline")["x"] == [0, 1.5 / 60])
    assert curve(page)["x"] == [0, 10 / 60]


def test_samples_follow_the_newest_unless_moved(page: Page, watch, fake: FakeJobs) -> None:
    watch(
        [("state", job()), sample(0, "xq zzv"), sample(100, "To be\nor not"), torn(retry_ms=2500)],
        [sample(200, "newest")],
    )
    block = page.locator(".watch-samples")
    expect(block.locator("[data-part=step]")).to_have_text("Step 100")
    expect(block.locator(".token-text .line")).to_have_text(["To be\n", "or not"])
    expect(block.locator("[data-part=caption]")).to_have_text("After “↵”, seed 7, temperature 0.5.")
    block.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    expect(block.locator("[data-part=step]")).to_have_text("Step 0")
    expect(block.get_by_role("slider")).to_have_attribute("max", "2", timeout=20_000)
    expect(block.locator(".token-text")).to_have_text("xq zzv")  # it stays where it was moved
    block.get_by_role("button", name="Newest").click()
    expect(block.locator(".token-text")).to_have_text("newest")


# The heads

THERE = job("done", run_id="baseline", has_run=True)


class Attention:
    """Notes what is asked for, and how many questions are open at a time."""

    def __init__(self, page: Page) -> None:
        self.asked: list[int | None] = []
        self.most = self._open = 0
        page.on("request", self._opened)
        page.on("requestfinished", self._closed)

    def _opened(self, request: Request) -> None:
        if request.url.endswith("/api/attention"):
            self.asked.append(request.post_data_json["step"])
            self._open += 1
            self.most = max(self.most, self._open)

    def _closed(self, request: Request) -> None:
        self._open -= request.url.endswith("/api/attention")


def test_the_heads_of_every_snapshot_are_fetched_once(page: Page, server, watch) -> None:
    attention = Attention(page)
    watch([("state", THERE), snapshot(10), snapshot(50), sample(10, "To be, or"), END])
    heads = page.locator(".watch-heads")
    expect(heads).to_have_attribute("data-shown", "final")
    expect(heads.locator("canvas")).to_have_count(4)
    expect(heads.get_by_label("Text that they read")).to_have_value("To be, or")
    heads.get_by_role("slider").focus()
    for key, step in (("ArrowLeft", 50), ("ArrowLeft", 10), ("ArrowRight", 50), ("End", "final")):
        page.keyboard.press(key)
        expect(heads).to_have_attribute("data-shown", str(step))
    assert attention.asked[-2:] == [50, 10]
    assert len(attention.asked) == len(set(attention.asked))
    assert attention.most == 1
    page.keyboard.press("ArrowLeft")
    heads.get_by_role("button", name="Layer 1, head 0").click()
    expect(page).to_have_url(
        f"{server.url}/attention?run=baseline&step=50&layer=1&head=0&text=To+be%2C+or"
    )


def test_arrow_keys_move_over_the_heads_and_enter_opens_one(page: Page, watch) -> None:
    watch([("state", THERE), snapshot(50), sample(10, "To be"), END])
    expect(page.locator(".watch-heads canvas")).to_have_count(4)
    page.get_by_role("button", name="Layer 0, head 0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Open layer 1, head 1")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/attention\?run=baseline&layer=1&head=1"))


def test_a_text_that_it_cannot_read_is_named(page: Page, watch) -> None:
    watch([("state", THERE), snapshot(50), sample(10, "To be"), END])
    heads = page.locator(".watch-heads")
    expect(heads).to_have_attribute("data-shown", "final")
    heads.get_by_label("Text that they read").fill("€")
    expect(heads.get_by_role("alert")).to_contain_text("'€'")
    heads.get_by_label("Text that they read").fill("be")
    expect(heads.get_by_role("alert")).to_be_hidden()


def test_it_fits(page: Page, watch) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    long = job(run_id="baseline", has_run=True, hypothesis="w" * 200, title="T" * 200)
    watch([("state", long), metric(0), metric(100), snapshot(50), sample(10, "To be" * 99)])
    expect(page.locator(".watch-heads canvas")).to_have_count(4)
    part(page, "beside-words").click()
    for width in (360, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        wait_until(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


# In earnest

TINY = {"kind": "gpt", "block_size": 16, "n_layer": 1, "n_head": 2, "n_embd": 16}
LONG = {"max_iters": 100_000, "eval_interval": 200, "eval_iters": 0, "snapshots": 30}


def losses_on_disk(folder: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [[line["step"], line["val_loss"]] for line in lines]


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_begin_at_once")
def test_a_run_from_its_start_over_a_cancel_to_its_resumption(
    page: Page, server: LiveServer
) -> None:
    text = server.http.post("/api/corpora?name=small.txt", content=TEXT).json()
    body = {"config": {"model": TINY, "train": LONG}, "run_id": "tiny", "title": "Tiny"}
    body["corpus"] = text["id"]
    started = server.http.post("/api/jobs", json=body)
    assert started.status_code == 202, started.text
    page.goto(f"{server.url}/train?job={started.json()['id']}")
    expect(state(page)).to_have_text("Running", timeout=60_000)

    wait_until(lambda: len(curve(page, "tiny")["x"]) > 2, 120)
    few = len(curve(page, "tiny")["x"])
    wait_until(lambda: len(curve(page, "tiny")["x"]) > few, 60)
    page.reload()
    wait_until(lambda: len(curve(page, "tiny")["x"]) > few, 60)

    expect(page.locator(".watch-heads canvas")).to_have_count(2, timeout=30_000)
    expect(page.locator(".watch-samples .token-text")).not_to_be_empty(timeout=60_000)
    part(page, "prompt").click()
    expect(page.locator(".panel-id").first).to_have_text("tiny")
    page.go_back()

    part(page, "cancel").click()
    expect(state(page)).to_have_text("Cancelled", timeout=60_000)
    expect(part(page, "resume")).to_be_focused()
    kept = losses_on_disk(server.app.state.settings.checkpoints / "tiny")
    wait_until(
        lambda: list(zip(*curve(page, "tiny").values(), strict=True)) == list(map(tuple, kept))
    )

    part(page, "resume").click()
    expect(state(page)).to_have_text("Running", timeout=60_000)
    wait_until(lambda: len(curve(page, "tiny")["x"]) > len(kept), 120)
    steps = curve(page, "tiny")["x"]
    assert steps == sorted(set(steps))
    server.http.post(f"/api/jobs/{started.json()['id']}/cancel")
    expect(state(page)).to_have_text("Cancelled", timeout=60_000)
