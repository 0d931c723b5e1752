"""A key that is removed while a page is open: every page says the same of it, once."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from app.keys.ring import KeyRing
from app.security.rights import RIGHTS
from app.settings import Settings
from tests.conftest import LiveServer, wait_until
from tests.fake_launcher import FakeLauncher
from tests.keyed import bearer, make_keys

SENTENCE = "You are signed out. Sign in to go on."


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def keys(data: Path) -> dict[str, str]:
    return make_keys(data)


@pytest.fixture(scope="module")
def guarded(shared_checkpoints: Path, data: Path, keys: dict[str, str]) -> Iterator[LiveServer]:
    settings = Settings(checkpoints=shared_checkpoints, data=data, wrong_keys_per_minute=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.main.launcher_for", lambda _: FakeLauncher())
        with LiveServer(settings) as server:
            yield server


@pytest.fixture
def passing(data: Path) -> Iterator[str]:
    """A key that the test removes."""
    yield KeyRing(data).add("passing", RIGHTS)
    if any(key.name == "passing" for key in KeyRing(data).listed()):
        KeyRing(data).remove("passing")


def open_page(page: Page, server: LiveServer, path: str, key: str) -> None:
    page.goto(server.url + path)
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"^(?!.*/sign-in)"))


def said_once(page: Page) -> Locator:
    """The notice, beside which nothing else is read aloud."""
    expect(page.get_by_role("alert")).to_have_text([SENTENCE], timeout=10_000)
    expect(page.get_by_role("status").filter(has_text="signed out")).to_have_count(0)
    return page.get_by_role("alert")


def test_prompting(page: Page, guarded: LiveServer, data: Path, passing: str, keys: dict) -> None:
    open_page(page, guarded, "/?runs=baseline,case-1&length=20", passing)
    page.locator("#prompt").fill("To be, or")
    KeyRing(data).remove("passing")
    page.locator("#generate").click()
    expect(page.locator(".panel[data-state=failed]")).to_have_count(2)
    notice = said_once(page)
    notice.evaluate("(element) => { element.dataset.first = '1'; }")
    page.locator("#again").click()
    expect(page.locator(".panel[data-state=failed]")).to_have_count(2)
    expect(said_once(page)).to_have_attribute("data-first", "1")
    expect(page.locator("#prompt")).to_have_value("To be, or")
    assert page.context.cookies() == [], "it is not sent again and again"

    page.locator("#prompt").fill("To be, To be")
    notice.get_by_role("link", name="Sign in").click()
    page.get_by_label("API key").fill(keys["writer"])
    page.keyboard.press("Enter")
    expect(page.locator("#prompt")).to_have_value("To be, To be")
    page.locator("#generate").click()
    expect(page.locator(".panel[data-state=done]")).to_have_count(2)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_form_of_training(page: Page, guarded: LiveServer, data: Path, passing: str) -> None:
    open_page(page, guarded, "/train", passing)
    expect(page.locator("#job-check")).to_have_attribute("data-state", "fine")
    KeyRing(data).remove("passing")
    page.get_by_label("Hypothesis").fill("It learns.")
    page.get_by_label("Twice the heads").check()
    said_once(page)
    page.locator("#start").click()
    expect(page.locator("#job-check [data-part=alert]")).to_contain_text("signed out")
    said_once(page)
    expect(page.get_by_label("Hypothesis")).to_have_value("It learns.")


def test_the_heads(page: Page, guarded: LiveServer, data: Path, passing: str) -> None:
    open_page(page, guarded, "/attention?run=baseline&text=To", passing)
    expect(page.locator("[data-side='1']")).to_have_attribute("data-shown", re.compile("."))
    KeyRing(data).remove("passing")
    page.locator("#text").fill("To be")
    said_once(page)
    expect(page.locator("#text")).to_have_value("To be")


def test_a_stream_of_events(
    page: Page, guarded: LiveServer, data: Path, passing: str, keys: dict[str, str]
) -> None:
    trainer = bearer(keys["trainer"])
    config = {"model": {"kind": "bigram"}, "train": {"max_iters": 20}}
    body = {"config": config, "run_id": "followed"}
    job = guarded.http.post("/api/jobs", json=body, headers=trainer).json()["id"]
    held: list[Route] = []
    page.route("**/events*", lambda route: route.continue_() if held else held.append(route))
    open_page(page, guarded, f"/train?job={job}", passing)
    wait_until(lambda: page.evaluate("true") and held)
    KeyRing(data).remove("passing")
    held[0].continue_()
    said_once(page)

    other = page.context.new_page()  # signs in beside it
    open_page(other, guarded, "/runs", keys["reader"])
    expect(page.get_by_role("alert")).to_have_count(0, timeout=10_000)
    expect(page.locator("#job-view .state-badge")).to_have_text("Running")
