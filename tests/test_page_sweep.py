"""Watching a sweep in a real browser: the table, the figures, and what one can do with them."""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run
from tests.fake_jobs import job
from tests.training_fixtures import TEXT

FIELDS = ["train.learning_rate", "model.n_head", "model.activation", "train.grad_clip"]
ROWS: list[tuple[str, list[Any], float | None]] = [
    ("done", [0.001, 2, "relu", None], 2.0),
    ("done", [0.01, 4, "gelu", 1.0], 1.5),
    ("running", [0.1, 2, "relu", 1.0], 2.5),
    ("done", [0.001, 8, "gelu", 0.5], 1.75),
    ("done", [0.0123456789, 4, "relu", None], 1.875),
    ("failed", [1.0, 4, "relu", 1.0], None),
    ("queued", [0.1, 8, "gelu", None], None),
]


def entry(number: int, state: str, values: list[Any], loss: float | None) -> dict[str, Any]:
    share = {"done": 1.0, "running": 0.4, "failed": 0.1}.get(state, 0.0)
    names = {"id": f"j{number}", "run_id": f"sweep-{number}", "title": f"Run {number}"}
    about = {"progress": share, "has_run": loss is not None, "sweep": "s", "elapsed_s": 65 * share}
    return {
        "job": job(state, **names, **about),
        "values": dict(zip(FIELDS, values, strict=True)),
        "val_loss": loss,
        "train_loss": None if loss is None else loss - 0.25,
        "wall_time_s": 65.0 if state == "done" else None,
    }


def sweep(rows: list[tuple[str, list[Any], float | None]] = ROWS) -> dict[str, Any]:
    jobs = [entry(i, *row) for i, row in enumerate(rows)]
    states = [row[0] for row in rows]
    return {
        "id": "s",
        "title": "Rates and heads",
        "hypothesis": "Faster is better, up to a point.",
        "created": "2026-01-01T00:00:00Z",
        "fields": FIELDS,
        "jobs": jobs,
        "states": {state: states.count(state) for state in states},
    }


class FakeSweep:
    """What `/api/sweeps/s` answers, and what was asked of it."""

    def __init__(self, page: Page) -> None:
        self.answer = sweep()
        self.asked = 0
        self.posts: list[str] = []
        page.route("**/api/sweeps/s", self._get)
        page.route("**/api/sweeps/s/cancel", self._post)

    def _get(self, route: Route) -> None:
        self.asked += 1
        route.fulfill(json=self.answer)

    def _post(self, route: Route) -> None:
        self.posts.append(route.request.url)
        route.fulfill(status=202, json=self.answer)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("sweep")
    write_run(root / "checkpoints", "baseline")
    with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "data")) as server:
        yield server


@pytest.fixture
def fake(page: Page) -> FakeSweep:
    return FakeSweep(page)


@pytest.fixture
def opened(page: Page, server: LiveServer, fake: FakeSweep) -> Page:
    return open_sweep(page, server)


@pytest.fixture(scope="module")
def read(shared_page: Page, server: LiveServer) -> Page:
    """As `opened`, for tests that only read it."""
    FakeSweep(shared_page)
    return open_sweep(shared_page, server)


def open_sweep(page: Page, server: LiveServer) -> Page:
    page.goto(f"{server.url}/train?sweep=s")
    expect(part(page, "parallel").locator(".trace")).to_have_count(5, timeout=20_000)
    return page


def part(page: Page, name: str) -> Locator:
    return page.locator(f"#sweep-view [data-part={name}]").first


def row(page: Page, number: int) -> Locator:
    return page.locator(f"tr[data-job=j{number}]")


def order(page: Page) -> list[str]:
    return part(page, "rows").locator("th a").all_inner_texts()


# The table


def test_the_best_run_comes_first_and_those_without_a_loss_last(read: Page) -> None:
    by_loss = sorted(range(5), key=lambda i: ROWS[i][2] or 0)
    assert order(read) == [f"Run {i}" for i in [*by_loss, 5, 6]]
    expect(row(read, by_loss[0])).to_contain_text("best so far")
    expect(read.get_by_text("best so far")).to_have_count(1)
    heads = part(read, "head").locator("th").all_inner_texts()
    assert heads[1:6] == ["Validation loss", "learning_rate", "n_head", "activation", "grad_clip"]
    cells = row(read, 4).locator("td").all_inner_texts()
    assert cells[:8] == ["1.8750", "0.01235", "4", "relu", "none", "1.6250", "1 min 5 s", "Done"]
    assert row(read, 2).locator("td").all_inner_texts()[7] == "Running, 40 %"
    assert row(read, 5).locator("td").all_inner_texts()[5:7] == ["–", "6.5 s"]


