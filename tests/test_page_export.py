"""What a side of the attention page is saved as, file by file, against the API's numbers."""

import base64
import csv
import io
import json
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import LiveServer

TEXT = "To be, or\nnot 'T"
T = len(TEXT)
HEAD = {"run": "baseline", "text": TEXT, "layers": [1], "heads": [0]}
NAME = "baseline-step-final-layer-1-head-0"
SVG = "{http://www.w3.org/2000/svg}"
LOWER = np.tril_indices(T)


@pytest.fixture
def opened(page: Page, live: LiveServer) -> Page:
    return show(page, live)


def show(page: Page, live: LiveServer, shown: str = "1 0", **query: object) -> Page:
    query = {"text": TEXT, "run": "baseline", "layer": 1} | query
    page.goto(f"{live.url}/attention?{httpx.QueryParams(query)}")
    side = page.locator("[data-side='1']")
    what = re.compile(rf"^baseline final {shown}\b")
    expect(side).to_have_attribute("data-shown", what, timeout=20_000)
    return page


def save(page: Page, kind: str) -> tuple[str, bytes]:
    """The name and the content of the file that the first side gives."""
    page.get_by_text("Save as").first.click()
    with page.expect_download() as caught:
        page.locator(f"[data-export={kind}]").first.click()
    return caught.value.suggested_filename, Path(caught.value.path()).read_bytes()


def exact(live: LiveServer, **request: object) -> np.ndarray:
    """The API's numbers: (T, T)."""
    answer = live.http.post(
        "/api/attention", json=HEAD | request, headers={"Accept": "application/x-npy"}
    )
    return np.load(io.BytesIO(answer.content))[0, 0]


def test_the_numbers_are_the_apis(opened: Page, live: LiveServer) -> None:
    weights = exact(live)
    name, content = save(opened, "csv")
    assert name == f"{NAME}.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    places = [(int(row["query"]), int(row["key"])) for row in rows]
    assert places == list(zip(*LOWER, strict=True))
    assert [row["query_token"] + row["key_token"] for row in rows] == [
        TEXT[query] + TEXT[key] for query, key in places
    ]
    np.testing.assert_allclose([float(row["weight"]) for row in rows], weights[LOWER], rtol=1e-6)

    name, content = save(opened, "json")
    assert name == f"{NAME}.json"
    assert json.loads(content) == live.http.post("/api/attention", json=HEAD).json()

    name, content = save(opened, "npy")
    assert name == f"{NAME}.npy"
    array = np.load(io.BytesIO(content))
    assert array.shape == (1, 1, T, T)
    np.testing.assert_array_equal(array[0, 0], weights)


def test_a_merged_map_is_saved_as_it_is_shown(page: Page, live: LiveServer) -> None:
    show(page, live, "1 max", merge="max", merged="layer", kind="value_weighted")
    name, content = save(page, "npy")
    assert name == "baseline-step-final-layer-1-max-of-heads-value-weighted.npy"
    body = {"merge": "heads", "merge_by": "max", "kind": "value_weighted", "heads": None}
    np.testing.assert_array_equal(np.load(io.BytesIO(content))[0, 0], exact(live, **body))


def test_the_map_as_a_picture(opened: Page, live: LiveServer) -> None:
    name, content = save(opened, "png")
    assert name == f"{NAME}.png"
    assert size(content) == (1800, 1800)
    name, content = save(opened, "svg")
    assert name == f"{NAME}.svg"
    texts = [element.text or "" for element in ET.fromstring(content).iter(f"{SVG}text")]
    assert "baseline, step final, layer 1, head 0" in texts
    assert "".join(texts).count("↵") == 2, "the newline is on both axes"
    assert any(element.tag == f"{SVG}image" for element in ET.fromstring(content).iter())


def test_the_lines_as_a_picture(page: Page, live: LiveServer) -> None:
    show(page, live, view="lines")
    weights = exact(live)
    root = ET.fromstring(save(page, "svg")[1])
    opacities = sorted(float(line.get("stroke-opacity", "")) for line in root.iter(f"{SVG}line"))
    expected = sorted(weights[LOWER][weights[LOWER] >= 0.02])
    np.testing.assert_allclose(opacities, expected, atol=6e-4)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts[3:] == [c for token in TEXT for c in 2 * [{" ": "␣", "\n": "↵"}.get(token, token)]]
    assert size(save(page, "png")[1]) == (
        2 * int(root.get("width", "")),
        2 * int(root.get("height", "")),
    )

    show(page, live, view="lines", query=6)
    root = ET.fromstring(save(page, "svg")[1])
    rows = {line.get("y1") for line in root.iter(f"{SVG}line")}
    assert len(rows) == 1
    assert len(list(root.iter(f"{SVG}line"))) == (weights[6, :7] >= 0.02).sum()


