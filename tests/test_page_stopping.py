"""What a page shows when its server stops, and when it is back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser_fixtures import watched_page
from tests.conftest import write_run
from tests.server_process import ServerProcess, begin_job, end_jobs

pytestmark = pytest.mark.slow

SHOTS = os.environ.get("SIDELIGHT_SHOTS")  # a folder for whoever wants to look


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    write_run(tmp_path / "checkpoints", "baseline")
    yield tmp_path
    end_jobs(tmp_path)


def test_a_page_says_that_the_server_stops_and_goes_on_with_the_next(
    browser: Browser, root: Path
) -> None:
    with watched_page(browser) as writing, watched_page(browser) as watching:
        with ServerProcess(root, "slow-writing", shutdown_seconds=0) as server:
            job = begin_job(server)
            watching.goto(f"{server.url}/train?job={job}")
            view = watching.locator("#job-view")
            expect(view).to_contain_text("made", timeout=20_000)
            writing.goto(f"{server.url}/?runs=baseline&prompt=To+be&length=5000")
            writing.locator("#generate").click()
            panel = writing.locator(".panel").first
            expect(panel.locator(".token").nth(5)).to_be_attached(timeout=20_000)
            server.process.send_signal(signal.SIGTERM)
            expect(panel).to_have_attribute("data-state", "failed", timeout=10_000)
            expect(panel.locator("[data-part=error-text]")).to_contain_text("shutting down")
            expect(panel.locator("[data-part=status]")).to_contain_text("Broke off after")
            expect(panel.locator("[data-part=spinner]")).to_be_hidden()
            lost = view.locator("[data-part=lost]")
            expect(lost).to_be_visible(timeout=10_000)
            if SHOTS:
                writing.screenshot(path=f"{SHOTS}/stopped-writing.png")
                watching.screenshot(path=f"{SHOTS}/stopped-watching.png")
            assert server.process.wait(10) == 0
        port = server.url.rpartition(":")[2]
        with ServerProcess(root, port=port) as server:
            expect(lost).to_be_hidden(timeout=30_000)
            panel.locator("[data-part=retry]").click()
            expect(panel).to_have_attribute("data-state", "done", timeout=30_000)
            expect(view).to_contain_text("Running")
