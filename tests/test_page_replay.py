"""From a generated character on "/" to the moment it was chosen, in a real browser."""

import csv
import io
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.settings import Settings
from model.decoding import generate as generate_ids
from model.run_folder import RunFolder
from model.sampling import Sampling
from model.tokenizer import BPETokenizer, ByteTokenizer, Tokenizer
from tests.conftest import CHARACTERS, GPT, LiveServer, write_run

PROMPT = "ROMEO:\nTo be"
BLOCK = GPT.block_size
DRAWING = {"temperature": 0.9, "top_k": 12, "top_p": 0.8, "seed": 7}


def generate(page: Page, live: LiveServer, **query: object) -> None:
    query = {"prompt": PROMPT, "runs": "baseline", "length": 12} | DRAWING | query
    page.goto(f"{live.url}/?{httpx.QueryParams(query)}")
    page.locator("#generate").click()
    expect(page.locator(".panel[data-state=done]").first).to_be_attached()


def generated(page: Page) -> Locator:
    return page.locator(".panel").first.locator(".token")


def address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def replay(page: Page, live: LiveServer, index: int, length: int = 12) -> str:
    """Open the moment that character `index` of a generated text was chosen; the whole text."""
    body = {"model": "baseline", "prompt": PROMPT, "max_tokens": length} | DRAWING
    text = PROMPT + live.http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    moment = {"run": "baseline", "text": text, "end": len(PROMPT) + index, "replay": len(PROMPT)}
    page.goto(f"{live.url}/attention?{httpx.QueryParams(moment | DRAWING)}")
    expect_shown(page)
    return text


def expect_shown(page: Page) -> None:
    expect(page.locator("[data-side='1']")).to_have_attribute("data-shown", "baseline final 0 0")
    expect(page.locator(".distribution-table tbody tr").first).to_be_attached()
    expect(page.locator("[data-part=distribution]")).to_have_attribute("aria-busy", "false")


def glyphs(token: str) -> str:
    return token.replace(" ", "␣").replace("\n", "↵")


def seen(page: Page) -> str:
    return "".join(page.locator(".replay-text .is-seen").all_text_contents())


def read(page: Page) -> int:
    return int(page.locator("[data-part=replay-place]").inner_text().split()[0])


def test_a_click_opens_the_moment_with_what_every_head_looked_at(
    page: Page, live: LiveServer
) -> None:
    generate(page, live)
    text = PROMPT + "".join(generated(page).all_text_contents())
    generated(page).nth(9).click()
    expect_shown(page)
    end = len(PROMPT) + 9
    asked = {"text": text, "end": str(end), "replay": str(len(PROMPT))}
    drawing = {"temperature": "0.9", "top_k": "12", "top_p": "0.8", "seed": "7"}
    assert address(page).items() >= (asked | drawing).items()
    assert seen(page) == text[end - BLOCK : end]
    expect(page.locator(".replay-text .is-next")).to_have_text(text[end], use_inner_text=False)

    page.get_by_text("Save as").first.click()
    with page.expect_download() as caught:
        page.locator("[data-export=csv]").first.click()
    rows = list(csv.DictReader(io.StringIO(Path(caught.value.path()).read_text("utf-8"))))
    last = [float(row["weight"]) for row in rows if row["query"] == str(BLOCK - 1)]
    body = {"run": "baseline", "text": text[:end], "layers": [0], "heads": [0]}
    answer = live.http.post("/api/attention", json=body, headers={"Accept": "application/x-npy"})
    expected = np.load(io.BytesIO(answer.content))[0, 0, -1]
    np.testing.assert_allclose(last, expected, atol=1e-7)


def test_the_window_slides_as_the_models_did(
    page: Page, live: LiveServer, shared_checkpoints: Path
) -> None:
    folder = RunFolder(shared_checkpoints / "baseline")
    tokenizer = folder.read_tokenizer()
    ids = tokenizer.encode(PROMPT)
    windows = []
    for token in generate_ids(folder.load_model(), ids, 9, Sampling(**DRAWING)):
        windows.append(tokenizer.decode(ids[-BLOCK:]))
        ids.append(token.id)

    text = replay(page, live, 0)
    assert tokenizer.decode(ids) == text[: len(ids)], "not the same text"
    assert any(len(window) < BLOCK for window in windows)
    assert windows[-1] != windows[-2]
    strip = page.locator("[data-side='1'] [data-part=strip] .strip-token")
    for number, window in enumerate(windows):
        expect(page.locator("[data-part=replay-place]")).to_contain_text(
            f"{len(PROMPT) + number} of"
        )
        assert seen(page) == window
        expect(strip).to_have_text([glyphs(character) for character in window])
        page.keyboard.press("]")
    expect(page).to_have_url(re.compile(rf"\bquery={BLOCK - 1}\b"))


