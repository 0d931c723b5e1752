"""How long a lesson takes to open in a browser, with all its figures drawn.

    python bench/lessons.py --json FILE

A lesson is open when no figure is busy any more: its answers have come, for runs that are loaded,
and are painted. Medians over the rounds, each in a page of its own, whose scripts are in the
browser's cache from the first round, which is not counted. The peer is the page of runs, which
is opened in the same way, in turns with the lessons.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attention import chromium
from measuring import Row, finish, in_turns, row
from playwright.sync_api import BrowserContext

from app.lessons import LESSONS

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 7
DRAWN = """() => document.querySelectorAll("[aria-busy=true]").length === 0
    && [...document.querySelectorAll(".figure")].every((figure) => figure.childElementCount)"""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@contextmanager
def serving() -> Iterator[str]:
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    with (
        TemporaryDirectory() as data,
        subprocess.Popen(
            command,
            env=os.environ | {"SIDELIGHT_DATA": data},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as server,
    ):
        assert server.stdout
        yield server.stdout.readline().split()[3]
        server.terminate()


def open_ms(context: BrowserContext, address: str) -> float:
    """From asking for the address until all is painted."""
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_function("() => document.readyState === 'complete'")
    page.wait_for_function(DRAWN)
    page.evaluate(PAINTED)
    taken = 1000 * (time.perf_counter() - began)
    page.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    rows: list[Row] = []
    with serving() as url, chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        paths = {lesson.slug: f"/learn/{lesson.slug}" for lesson in LESSONS} | {"runs": "/runs"}
        measures = {name: lambda p=path: open_ms(context, url + p) for name, path in paths.items()}
        in_turns(measures, 1)
        found = in_turns(measures, options.rounds)
        peers = found.pop("runs")
        titles = {lesson.slug: lesson.title for lesson in LESSONS}
        about = {"against": "the page of runs", "own_peer": True}
        rows = [
            row(f"open_{slug}", "ms", times, peers, what=titles[slug], **about)
            for slug, times in found.items()
        ]
    finish(rows, options.json)


if __name__ == "__main__":
    main()
