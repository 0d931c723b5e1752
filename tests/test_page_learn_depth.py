"""The lesson on residual connections, normalisation and dropout, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import LiveServer

TEXT = "To be, or not"
LESSON = "/learn/residual-norm-dropout?text=To+be%2C+or+not"


@pytest.fixture
def lesson(page: Page, live: LiveServer) -> Page:
    page.goto(live.url + LESSON)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    return page


def test_what_is_switched_off_is_drawn_and_told(lesson: Page, live: LiveServer) -> None:
    body = {"run": "baseline", "text": TEXT}
    variants = live.http.post("/api/learn/depth", json=body).json()["variants"]
    figure = lesson.locator("#depth-figure")
    losses = figure.locator('[data-part="losses"] tbody tr')
    expect(losses.locator("td.number")).to_have_text([f"{it['loss']:.3f}" for it in variants])
    gradient = figure.locator('[data-part="gradient-chart"]')
    expect(gradient.locator("svg[role=img] path.line")).to_have_count(1)
    figure.get_by_label("Normalisation", exact=True).uncheck()
    expect(gradient.locator("svg[role=img] path.line")).to_have_count(2)
    expect(losses.nth(1)).to_have_class("is-chosen")
    expect(figure).to_contain_text(f"{variants[1]['loss']:.2f} without normalisation")
    expect(lesson).to_have_url(re.compile("norm=0"))
    lesson.reload()
    expect(figure.get_by_label("Residual connections", exact=True)).to_be_checked()
    expect(figure.get_by_label("Normalisation", exact=True)).not_to_be_checked()
    gradient.get_by_text("The numbers").click()
    bottom = gradient.get_by_role("row", name="embeddings").get_by_role("cell")
    for cell, variant in zip(bottom.all_text_contents(), variants, strict=False):
        assert float(cell) == pytest.approx(variant["places"][0]["gradient"], rel=5e-3)


def test_dropout_scatters_and_a_problem_is_told(lesson: Page) -> None:
    figure = lesson.locator("#dropout-figure")
    words = figure.locator('[data-part="words"]')
    expect(words).to_contain_text("Over 16 passes that each leave out 20.0 %")
    before = words.text_content()
    lesson.get_by_label("Seed of the masks").fill("2")
    expect(words).not_to_have_text(before or "")
    lesson.get_by_label("Dropout p").focus()
    lesson.keyboard.press("Home")
    expect(words).to_contain_text("all 16 passes are the same pass")
    expect(lesson).to_have_url(re.compile("dropout=0&seed=2"))
    lesson.get_by_label("Your text").fill("5€")
    alert = lesson.locator("#depth-figure [role=alert]")
    expect(alert).to_contain_text("characters outside the vocabulary")
    expect(lesson.locator('#depth-figure [data-part="shown"]')).to_be_hidden()
    lesson.get_by_label("Your text").fill("To be")
    expect(alert).to_be_hidden()
