"""Markup in a title, a note, a sample, a text and its name, a vocabulary, an address: it is text.

A real browser goes through every page that shows them. Nothing of it may run, and all of it is read
as it was written.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from app.lessons import LESSONS
from app.settings import Settings
from model.run_folder import RunFolder, Sample
from model.tokenizer import CharTokenizer
from tests.browser_fixtures import watched_page
from tests.conftest import CHARACTERS, GPT, LiveServer, write_run

EVIL = (
    '<img src=x onerror="window.ran=1"><svg onload=window.ran=1></script><script>window.ran=1'
    "</script>{{7*7}}${7*7}&amp;'\"><b>"
)
FILE = "<img src=x onerror=window.ran=1>{{7*7}}&amp;.txt"  # a file's name has no slash
LETTERS = "".join(sorted(set(CHARACTERS + EVIL)))
FOUND = """(evil) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const shown = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.localName !== "script") shown.push(node.data);
  }
  for (const field of document.querySelectorAll("input, textarea")) shown.push(field.value);
  return shown.some((text) => text.replace(/\\s+/g, " ").includes(evil));
}"""
HARMED = """() => ({
  ran: window.ran ?? null,
  parsed: document.querySelectorAll("img[src=x], svg[onload], [onerror], body b b").length,
})"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("markup")
    model = GPT.model_copy(update={"vocab_size": len(LETTERS)})
    for seed, name in enumerate(("baseline", "case-1")):
        tokenizer = CharTokenizer(LETTERS)
        run = write_run(root / "checkpoints", name, model, seed, steps=(10,), tokenizer=tokenizer)
        mark(run)
    broken = root / "checkpoints" / "broken"
    broken.mkdir()
    (broken / "config.json").write_text(f'{{"title": "{EVIL.replace(chr(34), "")}"}}')
    return root


