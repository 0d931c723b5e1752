"""The page of runs in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run


@pytest.fixture
def opened(page: Page, live: LiveServer) -> Page:
    page.goto(f"{live.url}/runs")
    expect(page.locator("#curves .scatterlayer .trace")).to_have_count(4, timeout=20_000)
    return page


def row(page: Page, run: str):
    return page.locator(f"#runs tr[data-run={run}]")


def test_the_table_has_the_runs_and_their_numbers(opened: Page) -> None:
    assert opened.locator("#runs tbody tr").count() == 4
    cells = row(opened, "baseline").locator("td").all_inner_texts()
    assert {"100", "2.5000", "2.6000", "1.5 s", "4.2000"} <= set(cells)
    expect(row(opened, "bigram").locator(".chip")).to_have_text("kind bigram")


def test_clicking_a_heading_sorts_both_ways(opened: Page) -> None:
    def order() -> list[str]:
        return opened.locator("#runs tbody summary").all_inner_texts()

    heading = opened.locator("#runs thead button").first
    heading.click()
    ascending = order()
    heading.click()
    assert order() == ascending[::-1]
    expect(opened.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")


def test_ticking_a_run_draws_its_curve_and_the_address_keeps_it(opened: Page) -> None:
    opened.get_by_label("Show the curve of Bigram").check()
    expect(opened.locator("#curves .scatterlayer .trace")).to_have_count(6)
    opened.reload()
    expect(opened.get_by_label("Show the curve of Bigram")).to_be_checked()


def test_a_run_opens_to_its_hypothesis_and_links(opened: Page) -> None:
    row(opened, "baseline").locator("summary").click()
    expect(row(opened, "baseline")).to_contain_text("It learns.")
    expect(row(opened, "baseline").get_by_text("Look inside")).to_be_visible()
    expect(row(opened, "ngram").get_by_text("Look inside")).to_have_count(0)


def test_samples_stand_side_by_side(opened: Page) -> None:
    for which in ("left", "right"):
        expect(opened.locator(f"[data-sample={which}] [data-part=text]")).to_contain_text("To be")


def test_it_fits_a_phone(opened: Page) -> None:
    opened.set_viewport_size({"width": 360, "height": 800})
    wait_until(lambda: opened.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_more_ticked_runs_than_columns_are_not_dropped_in_silence(
    page: Page, tmp_path: Path
) -> None:
    for i in range(5):
        write_run(tmp_path, f"run-{i}")
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        page.goto(f"{server.url}/runs?runs=run-0,run-1,run-2,run-3,run-4")
        link = page.locator("#prompt-them")
        expect(link).to_have_text("Prompt the first 4 runs side by side")
        page.get_by_label("Show the curve of").nth(1).uncheck()
        expect(link).to_have_text("Prompt the ticked runs side by side")
        link.click()
        expect(page).to_have_url(f"{server.url}/?runs=run-0,run-2,run-3,run-4")


def test_a_broken_folder_is_listed_with_its_reason(page: Page, tmp_path: Path) -> None:
    write_run(tmp_path, "baseline")
    (write_run(tmp_path, "torn").path / "config.json").write_text("{")
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        page.goto(f"{server.url}/runs")
        expect(page.locator("#broken")).to_contain_text("torn")
        expect(page.locator("#broken")).to_contain_text("config.json")


def test_without_runs_it_says_how_to_get_one(page: Page, tmp_path: Path) -> None:
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        page.goto(f"{server.url}/runs")
        expect(page.locator("#no-runs")).to_contain_text("sidelight train baseline")
