"""Every page, at every width and in both themes, with the shipped runs: all of it fits.

The pictures go to build/screenshots; `SIDELIGHT_README_PICTURE=docs/compare.png` keeps the one that
the README shows.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.settings import ROOT, Settings
from tests.conftest import LiveServer, wait_until

FOLDER = ROOT / "build" / "screenshots"
PAGES = {
    "compare": "/?prompt=ROMEO:&seed=7&length=200",
    "attention": "/attention?run=baseline&run2=case-1&layer=1",
    "runs": "/runs",
    "train": "/train?set=train.learning_rate=0.003&runs=grid&vary=model.n_head:values:2;4",
    "job": "/train?job=",
    "sweep": "/train?sweep=",
}
SWEEP = {
    "title": "Heads",
    "hypothesis": "More heads learn faster.",
    "config": {"train": {"max_iters": 60, "eval_interval": 20, "eval_iters": 1, "snapshots": 4}},
    "grid": {"model.n_head": [2, 4]},
}

WIDTHS = {"light": (360, 1280, 2560), "dark": (1280,)}  # how wide things are no theme changes

PAGE_HEIGHT = "document.documentElement.scrollHeight"
FIGURES_FIT = """
[...document.querySelectorAll(".js-plotly-plot")].every(
  (figure) => Math.abs(figure.querySelector(".main-svg").clientWidth - figure.clientWidth) < 2
)
"""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("shipped")
    shutil.copytree(ROOT / "checkpoints", root / "checkpoints")
    settings = Settings(checkpoints=root / "checkpoints", data=root / "data", devices="cpu")
    with LiveServer(settings) as server:
        yield server


@pytest.fixture(scope="module")
def addresses(shipped: LiveServer, jobs_begin_at_once: None) -> dict[str, str]:
    """Of every page, those of a job and of a sweep that have been trained among them."""
    text = (ROOT / "README.md").read_bytes() * 2  # quicker to learn and to be judged by than plays
    corpus = shipped.http.post("/api/corpora?name=readme.md", content=text).json()["id"]
    id = shipped.http.post("/api/sweeps", json=SWEEP | {"corpus": corpus}).json()["id"]

    def sweep() -> dict:
        return shipped.http.get(f"/api/sweeps/{id}").json()

    wait_until(lambda: sweep()["states"] == {"done": 2}, 200)
    found = {"job": sweep()["jobs"][0]["job"]["id"], "sweep": id}
    return {name: shipped.url + path + found.get(name, "") for name, path in PAGES.items()}


def settle(page: Page, name: str) -> None:
    """Wait until the page shows what it is for."""
    match name:
        case "compare":
            page.get_by_role("button", name="Generate").click()
            expect(page.get_by_role("button", name="Stop")).to_be_disabled(timeout=60_000)
        case "attention":
            expect(page.locator("[data-shown]")).to_have_count(2, timeout=20_000)
        case "runs":
            expect(page.locator("#curves .scatterlayer .trace").first).to_be_attached(
                timeout=20_000
            )
        case "train":
            expect(page.locator("#job-check")).to_have_attribute("data-state", "fine")
            page.locator("#config-form summary").last.click()
        case "job":
            expect(page.locator("#job-view .scatterlayer .trace").first).to_be_attached(
                timeout=20_000
            )
            expect(page.locator("#job-view canvas").first).to_be_visible(timeout=20_000)
        case "sweep":
            expect(page.locator("#sweep-view .scatterlayer .trace").first).to_be_attached(
                timeout=20_000
            )


@pytest.mark.slow
@pytest.mark.parametrize("theme", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_everything_fits(page: Page, addresses: dict[str, str], name: str, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(addresses[name])
    settle(page, name)
    for width in WIDTHS[theme]:
        page.set_viewport_size({"width": width, "height": 900})
        wait_until(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
        wait_until(lambda: page.evaluate(FIGURES_FIT))
        # A window as tall as the page: what is out of sight is not drawn.
        page.set_viewport_size({"width": width, "height": page.evaluate(PAGE_HEIGHT)})
        wait_until(lambda: page.evaluate(FIGURES_FIT))
        picture = FOLDER / f"{name}-{theme}-{width}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 10_000


@pytest.mark.skipif(
    "SIDELIGHT_README_PICTURE" not in os.environ,
    reason="SIDELIGHT_README_PICTURE names no file to keep the README's picture in",
)
def test_the_readmes_picture(page: Page, shipped: LiveServer) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(shipped.url + PAGES["compare"])
    settle(page, "compare")
    picture = FOLDER / "readme.png"
    page.screenshot(path=picture)
    shutil.copy(picture, Path(os.environ["SIDELIGHT_README_PICTURE"]))