def test_it_tells_how_far_all_of_it_is(read: Page) -> None:
    expect(read.get_by_role("heading", level=1)).to_have_text("Rates and heads")
    expect(part(read, "hypothesis")).to_have_text("Faster is better, up to a point.")
    expect(part(read, "states")).to_have_text("4 done, 1 running, 1 queued, 1 failed")
    share = (4 + 1 + 0.4) / 7  # nothing more will come of the one that failed
    bar = read.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", str(math.floor(100 * share)))


def test_links_lead_to_the_runs(read: Page) -> None:
    def address(link: Locator) -> str | None:
        return link.get_attribute("href")

    best = ["sweep-1", "sweep-3", "sweep-4", "sweep-0", "sweep-2"]
    assert address(part(read, "compare")) == f"/runs?runs={','.join(best)}"
    assert address(part(read, "prompt")) == f"/?runs={','.join(best[:4])}"
    expect(part(read, "prompt")).to_have_text("Prompt the best four")
    links = row(read, 1).get_by_role("link")
    assert [address(link) for link in links.all()] == [
        "/train?job=j1",
        "/?runs=sweep-1",
        "/attention?run=sweep-1",
    ]
    expect(row(read, 6).get_by_role("link")).to_have_count(1)


def test_the_csv_has_every_digit(read: Page) -> None:
    with read.expect_download() as caught:
        part(read, "export").click()
    assert caught.value.suggested_filename == "s.csv"
    lines = list(csv.DictReader(io.StringIO(caught.value.path().read_text())))
    assert [line["run"] for line in lines[:2]] == ["sweep-1", "sweep-3"]
    for line in lines:
        state, values, loss = ROWS[int(line["run"].removeprefix("sweep-"))]
        read = [json.loads(line[field] or "null") for field in ("train.learning_rate", "val_loss")]
        assert read == [values[0], loss]
        assert [line["state"], line["model.activation"]] == [state, values[2]]
        assert line["train.grad_clip"] == ("" if values[3] is None else str(values[3]).rstrip(".0"))


# The figures


def traces(element: Locator) -> list[dict[str, Any]]:
    return element.evaluate(
        "(figure) => figure.data.map(({ uid, x, y, opacity }) => ({ uid, x, y, opacity }))"
    )


def test_each_line_goes_through_its_settings_to_its_loss(read: Page) -> None:
    lines = {trace["uid"]: trace["y"] for trace in traces(part(read, "parallel"))}
    losses = [loss for *_, loss in ROWS if loss is not None]
    clips = [None, 0.5, 1.0]  # nothing, then numbers
    for i, (_, (rate, heads, activation, clip), loss) in enumerate(ROWS):
        if loss is None:
            continue
        assert lines[f"j{i}"] == pytest.approx(
            [
                (math.log10(rate) + 3) / 3,  # 0.001 to 1, also of those that have no loss yet
                (heads - 2) / 6,
                ["gelu", "relu"].index(activation),
                clips.index(clip) / 2,
                (loss - min(losses)) / (max(losses) - min(losses)),
            ]
        )


def test_a_point_for_each_run_against_each_setting(read: Page) -> None:
    figures = part(read, "scatters").locator(".sweep-scatter")
    expect(figures).to_have_count(4)
    by_loss = sorted((row for row in ROWS if row[2] is not None), key=lambda row: row[2] or 0)
    losses = [row[2] for row in by_loss]
    rates, heads = (traces(figures.nth(i)) for i in (0, 1))
    assert rates[1]["x"] == pytest.approx([math.log10(row[1][0]) for row in by_loss])
    assert rates[1]["y"] == heads[1]["y"] == losses
    assert heads[1]["x"] == [row[1][1] for row in by_loss]
    assert (heads[0]["x"], heads[0]["y"]) == ([2, 4, 8], [2.0, 1.5, 1.75])  # the best of each
    words = figures.nth(2).locator(".xtick").all_text_contents()
    assert words == ["gelu", "relu"]
    assert "logarithmic" in (figures.nth(0).locator(".xtitle").text_content() or "")
    assert "logarithmic" not in (figures.nth(1).locator(".xtitle").text_content() or "")


def drag_over_the_better_losses(page: Page) -> None:
    area = part(page, "parallel").locator(".nsewdrag")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    right, middle = box["x"] + box["width"], box["y"] + 0.45 * box["height"]
    page.mouse.move(right - 60, middle)
    page.mouse.down()
    page.mouse.move(right - 20, middle + 40, steps=5)
    page.mouse.move(right - 1, box["y"] + box["height"] - 1, steps=5)
    page.mouse.up()


