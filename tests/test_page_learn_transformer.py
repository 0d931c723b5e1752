"""The lessons on many heads and on the transformer in a real browser, against the API's numbers."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from model.config import GPTConfig
from tests.conftest import CHARACTERS, LiveServer, write_run

TEXT = "To be, or not"
NARROW = {"width": 360, "height": 800}
SCROLLS = "document.documentElement.scrollWidth <= innerWidth"


def settled(page: Page) -> None:
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".lesson [role=alert]:visible")).to_have_count(0)


@pytest.fixture
def heads_server(tmp_path) -> LiveServer:
    """Runs that differ in nothing but their heads, and none with a single one."""
    base = {"vocab_size": len(CHARACTERS), "block_size": 16, "n_layer": 2, "n_embd": 8}
    for name, heads in (("baseline", 2), ("case-3", 4)):
        write_run(tmp_path, name, GPTConfig(n_head=heads, **base), seed=heads)
    with LiveServer(Settings(checkpoints=tmp_path, data=tmp_path / "data")) as server:
        yield server


def test_many_heads(page: Page, heads_server: LiveServer) -> None:
    page.goto(f"{heads_server.url}/learn/multi-head?text={TEXT}")
    settled(page)
    looks = page.locator("#looks")
    expect(looks.locator("canvas")).to_have_count(4)
    address = looks.locator(".head-tile").nth(3).get_attribute("href")
    assert address == "/attention?text=To+be%2C+or+not&layer=1&head=1"
    expect(page.locator("[data-part=scores] tbody tr")).to_have_count(4)

    # Side by side: as many parameters, other heads, and how far those are apart.
    rows = page.locator("[data-part=comparison] tr")
    expect(rows.first.locator("th")).to_have_text(["Baseline", "Case-3"])
    expect(rows.filter(has_text="D = C / H").locator("td")).to_have_text(["8 / 2 = 4", "8 / 4 = 2"])
    params = heads_server.http.get("/api/runs/baseline").json()["params"]
    expect(rows.filter(has_text="Parameters").locator("td")).to_have_text([f"{params:,}"] * 2)
    apart = [
        heads_server.http.post("/api/learn/head-diversity", json={"run": run, "text": TEXT}).json()
        for run in ("baseline", "case-3")
    ]
    expect(rows.filter(has_text="in layer 0").locator("td")).to_have_text(
        [f"{of['means'][0]:.3f}" for of in apart]
    )
    missing = page.locator("[data-part=missing] a")
    expect(missing).to_have_text(["one head"])
    expect(missing).to_have_attribute("href", "/train?set=model.n_head=1")

    # Switched off with the keyboard: one more head, which the address keeps.
    grid = page.locator("#switches [data-part=heads]")
    grid.get_by_role("button", name="layer 0, head 0").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    settled(page)
    expect(page).to_have_url(re.compile(r"off=0\.0%2C1\.0"))
    answer = heads_server.http.post(
        "/api/attention/ablation",
        json={"run": "baseline", "text": TEXT, "heads": [[0, 0], [1, 0]]},
    ).json()
    numbers = f"{answer['loss_before']:.3f} → {answer['loss_after']:.3f}"
    expect(page.locator("#without [data-part=loss]")).to_contain_text(numbers)
    page.set_viewport_size(NARROW)
    assert page.evaluate(SCROLLS)


def test_the_transformer_opened(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/learn/transformer?text={TEXT}&layer=1")
    settled(page)
    panel, diagram = page.locator("#part"), page.locator("[data-part=diagram]")
    expect(panel.locator("[data-part=part-title]")).to_have_text("Weights, layer 1")
    expect(panel.locator("canvas")).to_have_count(2)
    maps = live.http.post(
        "/api/attention", json={"run": "baseline", "text": TEXT, "layers": [1]}
    ).json()["maps"][0]
    panel.locator(".heat-area").nth(1).focus()
    for key in ["ArrowDown"] * 5 + ["ArrowRight"] * 2:
        page.keyboard.press(key)
    readout = panel.locator("[data-part=readout]").inner_text()
    assert readout.startswith("Head 1, ‘e’ (4), ‘␣’ (2): "), "from outside, the first step goes in"
    assert float(readout.rsplit(" ", 1)[1]) == pytest.approx(maps[1][4][2], rel=1e-3)

    # Another part with the keyboard; its numbers are its own.
    diagram.get_by_role("button", name="Stream after the MLP").focus()
    page.keyboard.press("Enter")
    expect(panel.locator("[data-part=part-title]")).to_have_text("Stream after the MLP, layer 1")
    body = {"run": "baseline", "text": TEXT, "part": "after_mlp", "layer": 1}
    found = live.http.post("/api/learn/activations", json=body).json()["statistics"]
    expect(panel.locator("dd").nth(3)).to_have_text(f"{found['mean']:.4g}".replace("-", "−"))
    expect(page).to_have_url(re.compile("part=after_mlp"))

    # The table adds up to what the run says of itself.
    params = live.http.get("/api/runs/baseline").json()["params"]
    rows = page.locator("[data-part=parts] tr")
    written = [words for words in rows.locator("td.number").all_inner_texts() if words != "–"]
    listed = sum(int(words.replace(",", "")) for words in written)
    expect(rows.last.locator("td")).to_have_text(f"{params:,}")
    one_block, blocks = (
        int(rows.filter(has_text=name).last.locator("td").last.inner_text().replace(",", ""))
        for name in ("One block", "2 blocks")
    )
    assert blocks == 2 * one_block
    outside = listed - 2 * one_block - blocks - params  # the block is listed, and then summed
    assert outside + blocks == params

    # A run without blocks says so, and shows what it has instead.
    page.select_option("#run", "bigram")
    expect(panel.locator("[data-part=part-title]")).to_have_text("The table")
    expect(page.locator("#block [data-part=kind]")).to_contain_text("bigram model: one table")
    expect(page.locator("#layer")).to_be_hidden()
    page.set_viewport_size(NARROW)
    assert page.evaluate(SCROLLS)
