"""The page that prompts runs side by side, in a real browser."""

import json
import math
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.conftest import LiveServer, wait_until

LONG = 10_000  # characters; long enough to be stopped on the way
PROMPT = "ROMEO:\nTo be"


def panel(page: Page, number: int) -> Locator:
    return page.locator(".panel").nth(number)


def written(panel: Locator) -> int:
    return panel.locator(".token").count()


def open_page(page: Page, live: LiveServer, **query: object) -> None:
    query = {"prompt": PROMPT, "runs": "baseline,case-1", **query}
    page.goto(f"{live.url}/?{httpx.QueryParams(query)}")
    expect(page.locator(".panel").first).to_be_visible()


def generate(page: Page) -> None:
    """Write, and wait for every panel to be done."""
    page.locator("#generate").click()
    count = page.locator(".panel").count()
    expect(page.locator(".panel[data-state=done]")).to_have_count(count, timeout=30_000)


def test_nothing_is_sent_before_the_page_can_do_it(page: Page, live: LiveServer) -> None:
    """The browser alone would load the page anew, without the prompt."""
    page.route("**/js/compare.js", lambda route: route.abort())
    page.goto(live.url)
    expect(page.locator("#generate")).to_be_disabled()
    page.locator("#length").press("Enter")
    assert page.url.rstrip("/") == live.url
    page.unroute("**/js/compare.js")
    page.reload()
    expect(page.locator("#generate")).to_be_enabled()


def test_what_is_typed_while_the_page_is_loaded_stays(page: Page, live: LiveServer) -> None:
    held: list[Route] = []
    page.route("**/js/compare.js", lambda route: held.append(route))
    link = httpx.QueryParams({"prompt": PROMPT, "runs": "baseline", "length": 5, "go": 1})
    page.goto(f"{live.url}/?{link}", wait_until="commit")
    page.locator("#prompt").press_sequentially("To be")
    wait_until(lambda: page.evaluate("true") and held)
    held[0].continue_()
    expect(panel(page, 0)).to_have_attribute("data-state", "empty")
    expect(page.locator("#prompt")).to_have_value("To be")
    expect(page.locator("#length")).to_have_value("5")
    with page.expect_request("**/v1/completions") as asked:
        page.locator("#generate").click()
    assert asked.value.post_data_json["prompt"] == "To be"
    assert parse_qs(urlsplit(page.url).query)["prompt"] == ["To be"]


@pytest.mark.usefixtures("slow_model")
def test_both_streams_grow_and_stop(page: Page, live: LiveServer) -> None:
    open_page(page, live, length=LONG)
    page.locator("#generate").click()
    first, second = panel(page, 0), panel(page, 1)
    for each in (first, second):
        expect(each.locator(".token").nth(5)).to_be_attached()
    before = written(first), written(second)
    expect(first.locator(".token").nth(before[0] + 5)).to_be_attached()
    expect(second.locator(".token").nth(before[1] + 5)).to_be_attached()
    expect(first.locator("[data-part=status]")).to_contain_text("characters/s")

    page.locator("#stop").click()
    expect(page.locator(".panel[data-state=stopped]")).to_have_count(2)
    expect(first.locator("[data-part=status]")).to_contain_text("Stopped after")
    after = written(first), written(second)
    page.wait_for_timeout(300)
    assert (written(first), written(second)) == after
    assert max(after) < LONG


def test_a_characters_odds_are_those_of_the_api(page: Page, live: LiveServer) -> None:
    open_page(page, live, length=20, temperature=1.5, seed=7)
    generate(page)
    request = {"model": "case-1", "prompt": PROMPT, "max_tokens": 20, "temperature": 1.5}
    answer = httpx.post(f"{live.url}/v1/completions", json=request | {"seed": 7, "logprobs": 5})
    choice = answer.json()["choices"][0]
    tokens = panel(page, 1).locator(".token")
    assert "".join(tokens.all_text_contents()) == choice["text"]

    index = next(i for i, character in enumerate(choice["text"]) if character != "\n")
    tokens.nth(index).hover()
    card = page.locator("#probability-card")
    expect(card).to_be_visible()
    odds = {token: math.exp(lp) for token, lp in choice["logprobs"]["top_logprobs"][index].items()}
    drawn = odds[choice["logprobs"]["tokens"][index]]
    assert percent(card.locator(".card-probability").inner_text()) == about(drawn)
    shown = [percent(text) for text in card.locator(".alternative-value").all_inner_texts()]
    assert shown == [about(p) for p in sorted(odds.values(), reverse=True)]


