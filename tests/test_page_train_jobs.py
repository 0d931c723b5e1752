"""From the form to jobs and sweeps and back, in a real browser, with processes that train."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from app.settings import Settings
from tests.conftest import LiveServer, write_run

TEXT = "To be, or not to be: that is the question.\n\tÉ\n" * 60
TINY = {
    "model": {"n_layer": 1, "n_head": 1, "n_embd": 8, "block_size": 8},
    "train": {"max_iters": 20, "eval_iters": 0, "snapshots": 2},
}
ENDLESS = {**TINY, "train": {"max_iters": 10_000_000, "eval_iters": 0, "eval_interval": 10_000_000}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("train")
    write_run(root / "checkpoints", "baseline")
    settings = Settings(
        checkpoints=root / "checkpoints",
        data=root / "data",
        devices="cpu",
        max_upload_bytes=100_000,
    )
    with LiveServer(settings) as server:
        yield server


@pytest.fixture
def opened(page: Page, server: LiveServer) -> Page:
    page.goto(f"{server.url}/train")
    checked(page)
    return page


def checked(page: Page) -> None:
    expect(page.locator("#job-check")).to_have_attribute("data-state", "fine", timeout=10_000)


def upload(page: Page, name: str, content: bytes) -> None:
    page.locator("#corpus-picker input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": content}
    )


def set_small(page: Page, **values: object) -> None:
    small = {f"{part}.{name}": value for part in TINY for name, value in TINY[part].items()}
    words = ",".join(f"{path}={value}" for path, value in (small | values).items())
    page.goto(f"{page.url.split('?')[0]}?set={words}")
    checked(page)


def number_of(page: Page, name: str) -> Locator:
    return page.locator("#corpus-picker dt", has_text=re.compile(f"^{name}$")).locator("+ dd")


# Texts


def test_an_uploaded_text_is_chosen_and_shows_its_characters(opened: Page) -> None:
    upload(opened, "hamlet.txt", TEXT.encode())
    expect(opened.get_by_label("Learn from")).to_have_value(re.compile("hamlet"))
    expect(number_of(opened, "Characters")).to_have_text(f"{len(TEXT):,}")
    expect(number_of(opened, "Different ones")).to_have_text(str(len(set(TEXT))))
    opened.get_by_text(f"{len(set(TEXT))} different characters").click()
    signs = opened.locator(".character-sign").all_text_contents()
    assert len(signs) == len(set(TEXT))
    assert {"␣", "↵", "⇥", "É"} <= set(signs)
    expect(opened).to_have_url(re.compile("corpus=hamlet"))
    checked(opened)


def test_what_is_no_text_is_refused_with_the_reason(opened: Page) -> None:
    upload(opened, "picture.txt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    alert = opened.locator("#corpus-picker [role=alert]")
    expect(alert).to_contain_text("UTF-8")
    expect(opened.get_by_label("Learn from")).to_have_value("tinyshakespeare")
    upload(opened, "long.txt", b"a\n" * 60_000)
    expect(alert).to_contain_text("long.txt has 120 kB, and a text may have 100 kB")


def test_a_file_can_be_dropped(opened: Page) -> None:
    transfer = opened.evaluate_handle(
        """(text) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([text], "dropped.txt", { type: "text/plain" }));
          return transfer;
        }""",
        TEXT + "dropped",
    )
    opened.locator("#corpus-picker .drop-area").dispatch_event("drop", {"dataTransfer": transfer})
    expect(opened.get_by_label("Learn from")).to_have_value(re.compile("dropped"))


def test_an_own_text_is_deleted_when_asked_twice(opened: Page) -> None:
    expect(opened.get_by_role("button", name="Delete this text")).to_be_hidden()
    upload(opened, "away.txt", (TEXT + "away").encode())
    opened.get_by_role("button", name="Delete this text").click()
    opened.get_by_role("button", name="Press again").click()
    expect(opened.get_by_label("Learn from")).to_have_value("tinyshakespeare")
    assert "away" not in str(opened.get_by_label("Learn from").text_content())


# Jobs


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_begin_at_once")
def test_start_leads_to_the_job_and_back_to_the_form(opened: Page, server: LiveServer) -> None:
    set_small(opened)
    upload(opened, "short.txt", (TEXT + "short").encode())
    opened.get_by_label("Title").fill("First try")
    opened.get_by_label("Hypothesis").fill("It learns the spaces.")
    checked(opened)
    opened.get_by_role("button", name="Start training").click()
    expect(opened).to_have_url(re.compile(r"/train\?job=\w+"))
    expect(opened.locator("#form-view")).to_be_hidden()
    expect(opened.locator("#job-view")).to_contain_text("First try")
    opened.go_back()
    expect(opened.locator("#job-view")).to_be_hidden()
    expect(opened.get_by_label("Title")).to_have_value("First try")
    expect(opened.locator('[id="field-model.n_embd"]')).to_have_value("8")
    expect(opened.get_by_label("Learn from")).to_have_value(re.compile("short"))
    row = opened.locator(".job", has_text="First try")
    expect(row).to_have_attribute("data-state", "done", timeout=60_000)
    job = server.http.get("/api/jobs").json()["jobs"][0]
    assert job["hypothesis"] == "It learns the spaces."
    assert job["config"]["model"]["n_embd"] == 8
    # The new run is one to start from at once.
    expect(opened.get_by_label("Or the configuration of a run")).to_contain_text(job["run_id"])


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_begin_at_once")
def test_a_job_is_cancelled_resumed_and_removed_from_the_list(
    opened: Page, server: LiveServer
) -> None:
    for title in ("Endless", "Behind it"):
        server.http.post("/api/jobs", json={"config": ENDLESS, "title": title}).raise_for_status()
    opened.reload()
    endless = opened.locator(".job", has_text="Endless")
    behind = opened.locator(".job", has_text="Behind it")
    expect(behind).to_contain_text("number 1 in the queue")
    expect(opened.locator("#activity")).to_have_text("1 training, 1 waiting")
    behind.get_by_role("button", name="Cancel").click()
    expect(behind).to_have_attribute("data-state", "cancelled")
    endless.get_by_role("button", name="Cancel").click()
    expect(endless).to_have_attribute("data-state", "cancelled", timeout=30_000)
    endless.get_by_role("button", name="Resume").click()
    expect(endless).to_have_attribute("data-state", re.compile("queued|running"))
    endless.get_by_role("button", name="Cancel").click()
    expect(endless).to_have_attribute("data-state", "cancelled", timeout=30_000)
    for row in (endless, behind):
        row.get_by_role("button", name="Remove").click()
        expect(row).to_have_count(0)


def test_a_refusal_stays_to_be_read(opened: Page, server: LiveServer) -> None:
    """The list is asked for again all the time, and knows nothing of it."""
    server.http.post("/api/jobs", json={"config": ENDLESS, "title": "Kept"}).raise_for_status()
    opened.reload()
    row = opened.locator(".job", has_text="Kept")
    refuse(opened, "**/api/jobs/*/cancel", 403)
    row.get_by_role("button", name="Cancel").click()
    expect(row.get_by_role("alert")).to_have_text("not with this key")
    for _ in range(2):
        with opened.expect_response(lambda answer: answer.url.endswith("/api/jobs")):
            pass
    expect(row.get_by_role("alert")).to_have_text("not with this key")
    opened.unroute("**/api/jobs/*/cancel")
    refuse(opened, "**/api/jobs/*/cancel", 409)  # the list is asked for anew, and says why
    row.get_by_role("button", name="Cancel").click()
    expect(opened.get_by_role("status").filter(has_text="not with this key")).to_be_visible()
    expect(row.get_by_role("alert")).to_be_hidden()
    opened.unroute("**/api/jobs/*/cancel")
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_have_attribute("data-state", "cancelled", timeout=30_000)
    expect(row).not_to_contain_text("not with this key")
    row.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_a_refusal_at_a_sweep_is_read_aloud(page: Page, server: LiveServer) -> None:
    sweep = {"id": "s", "title": "Two rates", "fields": ["train.learning_rate"]}
    sweep |= {"states": {"running": 1}, "jobs": [{"job": {"progress": 0.5}}]}
    page.route("**/api/sweeps", lambda route: route.fulfill(json={"sweeps": [sweep]}))
    refuse(page, "**/api/sweeps/*/cancel", 403)
    page.goto(f"{server.url}/train")
    row = page.locator("#sweep-list .job")
    row.get_by_role("button", name="Cancel").click()
    expect(row.get_by_role("alert")).to_have_text("not with this key")


def refuse(page: Page, address: str, status: int) -> None:
    refusal = {"error": {"message": "not with this key", "type": "", "param": None, "code": ""}}
    page.route(address, lambda route: route.fulfill(status=status, json=refusal))


def test_a_list_of_nothing_says_what_will_be_there(page: Page, tmp_path: Path) -> None:
    with LiveServer(Settings(checkpoints=tmp_path / "c", data=tmp_path / "d")) as server:
        page.goto(f"{server.url}/train")
        expect(page.locator("#no-jobs")).to_be_visible()
        expect(page.locator("#sweeps")).to_be_hidden()
        checked(page)


def test_a_server_that_is_gone_is_told_of_and_found_again(opened: Page) -> None:
    def gone(route: Route) -> None:
        route.abort()

    opened.route("**/api/**", gone)
    opened.get_by_label("Twice the heads").check()
    expect(opened.locator("#job-check")).to_contain_text("cannot be reached")
    opened.get_by_role("button", name="Start training").click()
    expect(opened.locator("#job-check [role=alert]")).to_contain_text("cannot be reached")
    opened.unroute("**/api/**", gone)
    checked(opened)
    expect(opened.locator('[id="field-model.n_head"]')).to_have_value("8")


# Sweeps


def test_a_grid_is_counted_before_it_is_started(opened: Page) -> None:
    opened.get_by_label("Grid").check()
    values = opened.get_by_label("learning_rate: values")
    expect(values).to_have_value("0.001, 0.002")
    checked(opened)
    opened.get_by_label("Vary also").select_option("model.n_head")
    opened.get_by_label("n_head: values").fill("2, 4, 8")
    start = opened.locator("#start")
    expect(start).to_have_text("Start 6 runs")
    expect(opened.locator("#job-check")).to_contain_text("n_head 8")
    values.fill("0.001, fast")
    expect(opened.locator(".vary-field", has=values)).to_contain_text("“fast” must be a number")
    start.click()
    expect(values).to_be_focused()
    opened.get_by_role("button", name="n_head: leave as it is").click()
    expect(opened.get_by_label("n_head: values")).to_have_count(0)


def test_random_draws_come_from_ranges(opened: Page) -> None:
    opened.get_by_label("Random", exact=True).check()
    opened.get_by_label("learning_rate: how it is drawn").select_option("log")
    opened.get_by_label("learning_rate: least").fill("0.01")
    opened.get_by_label("learning_rate: most").fill("0.001")
    expect(opened.locator(".vary-field")).to_contain_text("0.01 must be below 0.001")
    opened.get_by_label("learning_rate: least").fill("0.0001")
    opened.locator("#sweep-count").fill("5")
    expect(opened.locator("#start")).to_have_text("Start 5 runs")
    opened.reload()
    expect(opened.locator("#start")).to_have_text("Start 5 runs")
    opened.locator("#sweep-limit").fill("3")
    expect(opened.locator("#job-check")).to_have_attribute("data-state", "wrong")


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_begin_at_once")
def test_a_sweep_leads_to_its_page_and_stands_in_the_list(opened: Page) -> None:
    set_small(opened)
    opened.get_by_label("Grid").check()
    opened.get_by_label("Title").fill("Two rates")
    expect(opened.locator("#start")).to_have_text("Start 2 runs")
    opened.locator("#start").click()
    expect(opened).to_have_url(re.compile(r"/train\?sweep="))
    expect(opened.locator("#sweep-view")).to_be_visible()
    opened.go_back()
    row = opened.locator("#sweep-list .job", has_text="Two rates")
    expect(row).to_contain_text("learning_rate")
    expect(row).to_contain_text("2 of 2", timeout=90_000)


def test_the_exercise_is_repeated_with_one_button(opened: Page) -> None:
    bodies: list[object] = []

    def take(route: Route) -> None:
        bodies.append(route.request.post_data_json)
        route.fulfill(status=202, json={"id": "abc"})

    opened.route("**/api/sweeps", take)
    opened.get_by_role("button", name="Repeat the exercise").click()
    expect(opened).to_have_url(re.compile("sweep=abc"))
    presets = ["baseline", "case-1", "case-2", "case-3"]
    assert bodies[0] == {"presets": presets, "device": "auto"}