def test_every_head_in_one_picture(opened: Page, live: LiveServer) -> None:
    name, content = save(opened, "heads")
    assert name == "baseline-all-heads.png"
    scale = 240 // T
    shown = opened.evaluate(
        """async ([base64, left, top, T, scale]) => {
            const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
            const image = await createImageBitmap(new Blob([bytes]));
            const canvas = new OffscreenCanvas(image.width, image.height);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const cell = (row, column) => {
                const [x, y] = [column, row].map((i) => (i + 0.5) * scale);
                const { data } = context.getImageData(left + x, top + y, 1, 1);
                return data[0] + data[1] + data[2];
            };
            const all = Array.from({ length: T }, (_, i) => i);
            return all.map((row) => all.map((column) => cell(row, column)));
        }""",
        [base64.b64encode(content).decode(), 56, 128, T, scale],
    )
    shown = np.array(shown)
    values = exact(live, layers=[0])[LOWER]
    order = np.argsort(values, kind="stable")
    assert (np.diff(shown[LOWER][order]) <= 3 * 6).all(), "a larger weight is darker"
    assert shown[0, 0] < 0.5 * shown[0, -1]


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.fixture
def alone(browser: Browser) -> Iterator[Page]:
    """A page without a network, that complains of every mistake."""
    context = browser.new_context(viewport={"width": 1000, "height": 900}, color_scheme="dark")
    context.set_offline(True)
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    yield page
    context.close()
    assert complaints[1:] == []  # the first is the file itself


def test_the_page_opens_by_itself(
    opened: Page, live: LiveServer, alone: Page, tmp_path: Path
) -> None:
    opened.emulate_media(color_scheme="dark")
    expect(opened.locator("html")).to_have_attribute("data-theme", "dark")
    name, content = save(opened, "html")
    file = tmp_path / name
    file.write_bytes(content)
    alone.goto(file.as_uri())
    expect(alone.get_by_role("heading", level=1)).to_have_text("baseline: what every head looks at")
    expect(alone.locator("html")).to_have_attribute("data-theme", "dark")
    heads = alone.locator(".exported-head")
    expect(heads).to_have_count(4)
    shown, own = (
        page.locator(f"{button} canvas").evaluate_all(PIXELS)
        for page, button in ((opened, ".thumbnail"), (alone, ".exported-head"))
    )
    assert shown == own
    assert len(set(shown[0])) > 20

    readout = alone.locator(".exported-readout")
    weights = exact(live)
    map = alone.get_by_role("application")
    map.focus()
    for _ in range(3):
        alone.keyboard.press("ArrowUp")
    expect(readout).to_have_text(
        f"query '{TEXT[T - 4]}' ({T - 4}) → key '{TEXT[T - 4]}' ({T - 4}): "
        f"{weights[T - 4, T - 4]:.6f}"
    )
    box = map.bounding_box()
    assert box
    step = (box["width"] - 24) / T
    alone.mouse.move(box["x"] + 24 + 2.5 * step, box["y"] + 24 + 9.5 * step)
    expect(readout).to_have_text(f"query '↵' (9) → key '␣' (2): {weights[9, 2]:.6f}")

    heads.nth(1).click()
    expect(alone.get_by_role("heading", level=2)).to_have_text("Layer 0, head 1")
    about = float(re.findall(r"about ([\d.]+)", readout.inner_text())[0])
    assert about == pytest.approx(exact(live, layers=[0], heads=[1])[9, 2], abs=5e-3)
    alone.get_by_role("button", name="Light or dark").click()
    expect(alone.locator("html")).to_have_attribute("data-theme", "light")


PIXELS = """canvases => canvases.map(canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [...new Uint32Array(data.buffer)];
})"""


def test_text_cannot_end_the_script_that_carries_it(
    page: Page, live: LiveServer, alone: Page, tmp_path: Path
) -> None:
    """What a text may hold: the module is asked for a page around one that tries."""
    page.goto(f"{live.url}/nowhere")
    html = page.evaluate(
        """async () => {
            const { exportedPage } = await import("/static/js/attention/exported_page.js");
            const header = { tokens: ["</script>", "<!--"], layers: [0], heads: [0], largest: 1,
                shape: [1, 1, 2, 2], merge: null };
            const maps = { header, triangles: new Uint8Array([255, 128, 200]) };
            const title = "</title><script>document.title = 'broken'</script>";
            const words = "</script><script>document.title = 'broken'</script><!-- &amp;";
            const shades = Array.from({ length: 256 }, (_, i) => i);
            const weights = new Float32Array([1, 0, 0.25, 0.75]);
            const options = { title, facts: [["Text", words]], maps, shades, chosen: 0, weights };
            return (await exportedPage(options)).text();
        }"""
    )
    file = tmp_path / "hostile.html"
    file.write_text(html, "utf-8")
    alone.goto(file.as_uri())
    expect(alone.locator(".exported-head")).to_have_count(1)
    expect(alone.locator("dd")).to_have_text(
        "</script><script>document.title = 'broken'</script><!-- &amp;"
    )
    assert alone.title() == "</title><script>document.title = 'broken'</script>"


def test_a_large_run_fits_into_two_megabytes(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/nowhere")
    count = page.evaluate(
        """async () => {
            const { exportedPage } = await import("/static/js/attention/exported_page.js");
            const [T, six] = [256, [0, 1, 2, 3, 4, 5]];
            const header = { tokens: Array(T).fill("e"), layers: six, heads: six, largest: 1,
                shape: [6, 6, T, T], merge: null };
            const maps = { header, triangles: new Uint8Array(36 * T * (T + 1) / 2) };
            const shades = Array.from({ length: 256 }, (_, i) => i);
            const weights = new Float32Array(T * T);
            const options = { title: "", facts: [], maps, shades, chosen: 0, weights };
            return (await exportedPage(options)).size;
        }"""
    )
    assert 1_500_000 < count < 2_000_000
