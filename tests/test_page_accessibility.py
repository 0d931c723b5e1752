"""Every page as axe-core judges it, in light and in dark: nothing serious, nothing critical."""

from collections.abc import Sequence
from urllib.parse import urlencode

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.conftest import LiveServer

TEXT = "ROMEO:\nTo be, or not to be"
SHOWN = {"text": TEXT, "run": "baseline", "query": 4}
PANELS = ("token", "inside", "roles", "switch-off", "difference")

JUDGE = """async (root) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    await frame().then(frame); // the theme's colours are on their way
    await Promise.all(document.getAnimations()
        .filter(({ effect }) => effect.getComputedTiming().iterations !== Infinity)
        .map(({ finished }) => finished.catch(() => {})));
    const { violations } = await axe.run(root, { resultTypes: ["violations"] });
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
            ({ id, where: target.join(" "), why: failureSummary.replaceAll(/\\s+/g, " ") })));
}"""

Violation = dict[str, str]

# What Swagger UI draws itself, with its own colours and its own markup.
SWAGGER_UI = {
    "color-contrast": "it writes white on light greens and blues",
    "nested-interactive": "it puts buttons and links into buttons",
}
INSIDE = "where => document.querySelector(where).closest('#swagger-ui') ? '#swagger-ui' : ''"


def judged(
    page: Page, what: str = "", root: str = "html", themes: Sequence[str] = ("light", "dark")
) -> list[Violation]:
    """What is serious or critical in the page, or a part of it, as it stands, in each theme."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[Violation] = []
    for theme in themes:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        about = {"theme": theme, "what": what}
        found += [about | violation for violation in page.evaluate(JUDGE, root)]
    return found


def test_the_judge_finds_what_is_wrong(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/nowhere")
    assert judged(page) == []
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert {violation["id"] for violation in judged(page)} == {"button-name"}


@pytest.mark.parametrize("path", ["/train", "/runs"])
def test_a_page(page: Page, live: LiveServer, path: str) -> None:
    page.goto(live.url + path)
    page.wait_for_load_state("networkidle")
    assert judged(page) == []


def test_the_compared_texts(page: Page, live: LiveServer) -> None:
    query = {"runs": "baseline,case-1", "length": 60, "tint": 1, "spaces": 1, "go": 1}
    page.goto(f"{live.url}/?{urlencode(query)}")
    expect(page.locator(".panel[data-state=done]")).to_have_count(2)
    assert judged(page) == []
    page.locator(".token").nth(5).hover()
    expect(page.locator("#probability-card")).to_be_visible()
    assert judged(page, "a character's odds", "#probability-card") == []


def test_the_api_page_but_for_what_swagger_ui_draws(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    found = judged(page)
    for violation in found:
        violation["inside"] = page.evaluate(INSIDE, violation["where"])
    theirs = [v for v in found if v["inside"] == "#swagger-ui" and v["id"] in SWAGGER_UI]
    print(
        *(f"left to Swagger UI: {rule}, {reason}" for rule, reason in SWAGGER_UI.items()), sep="\n"
    )
    assert [violation for violation in found if violation not in theirs] == []


def open_attention(page: Page, live: LiveServer, **query: object) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{live.url}/attention?{urlencode(SHOWN | query)}")
    side = page.locator("[data-side='1']")
    expect(side).to_have_attribute("data-shown", "baseline final 0 0", timeout=20_000)


def test_the_attention_page_with_each_panel(page: Page, live: LiveServer) -> None:
    open_attention(page, live)
    found = judged(page)
    for panel in PANELS:
        page.locator(f"[data-tab={panel}]").click()
        expect(page.locator(f"[data-panel={panel}]")).to_be_visible()
        page.wait_for_load_state("networkidle")
        found += judged(page, panel, "#panels")
    assert found == []


def test_two_runs_beside_one_another_in_every_view(page: Page, live: LiveServer) -> None:
    open_attention(page, live, run2="case-1", panel="difference", merge="mean")
    expect(page.locator("[data-side='2']")).to_have_attribute("data-shown", "case-1 final 0 0")
    page.wait_for_load_state("networkidle")
    found = judged(page, "map", "main")
    for view in ("Lines", "Numbers"):
        page.get_by_role("radio", name=view).check(force=True)
        found += judged(page, view, "#sides")
    page.get_by_text("Save as").first.click()
    assert found + judged(page, "files", ".exports") == []


def test_the_replay(page: Page, live: LiveServer) -> None:
    open_attention(page, live, replay=9, end=20, top_k=5, top_p=0.9)
    expect(page.locator(".distribution-table tbody tr").first).to_be_visible()
    assert judged(page, root="#replay-bar") == []
