"""What the tests of the attention page share: its sides, cursor and figure, the API's numbers."""

import io
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from tests.conftest import LiveServer

TEXT = "To be, or not"


def weights_of(server: LiveServer, **body: Any) -> np.ndarray:
    """The exact maps of a request, (layer, head, query, key); TEXT and `baseline` if not said."""
    answer = server.http.post(
        "/api/attention",
        json={"run": "baseline", "text": TEXT} | body,
        headers={"Accept": "application/x-npy"},
    )
    return np.load(io.BytesIO(answer.raise_for_status().content))


def side(page: Page, number: int = 1) -> Locator:
    return page.locator(f'[data-side="{number}"]')


def shows(page: Page, words: str, number: int = 1) -> None:
    """Wait until a side shows the exact numbers of what the words say."""
    expect(side(page, number)).to_have_attribute("data-shown", words, timeout=20_000)


def figure(frame: Locator) -> dict[str, Any]:
    """The trace that a map's figure has drawn: z as an array (query, key), zmin and zmax."""
    expect(frame.locator(".heatmap-canvas")).to_be_hidden(timeout=20_000)
    trace = frame.locator(".heatmap-figure").evaluate(
        "({ data: [{ z, zmin, zmax }] }) => ({ z: z.map((row) => [...row]), zmin, zmax })"
    )
    return trace | {"z": np.array(trace["z"])}


def point_at(page: Page, frame: Locator, query: int, key: int, length: int = len(TEXT)) -> None:
    """Move the pointer to the middle of a cell."""
    area = frame.locator(".heatmap-area")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    page.mouse.move(
        box["x"] + box["width"] * (key + 0.5) / length,
        box["y"] + box["height"] * (query + 0.5) / length,
    )