def test_a_link_reopens_everything_and_writes_the_same(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="case-1,ngram")
    page.fill("#length", "40")
    page.fill("#top_k", "5")
    page.fill("#seed", "99")
    page.locator("#temperature").fill("1.25")
    page.get_by_label("Tint by surprise").check()
    generate(page)
    query = parse_qs(urlsplit(page.url).query)
    settings = {"runs": "case-1,ngram", "temperature": "1.25", "top_k": "5", "length": "40"}
    settings |= {"seed": "99", "tint": "1"}
    assert {name: values[0] for name, values in query.items()}.items() >= settings.items()
    texts = page.locator(".token-text").all_text_contents()

    reopened = page.context.new_page()
    reopened.goto(page.url)
    expect(reopened.locator(".panel[data-state=done]")).to_have_count(2)
    expect(reopened.locator(".token-text").nth(1)).to_have_text(texts[1], use_inner_text=False)
    assert reopened.locator(".token-text").all_text_contents() == texts
    expect(reopened.locator("#prompt")).to_have_value(PROMPT)
    expect(reopened.locator("#top_k")).to_have_value("5")
    expect(reopened.get_by_label("Tint by surprise")).to_be_checked()
    expect(reopened.locator("#legend")).to_be_visible()


def test_the_whole_journey_by_keyboard(page: Page, live: LiveServer) -> None:
    open_page(page, live, length=30, runs="baseline")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the page")).to_be_focused()
    press_until_focused(page, page.locator("#prompt"))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("To be")
    page.keyboard.press("ControlOrMeta+Enter")
    expect(panel(page, 0)).to_have_attribute("data-state", "done")
    text = panel(page, 0).locator(".token-text")
    press_until_focused(page, text)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(text.locator(".is-current")).to_have_attribute("data-index", "2")
    expect(page.locator("#probability-card")).to_be_visible()
    expect(page.locator(".card-spoken")).to_contain_text("%")
    page.keyboard.press("End")
    expect(text.locator(".is-current")).to_have_attribute("data-index", "29")
    page.keyboard.press("Escape")
    expect(page.locator("#probability-card")).to_be_hidden()


@pytest.mark.usefixtures("slow_model")
def test_escape_stops(page: Page, live: LiveServer) -> None:
    open_page(page, live, length=LONG)
    page.locator("#prompt").focus()
    page.keyboard.press("ControlOrMeta+Enter")
    expect(panel(page, 0).locator(".token").nth(3)).to_be_attached()
    page.keyboard.press("Escape")
    expect(page.locator(".panel[data-state=stopped]")).to_have_count(2)


def test_unknown_characters_are_named_where_they_matter(page: Page, live: LiveServer) -> None:
    open_page(page, live, prompt="Romeo €5")
    page.locator("#generate").click()
    for number in (0, 1):
        alert = panel(page, number).get_by_role("alert")
        expect(alert).to_contain_text("€")
        expect(alert.get_by_role("button", name="Try again")).to_be_visible()


def test_a_run_that_is_gone_fails_alone(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="nobody,baseline", length=20)
    page.locator("#generate").click()
    expect(panel(page, 0).get_by_role("alert")).to_contain_text("nobody")
    expect(panel(page, 1)).to_have_attribute("data-state", "done")


def test_a_lost_server_is_told_and_can_be_tried_again(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="baseline", length=20)
    page.route("**/v1/completions", lambda route: route.abort())
    page.locator("#generate").click()
    alert = panel(page, 0).get_by_role("alert")
    expect(alert).to_contain_text("cannot be reached")
    page.unroute("**/v1/completions")
    alert.get_by_role("button", name="Try again").click()
    expect(panel(page, 0)).to_have_attribute("data-state", "done")
    expect(alert).to_be_hidden()


