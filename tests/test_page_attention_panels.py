"""The panels below the maps in a real browser, against the numbers that the API gives."""

import csv
import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import LiveServer

TEXT = "To be, or not"
READING = {"run": "baseline", "text": TEXT}


class Opened:
    """One panel of the attention page, and the API beside it."""

    def __init__(self, page: Page, live: LiveServer, name: str, query: str = "") -> None:
        self.page = page
        self.url = live.url
        page.goto(f"{live.url}/attention?text={TEXT}&run=baseline&panel={name}{query}")
        self.panel = page.locator(f'[data-panel="{name}"]')
        # What is above it has its size, so that nothing moves away from under the pointer.
        side = page.locator('[data-side="1"]')
        expect(side).to_have_attribute("data-shown", re.compile("baseline"), timeout=20_000)

    def part(self, name: str) -> Locator:
        return self.panel.locator(f'[data-part="{name}"]')

    def ask(self, call: str = "", **fields) -> dict:
        answer = httpx.post(f"{self.url}/api/attention{call}", json=READING | fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, selector: str) -> list[list[str]]:
        """The texts of a table's cells."""
        return self.panel.locator(selector).evaluate_all(
            "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
        )


def number(words: str) -> float:
    return float(words.replace("−", "-").replace("+", ""))


def cells(numbers: list[float], digits: int = 3) -> list[str]:
    return [f"{value:.{digits}f}".replace("-", "−") for value in numbers]


def signed(value: float, digits: int = 3) -> str:
    size = f"{abs(value):.{digits}f}"
    if float(size) == 0:
        return size
    return f"{'+' if value > 0 else '−'}{size}"


def in_address(page: Page, *wanted: str) -> None:
    for one in wanted:
        expect(page).to_have_url(re.compile(rf"[?&]{re.escape(one)}(&|$)"))


# One token, every head


