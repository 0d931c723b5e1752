"""The attention page in a real browser, against the numbers that the API gives."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from app.settings import Settings
from model.config import GPTConfig
from tests.attention_page import TEXT, figure, point_at, shows, side, weights_of
from tests.conftest import CHARACTERS, LiveServer, wait_until, write_run

SHARES = "spans => spans.map((s) => Number.parseFloat(s.style.getPropertyValue('--share')))"


@pytest.fixture
def weights(live: LiveServer) -> np.ndarray:
    """Layer 1, head 0 of the baseline on TEXT: (query, key)."""
    return weights_of(live)[1, 0]


@pytest.fixture
def opened(page: Page, live: LiveServer) -> Page:
    page.goto(f"{live.url}/attention?text={TEXT}&run=baseline&layer=1")
    shows(page, "baseline final 1 0")
    return page


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with a run that sees more than a page of the table."""
    root = tmp_path_factory.mktemp("long")
    model = GPTConfig(vocab_size=len(CHARACTERS), block_size=40, n_layer=1, n_head=2, n_embd=8)
    write_run(root / "checkpoints", "baseline", model)
    with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "data")) as server:
        yield server


def part(page: Page, name: str, number: int = 1) -> Locator:
    return side(page, number).locator(f"[data-part={name}]")


# The grid and the chosen map


def test_pointing_at_a_cell_reads_its_value(opened: Page, weights: np.ndarray) -> None:
    drawn = figure(part(opened, "heatmap"))
    assert drawn["z"] == pytest.approx(weights, abs=1e-6)
    assert (drawn["zmin"], drawn["zmax"]) == (0, 1)
    point_at(opened, part(opened, "heatmap"), query=9, key=4)
    expect(part(opened, "readout")).to_have_text(
        f"query '␣' (9) → key 'e' (4): {weights[9, 4]:.4f}"
    )
    expect(opened).to_have_url(re.compile("query=9&key=4"))
    shares = part(opened, "strip").locator("span").evaluate_all(SHARES)
    assert shares == pytest.approx(100 * weights[9] * (np.arange(len(TEXT)) <= 9), abs=0.051)


def test_a_map_in_a_few_numbers(opened: Page, weights: np.ndarray) -> None:
    """Its mean and largest over all pairs that are not masked; the strip has each column's mean."""
    below = np.tril_indices(len(TEXT))
    query, key = np.unravel_index(weights.argmax(), weights.shape)
    expect(part(opened, "facts")).to_contain_text(
        f"Mean {weights[below].mean():.4f}, largest {weights.max():.4f} at "
    )
    expect(part(opened, "facts")).to_contain_text(f"({query}) → '{TEXT[key]}' ({key})")
    received = np.array([weights[key:, key].mean() for key in range(len(TEXT))])
    shares = part(opened, "strip").locator("span").evaluate_all(SHARES)
    assert shares == pytest.approx(100 * received / received.max(), abs=0.051)