def test_the_distribution_is_the_apis_stage_by_stage(page: Page, live: LiveServer) -> None:
    text = replay(page, live, 5)
    end = len(PROMPT) + 5
    page.locator("#replay-bar [data-part=more]").click()
    vocabulary = len(live.http.get("/api/runs/baseline").json()["vocabulary"])
    rows = page.locator(".distribution-table tbody tr")
    expect(rows).to_have_count(vocabulary)
    drawing = {name: DRAWING[name] for name in ("temperature", "top_k", "top_p")}
    body = {"run": "baseline", "text": text[:end], "top": 200} | drawing
    reply = live.http.post("/api/attention/distribution", json=body).json()
    heads = page.locator(".distribution-table thead th").all_inner_texts()
    assert [head.replace("\xad", "") for head in heads[1:]] == [
        "Model",
        "Temperature 0.9",
        "Top-k 12",
        "Top-p 0.8",
    ]
    left = page.locator(".distribution-table tfoot td").all_inner_texts()
    assert [int(count) for count in left] == reply["left"]

    shown = rows.evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(1).map(cell =>"
        " cell.querySelector('s') ? 0 : parseFloat(cell.style.getPropertyValue('--share')) / 100))"
    )
    expected = np.array([candidate["probabilities"] for candidate in reply["candidates"]])
    np.testing.assert_allclose(shown, expected, atol=1e-9)
    np.testing.assert_allclose(np.sum(shown, axis=0), 1, atol=1e-6)
    drawn = rows.and_(page.locator(".is-drawn"))
    expect(drawn).to_have_count(1)
    place = reply["candidates"].index(
        next(c for c in reply["candidates"] if c["token"] == text[end])
    )
    assert rows.evaluate_all("rows => rows.findIndex(r => r.matches('.is-drawn'))") == place
    assert expected[place, -1] > 0, "what was drawn was left"
    words = drawn.locator("td").last.inner_text()
    assert float(words.removesuffix(" %")) == pytest.approx(100 * expected[place, -1], abs=0.051)


def test_the_settings_can_be_played_with_and_go_back(page: Page, live: LiveServer) -> None:
    replay(page, live, 5)
    page.locator("#draw-top-k").fill("1")
    left = page.locator(".distribution-table tfoot td")
    expect(left).to_have_text(
        [*2 * [str(len(CHARACTERS))], "1", "1"]
    )  # top-p has none to leave out
    expect(page).to_have_url(re.compile(r"\btop_k=1\b"))
    page.get_by_role("button", name="As it was").click()
    expect(page.locator("#draw-top-k")).to_have_value("12")
    page.locator("#draw-top-k").fill("")
    page.locator("#draw-temperature").fill("0")
    expect(left).to_have_text([str(len(CHARACTERS)), "1"])


def test_the_whole_replay_by_keyboard(page: Page, live: LiveServer) -> None:
    generate(page, live)
    page.locator(".panel .token-text").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect_shown(page)
    start = len(PROMPT) + 2
    assert read(page) == start
    page.keyboard.press("]")
    assert read(page) == start + 1
    page.locator("[data-part=replay-text]").focus()
    for key, end in (("ArrowLeft", start), ("[", start - 1), ("[", start - 2), ("[", start - 2)):
        page.keyboard.press(key)
        assert read(page) == end
    expect(page.get_by_role("button", name="Back")).to_be_disabled()
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.press("End")
    page.keyboard.type("]")  # into the text, and nowhere else
    assert read(page) == start - 2
    page.get_by_role("button", name="Leave the replay").click()
    expect(page.locator("#replay-bar")).to_be_hidden()
    expect(page).not_to_have_url(re.compile(r"\b(replay|end)="))


def test_it_plays_and_jumps(page: Page, live: LiveServer) -> None:
    text = replay(page, live, 0, length=2)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("[data-part=replay-place]")).to_contain_text("was not drawn")
    assert read(page) == len(text)
    expect(page.get_by_role("button", name="Play", exact=True)).to_have_attribute(
        "aria-pressed", "false"
    )
    expect(page.get_by_role("button", name="Forward")).to_be_disabled()
    page.locator(".replay-text .is-generated").nth(1).click()
    assert read(page) == len(PROMPT) + 1
    page.locator(".replay-text span:not(.is-generated)").last.click()  # the prompt was not chosen
    assert read(page) == len(PROMPT) + 1


def test_an_empty_prompt_starts_from_the_new_line_that_the_model_saw(
    page: Page, live: LiveServer
) -> None:
    generate(page, live, prompt="")
    text = "".join(generated(page).all_text_contents())
    generated(page).first.click()
    expect_shown(page)
    assert address(page).items() >= {"text": f"\n{text}", "end": "1", "replay": "1"}.items()
    body = {"model": "baseline", "prompt": "", "max_tokens": 1, "logprobs": 1} | DRAWING
    completion = live.http.post("/v1/completions", json=body).json()["choices"][0]
    odds = page.locator(".is-drawn td").first.evaluate(
        "cell => cell.style.getPropertyValue('--share')"
    )
    logprob = completion["logprobs"]["token_logprobs"][0]
    assert completion["text"] == text[0]
    assert float(odds.removesuffix("%")) / 100 == pytest.approx(np.exp(logprob), rel=1e-5)


