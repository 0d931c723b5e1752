"""How quickly the attention explorer opens, beside BertViz's model view of the same tensors.

    python bench/attention.py --json FILE [--rounds N] [--short]

Two runs with random weights, 384 wide, with a context of 256: 6 layers of 6 heads, and 12 of 12.
The app answers from a process of its own, each time for a text that it has not read yet; a real
Chromium asks. Medians of several rounds:

- `serve_…`: from asking for all maps in the compact form to having them; the peer is JSON's numbers
  to four decimals, made and sent by the same app.
- `bytes_…`: what they take on the wire; the peer is the page that BertViz makes of them, or where
  it is not tried the JSON.
- `open_…`: from the click on a link to the explorer until all heads and the chosen one's map are
  painted; the peer is BertViz's page, from its file to its paint. `open_exact_…`: until the map is
  painted from the exact numbers.
- `choose_…`: the same from choosing the run in the explorer, without a new page.
- `head_…`: the same from the click on another head.

BertViz draws with libraries from a public address; here they come from npm, so that no network is
in its time. Without the extra `bench`, which `make bench` installs, and npm, no peer is drawn, and
neither with `--short`, which takes a minute and leaves the larger run out.
"""

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import torch
from playwright.sync_api import Browser, Page, Route, sync_playwright
from train import processor

from model.config import GPTConfig
from tests.browser_fixtures import ARGUMENTS
from tests.conftest import CHARACTERS, write_run

ROOT = Path(__file__).resolve().parents[1]
T, WIDTH = 256, 384
RUNS = {"36x256": 6, "144x256": 12}  # layers, and heads of each
JSON, NPY, COMPACT = "application/json", "application/x-npy", "application/octet-stream"
LIBRARIES = {
    "require": "requirejs@2.3.6/require.js",
    "d3": "d3@5.7.0/dist/d3.min.js",
    "jquery": "jquery@2.2.4/dist/jquery.min.js",
}
# From an action, or from the navigation that led here, until the first side says that it has what
# `wanted` begins, and to the end of the frame with it: `painted` from the bytes of all heads, or
# `shown`, the chosen one from its exact numbers.
PAINTED = """([mark, wanted, action, target]) => new Promise(resolve => {
  const began = action ? performance.now() : 0;
  const element = document.querySelector(target);
  if (action === "click") element.click();
  if (action === "choose") {
    element.value = wanted;
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }
  const look = () => {
    const is = document.querySelector('[data-side="1"]')?.dataset[mark];
    if (!is?.startsWith(wanted)) requestAnimationFrame(look);
    else requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  };
  look();
})"""
LINES_PAINTED = """() => new Promise((resolve, reject) => {
  const look = () => {
    if (performance.now() > 600_000) reject(new Error("no line after ten minutes"));
    else if (!document.querySelector('line')) setTimeout(look, 20);
    else requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
  };
  look();
})"""

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--short", action="store_true", help="less, and no BertViz")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.short else 7)
    runs = list(RUNS)[:1] if options.short else list(RUNS)
    with TemporaryDirectory() as name, serving(Path(name)) as url, chromium() as browser:
        rows = [row for run in runs for row in served(url, run, options.rounds)]
        for run in runs:
            rows += opened(browser, url, run, options.rounds)
            print("…", *(f"{row['name']} {row['value']}" for row in rows[-4:]), flush=True)
        rows += other_head(browser, url, options.rounds)
        peer = {} if options.short else bertviz(browser, url, Path(name))
        version = browser.version
    for row in rows:
        row["peer"] = peer.get(row["name"], row["peer"])
        row["ratio"] = row["peer"] and round(row["peer"] / row["value"], 1)
        row["machine"] = f"{processor()}, {os.cpu_count()} cores, Chromium {version}"
    options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


def row(name: str, value: float, unit: str, peer: float | None = None) -> Row:
    return {"name": name, "value": value, "unit": unit, "peer": peer, "ratio": None}