def test_every_head_is_a_thumbnail_of_the_compact_answer(opened: Page, live: LiveServer) -> None:
    """The darker a cell, the larger its weight: the canvas keeps the order of the values."""
    answer = live.http.post(
        "/api/attention",
        json={"run": "baseline", "text": TEXT, "encoding": "sqrt8"},
        headers={"Accept": "application/octet-stream"},
    ).content
    header = 4 + int.from_bytes(answer[:4], "little")
    T = len(TEXT)
    size = T * (T + 1) // 2
    canvases = side(opened).locator(".thumbnail canvas")
    expect(canvases).to_have_count(4)
    for i in range(4):
        triangle = np.frombuffer(answer, np.uint8, size, header + i * size)
        pixels = canvases.nth(i).evaluate(
            "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
        image = np.array(pixels).reshape(T, T, 4)[:, :, :3].sum(-1)
        below = np.tril_indices(T)
        assert (np.diff(image[below][np.argsort(triangle, kind="stable")]) <= 0).all()
        assert len(set(image[np.triu_indices(T, 1)])) == 1


def test_by_keyboard_alone(opened: Page) -> None:
    opened.locator(".thumbnail[aria-pressed=true]").focus()
    opened.keyboard.press("ArrowRight")
    shows(opened, "baseline final 1 1")
    opened.keyboard.press("ArrowUp")
    shows(opened, "baseline final 0 1")
    for _ in range(2):  # the files, then the map
        opened.keyboard.press("Tab")
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft"):
        opened.keyboard.press(key)
    expect(part(opened, "readout")).to_contain_text("query 'n' (10) → key '␣' (9): 0.")
    expect(part(opened, "spoken")).to_contain_text("query n at 10 → key space at 9: 0.")
    opened.keyboard.press("Home")
    expect(part(opened, "readout")).to_contain_text("key 'T' (0): 0.")


# What maps there are, and how they are coloured


def test_kinds_of_maps_and_their_colours(opened: Page, live: LiveServer) -> None:
    for kind in ("value_weighted", "output_weighted", "rollout"):
        opened.get_by_label("Maps", exact=True).select_option(kind)
        shows(opened, f"baseline final 1 0 {kind}")
        maps = weights_of(live, kind=kind)
        drawn = figure(part(opened, "heatmap"))
        assert drawn["z"] == pytest.approx(maps[1, 0], abs=1e-6)
        assert drawn["zmax"] == pytest.approx(1 if kind == "rollout" else maps.max(), rel=1e-5)
    opened.get_by_label("Logarithmic colours").check(force=True)
    expect(opened.locator("#faintest")).to_have_text("0.001")
    logarithm = 1 + np.log10(np.maximum(maps[1, 0], 1e-9)) / 3
    expect(part(opened, "heatmap").locator(".heatmap-canvas")).to_be_hidden()
    assert figure(part(opened, "heatmap"))["z"] == pytest.approx(np.maximum(0, logarithm), abs=1e-5)


def test_merged_maps_stand_behind_the_heads(opened: Page, live: LiveServer) -> None:
    maps = weights_of(live)
    for merge, merged in (("mean", np.mean), ("max", np.max)):
        opened.get_by_label("Merged maps").select_option(merge)
        expect(side(opened).locator(".thumbnail")).to_have_count(7)
        opened.get_by_role("button", name="Layer 0 merged").click()
        shows(opened, f"baseline final 0 {merge}")
        assert figure(part(opened, "heatmap"))["z"] == pytest.approx(merged(maps[0], 0), abs=1e-6)
        opened.keyboard.press("ArrowDown")
        opened.keyboard.press("ArrowDown")
        shows(opened, f"baseline final all {merge}")
        z = figure(part(opened, "heatmap"))["z"]
        assert z == pytest.approx(merged(maps.reshape(4, *z.shape), 0), abs=1e-6)
    opened.get_by_label("Merged maps").select_option("none")
    shows(opened, "baseline final 1 0")
    expect(side(opened).locator(".thumbnail")).to_have_count(4)


# Lines and numbers


def test_lines_are_as_strong_as_the_weights(opened: Page, weights: np.ndarray) -> None:
    """Where the lines of one query end, at its keys, each is as opaque as its weight."""
    opened.get_by_role("radio", name="Lines").check(force=True)
    part(opened, "lines").locator(".is-query span").nth(8).hover()
    expect(part(opened, "readout")).to_contain_text("query 'r' (8) → key ")
    opened.wait_for_timeout(50)  # the next frame
    alpha = (
        part(opened, "lines")
        .locator("canvas")
        .evaluate(
            """(canvas, count) => {
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(width - 1, 0, 1, height);
          const row = height / count;
          return Array.from({ length: count }, (_, i) => data[4 * Math.floor((i + 0.5) * row) + 3]);
        }""",
            len(TEXT),
        )
    )
    assert np.array(alpha) / 255 == pytest.approx(weights[8], abs=0.06)
    assert max(alpha[9:]) == 0


def test_numbers_in_place_of_the_picture(page: Page, long: LiveServer) -> None:
    text = (TEXT * 4)[:40]
    page.goto(f"{long.url}/attention?text={text}&view=table&head=1")
    shows(page, "baseline final 0 1")
    weights = weights_of(long, text=text)[0, 1]
    table = part(page, "table").get_by_role("table")
    expect(table.locator("caption")).to_contain_text("Each row is a query")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(32)
    expect(rows.nth(9).locator("th")).to_have_attribute("scope", "row")
    numbers = rows.nth(9).locator("td").all_text_contents()
    assert numbers == [f"{weight:.3f}" for weight in weights[9, :10]] + [""] * 30
    part(page, "table").get_by_role("button", name="Later").click()
    expect(rows).to_have_count(8)
    expect(rows.nth(7).locator("td").nth(39)).to_have_text(f"{weights[39, 39]:.3f}")
    part(page, "table").get_by_role("group").focus()
    page.keyboard.press("ArrowUp")
    expect(part(page, "readout")).to_contain_text("query 't' (38)")


# The text and its window


def test_a_long_text_is_seen_through_a_window(opened: Page, live: LiveServer) -> None:
    text = "To be, or not to be, Tom."
    opened.get_by_label("Text", exact=True).fill(text)
    bar = opened.locator("#window-bar")
    expect(bar).to_contain_text("characters 9 to 25 of 25")
    slider = bar.get_by_role("slider")
    slider.fill("18")
    expect(bar).to_contain_text("characters 2 to 18 of 25")
    slider.press("ArrowLeft")
    expect(bar).to_contain_text("characters 1 to 17 of 25")
    expect(opened).to_have_url(re.compile("end=17"))
    expect(part(opened, "strip").locator("span")).to_have_count(16)  # the map is that of the window
    value = weights_of(live, text=text[:17])[1, 0, 15, 3]
    words = f"query '␣' (15) → key 'e' (3): {value:.4f}"

    def reads_it() -> bool:  # what is above the map may still have moved it under the pointer
        point_at(opened, part(opened, "heatmap"), query=15, key=3, length=16)
        opened.wait_for_timeout(100)
        return part(opened, "readout").text_content() == words

    wait_until(reads_it)
    bar.get_by_role("button", name="All read").click()
    expect(bar).to_contain_text("characters 9 to 25 of 25")
    opened.get_by_label("Text", exact=True).fill("To be")
    expect(bar).to_be_hidden()


def test_a_character_that_a_run_does_not_know_is_named(opened: Page) -> None:
    opened.get_by_label("Text", exact=True).fill("To be €")
    expect(side(opened).get_by_role("alert")).to_contain_text("'€'")
    opened.get_by_label("Text", exact=True).fill("To be")
    shows(opened, "baseline final 1 0")
    expect(side(opened).get_by_role("alert")).to_be_hidden()
    opened.get_by_label("Text", exact=True).fill("")
    expect(part(opened, "waiting")).to_contain_text("Type something")


# Links, and runs that cannot be shown


def test_a_link_reopens_everything(page: Page, live: LiveServer) -> None:
    page.goto(
        f"{live.url}/attention?text={TEXT}&run=case-1&run2=baseline&step2=50&head2=1"
        "&kind=rollout&merge=max&merged=layer&layer=1&sink=1&log=1&query=6&key=2&view=table"
    )
    shows(page, "case-1 final 1 max rollout")
    shows(page, "baseline 50 0 max rollout", 2)
    expect(page.get_by_label("Maps", exact=True)).to_have_value("rollout")
    expect(page.get_by_label("Leave the first token out")).to_be_checked()
    expect(page.get_by_label("Logarithmic colours")).to_be_checked()
    expect(page.get_by_label("Numbers")).to_be_checked()
    expect(part(page, "readout", 2)).to_contain_text("query '␣' (6) → key '␣' (2): ")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.goto(page.evaluate("navigator.clipboard.readText()"))
    shows(page, "baseline 50 0 max rollout", 2)


def test_a_link_to_a_run_that_is_gone_says_so(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/attention?text={TEXT}&run=gone&layer=9")
    expect(page.locator("#missing")).to_contain_text("called gone")
    shows(page, "baseline final 1 0")
    option = side(page).locator("option[value=bigram]")
    expect(option).to_be_disabled()
    expect(option).to_have_text("Bigram (has no heads)")


POOLED = """async ({ T, most }) => {
  const own = document.querySelector("script[src$='/attention.js']").src; // the page's own modules
  const { paintTriangle } = await import(new URL("compact_maps.js", own));
  const bytes = Uint8Array.from({ length: (T * (T + 1)) / 2 }, (_, i) => (i * 37) % 251);
  const grey = Uint32Array.from({ length: 256 }, (_, byte) => 0xff000000 + byte * 0x010101);
  const canvas = document.createElement("canvas");
  paintTriangle(canvas, bytes, T, grey, most);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return { size: canvas.width, pixels: [...data].filter((_, i) => i % 4 === 0), bytes: [...bytes] };
}"""


def test_a_small_picture_shows_the_largest_of_what_shares_a_pixel(opened: Page) -> None:
    for T, most, together in ((10, 10, 1), (10, 128, 1), (10, 5, 2), (11, 4, 3)):
        painted = opened.evaluate(POOLED, {"T": T, "most": most})
        whole = np.zeros((T, T), int)
        whole[np.tril_indices(T)] = painted["bytes"]
        size = -(-T // together)
        assert painted["size"] == size
        picture = np.array(painted["pixels"]).reshape(size, size)
        for row in range(size):
            for column in range(size):
                block = whole[row * together :, column * together :][:together, :together]
                assert picture[row, column] == block.max()