def mark(run: RunFolder) -> None:
    config = run.read_config()
    assert config.corpus is not None
    marked = {"title": EVIL, "hypothesis": EVIL, "outcome": EVIL, "device": EVIL}
    corpus = config.corpus.model_copy(update={"name": EVIL})
    run.write_samples([Sample(step=100, prompt=EVIL, text=EVIL, seed=1)])
    run.write_config(config.model_copy(update=marked | {"corpus": corpus}))


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[LiveServer]:
    settings = Settings(checkpoints=root / "checkpoints", data=root / "data", devices="cpu")
    with LiveServer(settings) as server:
        answer = server.http.post("/api/corpora", params={"name": FILE}, content=(EVIL + "\n") * 50)
        assert answer.status_code == 201, answer.text
        yield server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One that notices whatever runs: a console that complains fails it as well."""
    with watched_page(browser) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        yield page


def assert_shown(page: Page, evil: str = EVIL) -> None:
    page.wait_for_function(FOUND, arg=evil, timeout=20_000)
    assert_harmless(page)


def assert_harmless(page: Page) -> None:
    assert page.evaluate(HARMED) == {"ran": None, "parsed": 0}


def test_the_compared_texts(page: Page, server: LiveServer) -> None:
    query = {"prompt": EVIL, "runs": "baseline,case-1", "length": 20, "seed": 1}
    page.goto(f"{server.url}/?{urlencode(query)}")
    expect(page.locator(".panel")).to_have_count(2)
    assert_shown(page)
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".panel[data-state=done]")).to_have_count(2)
    for number in (0, 1):
        expect(page.locator(".panel").nth(number)).to_contain_text(EVIL)
    page.locator(".token").nth(3).hover()
    expect(page.locator("#probability-card")).to_be_visible()
    assert_harmless(page)


def test_the_attention_page_and_what_it_saves(
    page: Page, server: LiveServer, tmp_path: Path
) -> None:
    query = {"run": "baseline", "run2": "case-1", "text": EVIL, "layer": 0, "head": 0}
    page.goto(f"{server.url}/attention?{urlencode(query)}")
    expect(page.locator("[data-shown]")).to_have_count(2, timeout=20_000)
    assert_shown(page)
    for panel in ("token", "inside", "roles", "switch_off", "difference"):
        tab = page.locator(f"[data-tab={panel}], [data-tab={panel.replace('_', '-')}]")
        if tab.count():
            tab.first.click()
            page.wait_for_load_state("networkidle")
            assert_harmless(page)
    page.get_by_text("Save as").first.click()
    with page.expect_download() as saved:
        page.locator("[data-export=html]").first.click()
    file = tmp_path / "saved.html"
    saved.value.save_as(file)
    page.goto(file.as_uri())
    expect(page.locator(".exported-head").first).to_be_visible()
    assert_shown(page)


def test_the_runs(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/runs")
    expect(page.locator("#curves .scatterlayer .trace").first).to_be_attached(timeout=20_000)
    assert_shown(page)
    expect(page.locator("body")).to_contain_text("broken")
    for summary in page.locator("main summary:visible").all():
        summary.click()
    page.wait_for_load_state("networkidle")
    assert_harmless(page)


def beginning(words: str) -> re.Pattern[str]:
    """As much of it as there is room for, tags included."""
    return re.compile(f"^{re.escape(words[:20])}.*…$")


def test_a_figure_shows_the_letters_of_a_title(page: Page, server: LiveServer) -> None:
    """Plotly makes links, bold letters and more of the tags in its texts."""
    page.goto(f"{server.url}/runs")
    for text in ("#curves .legendtext", "#cost .textpoint text"):
        expect(page.locator(text).first).to_have_text(beginning(EVIL), timeout=20_000)
    whole = page.locator("#curves .legend .traces title").first
    assert whole.text_content() == EVIL


def test_the_form_of_a_job(page: Page, server: LiveServer) -> None:
    corpora = server.http.get("/api/corpora").json()["corpora"]
    own = next(corpus for corpus in corpora if corpus["name"] == FILE)
    query = {"run": "baseline", "corpus": own["id"], "hypothesis": EVIL}
    page.goto(f"{server.url}/train?{urlencode(query)}")
    expect(page.locator("#job-check")).to_have_attribute("data-state", "fine")
    assert_shown(page)  # in the form, and below as the beginning of the text
    assert_shown(page, FILE)
    expect(page.locator("pre").first).to_contain_text(EVIL)
    for summary in page.locator("main summary:visible").all():
        summary.click()
    assert_harmless(page)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_a_lesson(page: Page, server: LiveServer, lesson: object) -> None:
    page.goto(f"{server.url}/learn/{lesson.slug}")  # type: ignore[attr-defined]
    page.wait_for_load_state("networkidle")
    for area in page.locator("main textarea:visible, main input[type=text]:visible").all():
        if area.is_editable():
            area.fill(EVIL)
    page.wait_for_load_state("networkidle")
    assert_harmless(page)


def test_the_report_and_its_file(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/runs/report")
    assert_shown(page)
    page.goto(f"{server.url}/runs/report?runs={quote(EVIL)}&reference={quote(EVIL)}")
    assert_harmless(page)


def test_the_report_as_a_file_of_its_own(page: Page, server: LiveServer, tmp_path: Path) -> None:
    """It is saved and not shown, and without the server no policy would stop a script."""
    file = tmp_path / "report.html"
    file.write_text(server.http.get("/api/report?format=html").text, "utf-8")
    page.goto(file.as_uri())
    assert_shown(page)


@pytest.mark.parametrize("path", ["/nowhere/", "/learn/", "/runs/"])
def test_an_address_that_leads_nowhere(page: Page, server: LiveServer, path: str) -> None:
    answer = page.goto(f"{server.url}{path}{quote(EVIL)}")
    assert answer is not None and answer.status == 404
    assert_shown(page)


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_an_answer_with_markup_is_never_taken_for_a_page(server: LiveServer, accept: str) -> None:
    headers = {"Accept": accept}
    asked = [
        server.http.get("/api/runs/baseline", headers=headers),
        server.http.get(f"/api/runs/{quote(EVIL)}", headers=headers),
        server.http.get("/api/corpora", headers=headers),
        server.http.get("/nowhere", headers=headers | {"Host": "<script>alert(1)</script>"}),
        server.http.post("/api/jobs", json={EVIL: EVIL}, headers=headers),
        server.http.post("/v1/completions", json={"model": EVIL}, headers=headers),
        server.http.get(f"/static/{quote(EVIL)}", headers=headers),
    ]
    for answer in asked:
        kind = answer.headers["Content-Type"]
        assert kind.startswith(("application/json", "text/plain")), answer.url
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
