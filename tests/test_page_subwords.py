"""Models of GPT-2's kind on the pages: tokens of several letters, and 12 heads in each layer."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from app.settings import Settings
from model.tokenizer import BPETokenizer
from tests.attention_page import figure, shows, side, weights_of
from tests.conftest import GPT, LiveServer, write_run

TEXT = "to be or not to be that is the question"
DESIGN = {"n_layer": 12, "n_head": 12, "n_embd": 24, "block_size": 32}


def test_words_are_read_and_every_head_is_there(page: Page, tmp_path: Path) -> None:
    tokenizer = BPETokenizer.train(f"{TEXT} " * 20, 290)
    config = GPT.model_copy(update={"vocab_size": tokenizer.vocab_size, **DESIGN})
    write_run(tmp_path / "runs", "words", config, tokenizer=tokenizer)
    with LiveServer(Settings(checkpoints=tmp_path / "runs", data=tmp_path / "data")) as server:
        query = {"runs": "words", "prompt": TEXT, "length": 300, "seed": 1, "spaces": 1, "go": 1}
        page.goto(f"{server.url}/?{urlencode(query)}")
        expect(page.locator(".panel")).to_have_attribute("data-state", "done", timeout=20_000)
        word = page.locator(".token.is-space", has_text=re.compile(r"\w")).first
        assert word.text_content() in {tokenizer.token_text(i) for i in range(tokenizer.vocab_size)}
        style = word.evaluate("element => getComputedStyle(element).background")
        assert "gradient" in style and "no-repeat" in style  # the space's sign, and only its
        head = {"run": "words", "text": TEXT, "layer": 11, "head": 11}
        page.goto(f"{server.url}/attention?{urlencode(head)}")
        shows(page, "words final 11 11")
        heatmap = side(page).locator("[data-part=heatmap]")
        maps = weights_of(server, run="words", text=TEXT)
        assert maps.shape[:2] == (12, 12)
        assert figure(heatmap)["z"] == pytest.approx(maps[11, 11], abs=1e-6)
        longest = max(len(tokenizer.token_text(i)) for i in tokenizer.encode(TEXT))
        area, frame = heatmap.locator(".heatmap-area").bounding_box(), heatmap.bounding_box()
        assert area and frame
        for place in ("x", "y"):  # its words have room beside it
            assert area[place] - frame[place] > 7 * longest
        assert area["width"] == pytest.approx(area["height"], abs=1)