def test_it_shows_what_the_model_saw(page: Page, live: LiveServer) -> None:
    prompt = "To be, or not to be. To be, or not"  # 34 characters; the context holds 16
    open_page(page, live, runs="baseline", prompt=prompt, length=5)
    generate(page)
    expect(panel(page, 0).locator("[data-part=context]")).to_contain_text("the last 16 of 34")
    expect(panel(page, 0).locator(".is-unseen")).to_have_text(prompt[:-16])


def test_what_it_came_to_is_read_aloud(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="nobody,baseline", length=20)
    page.locator("#generate").click()
    progress = page.locator("#progress[role=status]")
    expect(progress).to_contain_text("baseline: 20 characters")
    expect(progress).to_contain_text("nobody: There is no run")


def test_a_link_also_names_what_is_usual(page: Page, live: LiveServer) -> None:
    page.goto(live.url)
    generate(page)
    query = parse_qs(urlsplit(page.url).query)
    assert query["runs"] == ["baseline,case-1"]
    assert {"prompt", "temperature", "top_p", "length", "seed"} <= query.keys()


def test_a_long_text_can_be_walked_from_end_to_end(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="ngram", length=1500)
    generate(page)
    text = panel(page, 0).locator(".token-text")
    expect(text.locator(".token")).to_have_count(1500)
    text.focus()
    for key, index in (("End", "1499"), ("Home", "0")):
        page.keyboard.press(key)
        current = text.locator(".is-current")
        expect(current).to_have_attribute("data-index", index)
        expect(current).to_be_in_viewport()
        expect(page.locator("#probability-card")).to_be_in_viewport()


@pytest.mark.usefixtures("slow_model")
def test_stop_stays_in_reach_on_a_small_screen(page: Page, live: LiveServer) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    open_page(page, live, length=LONG)
    page.locator("#generate").click()
    expect(panel(page, 0).locator(".token").nth(3)).to_be_attached()
    expect(panel(page, 0).locator(".token-text")).to_be_in_viewport(ratio=0.3)
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_in_viewport()
    stop.click()
    expect(page.locator(".panel[data-state=stopped]")).to_have_count(2)


def test_spaces_can_be_shown(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="baseline", length=300, temperature=2, seed=1)
    generate(page)
    space = panel(page, 0).locator(".token.is-space").first
    expect(space).to_have_css("background-image", "none")
    page.get_by_label("Show spaces").check()
    assert "gradient" in space.evaluate("element => getComputedStyle(element).backgroundImage")
    assert "spaces=1" in page.url


def test_again_takes_a_new_seed(page: Page, live: LiveServer) -> None:
    open_page(page, live, length=40, seed=1, runs="baseline")
    generate(page)
    text = panel(page, 0).locator(".token-text").text_content()
    page.locator("#again").click()
    expect(page.locator("#seed")).not_to_have_value("1")
    expect(panel(page, 0).locator(".token")).to_have_count(40)
    assert panel(page, 0).locator(".token-text").text_content() != text


def test_panels_come_and_go_up_to_four(page: Page, live: LiveServer) -> None:
    open_page(page, live)
    add = page.get_by_role("button", name="Add a run")
    add.click()
    add.click()
    expect(page.locator(".panel")).to_have_count(4)
    expect(add).to_be_disabled()
    page.get_by_role("button", name="Remove case-1").click()
    expect(page.locator(".panel")).to_have_count(3)
    panel(page, 0).get_by_label("Run", exact=True).select_option("ngram")
    assert parse_qs(urlsplit(page.url).query)["runs"] == ["ngram,bigram,ngram"]
    expect(panel(page, 0)).to_contain_text("kind ngram")


def test_what_is_downloaded_is_what_is_shown(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="baseline", length=25, seed=3)
    generate(page)
    shown = panel(page, 0).locator(".token-text").text_content()
    with page.expect_download() as text:
        panel(page, 0).get_by_role("button", name="Text").click()
    assert Path(text.value.path()).read_text(encoding="utf-8") == shown
    with page.expect_download() as download:
        panel(page, 0).get_by_role("button", name="JSON").click()
    content = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert content["run"] == "baseline"
    assert content["prompt"] + content["text"] == shown
    assert content["sampling"]["seed"] == 3
    assert all(0 < token["probability"] <= 1 for token in content["tokens"])


