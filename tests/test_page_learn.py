"""Every lesson as a reader meets it: on a phone, in both themes, by keyboard, on paper."""

from collections.abc import Iterator
from itertools import cycle

import pytest
from playwright.sync_api import Page, expect

from app.lessons import LESSONS, Lesson
from app.settings import ROOT, Settings
from tests.conftest import LiveServer
from tests.test_page_accessibility import judged

FITS = "document.documentElement.scrollWidth <= innerWidth"
# What of the lesson reaches past the edge of the paper.
CUT_OFF = """[...document.querySelectorAll(".lesson *")]
    .filter((element) => element.checkVisibility())
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => element.outerHTML.slice(0, 80))"""

# Of many things alike the judge, who looks at each in turn, need see but a few.
THIN_OUT = """document.querySelectorAll(
    ".lesson :is(tr, li):nth-child(n + 4), .lesson :is(td, th):nth-child(n + 7)"
).forEach((element) => element.remove())"""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("data")
    with LiveServer(Settings(checkpoints=ROOT / "checkpoints", data=data)) as server:
        yield server


def test_the_contents_lead_to_every_lesson_and_each_to_the_next(
    page: Page, shipped: LiveServer
) -> None:
    page.goto(f"{shipped.url}/learn")
    links = page.locator(".lesson-list a")
    assert [link.get_attribute("href") for link in links.all()] == [
        f"/learn/{lesson.slug}" for lesson in LESSONS
    ]
    assert judged(page) == []
    page.goto(f"{shipped.url}/learn/{LESSONS[0].slug}")
    expect(page.locator("h1")).to_have_text(LESSONS[0].title)
    expect(page.locator(".site-nav [aria-current]")).to_have_text("Learn")
    page.locator("[rel=next]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(LESSONS[1].title)


# All lessons are made of the same colours, so each is judged in one theme.
@pytest.mark.parametrize(
    ("lesson", "theme"),
    list(zip(LESSONS, cycle(["light", "dark"]), strict=False)),
    ids=[lesson.slug for lesson in LESSONS],
)
def test_a_lesson_fits_a_phone_and_paper(
    page: Page, shipped: LiveServer, lesson: Lesson, theme: str
) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{shipped.url}/learn/{lesson.slug}")
    page.wait_for_load_state("networkidle")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".lesson .alert:visible")).to_have_count(0)
    assert page.locator(".lesson-figure").count() >= 1
    assert page.locator(".lesson math").count() >= 1
    assert page.locator(".references li").count() >= 1
    assert page.evaluate(FITS)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
    expect(page.locator(".site-header")).to_be_hidden()
    assert page.evaluate(CUT_OFF) == []
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 360, "height": 800})
    page.evaluate(THIN_OUT)
    assert judged(page, themes=[theme]) == []


def test_an_unknown_lesson_is_a_page_that_says_so(page: Page, shipped: LiveServer) -> None:
    page.goto(f"{shipped.url}/learn/nothing")
    expect(page.locator("main")).to_contain_text("there is nothing at /learn/nothing")
