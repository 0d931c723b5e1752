"""The lessons on self-attention and cross-attention in a real browser, against other ways to it."""

import math
import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.attention_page import weights_of
from tests.conftest import LiveServer

TEXT, SOURCE = "To be, or", "Tom or I"
NUMBERS = """frame => [...frame.querySelectorAll("tbody tr")].map(
    row => [...row.querySelectorAll("td")].map(
        cell => cell.title ? Number(cell.title.replace("−", "-")) : 0))"""


def matrix(page: Page, name: str) -> np.ndarray:
    return np.array(page.locator(f"[data-matrix={name}]").evaluate(NUMBERS))


def sum_of(line: Locator) -> tuple[float, float]:
    """Both sides of a written sum, of products or of one quotient."""
    text = " ".join(line.inner_text().replace("−", "-").split())
    *_, terms, result = text.split(" = ")

    def value(term: str) -> float:
        numbers = [float(number.strip("()")) for number in re.split(" [×/] ", term)]
        return numbers[0] / numbers[1] if "/" in term else math.prod(numbers)

    return sum(value(term) for term in terms.split(" + ")), float(result)


def figure(page: Page, name: str) -> Locator:
    return page.locator(f"[data-figure={name}]")


def test_a_head_works_on_the_readers_text(page: Page, live: LiveServer) -> None:
    """Its numbers are the API's; the sums written out come to what stands in the matrices."""
    page.goto(f"{live.url}/learn/self-attention?text={TEXT}&layer=1&head=1&query=6&key=3&channel=2")
    expect(page.locator("#head")).to_have_attribute("aria-busy", "false")
    weights = weights_of(live, text=TEXT)[1, 1]
    shown = matrix(page, "weights")
    assert shown[:, :-1] == pytest.approx(weights, abs=1e-6)
    assert shown[:, -1] == pytest.approx(np.ones(9), abs=1e-5)
    assert matrix(page, "x").shape == matrix(page, "written").shape == (9, 8)
    for name, value in [
        ("scores", matrix(page, "scores")[6, 3]),
        ("softmax", weights[6, 3]),
        ("sum", matrix(page, "output")[6, 2]),
    ]:
        left, right = sum_of(figure(page, name).locator(".sum").last)
        assert left == pytest.approx(right, abs=4e-3), name
        assert right == pytest.approx(value, abs=1e-3), name
    # The keyboard's way to another query, which keeps the focus.
    row = page.locator("[data-matrix=weights] tbody button")
    row.nth(2).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#query")).to_have_value("2")
    expect(page).to_have_url(re.compile("query=2"))
    expect(row.nth(2)).to_be_focused()
    # Another text, and one that the run cannot read.
    page.get_by_label("Your text").fill("be")
    expect(page.locator("[data-matrix=scores] tbody tr")).to_have_count(2)
    page.get_by_label("Your text").fill("b€")
    expect(page.locator("#head").get_by_role("alert")).to_contain_text("€")
    expect(figure(page, "scores")).to_be_hidden()


def test_three_kinds_of_one_geometry(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/learn/cross-attention?text={TEXT}&source={SOURCE}")
    expect(page.locator("#kinds")).to_have_attribute("aria-busy", "false")
    page.locator("[data-matrix=cross] tbody button").nth(3).click()
    expect(page.locator("[data-matrix=cross] tr.is-chosen th")).to_have_text("b")
    general, own, cross = (matrix(page, name) for name in ("general", "own", "cross"))
    assert (own.shape, cross.shape) == ((9, 9), (9, 8))
    assert own == pytest.approx(weights_of(live, text=TEXT)[1, 0], abs=1e-6)
    assert general[0] == pytest.approx(cross[3], abs=1e-6)
    assert cross.sum(1) == pytest.approx(np.ones(9), abs=1e-5)
    shapes = (
        "figures => figures.map(f => [...f.querySelectorAll('.matrix-box')].map(b => b.outerHTML))"
    )
    drawn: Any = page.locator(".diagram").evaluate_all(shapes)
    assert drawn[0] == drawn[1] == drawn[2]
    assert len(drawn[0]) == 3
    cells = [page.locator(f"[data-kind={kind}] .weight-cell").count() for kind in ("own", "cross")]
    assert cells == [9 * 10 // 2, 9 * 8]


def test_by_hand_every_number_follows(page: Page, live: LiveServer) -> None:
    """Also from the address alone; and a cell without a number is named."""
    page.goto(f"{live.url}/learn/cross-attention?q=1,2;0,-1&k=1,0;0,1;1,1&v=1,2;3,4;5,6")
    hand = page.locator("#by-hand")
    hand.get_by_label("key 2, channel 1").fill("3")
    expect(page).to_have_url(re.compile(r"k=1%2C0%3B3%2C1%3B1%2C1"))
    expect(hand.locator("[data-matrix=hand-scores] tbody td").nth(1)).to_have_text("5.00")
    terms = [math.exp(score / math.sqrt(2)) for score in (1, 5, 3)]  # q1 with each key
    weights = [term / sum(terms) for term in terms]
    output = [
        sum(w * v for w, v in zip(weights, column, strict=True))
        for column in ((1, 3, 5), (2, 4, 6))
    ]
    assert matrix(page, "hand-weights")[0] == pytest.approx(weights, abs=1e-5)
    assert matrix(page, "hand-output")[0] == pytest.approx(output, abs=1e-5)
    sums = hand.locator("section").last.locator(".sum")
    assert [sum_of(sums.nth(i))[1] for i in range(2)] == pytest.approx(output, abs=1e-3)
    hand.get_by_label("query 1, channel 2").fill("")
    expect(hand.get_by_role("alert")).to_contain_text("query 1, channel 2")
    expect(hand.get_by_label("query 1, channel 2")).to_have_attribute("aria-invalid", "true")
    hand.get_by_role("button", name="As at first").click()
    expect(hand.get_by_role("alert")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("[?&][qkv]="))
