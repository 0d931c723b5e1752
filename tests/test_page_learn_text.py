"""The first two lessons in a browser: what a language model is, and what it learns from."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from model.config import CorpusInfo, NGramConfig
from model.corpus import Corpus
from tests.conftest import CHARACTERS, TEXT, LiveServer, write_run

CORPUS = Corpus("plays", TEXT + TEXT[::-1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("lessons")
    write_run(root, "baseline", steps=(10,))
    counts = write_run(root, "ngram", NGramConfig(vocab_size=len(CHARACTERS), order=3))
    info = CorpusInfo(name="plays", sha256=CORPUS.sha256, characters=len(CORPUS.text))
    counts.write_config(counts.read_config().model_copy(update={"corpus": info}))
    with LiveServer(Settings(checkpoints=root, data=root / "data")) as server:
        server.http.post("/api/corpora?name=plays.txt", content=CORPUS.text)
        yield server


def test_counts_and_a_network_predict_side_by_side(page: Page, server: LiveServer) -> None:
    query = {"text": "or not to b", "order": 2}
    page.goto(f"{server.url}/learn/language-models?{urlencode(query)}")
    counts, run = page.locator("#counts-side"), page.locator("#run-side")
    expect(counts.locator("[data-part=context]")).to_contain_text("the last of the characters: b")
    body = {"run": "ngram", "order": 3, "text": "or not to b"}
    told = server.http.post("/api/learn/next-token", json=body).json()
    page.locator("#order").press("ArrowRight")
    expect(counts.locator("[data-part=context]")).to_contain_text("the last 2 characters: ␣b")
    names = [token.replace(" ", "␣").replace("\n", "↵") for token in token_names(told)]
    expect(counts.locator(".bar-name")).to_have_text(names)
    expect(run.locator(".bars > li")).to_have_count(10)
    expect(run.locator(".annotated > li")).to_have_count(len("or not to b"))
    sums = page.locator(".order-sums tbody tr")
    expect(sums).to_have_count(4)  # none, and three orders
    last = told["sums"][-1]
    expect(sums.last.locator("td.number")).to_have_text(
        [str(last["counts"][0]), str(last["total"]), str(last["kinds"])]
    )
    counts.locator(".bar-name").nth(1).press("Enter")
    expect(page.locator("#sum-title")).to_contain_text(f"Why {names[1]} has")
    expect(sums.last.locator("td.number").first).to_have_text(str(last["counts"][1]))
    expect(page.locator("#loss-table tbody tr")).to_have_count(5)  # four orders, and the baseline
    page.reload()  # the address says it all, but for what is as usual
    expect(page.locator("#sum-title")).to_contain_text(f"Why {names[1]} has")
    expect(counts.locator("[data-part=order]")).to_have_text("3 of 3")
    page.locator("#text").fill("5 €")
    expect(run.locator("[role=alert]")).to_contain_text("outside the vocabulary: '5', '€'")
    expect(run.locator("[data-part=shown]")).to_be_hidden()


def token_names(reply: dict[str, list[dict[str, str]]]) -> list[str]:
    return [candidate["token"] for candidate in reply["candidates"]]


def test_a_text_becomes_ids_and_a_batch(page: Page, server: LiveServer) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{server.url}/learn/data?{urlencode({'text': 'To é'})}")
    corpus, batch = page.locator("#corpus-figure"), page.locator("#batch-figure")
    expect(corpus.locator("[role=alert]")).to_contain_text("“test” (560 characters)")
    expect(batch.locator("[role=alert]")).to_contain_text("which is not here")
    ids = [str(CHARACTERS.find(character)) for character in "To "]
    expect(page.locator("#encoding-figure .below")).to_have_text([*ids, "no id"])
    page.locator("#corpus").select_option("plays")
    expect(corpus.locator(".bars > li")).to_have_count(len(set(CORPUS.text)))
    expect(batch.locator(".batch-table tbody tr")).to_have_count(16)
    expect(batch.locator("[data-part=batch-words]")).to_contain_text("16 · 16 = 256 predictions")
    expect(page.locator("#split-figure line")).to_have_count(16)
    expect(page.locator("#split-figure")).to_contain_text("the first 1,008 (90.0 %)")
    first = batch.locator(".window-place").first.text_content()
    page.locator("#next-batch").click()
    expect(batch.locator("[data-part=batch-note]")).to_contain_text("Seed 1337, batch number 1.")
    assert batch.locator(".window-place").first.text_content() != first
    batch.locator(".window-place").nth(2).press("Enter")
    start = int((batch.locator(".window-place").nth(2).text_content() or "").replace(",", ""))
    window = CORPUS.text[start : start + 17].replace(" ", "␣").replace("\n", "↵")
    for name, shift in (("x", 0), ("y", 1)):
        tokens = batch.locator(f".shifted-{name} .piece")
        expect(tokens).to_have_text([*window[shift : shift + 16]])
    pairs = [f"{window[: t + 1]}→{window[t + 1]}" for t in range(16)]
    expect(batch.locator(".pairs > li")).to_have_text(pairs)
    page.reload()
    expect(batch.locator(".pairs > li")).to_have_text(pairs)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