def new_text() -> str:
    return "".join(random.choices(CHARACTERS.strip(), k=T))


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The app on a free port, as `sidelight serve` starts it."""
    for run, size in RUNS.items():
        model = GPTConfig(
            vocab_size=len(CHARACTERS), block_size=T, n_layer=size, n_head=size, n_embd=WIDTH
        )
        write_run(root / "checkpoints", run, model)
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    environment = os.environ | {
        "SIDELIGHT_CHECKPOINTS": str(root / "checkpoints"),
        "SIDELIGHT_DATA": str(root / "data"),
    }
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        yield server.stdout.readline().split()[3]
        server.terminate()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        own = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=own, args=ARGUMENTS)
        yield browser
        browser.close()


def ask(client: httpx.Client, run: str, text: str, accept: str) -> httpx.Response:
    body = {"run": run, "text": text, "encoding": "sqrt8"}
    return client.post("/api/attention", json=body, headers={"Accept": accept})


def served(url: str, run: str, rounds: int) -> list[Row]:
    """Server time and bytes of the compact form, beside the same numbers as JSON."""
    with httpx.Client(base_url=url, timeout=60) as client:
        ask(client, run, new_text(), COMPACT)  # loads the run
        texts = [new_text() for _ in range(rounds)]
        answers, compact_s = timed([lambda t=t: ask(client, run, t, COMPACT) for t in texts])
        maps, npy_s = timed([lambda: np_of(ask(client, run, new_text(), NPY))])
        numbers, json_s = timed([lambda: json.dumps(np.round(maps[0].astype(float), 4).tolist())])
    sizes = [int(answer.headers["Content-Length"]) for answer in answers]
    return [
        row(f"serve_{run}", round(1000 * compact_s, 1), "ms", round(1000 * (npy_s + json_s), 1))
        | {"own_peer": True},
        row(f"bytes_{run}", statistics.median(sizes), "bytes", len(numbers[0])),
    ]


def np_of(answer: httpx.Response) -> Any:
    return np.frombuffer(answer.content[128:], np.float32)


def timed(works: list[Callable[[], Any]]) -> tuple[list[Any], float]:
    """What each gives, and the median of their seconds."""
    results, times = [], []
    for work in works:
        start = time.perf_counter()
        results.append(work())
        times.append(time.perf_counter() - start)
    return results, statistics.median(times)


def opened(browser: Browser, url: str, run: str, rounds: int) -> list[Row]:
    """From a click to the paint: of a link to the explorer, and of the run in its list."""
    other = next(name for name in RUNS if name != run)
    by_link, by_choice = Times(), Times()
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    for _ in range(2 * rounds + 2):
        page.goto(f"{url}/runs")
        page.wait_for_timeout(1000)  # until it has settled
        address = f"/attention?{urlencode({'run': run, 'text': new_text()})}"
        page.evaluate(
            "a => { const l = document.createElement('a'); l.href = a; l.id = 'there';"
            "l.textContent = 'there'; document.body.prepend(l); }",
            address,
        )
        page.evaluate("document.getElementById('there').click()")
        page.wait_for_url("**/attention**", wait_until="commit")
        by_link.add(page, run)  # its clock began with the navigation, the click
    for _ in range(2 * rounds + 2):
        painted(page, other, "shown", "choose", "#run-1")
        page.locator("#text").fill(new_text())
        page.wait_for_timeout(3000)  # until it has settled: badges come last
        by_choice.add(page, run, "choose", "#run-1")
    page.close()
    return by_link.rows(f"open_{run}") + by_choice.rows(f"choose_{run}")


class Times:
    """Of the same action, by turns until the first paint and until that of the exact numbers."""

    def __init__(self) -> None:
        self._of: dict[str, list[float]] = {"painted": [], "shown": []}

    def add(self, page: Page, wanted: str, action: str = "", target: str = "body") -> None:
        mark = min(self._of, key=lambda mark: len(self._of[mark]))
        self._of[mark].append(painted(page, wanted, mark, action, target))

    def rows(self, name: str) -> list[Row]:
        """The medians, without the first of each."""
        action, _, run = name.partition("_")
        names = {"painted": name, "shown": f"{action}_exact_{run}"}
        return [
            row(names[mark], round(statistics.median(times[1:]), 1), "ms")
            for mark, times in self._of.items()
        ]


def painted(page: Page, wanted: str, mark: str, action: str = "", target: str = "body") -> float:
    """Milliseconds until that is painted."""
    taken: float = page.evaluate(PAINTED, [mark, wanted, action, target])
    return taken


def other_head(browser: Browser, url: str, rounds: int) -> list[Row]:
    """From the click on a head to the paint of its map."""
    run, times = "36x256", Times()
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(f"{url}/attention?{urlencode({'run': run, 'text': new_text()})}")
    page.wait_for_timeout(3000)
    for head in random.sample(range(1, 36), 2 * rounds + 2):
        layer, place = divmod(head, 6)
        thumbnail = f".thumbnail[data-layer='{layer}'][data-head='{place}']"
        times.add(page, f"{run} final {layer} {place}", "click", thumbnail)
        page.wait_for_timeout(1000)
    page.close()
    return times.rows(f"head_{run}")


def bertviz(browser: Browser, url: str, root: Path) -> dict[str, float]:
    """The peers' values by the rows' names; none where BertViz or npm is missing."""
    print("… BertViz, which takes a minute", flush=True)
    try:
        from bertviz import model_view
    except ImportError:
        print("no BertViz here: it comes with the extra bench")
        return {}
    libraries = fetched(root)
    with httpx.Client(base_url=url, timeout=60) as client:
        maps = torch.from_numpy(np_of(ask(client, "36x256", text := new_text(), NPY)).copy())
    page_file = root / "bertviz.html"
    layers = maps.view(6, 1, 6, T, T)
    html = model_view(list(layers), list(text), html_action="return").data
    page_file.write_text(f"<!doctype html><meta charset='utf-8'>{html}")
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(600_000)

    def fulfil(route: Route) -> None:
        name = next(name for name in LIBRARIES if name in route.request.url)
        route.fulfill(path=libraries[name], content_type="text/javascript")

    page.route(re.compile("^https:"), fulfil)
    page.goto(page_file.as_uri())
    painted = page.evaluate(LINES_PAINTED)
    drawn = page.locator("line").count()
    page.close()
    print(f"BertViz drew {drawn:,} lines")
    peers = {f"{name}_36x256": round(painted, 1) for name in ("open", "choose")}
    return peers | {"bytes_36x256": page_file.stat().st_size}


def fetched(root: Path) -> dict[str, Path]:
    """BertViz's libraries, from npm."""
    packages = [place.split("/")[0] for place in LIBRARIES.values()]
    command = ["npm", "install", "--silent", "--no-save", "--prefix", str(root), *packages]
    subprocess.run(command, check=True)
    return {
        name: root / "node_modules" / place.replace(f"@{place.split('@')[1].split('/')[0]}", "")
        for name, place in LIBRARIES.items()
    }


if __name__ == "__main__":
    main()