def test_a_run_without_heads_leads_nowhere(page: Page, live: LiveServer) -> None:
    generate(page, live, runs="ngram")
    generated(page).nth(3).click()
    expect(page.locator("#probability-card")).to_be_visible()
    expect(page.locator(".card-replay")).to_be_hidden()
    assert urlsplit(page.url).path == "/"


@pytest.fixture
def finger(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    yield context.new_page()
    context.close()


def test_a_finger_gets_the_card_and_then_its_link(finger: Page, live: LiveServer) -> None:
    generate(finger, live)
    generated(finger).nth(4).tap()
    link = finger.get_by_role("link", name="What it looked at")
    expect(link).to_be_visible()
    assert urlsplit(finger.url).path == "/"
    link.tap()
    expect_shown(finger)
    assert read(finger) == len(PROMPT) + 4
    assert finger.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("index", [0, 400, 9000, 9999])
def test_a_long_text_is_cropped_around_the_window(page: Page, live: LiveServer, index: int) -> None:
    noise = random.Random(index)
    prompt, written = ("".join(noise.choices("ab\né, ", k=count)) for count in (1000, 10_000))
    page.goto(f"{live.url}/nowhere")
    link = page.evaluate(
        """async ([prompt, before, after]) => {
            const { replayAddress } = await import("/static/js/compare/replay_link.js");
            const run = { id: "own", attention: true, block_size: 64 };
            const sampling = { temperature: 1, top_k: null, top_p: 1, seed: 1 };
            return replayAddress({ run, step: null, prompt, before, after, sampling });
        }""",
        [prompt, written[:index], written[index:]],
    )
    assert 5000 < len(link) <= 6000
    query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    text, end, replayed = query["text"], int(query["end"]), int(query["replay"])
    whole = prompt + written
    place = 1000 + index
    assert text[:end] == whole[place - end : place]
    assert text[end:] == whole[place : place + len(text) - end]
    assert end >= 128
    assert len(text) - end >= min(200, len(written) - index)
    assert text[:replayed] == whole[place - end : place - end + replayed]
    assert replayed == max(0, 1000 - (place - end))


WORDS = "Ein naïver Müller, ein Fluß — 🙂 und noch ein Müller. "


@pytest.mark.parametrize(
    "tokenizer", [ByteTokenizer(), BPETokenizer.train(WORDS * 5, 300)], ids=["byte", "bpe"]
)
def test_tokens_begin_where_the_tokenizer_cuts(
    page: Page, live: LiveServer, tokenizer: Tokenizer
) -> None:
    text = WORDS * 2
    ids, _ = tokenizer.encode_end(text, 40)
    all_ids = tokenizer.encode(text)
    expected = []
    for number in range(len(all_ids) - len(ids), len(all_ids)):
        before = b"".join(map(tokenizer.token_bytes, all_ids[:number]))
        if before.decode("utf-8", "ignore").encode() == before:
            token = tokenizer.token_text(all_ids[number])
            expected.append({"at": len(before.decode()), "token": token})
    page.goto(f"{live.url}/nowhere")
    found = page.evaluate(
        """async ([text, tokens]) => {
            const { tokenStarts } = await import("/static/js/attention/token_starts.js");
            return tokenStarts([...text], tokens);
        }""",
        [text, [tokenizer.token_text(i) for i in ids]],
    )
    assert found == expected
    assert any("bytes:" in start["token"] for start in found) == isinstance(
        tokenizer, ByteTokenizer
    )


def test_a_text_of_byte_pairs_goes_by_its_tokens(page: Page, tmp_path: Path) -> None:
    tokenizer = BPETokenizer.train(WORDS * 5, 300)
    config = GPT.model_copy(update={"vocab_size": tokenizer.vocab_size, "block_size": 8})
    write_run(tmp_path / "runs", "own", config, tokenizer=tokenizer)
    text = WORDS * 2
    ends = [len(tokenizer.decode(tokenizer.encode(text)[:n])) for n in range(len(text))]
    start = next(n for n, end in enumerate(ends) if end >= 30)
    query = {"run": "own", "text": text, "replay": 30, "end": ends[start]}
    with LiveServer(Settings(checkpoints=tmp_path / "runs", data=tmp_path)) as server:
        page.goto(f"{server.url}/attention?{httpx.QueryParams(query)}")
        for number in range(start, start + 6):
            expect(page.locator("[data-part=replay-place]")).to_contain_text(f"{ends[number]} of")
            ids = tokenizer.encode(text[: ends[number]])
            window = tokenizer.decode(ids[-8:])
            expect(page.locator("[data-part=replay-window]")).to_contain_text("last 8 tokens")
            expect(page.locator(".is-drawn th")).to_contain_text(
                glyphs(tokenizer.token_text(tokenizer.encode(text)[number]))
            )
            expect(page.locator("[data-part=distribution]")).to_have_attribute("aria-busy", "false")
            assert seen(page).endswith(window.lstrip("\ufffd"))
            assert len(seen(page)) <= len(window)  # of a character that is cut, the whole
            page.keyboard.press("]")
