"""The cache of maps: the same numbers, worked out once, never too many and never old ones."""

import gc
import io
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.recent_maps import RecentMaps
from app.settings import Settings
from model.attention import attention_maps
from model.config import GPTConfig
from model.gpt import GPT
from tests.conftest import write_run

BEYOND = (GPT, type, ModuleType, FunctionType)
SIZE = 2 * 2 * 4 * 4 * 4  # bytes of the maps of 4 tokens


def counted(model: GPT, seconds: float = 0) -> list[int]:
    """Grows by one whenever the model runs, which then takes `seconds` longer."""
    calls: list[int] = []

    def count(*_: Any) -> None:
        calls.append(1)
        time.sleep(seconds)

    model.register_forward_pre_hook(count)
    return calls


@pytest.fixture
def model() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=9, block_size=8, n_layer=2, n_head=2, n_embd=8)).eval()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[TestClient]:
    write_run(tmp_path, "mine")
    with TestClient(create_app(Settings(checkpoints=tmp_path, data=tmp_path / "data"))) as client:
        yield client


def one_head(client: TestClient, **fields: Any) -> np.ndarray:
    body = {"run": "mine", "text": "To be", "layers": [1], "heads": [1]} | fields
    answer = client.post("/api/attention", json=body, headers={"Accept": "application/x-npy"})
    return np.load(io.BytesIO(answer.content))[0, 0]


def test_one_head_after_all_does_not_run_the_model_again(own: TestClient) -> None:
    with own.app.state.registry.lend("mine") as loaded:  # type: ignore[attr-defined]
        calls = counted(loaded.model)
        ids = loaded.tokenizer.encode("To be")
        for accept in ("application/octet-stream", "application/json"):
            body = {"run": "mine", "text": "To be"}
            own.post("/api/attention", json=body, headers={"Accept": accept})
        head = one_head(own)
        assert len(calls) == 1
        np.testing.assert_allclose(head, attention_maps(loaded.model, ids)[1, 1], atol=1e-7)
        calls.clear()
        for fields in ({"kind": "rollout"}, {"text": "To be,"}, {"length": 3}):
            one_head(own, **fields)
        assert len(calls) == 3, "these are other maps"


def test_a_run_that_is_written_again_gives_its_new_maps(own: TestClient, tmp_path: Path) -> None:
    before = one_head(own)
    folder = write_run(tmp_path, "mine", seed=1)
    ids = folder.read_tokenizer().encode("To be")
    after = one_head(own)
    np.testing.assert_allclose(after, attention_maps(folder.load_model(), ids)[1, 1], atol=1e-7)
    assert not np.allclose(before, after)


def test_who_asks_meanwhile_waits(model: GPT) -> None:
    recent, calls = RecentMaps(10**6), counted(model, seconds=0.2)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: recent.of(model, [1, 2, 3], "raw"), range(4)))
    assert len(calls) == 1
    assert all(torch.equal(maps[0], found[0][0]) for maps in found)


def test_the_least_recently_used_go(model: GPT) -> None:
    recent, calls = RecentMaps(2 * SIZE), counted(model)
    texts = [[i, 1, 2, 3] for i in range(3)]
    for text in (texts[0], texts[1], texts[0], texts[2]):
        recent.of(model, text, "raw")
        assert recent.bytes() <= 2 * SIZE
    assert (len(calls), recent.bytes()) == (3, 2 * SIZE)
    recent.of(model, texts[0], "raw")
    assert len(calls) == 3, "it was used after the one that went"
    recent.of(model, texts[1], "raw")
    assert len(calls) == 4


def test_what_is_larger_than_the_cache_is_answered_and_not_kept(model: GPT) -> None:
    recent = RecentMaps(SIZE - 1)
    maps = torch.stack(recent.of(model, [0, 1, 2, 3], "raw"))
    assert torch.equal(maps, attention_maps(model, [0, 1, 2, 3]))
    assert recent.bytes() == 0


def test_of_very_many_short_texts_only_the_last_are_kept(
    model: GPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.recent_maps.MOST", 3)
    recent, calls = RecentMaps(10**9), counted(model)
    for first in range(5):
        recent.of(model, [first, 1, 2, 3], "raw")
    assert recent.bytes() == 3 * SIZE
    recent.of(model, [2, 1, 2, 3], "raw")
    assert len(calls) == 5


def test_what_is_kept_is_no_work_for_pythons_collector(model: GPT) -> None:
    recent = RecentMaps(10**9)
    for first, second in product(range(9), range(9)):
        recent.of(model, [first, second], "raw")
    gc.collect()
    found: dict[int, object] = {}
    ahead: list[object] = [recent]
    while ahead:
        each = ahead.pop()
        if gc.is_tracked(each) and id(each) not in found and not isinstance(each, BEYOND):
            found[id(each)] = each
            ahead += gc.get_referents(each)
    assert 81 < len(found) < 4 * 81


def test_maps_go_with_their_model(model: GPT) -> None:
    recent, other = RecentMaps(10**6), GPT(model.config)
    recent.of(model, [0, 1, 2, 3], "raw")
    recent.of(other, [0, 1, 2, 3], "raw")
    assert recent.bytes() == 2 * SIZE
    del other
    gc.collect()
    assert recent.bytes() == SIZE


def test_what_cannot_be_worked_out_is_not_kept(model: GPT) -> None:
    recent = RecentMaps(10**6)
    for _ in range(2):
        with pytest.raises(ValueError, match="more than the context"):
            recent.of(model, [0] * 9, "raw")
    assert recent.bytes() == 0


def test_what_cannot_be_worked_out_holds_no_model() -> None:
    recent, model = RecentMaps(10**6), GPT(GPTConfig(block_size=8, n_layer=1, n_head=1, n_embd=8))
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ValueError, match="more than the context"):
            recent.of(model, [0] * 9, "raw")
        gone = weakref.ref(model)
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_what_no_text_changes_is_worked_out_once(own: TestClient) -> None:
    """Roles on repeated random tokens; the text's own come from the maps that are kept."""
    with own.app.state.registry.lend("mine") as loaded:  # type: ignore[attr-defined]
        calls = counted(loaded.model)
        first = own.post("/api/attention/roles", json={"run": "mine", "text": "To be"}).json()
        of_the_first = len(calls)
        assert of_the_first > 1
        again = own.post("/api/attention/roles", json={"run": "mine", "text": "To be"}).json()
        assert (again, len(calls)) == (first, of_the_first)
        own.post("/api/attention/roles", json={"run": "mine", "text": "or not"})
        assert len(calls) == of_the_first + 1


def test_a_link_to_the_explorer_has_its_maps_worked_out_ahead(own: TestClient) -> None:
    with own.app.state.registry.lend("mine") as loaded:  # type: ignore[attr-defined]
        calls = counted(loaded.model)
        link = {"run": "mine", "text": "To be, or not", "end": "5", "kind": "rollout"}
        assert own.get("/attention", params=link).status_code == 200
        assert len(calls) == 1
        one_head(own, kind="rollout")
        assert len(calls) == 1, "the page asks for what is there"


@pytest.mark.parametrize(
    "link",
    [
        {"run": "gone", "text": "To be"},
        {"run": "mine", "text": "€"},
        {"run": "mine", "text": ""},
        {"run": "mine", "text": "To be", "step": "x"},
        {"run": "mine", "text": "To be", "end": "-1", "kind": "other"},
        {"text": "To be"},
    ],
)
def test_whatever_is_wrong_with_a_link_the_page_itself_comes(
    own: TestClient, link: dict[str, str]
) -> None:
    assert own.get("/attention", params=link).status_code == 200