def test_a_box_over_an_axis_singles_runs_out_until_it_is_taken_away(opened: Page) -> None:
    drag_over_the_better_losses(opened)
    expect(opened.locator("tr.is-aside")).to_have_count(3)
    inside = {i for i, (*_, loss) in enumerate(ROWS) if loss is not None and loss <= 2.0}
    for i in range(7):
        assert ("is-aside" in (row(opened, i).get_attribute("class") or "")) == (i not in inside)
    opened.get_by_role("button", name="Show all again").click()
    expect(opened.locator("tr.is-aside")).to_have_count(0)
    expect(part(opened, "parallel").locator(".selectionlayer path")).to_have_count(0)


def test_the_row_that_has_the_keyboard_brings_its_line_forward(read: Page) -> None:
    row(read, 3).get_by_role("link").first.focus()

    def strong() -> list[str]:
        return [trace["uid"] for trace in traces(part(read, "parallel")) if trace["opacity"] == 1]

    wait_until(lambda: strong() == ["j3"])
    part(read, "export").focus()
    wait_until(lambda: len(strong()) == 5)


# While it goes on


def test_it_keeps_up_and_stops_when_all_is_over(opened: Page, fake: FakeSweep) -> None:
    link = row(opened, 6).get_by_role("link").first
    link.focus()
    over = [("done", values, loss or 1.0 + i) for i, (_, values, loss) in enumerate(ROWS)]
    over[6] = ("done", ROWS[6][1], 1.0)  # the last becomes the best
    fake.answer = sweep(over)
    expect(row(opened, 6)).to_contain_text("best")
    assert order(opened)[0] == "Run 6"
    expect(link).to_be_focused()  # though its row has moved
    expect(part(opened, "cancel")).to_be_hidden()
    expect(part(opened, "parallel").locator(".trace")).to_have_count(7)
    asked = fake.asked
    opened.wait_for_timeout(2500)
    assert fake.asked == asked


def test_it_does_not_ask_while_nobody_looks(opened: Page, fake: FakeSweep) -> None:
    look = """(state) => {
      const hidden = state === "hidden";
      Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    opened.evaluate(look, "hidden")
    opened.wait_for_timeout(2500)
    asked = fake.asked
    opened.wait_for_timeout(2500)
    assert fake.asked == asked
    opened.evaluate(look, "visible")
    opened.wait_for_timeout(500)
    assert fake.asked == asked + 1


def test_all_that_remain_are_cancelled_together(opened: Page, fake: FakeSweep) -> None:
    expect(part(opened, "kept")).to_contain_text("keeps the runs that are done")
    part(opened, "cancel").click()
    opened.wait_for_timeout(200)
    assert len(fake.posts) == 1


def test_without_losses_the_figures_say_when_they_come(
    page: Page, server: LiveServer, fake: FakeSweep
) -> None:
    fake.answer = sweep([("queued", values, None) for _, values, _ in ROWS])
    page.goto(f"{server.url}/train?sweep=s")
    expect(part(page, "no-figures")).to_be_visible()
    expect(part(page, "figures")).to_be_hidden()
    expect(part(page, "prompt")).to_be_hidden()


def test_a_sweep_that_is_gone_says_so(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/train?sweep=nothing")
    expect(part(page, "alert")).to_contain_text("no such sweep")


def test_it_fits(opened: Page) -> None:
    for width in (360, 2560):
        opened.set_viewport_size({"width": width, "height": 800})
        wait_until(lambda: opened.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_begin_at_once")
def test_a_sweep_from_its_start_to_its_best_run(page: Page, server: LiveServer) -> None:
    model = {"kind": "gpt", "block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8}
    train = {"max_iters": 30, "eval_interval": 15, "eval_iters": 0, "snapshots": 1}
    text = server.http.post("/api/corpora?name=small.txt", content=TEXT).json()
    body = {
        "corpus": text["id"],
        "title": "Two rates",
        "run_id": "rate",
        "config": {"model": model, "train": train},
        "grid": {"train.learning_rate": [0.00001, 0.01]},
    }
    started = server.http.post("/api/sweeps", json=body)
    assert started.status_code == 202, started.text
    page.goto(f"{server.url}/train?sweep={started.json()['id']}")
    expect(part(page, "states")).to_have_text("2 done", timeout=180_000)
    rows = part(page, "rows").locator("tr")
    expect(rows.locator("th a")).to_have_text(
        [re.compile("^rate.*0.01$"), re.compile("^rate.*1e-05$")]
    )
    expect(rows.first.locator("td").nth(1)).to_have_text("0.01")  # hardly any rate, hardly learned
    part(page, "compare").click()
    expect(page.locator("#curves .scatterlayer .trace").first).to_be_attached(timeout=20_000)
    runs = [entry["job"]["run_id"] for entry in started.json()["jobs"]]
    for run in runs:
        expect(page.locator(f"tr[data-run='{run}'] input[type=checkbox]").first).to_be_checked()
