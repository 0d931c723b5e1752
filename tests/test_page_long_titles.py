"""Titles as long as they may be, without a space to break them at, on the pages that show them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run
from tests.varied_runs import rewrite

LONGEST = 200  # letters


def title(number: int) -> str:
    """W is the widest of the letters."""
    return f"{number}" + "W" * (LONGEST - 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("titles")
    for number, run in enumerate(("baseline", "case-1", "case-2", "case-3")):
        rewrite(write_run(root / "checkpoints", run, seed=number), title=title(number))
    with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "data")) as server:
        yield server


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("opened", "width"), [(360, 360), (1280, 1280), (1280, 360), (360, 2560)])
def test_the_curves_keep_their_room(
    page: Page, server: LiveServer, opened: int, width: int
) -> None:
    page.set_viewport_size({"width": opened, "height": 900})
    page.goto(f"{server.url}/runs")
    legend = page.locator("#curves .legend .traces")
    expect(legend).to_have_count(4, timeout=20_000)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(500)  # a figure follows its column, and its legend a moment later
    assert fits(page)
    box = page.locator("#curves").bounding_box()
    plot = page.locator("#curves .nsewdrag").bounding_box()
    assert box and plot
    assert plot["width"] > 0.7 * box["width"] and plot["height"] > 0.6 * box["height"]
    for number, entry in enumerate(legend.all()):
        expect(entry.locator("title")).to_have_text(title(number), use_inner_text=False)
        name = entry.locator("text")
        assert (name.text_content() or "").endswith("…")
        inside, figure = name.bounding_box(), page.locator("#curves").bounding_box()
        assert inside and figure
        assert figure["x"] <= inside["x"]
        assert inside["x"] + inside["width"] <= figure["x"] + figure["width"]
    whole = page.locator("#runs summary").all_text_contents()
    assert sorted(whole) == [title(number) for number in range(4)]


def test_a_name_that_fits_stays_whole(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/runs")
    names = page.locator("#curves .legend .traces text")
    expect(names).to_have_text(["Baseline", "Case-1"], timeout=20_000)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["/", "/attention", "/runs", "/runs/report", "/train", "/learn"])
def test_no_page_scrolls_sideways(page: Page, server: LiveServer, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(server.url + path)
    page.wait_for_load_state("networkidle")
    wait_until(lambda: fits(page))
