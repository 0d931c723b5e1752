"""The page of the tuning report in a real browser, and its arithmetic against the page of runs'."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.conftest import LiveServer
from tests.test_page_accessibility import judged
from tests.varied_runs import varied_runs

# What the page of runs says of each run, the largest gain for each minute first.
TOLD = """async () => {
  const [cost, apart] = await Promise.all(
    ["runs/cost_gain", "differences"].map((name) => import(`/static/js/${name}.js`)));
  const { runs } = await (await fetch("/api/runs")).json();
  const reference = runs.find(({ id }) => id === "baseline");
  return {
    runs: cost.outcomes(runs, reference).map((outcome) => ({
      id: outcome.run.id, sentence: cost.sentence(outcome, reference),
      minutes: outcome.minutes, times: outcome.times,
      change: outcome.change, perMinute: outcome.perMinute,
      changes: apart.differences(outcome.run, reference),
    })),
    warning: cost.deviceWarning([reference, ...runs.filter((run) => run !== reference)]),
  };
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root: Path = varied_runs(tmp_path_factory.mktemp("varied"))
    with LiveServer(Settings(checkpoints=root, data=tmp_path_factory.mktemp("data"))) as server:
        yield server


def hundredfold(share: float | None) -> object:
    return None if share is None else pytest.approx(100 * share)


def test_the_report_is_shown_chosen_printed_and_saved(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/runs/report")
    rows = page.locator("table").first.locator("tbody tr")
    expect(rows).to_have_count(6)  # all that have a loss
    assert page.locator(".report-figure").count() == 2
    assert judged(page) == []
    page.get_by_text("Choose runs").click()
    for name in ("Tokens", "Other-Text", "Unknown-Text"):
        page.get_by_role("checkbox", name=name).uncheck()
    page.get_by_label("Compared with").select_option("worse")
    page.get_by_role("button", name="Show this report").click()
    expect(rows).to_have_count(3)
    assert rows.first.get_attribute("data-run") == "worse"
    expect(page.locator("thead").first).to_contain_text("To Worse")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Markdown").click()
    assert saved.value.suggested_filename == "tuning-report-worse.md"
    text = Path(saved.value.path()).read_text("utf-8")
    assert "To Worse" in text and "other-text" not in text
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_text("Choose runs")).to_be_hidden()
    expect(rows.first).to_be_visible()
    ink = "getComputedStyle(document.documentElement).color"
    assert max(map(int, page.evaluate(ink)[4:-1].split(","))) < 100, "dark ink, on paper"
    page.emulate_media(media="screen")
    page.goto(f"{server.url}/runs/report?runs=baseline,nope")
    expect(page.get_by_role("alert")).to_contain_text("there is no run 'nope'")
    expect(page.get_by_role("button", name="Show this report")).to_be_visible()


def test_it_says_what_the_page_of_runs_says(page: Page, server: LiveServer) -> None:
    page.route("**/plotly*.min.js", lambda route: route.abort())  # the figures there are not needed
    page.goto(f"{server.url}/runs?runs=baseline,worse")
    link = page.get_by_role("link", name="Tuning report")
    expect(link).to_have_attribute("href", "/runs/report?runs=baseline,worse")
    told = page.evaluate(TOLD)
    every = ",".join(run["id"] for run in told["runs"])
    report = server.http.get("/api/report", params={"runs": every}).json()
    rows = {row["id"]: row for row in report["runs"]}
    assert len(told["runs"]) == len(rows) == 7
    for run in told["runs"]:
        row = rows[run["id"]]
        assert row["cost"]["sentence"] == run["sentence"]
        assert row["cost"]["minutes"] == run["minutes"]
        assert row["cost"]["times"] == (run["times"] and pytest.approx(run["times"]))
        assert row["change_percent"] == hundredfold(run["change"])
        assert row["cost"]["percent_per_minute"] == hundredfold(run["perMinute"])
        assert [(c["name"], c["value"], c["reference"]) for c in row["changes"]] == [
            (c["name"], c["value"], c["other"]) for c in run["changes"]
        ]
    assert told["warning"] in report["notes"]
    page.goto(f"{server.url}/runs/report?runs={every}")
    shown = page.locator("table").nth(1).locator("tbody th").all_inner_texts()
    assert shown == [rows[run["id"]]["title"].strip() for run in told["runs"]]
