"""A person with a key, in a real browser: enters it once, uses the pages, and leaves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.jobs.launcher import Status
from app.keys.ring import cookie_of
from app.security.access import COOKIE
from app.settings import Settings
from tests.conftest import LiveServer
from tests.fake_launcher import FakeLauncher
from tests.keyed import bearer, make_keys

THIRTY_DAYS = 30 * 24 * 3600


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def keys(data: Path) -> dict[str, str]:
    return make_keys(data)


@pytest.fixture(scope="module")
def launcher() -> FakeLauncher:
    return FakeLauncher()


@pytest.fixture(scope="module")
def guarded(
    shared_checkpoints: Path, data: Path, keys: dict[str, str], launcher: FakeLauncher
) -> Iterator[LiveServer]:
    settings = Settings(checkpoints=shared_checkpoints, data=data, wrong_keys_per_minute=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.main.launcher_for", lambda _: launcher)
        patch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
        with LiveServer(settings) as server:
            yield server


def enter(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")


def test_a_key_is_entered_once(page: Page, guarded: LiveServer, keys: dict[str, str]) -> None:
    page.goto(f"{guarded.url}/?prompt=To%20be&runs=baseline&length=20&seed=1")
    expect(page).to_have_url(
        f"{guarded.url}/sign-in?next=/%3Fprompt%3DTo%2520be%26runs%3Dbaseline"
        "%26length%3D20%26seed%3D1"
    )
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.get_by_role("navigation")).to_be_empty()
    enter(page, f"  {keys['writer']} ")  # as it is copied
    page.wait_for_url("**/?prompt=To*be*")
    expect(page.locator(".holder")).to_contain_text("writer")
    expect(page.locator(".holder")).to_contain_text("read, generate")
    expect(page.locator(".panel")).to_have_count(1)
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".panel[data-state=done]")).to_have_count(1)

    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["value"]) == (COOKIE, cookie_of(keys["writer"]))
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["path"] == "/"
    assert THIRTY_DAYS - 100 < cookie["expires"] - page.evaluate("Date.now() / 1000") <= THIRTY_DAYS
    assert page.evaluate("document.cookie") == "", "no script can read it"
    assert keys["writer"] not in page.content() and cookie["value"] not in page.content()

    page.goto(f"{guarded.url}/sign-in?next=/runs")
    expect(page).to_have_url(f"{guarded.url}/runs")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{guarded.url}/sign-in")
    assert page.context.cookies() == []
    page.goto(f"{guarded.url}/runs")
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_wrong_key(page: Page, guarded: LiveServer, keys: dict[str, str]) -> None:
    page.goto(f"{guarded.url}/sign-in?next=/train")
    with page.expect_response("**/sign-in") as answered:
        enter(page, "sk-sidelight-<b>wrong")
    assert answered.value.status == 401
    field = page.get_by_label("API key")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("The server knows no such key")
    described = field.get_attribute("aria-describedby") or ""
    assert (problem.get_attribute("id") or "?") in described.split()
    assert "<b>wrong" not in page.content() and page.context.cookies() == []
    enter(page, keys["trainer"])
    expect(page).to_have_url(f"{guarded.url}/train")


def test_a_key_that_only_reads(page: Page, guarded: LiveServer, keys: dict[str, str]) -> None:
    page.goto(f"{guarded.url}/?runs=baseline,case-1&length=20")
    enter(page, keys["reader"])
    expect(page.locator(".panel")).to_have_count(2)
    page.get_by_role("button", name="Generate").click()
    problem = "the key 'reader' may read; this needs the right to generate"
    for number in (0, 1):
        panel = page.locator(".panel").nth(number)
        expect(panel.locator(".alert")).to_contain_text(problem, ignore_case=True)
    page.goto(f"{guarded.url}/attention?run=baseline&text=To")
    expect(page.locator("[data-side='1'] .alert")).to_contain_text(problem, ignore_case=True)
    page.goto(f"{guarded.url}/train")
    expect(page.locator("#job-check")).to_contain_text("this needs the right to train")
    page.goto(f"{guarded.url}/runs")
    expect(page.locator("tbody tr").first).to_be_visible()


def test_a_job_is_followed_with_the_cookie(
    page: Page, guarded: LiveServer, keys: dict[str, str], launcher: FakeLauncher
) -> None:
    trainer = bearer(keys["trainer"])
    text = b"To be, or not to be.\n" * 99
    corpus = guarded.http.post("/api/corpora?name=a.txt", content=text, headers=trainer).json()[
        "id"
    ]
    config = {"model": {"kind": "bigram"}, "train": {"max_iters": 20}}
    body = {"config": config, "corpus": corpus, "run_id": "mine"}
    job = guarded.http.post("/api/jobs", json=body, headers=trainer).json()["id"]
    page.goto(f"{guarded.url}/train?job={job}")
    with page.expect_request("**/events*") as followed:
        enter(page, keys["reader"])
    response = followed.value.response()
    assert response is not None and response.status == 200
    state = page.locator("#job-view [data-part=state]").first
    expect(state).to_contain_text("Running")
    launcher.end(job, Status("interrupted", "as a test wants it"))
    expect(state).to_contain_text("Interrupted", timeout=20_000)


def test_where_nobody_needs_a_key_nothing_speaks_of_one(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/sign-in?next=/runs")
    expect(page).to_have_url(f"{live.url}/runs")
    expect(page.locator(".holder")).to_have_count(0)


def test_over_https_the_cookie_goes_nowhere_else(guarded: LiveServer, keys: dict[str, str]) -> None:
    """As a proxy on the same machine tells it."""
    for scheme, is_secure in (("https", True), ("http", False)):
        answer = guarded.http.post(
            "/sign-in", data={"key": keys["reader"]}, headers={"X-Forwarded-Proto": scheme}
        )
        assert ("; Secure" in answer.headers["Set-Cookie"]) == is_secure
        guarded.http.cookies.clear()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"key": "x"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"key=" + b"x" * 9000),
        ("application/x-www-form-urlencoded", b"key=\xff"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 50)),
    ],
)
def test_what_is_no_form_is_refused(guarded: LiveServer, kind: str, body: bytes) -> None:
    answer = guarded.http.post("/sign-in", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_request_error")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_form_fits(page: Page, guarded: LiveServer, width: int, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{guarded.url}/sign-in")
    enter(page, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