def test_the_link_to_the_attention_carries_the_end_of_the_text(
    page: Page, live: LiveServer
) -> None:
    open_page(page, live, runs="baseline,ngram", length=25)
    generate(page)
    shown = panel(page, 0).locator(".token-text").text_content() or ""
    link = panel(page, 0).get_by_role("link", name="See the attention")
    query = parse_qs(urlsplit(link.get_attribute("href") or "").query)
    assert query == {"run": ["baseline"], "text": [shown[-16:]]}
    expect(panel(page, 1).get_by_role("link", name="See the attention")).to_be_hidden()


def test_events_are_whole_however_the_bytes_arrive(page: Page, live: LiveServer) -> None:
    open_page(page, live)
    stream = 'data: {"text":"é↵"}\r\n\r\n: a comment\n\ndata: two\ndata: lines\n\ndata: [DONE]\n\n'
    read = """async ([stream, size]) => {
        const { eventData } = await import("/static/js/sse.js");
        const bytes = new TextEncoder().encode(stream);
        const pieces = new ReadableStream({ start(controller) {
            for (let at = 0; at < bytes.length; at += size)
                controller.enqueue(bytes.slice(at, at + size));
            controller.close();
        } });
        const found = [];
        for await (const data of eventData(pieces)) found.push(data);
        return found;
    }"""
    for size in (1, 2, 3, 7, 1000):
        events = page.evaluate(read, [stream, size])
        assert events == ['{"text":"é↵"}', "two\nlines", "[DONE]"]


def test_the_theme_is_remembered(page: Page, live: LiveServer) -> None:
    page.emulate_media(color_scheme="light")
    open_page(page, live)
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Dark theme").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


def test_nothing_is_cut_off_at_any_width(page: Page, live: LiveServer) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    open_page(page, live, runs="baseline,case-1,ngram,bigram", length=60)
    generate(page)
    for width in (360, 768, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        wait_until(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
        for each in page.locator(".panel").all():
            box, remove = each.bounding_box(), each.locator("[data-part=remove]").bounding_box()
            assert box
            assert remove
            assert remove["x"] + remove["width"] <= box["x"] + box["width"], width


def percent(text: str) -> float:
    return float(text.removesuffix(" %"))


def about(probability: float) -> object:
    return pytest.approx(probability * 100, abs=0.051)  # what is shown is rounded


def press_until_focused(page: Page, target: Locator) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail("forty tabs did not reach it")


def test_a_run_can_be_prompted_at_a_step_and_the_address_keeps_it(
    page: Page, live: LiveServer
) -> None:
    open_page(page, live, length=20, seed=7, temperature=1, runs="baseline,baseline@50")
    expect(panel(page, 1).get_by_label("Training step")).to_have_value("50")
    panel(page, 1).get_by_label("Training step").select_option("step 10")
    generate(page)
    body = {"model": "baseline", "prompt": PROMPT, "max_tokens": 20, "seed": 7}
    for number, step in ((0, None), (1, 10)):
        answer = httpx.post(f"{live.url}/v1/completions", json=body | {"step": step})
        text = "".join(panel(page, number).locator(".token").all_text_contents())
        assert text == answer.json()["choices"][0]["text"]
    assert parse_qs(urlsplit(page.url).query)["runs"] == ["baseline,baseline@10"]
    link = panel(page, 1).get_by_role("link", name="See the attention")
    assert parse_qs(urlsplit(link.get_attribute("href") or "").query)["step"] == ["10"]
    page.reload()
    expect(panel(page, 1).get_by_label("Training step")).to_have_value("10")


def test_a_step_that_is_not_there_is_said(page: Page, live: LiveServer) -> None:
    open_page(page, live, runs="baseline@7")
    page.locator("#generate").click()
    expect(panel(page, 0).get_by_role("alert")).to_contain_text("no snapshot at step 7")