def test_keys_read_the_value_of_every_heads_row(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "token", "&query=9&key=0")
    weights = np.array(opened.ask()["maps"])
    expect(opened.part("title")).to_have_text("What space (9) looks at")
    opened.part("strips").focus()
    darkness = {}
    for row in range(4):
        if row:
            page.keyboard.press("ArrowDown")
        for step, key in enumerate((0, 1, 2) if row % 2 == 0 else (2, 1, 0)):
            if step:
                page.keyboard.press("ArrowRight" if row % 2 == 0 else "ArrowLeft")
            layer, head = divmod(row, 2)
            weight = weights[layer, head, 9, key]
            words = opened.part("readout").inner_text()
            assert words.startswith(f"Layer {layer}, head {head}: space (9) looks at ")
            assert f"({key}) with about " in words
            # Half a step of the root of the weight, and two digits.
            shown = float(words.rpartition(" ")[2])
            assert shown == pytest.approx(weight, rel=0.06, abs=2e-4)
            darkness[layer, head, key] = pixel_under(opened.part("strips"))
    order = sorted(darkness, key=lambda at: weights[at[0], at[1], 9, at[2]])
    assert darkness[order[0]] < darkness[order[-1]]
    for lighter, darker in zip(order, order[2:], strict=False):  # apart by more than a byte
        assert darkness[lighter] <= darkness[darker]
    page.keyboard.press("Enter")
    in_address(page, "layer=1", "head=1")
    opened.part("details").locator("summary").click()
    expect(opened.part("table").locator("tbody tr")).to_have_count(4)
    for row, words in enumerate(opened.rows('[data-part="table"] tbody tr')):
        assert words[0] == f"L{row // 2} H{row % 2}"
        [key] = [int(found) for found in re.findall(r"\((\d+)\): about", words[1])]
        own = weights[row // 2, row % 2, 9]
        # The strongest, but for what a byte cannot tell apart.
        assert own[key] == pytest.approx(own.max(), abs=0.01)


def pixel_under(strips: Locator) -> int:
    """How dark the canvas is below the cursor."""
    return strips.evaluate(
        """strips => {
          const canvas = strips.querySelector("canvas");
          const mark = strips.querySelector(".strips-mark");
          const at = (start, size) => Math.round((start + size / 2) * devicePixelRatio);
          const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = mark;
          const [x, y] = [at(offsetLeft, offsetWidth), at(offsetTop, offsetHeight)];
          const [r, g, b] = canvas.getContext("2d").getImageData(x, y, 1, 1).data;
          return 765 - r - g - b;
        }"""
    )


def test_the_text_is_shaded_by_all_heads_and_by_one(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "token", "&query=9&layer=1")
    maps = np.array(opened.ask()["maps"])[:, :, 9]
    token = opened.part("all").get_by_role("option").nth(4)

    def shown(option: Locator) -> float:
        words = option.get_attribute("title") or ""
        assert words.startswith("e (4): about ")
        return float(words.rpartition(" ")[2])

    expect(token).to_have_attribute("title", re.compile("about"))
    assert shown(token) == pytest.approx(maps.mean((0, 1))[4], rel=0.06, abs=2e-4)
    opened.panel.get_by_label("Largest", exact=True).check()
    in_address(page, "across=max")
    expect.soft(token).to_have_attribute("title", re.compile("about"))
    page.wait_for_timeout(50)
    assert shown(token) == pytest.approx(maps.max((0, 1))[4], rel=0.06, abs=2e-4)
    one = opened.part("one").get_by_role("option").nth(4)
    assert shown(one) == pytest.approx(maps[1, 0, 4], rel=0.06, abs=2e-4)


def test_a_token_is_picked_by_a_click_and_by_arrow_keys(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "token")
    expect(opened.part("title")).to_have_text("What 't' (12) looks at")
    opened.part("all").get_by_role("option").nth(5).click()
    expect(opened.part("title")).to_have_text("What ',' (5) looks at")
    in_address(page, "query=5")
    opened.part("one").focus()
    page.keyboard.press("ArrowRight")
    expect(opened.part("title")).to_have_text("What space (6) looks at")
    chosen = opened.part("one").locator("[aria-selected=true]")
    expect(chosen).to_have_text("␣")
    expect(opened.part("one").get_by_role("option").nth(7)).to_have_class(re.compile("is-faint"))


# Inside


def test_the_numbers_of_a_head_are_the_apis(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "inside", "&query=9&layer=1&head=1&in_order=1")
    row = opened.ask("/inside", layer=1, head=1, query=9)["row"]
    expect(opened.part("numbers").locator("tr")).to_have_count(13, timeout=20_000)
    shown = opened.rows('[data-part="numbers"] tr')
    assert [line[0] for line in shown[:4]] == ["'T' (0)", "'o' (1)", "space (2)", "'b' (3)"]
    for column, name in ((1, "score"), (2, "scaled"), (4, "weight"), (5, "value"), (6, "weighted")):
        assert [line[column] for line in shown] == cells(row[name]), name
    assert [line[3] for line in shown] == ["masked" if hidden else "" for hidden in row["masked"]]
    opened.panel.get_by_label("Strongest first").check()
    expect(opened.part("numbers").locator("tr").first.locator("th")).to_have_text(
        re.compile(rf"\({int(np.argmax(row['weight']))}\)$")
    )
    weights = [float(line[4]) for line in opened.rows('[data-part="numbers"] tr')]
    assert weights == sorted(weights, reverse=True)


def test_the_lens_and_the_attribution_are_the_apis(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "inside", "&query=9")
    for target in (None, " "):
        if target:
            opened.part("target").select_option(target)
        inside = opened.ask("/inside", layer=0, head=0, query=9, target=target)
        attribution = inside["attribution"]
        assert attribution["target"] == (target or "n")  # what comes next in the text
        expect(opened.part("sum")).to_contain_text(
            f"= {signed(attribution['logit'])}: the logit", timeout=20_000
        )
        lens = opened.rows('[data-part="lens"] tbody tr')
        assert [line[0] for line in lens[:3]] == ["embedding", "layer 0 attention", "layer 0 mlp"]
        for line, expected in zip(lens, inside["lens"], strict=True):
            glyphs = [re.sub(r"\s*[\d.<]+ %$", "", cell) for cell in line[1:6]]
            visible = [token.translate({32: "␣", 10: "↵"}) for token, _ in expected["top"]]
            assert glyphs == visible
            assert line[7] == str(expected["target_rank"])
            shown = float(line[6].split()[0])
            assert shown == pytest.approx(100 * expected["target_probability"], abs=0.051)
        parts = {
            (p["layer"], p["head"]): p["logit"]
            for p in attribution["parts"]
            if p["head"] is not None
        }
        for (layer, head), logit in parts.items():
            button = opened.panel.get_by_role("button", name=f"Layer {layer}, head {head}:")
            expect(button).to_have_attribute(
                "aria-label", re.compile(re.escape(signed(logit)) + "$")
            )
        listed = [number(line[1]) for line in opened.rows('[data-part="parts"] tbody tr')]
        assert [abs(value) for value in listed] == sorted(map(abs, listed), reverse=True)
    in_address(page, "target=+")


def test_a_head_of_the_attribution_is_selected_by_a_click(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "inside")
    opened.panel.get_by_role("button", name="Layer 1, head 0:").click()
    expect(opened.part("numbers-title")).to_have_text("Layer 1, head 0: 't' (12) against every key")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(opened.part("numbers-title")).to_contain_text("Layer 0, head 1")
    in_address(page, "head=1")


def test_what_goes_wrong_is_said_and_can_be_tried_again(page: Page, live: LiveServer) -> None:
    refusal = {"error": {"message": "the run's folder is broken", "type": "server_error"}}
    calls = "**/api/attention/inside"
    page.route(calls, lambda route: route.fulfill(status=503, json=refusal))
    opened = Opened(page, live, "inside")
    expect(opened.panel.get_by_role("alert")).to_contain_text("the run's folder is broken")
    expect(opened.part("body")).to_be_hidden()
    page.unroute(calls)
    opened.part("again").click()
    expect(opened.part("body")).to_be_visible()
    expect(opened.panel.get_by_role("alert")).to_be_hidden()


# Roles


def test_roles_are_the_apis_and_can_be_ordered(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "roles")
    roles = opened.ask("/roles")
    names = [role["name"] for role in roles["roles"]]
    table = opened.part("table")
    expect(table.locator("tbody tr")).to_have_count(4, timeout=20_000)

    def score(head: dict, name: str, corrected: bool = True) -> float:
        own = head["scores"][name]
        return head["corrected"].get(name, own) if corrected else own

    for line, head in zip(opened.rows("tbody tr"), roles["heads"], strict=True):
        assert line[0] == f"L{head['layer']} H{head['head']}"
        digits = {"distance": 1}
        expected = [cells([score(head, name)], digits.get(name, 3))[0] for name in names]
        assert line[2:] == expected
    table.get_by_role("button", name="Entropy").click()
    expect(table.locator("th[aria-sort]")).to_have_text("Entropy")
    expect(table.get_by_role("button", name="Entropy")).to_be_focused()
    in_address(page, "order=entropy")
    ranked = sorted(roles["heads"], key=lambda head: -score(head, "entropy"))
    expected = [f"L{head['layer']} H{head['head']}" for head in ranked]
    assert [line[0] for line in opened.rows("tbody tr")] == expected
    opened.panel.get_by_label("With the first token").check(force=True)
    in_address(page, "uncorrected=1")
    raw = max(score(head, "entropy", corrected=False) for head in roles["heads"])
    first = table.locator("tbody tr").first.locator("td").nth(1 + names.index("entropy"))
    expect(first).to_have_text(cells([raw])[0])


def test_heads_are_put_in_order_while_another_panel_is_open(page: Page, live: LiveServer) -> None:
    Opened(page, live, "token", "&order=diffuse")
    arranged = page.locator('[data-side="1"] [data-part="arranged"]')
    expect(arranged).to_have_text("The most “Diffuse” first.", timeout=20_000)


def test_the_least_score_leaves_heads_out_and_a_row_selects(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "roles", "&order=diffuse")
    heads = opened.ask("/roles")["heads"]
    scores = sorted(head["corrected"]["diffuse"] for head in heads)
    least = round((scores[1] + scores[2]) / 2, 2)
    rows = opened.part("table").locator("tbody tr")
    expect(rows).to_have_count(4, timeout=20_000)
    opened.part("least").fill(str(least))
    expect(rows).to_have_count(sum(score >= least for score in scores))
    expect(opened.part("note")).to_contain_text("of 4 heads")
    in_address(page, f"least={least}")
    last = rows.last
    words = last.locator("th").inner_text()
    last.locator("td").last.click()
    expect(opened.panel.locator("tr[aria-current=true] th")).to_have_text(words)
    expect(page.locator(".thumbnail[aria-pressed=true]").first).to_have_attribute(
        "aria-label", re.compile(f"Layer {words[1]}, head {words[4]}")
    )


def test_roles_as_csv_and_their_sources(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "roles")
    roles = opened.ask("/roles")
    expect(opened.part("body")).to_be_visible(timeout=20_000)
    with page.expect_download() as caught:
        opened.part("csv").click()
    assert caught.value.suggested_filename == "baseline-step-final-head-roles.csv"
    rows = list(csv.DictReader(io.StringIO(Path(caught.value.path()).read_text())))
    for row, head in zip(rows, roles["heads"], strict=True):
        assert (int(row["layer"]), int(row["head"])) == (head["layer"], head["head"])
        assert row["badges"].split() == head["badges"]
        assert float(row["previous"]) == head["scores"]["previous"]
        assert float(row["previous_corrected"]) == head["corrected"]["previous"]
    opened.panel.locator("summary").click()
    for role in roles["roles"]:
        expect(opened.part("definitions")).to_contain_text(role["source"])


# Switched off


def test_heads_are_switched_off_and_what_they_are_missed_for(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "switch-off", "&seed=7&write=12")
    expect(opened.part("results")).to_contain_text("No head is switched off")
    opened.panel.get_by_role("button", name="Switch off layer 0, head 1").click()
    opened.panel.get_by_role("button", name="Switch off layer 1, head 0").click()
    in_address(page, "off=0.1%2C1.0")
    ablation = opened.ask(
        "/ablation", heads=[[0, 1], [1, 0]], generate=12, seed=7, temperature=1.0, top=10
    )
    before, after = ablation["loss_before"], ablation["loss_after"]
    change = signed(after - before)
    expect(opened.part("loss")).to_have_text(
        f"Loss on the text: {before:.3f} → {after:.3f} nats per character ({change})",
        timeout=20_000,
    )
    shown = opened.rows('[data-part="next"] tr')
    for line, token in zip(shown, ablation["next"], strict=True):
        assert line[0] == token["token"].translate({32: "␣", 10: "↵"})
        for words, share in ((line[2], token["before"]), (line[3], token["after"])):
            assert float(words.split()[0]) == pytest.approx(100 * share, abs=0.051)
    opened.part("changed").get_by_role("option").nth(3).click()
    one, other = ablation["losses_before"][3], ablation["losses_after"][3]
    expect(opened.part("token-readout")).to_have_text(
        f"'b' (3): loss {one:.3f} → {other:.3f} ({signed(other - one)})"
    )
    texts = {name: opened.part(f"text-{name}") for name in ("before", "after")}
    for name, text in texts.items():
        whole = text.evaluate("pre => pre.textContent").replace("↵", "").replace("␣", " ")
        assert whole == ablation[f"text_{name}"]
    pairs = list(zip(ablation["text_before"], ablation["text_after"], strict=True))
    first = next(i for i, (a, b) in enumerate(pairs) if a != b)
    expect(opened.part("written-note")).to_contain_text(f"Character {first} is the first")
    mark = texts["after"].locator("mark")
    expect(mark).to_have_text(pairs[first][1].translate({32: "␣", 10: "↵"}))
    opened.part("none").click()
    expect(opened.part("results")).to_contain_text("No head is switched off")


def test_importance_is_a_number_for_each_head(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "switch-off")
    opened.part("measure").click()
    answer = opened.ask("/importance")
    expect(opened.part("importance-note")).to_contain_text("is missed most", timeout=20_000)
    for layer, row in enumerate(answer["changes"]):
        for head, change in enumerate(row):
            button = opened.panel.get_by_role(
                "button",
                name=f"Switch off layer {layer}, head {head}: {signed(change)}",
                exact=True,
            )
            expect(button).to_have_text(signed(change, 2))
    expect(opened.panel.locator(".head-cell[aria-pressed=true]")).to_have_count(0)
    opened.panel.locator(".head-cell").nth(3).click()
    expect(opened.panel.locator(".head-cell").nth(3)).to_have_attribute("aria-pressed", "true")
    in_address(page, "off=1.1")
    # Of another filling they are not known yet.
    opened.panel.get_by_label("Mean", exact=True).check()
    expect(opened.panel.locator(".head-cell").first).to_have_text("·")


def test_a_single_token_has_no_importance(page: Page, live: LiveServer) -> None:
    opened = Opened(page, live, "switch-off")
    page.get_by_label("Text", exact=True).fill("T")
    in_address(page, "text=T")
    opened.part("measure").click()
    expect(opened.part("importance-alert")).to_contain_text("a loss needs two")
    opened.part("this-layer").click()
    expect(opened.part("loss")).to_have_text("A single token has no loss.", timeout=20_000)
