"""The attention page in a real browser, against the numbers that the API gives."""

import csv
import io
import json
import struct

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import LiveServer

TEXT = "To be, or not"
HEAD = {"run": "baseline", "text": TEXT, "layers": [1], "heads": [0]}


@pytest.fixture
def weights(live: LiveServer) -> np.ndarray:
    """Layer 1, head 0 of the baseline on TEXT, as the API has it: (query, key)."""
    answer = httpx.post(
        f"{live.url}/api/attention", json=HEAD, headers={"Accept": "application/x-npy"}
    )
    return np.load(io.BytesIO(answer.content))[0, 0]


@pytest.fixture
def opened(page: Page, live: LiveServer) -> Page:
    page.goto(f"{live.url}/attention?text={TEXT}&run=baseline&layer=1")
    expect(side(page, 1)).to_have_attribute("data-shown", "baseline final 1 0", timeout=20_000)
    return page


def side(page: Page, number: int):
    return page.locator(f'[data-side="{number}"]')


def point_at(page: Page, number: int, query: int, key: int) -> None:
    """Move the pointer to the middle of a cell."""
    area = side(page, number).locator(".heatmap-area")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    x = box["x"] + box["width"] * (key + 0.5) / len(TEXT)
    y = box["y"] + box["height"] * (query + 0.5) / len(TEXT)
    for step in range(5):  # Plotly looks at a moving pointer some twenty times a second
        page.mouse.move(x - 4 + step, y)
        page.wait_for_timeout(100)


def test_pointing_at_a_cell_reads_its_value(opened: Page, weights: np.ndarray) -> None:
    point_at(opened, 1, query=9, key=4)
    expect(side(opened, 1).locator("[data-part=readout]")).to_have_text(
        f"query '␣' (9) → key 'e' (4): {weights[9, 4]:.4f}"
    )


def test_every_head_is_a_thumbnail_of_the_compact_answer(opened: Page, live: LiveServer) -> None:
    """The darker a cell, the larger its weight: the canvas keeps the order of the values."""
    answer = httpx.post(
        f"{live.url}/api/attention",
        json={"run": "baseline", "text": TEXT},
        headers={"Accept": "application/octet-stream"},
    ).content
    header = 4 + int.from_bytes(answer[:4], "little")
    T = len(TEXT)
    size = T * (T + 1) // 2
    canvases = side(opened, 1).locator(".thumbnail canvas")
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


def test_a_second_run_has_the_same_cursor(opened: Page, live: LiveServer) -> None:
    opened.get_by_label("A second run beside it").check(force=True)
    expect(side(opened, 2)).to_have_attribute("data-shown", "case-1 final 0 0", timeout=20_000)
    point_at(opened, 1, query=7, key=3)
    other = httpx.post(
        f"{live.url}/api/attention",
        json={"run": "case-1", "text": TEXT, "layers": [0], "heads": [0]},
        headers={"Accept": "application/x-npy"},
    )
    weight = np.load(io.BytesIO(other.content))[0, 0, 7, 3]
    expect(side(opened, 2).locator("[data-part=readout]")).to_have_text(
        f"query 'o' (7) → key 'b' (3): {weight:.4f}"
    )


def test_another_run_changes_the_scale_of_both(opened: Page, live: LiveServer) -> None:
    opened.get_by_label("A second run beside it").check(force=True)
    opened.get_by_label("Leave the first character out").check(force=True)
    side(opened, 2).locator("[data-part=run]").select_option("baseline")
    side(opened, 2).locator("[data-part=step]").select_option("50")
    expect(side(opened, 2)).to_have_attribute("data-shown", "baseline 50 0 0", timeout=20_000)
    largest = 0
    for body in ({"run": "baseline", "text": TEXT}, {"run": "baseline", "text": TEXT, "step": 50}):
        answer = httpx.post(f"{live.url}/api/attention", json=body).json()
        largest = max(largest, np.array(answer["maps"])[..., 1:].max())
    expect(opened.locator("#brightest")).to_have_text(f"{round(255 * largest) / 255:.2f}")
    for number in (1, 2):
        zmax = side(opened, number).locator(".heatmap-figure").evaluate("f => f.data[0].zmax")
        assert zmax == round(255 * largest) / 255


def test_the_exports_are_the_apis_numbers(opened: Page, live: LiveServer, weights) -> None:
    files = {}
    for kind in ("CSV", "JSON", "PNG"):
        with opened.expect_download() as caught:
            side(opened, 1).get_by_role("button", name=kind).click()
        assert caught.value.suggested_filename == (
            f"baseline-step-final-layer-1-head-0.{kind.lower()}"
        )
        files[kind] = caught.value.path().read_bytes()
    rows = list(csv.DictReader(io.StringIO(files["CSV"].decode())))
    assert len(rows) == len(TEXT) * (len(TEXT) + 1) // 2
    for row in rows:
        assert row["query_token"] == TEXT[int(row["query"])]
        assert float(row["weight"]) == pytest.approx(
            weights[int(row["query"]), int(row["key"])], abs=1e-7
        )
    assert json.loads(files["JSON"]) == httpx.post(f"{live.url}/api/attention", json=HEAD).json()
    assert files["PNG"].startswith(b"\x89PNG")
    assert struct.unpack(">II", files["PNG"][16:24]) == (1800, 1800)


def test_by_keyboard_alone(opened: Page, live: LiveServer) -> None:
    opened.locator(".thumbnail[aria-pressed=true]").focus()
    opened.keyboard.press("ArrowRight")
    expect(side(opened, 1)).to_have_attribute("data-shown", "baseline final 1 1")
    opened.keyboard.press("ArrowUp")
    expect(side(opened, 1)).to_have_attribute("data-shown", "baseline final 0 1")
    for _ in range(4):  # the three exports, then the map
        opened.keyboard.press("Tab")
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft"):
        opened.keyboard.press(key)
    readout = side(opened, 1).locator("[data-part=readout]")
    expect(readout).to_contain_text("query 'n' (10) → key '␣' (9): 0.")


def test_a_link_reopens_run_step_and_head(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/attention?text={TEXT}&run=case-1&run2=baseline&step2=50&head2=1")
    expect(side(page, 1)).to_have_attribute("data-shown", "case-1 final 0 0", timeout=20_000)
    expect(side(page, 2)).to_have_attribute("data-shown", "baseline 50 0 1", timeout=20_000)


def test_a_link_to_a_run_that_is_gone_says_so(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/attention?text={TEXT}&run=gone")
    expect(page.locator("#missing")).to_contain_text("called gone")
    expect(side(page, 1)).to_have_attribute("data-shown", "baseline final 0 0", timeout=20_000)


def test_a_character_that_a_run_does_not_know_is_named(opened: Page) -> None:
    opened.get_by_label("Text").fill("To be €")
    expect(side(opened, 1).get_by_role("alert")).to_contain_text("'€'")


def test_text_longer_than_the_context_says_what_is_left_out(opened: Page) -> None:
    opened.get_by_label("Text").fill("To be, or not to be.")
    expect(side(opened, 1).locator("[data-part=cropped]")).to_contain_text("the first 4")


def test_runs_without_heads_cannot_be_chosen(opened: Page) -> None:
    option = side(opened, 1).locator("option[value=bigram]")
    expect(option).to_be_disabled()
    expect(option).to_have_text("Bigram (has no heads)")
