"""Two runs, or one at two steps, on the attention page: one cursor, one scale, their difference."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.attention_page import TEXT, figure, point_at, shows, side, weights_of
from tests.conftest import LiveServer


@pytest.fixture
def opened(page: Page, live: LiveServer) -> Page:
    page.goto(f"{live.url}/attention?text={TEXT}&run=baseline&layer=1&panel=difference")
    shows(page, "baseline final 1 0")
    return page


def test_a_second_run_has_the_same_cursor_and_scale(opened: Page, live: LiveServer) -> None:
    opened.get_by_label("A second run beside it").check(force=True)
    shows(opened, "case-1 final 0 0", 2)
    point_at(opened, side(opened, 1), query=7, key=3)
    other = weights_of(live, run="case-1")[0, 0, 7, 3]
    readout = side(opened, 2).locator("[data-part=readout]")
    expect(readout).to_have_text(f"query 'o' (7) → key 'b' (3): {other:.4f}")

    opened.get_by_label("Leave the first token out").check(force=True)
    side(opened, 2).locator("[data-part=run]").select_option("baseline")
    shows(opened, "baseline final 0 0", 2)
    side(opened, 2).get_by_role("slider").fill("1")
    shows(opened, "baseline 50 0 0", 2)
    largest = max(weights_of(live, step=step)[..., 1:].max() for step in (None, 50))
    for number in (1, 2):
        zmax = figure(side(opened, number).locator("[data-part=heatmap]"))["zmax"]
        assert zmax == pytest.approx(largest, abs=0.004)  # as the compact bytes have it
    expect(opened.locator("#brightest")).to_have_text(f"{zmax:.2f}")

    opened.get_by_label("A second run beside it").uncheck(force=True)
    expect(side(opened, 2)).to_be_hidden()


def test_the_difference_is_one_less_the_other(opened: Page, live: LiveServer) -> None:
    panel = opened.locator("#panel-difference")
    panel.get_by_role("button", name="This run at its first snapshot").click()
    shows(opened, "baseline 10 1 0", 2)
    one, two = (weights_of(live, step=step)[1, 0] for step in (None, 10))
    drawn = figure(panel)
    assert drawn["z"] == pytest.approx(one - two, abs=1e-6)
    largest = np.abs(one - two).max()
    assert [drawn["zmin"], drawn["zmax"]] == pytest.approx([-largest, largest], rel=1e-5)
    expect(panel.locator("[data-part=highest]")).to_have_text(f"+{largest:.3f}")
    point_at(opened, panel, query=9, key=4)
    change = one[9, 4] - two[9, 4]
    expect(panel.locator("[data-part=difference-readout]")).to_have_text(
        f"query '␣' (9) → key 'e' (4): {one[9, 4]:.4f} − {two[9, 4]:.4f} = "
        f"{'−' if change < 0 else '+'}{abs(change):.4f}"
    )
    expect(side(opened, 2).locator("[data-part=readout]")).to_contain_text("key 'e' (4)")


def test_the_matrix_has_the_apis_divergences_and_pairs(opened: Page, live: LiveServer) -> None:
    """Choosing a cell shows both heads of the pair."""
    panel = opened.locator("#panel-difference")
    panel.get_by_role("button", name="A second run").click()
    shows(opened, "case-1 final 1 0", 2)
    body = {"text": TEXT, "a": {"run": "baseline"}, "b": {"run": "case-1"}}
    heads = panel.locator(".divergence")
    for label, match in (("The same place", "place"), ("Best of all", "anywhere")):
        panel.get_by_role("radio", name=label).check(force=True)
        answer = live.http.post("/api/attention/comparison", json=body | {"match": match})
        pairs = answer.raise_for_status().json()["pairs"]
        expect(heads).to_have_count(4)
        expect(panel.locator(".divergence-pair")).to_have_count(4 if match == "anywhere" else 0)
        for i, pair in enumerate(pairs):
            expect(heads.nth(i).locator(".number")).to_have_text(f"{pair['divergence']:.3f}")
            layer, head = pair["b"]
            expect(heads.nth(i)).to_have_attribute(
                "title",
                f"Layer {i // 2}, head {i % 2} and layer {layer}, head {head} of the "
                f"second run, similarity {pair['similarity']:.3f}",
            )
    heads.nth(1).click()
    shows(opened, "baseline final 0 1")
    layer, head = pairs[1]["b"]
    shows(opened, f"case-1 final {layer} {head}", 2)
    expect(heads.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(panel.locator("[data-part=pair]")).to_contain_text(f"{pairs[1]['divergence']:.4f} bits")

    opened.get_by_label("Leave the first token out").check(force=True)
    answer = live.http.post(
        "/api/attention/comparison", json=body | {"match": "anywhere", "without_first": True}
    ).json()
    expect(heads.first.locator(".number")).to_have_text(f"{answer['pairs'][0]['divergence']:.3f}")


def test_what_cannot_be_compared_is_said(opened: Page) -> None:
    refusal = {"error": {"message": "b: it cuts this text into other tokens", "param": "b"}}
    opened.route("**/comparison", lambda route: route.fulfill(status=422, json=refusal))
    panel = opened.locator("#panel-difference")
    panel.get_by_role("button", name="A second run").click()
    expect(panel.get_by_role("alert")).to_contain_text("other tokens")
