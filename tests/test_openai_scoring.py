"""How likely a given text is, as evaluation harnesses ask for it, against a plain forward pass."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from fastapi.testclient import TestClient

from app import prompting
from app.main import create_app
from app.settings import Settings
from model.bigram import Bigram
from model.config import BigramConfig, GPTConfig
from model.language_model import LanguageModel
from model.run_folder import RunFolder
from model.scoring import score, work
from model.sequence import PastContext, Sequence
from tests.small_gpts import every_design, random_gpt, random_ids

LONG = "To be, or not to be: that is the matter."  # of 40 characters the context holds 16
HARNESS = {"echo": True, "max_tokens": 1, "logprobs": 1, "temperature": 0, "seed": 1234}


def complete(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/completions", json={"model": "baseline", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More would wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(shared_checkpoints: Path) -> RunFolder:
    return RunFolder(shared_checkpoints / "baseline")


def slowly_scored(model: LanguageModel, ids: list[int], jump: bool = False) -> list[float]:
    """Of each id but the first, one forward pass for each."""
    found = []
    text = Sequence(ids[:1], past_context="jump" if jump else "exact")
    for place in range(1, len(ids)):
        text.ids = ids[:place]
        seen = place if model.endless else text.seen(model.block_size)
        with torch.no_grad():
            logprobs = model(torch.tensor([ids[place - seen : place]]))[0, -1].log_softmax(-1)
        found.append(float(logprobs[ids[place]]))
    return found


@every_design
@pytest.mark.parametrize("past_context", get_args(PastContext))
def test_every_length_around_the_context(config: GPTConfig, past_context: PastContext) -> None:
    model = random_gpt(config)
    whole = random_ids(config, 41)
    expected = slowly_scored(model, whole, past_context == "jump")
    for length in (2, 12, 13, 14, 19, 20, 41):
        ids = whole[:length]
        first, *scored = score(model, ids, 2, past_context)
        assert first is None
        found = [token.logprob for token in scored if token]
        assert found == pytest.approx(expected[: length - 1], abs=1e-4)
        assert [token.id for token in scored if token] == ids[1:]
        assert all(len(token.top) == 2 for token in scored if token)
    assert score(model, [3]) == [None]
    assert score(model, []) == []


@every_design
def test_work_counts_what_the_model_reads(config: GPTConfig) -> None:
    model, read = random_gpt(config), []
    model.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].numel()))
    kinds: tuple[PastContext, ...] = get_args(PastContext)
    for length in (2, 12, 13, 14, 30):
        for past_context in kinds:
            read.clear()
            score(model, random_ids(config, length), 0, past_context)
            assert work(model, length, past_context) == model.size * sum(read)


def test_a_look_into_a_table_is_no_work() -> None:
    assert work(Bigram(BigramConfig(vocab_size=5)), 10_000) == 0


@pytest.mark.parametrize("fields", [{"max_tokens": 0}, {"max_tokens": 3, "seed": 1}], ids=str)
def test_a_text_longer_than_the_context_has_a_score_for_each_token(
    client: TestClient, folder: RunFolder, fields: dict[str, Any]
) -> None:
    answer = complete(client, prompt=LONG, echo=True, logprobs=2, **fields)
    (choice,), count = answer["choices"], len(LONG) + fields["max_tokens"]
    logprobs = choice["logprobs"]
    assert set(logprobs) == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
    assert {len(values) for values in logprobs.values()} == {count}
    assert choice["text"][: len(LONG)] == LONG
    assert logprobs["tokens"] == list(choice["text"])
    assert logprobs["text_offset"] == list(range(count))
    assert logprobs["token_logprobs"][0] is logprobs["top_logprobs"][0] is None
    expected = slowly_scored(folder.load_model(), folder.read_tokenizer().encode(choice["text"]))
    assert logprobs["token_logprobs"][1:] == pytest.approx(expected, abs=1e-4)
    assert answer["usage"]["completion_tokens"] == fields["max_tokens"]


def test_a_window_that_jumps_scores_what_it_would_write(
    client: TestClient, folder: RunFolder
) -> None:
    fields = {"prompt": LONG, "echo": True, "max_tokens": 0, "logprobs": 0}
    (choice,) = complete(client, past_context="jump", **fields)["choices"]
    ids = folder.read_tokenizer().encode(LONG)
    expected = slowly_scored(folder.load_model(), ids, jump=True)
    assert choice["logprobs"]["token_logprobs"][1:] == pytest.approx(expected, abs=1e-4)
    assert choice["logprobs"] != complete(client, **fields)["choices"][0]["logprobs"]


def test_scoring_takes_no_longer_than_an_analysis_may(
    shared_checkpoints: Path, tmp_path: Path
) -> None:
    """Or a few prompts would have all threads of the server, also once nobody waits for them."""
    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, analysis_seconds=0.001)
    with TestClient(create_app(settings)) as client:
        asked = {"model": "baseline", "prompt": "e" * 10_000, "max_tokens": 0, "echo": True}
        assert client.post("/v1/completions", json=asked).status_code == 200
        answer = client.post("/v1/completions", json=asked | {"logprobs": 0})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline")


@pytest.mark.parametrize("as_ids", [False, True])
def test_several_texts_as_a_harness_sends_them(
    client: TestClient, folder: RunFolder, as_ids: bool
) -> None:
    """It sums all but the context's tokens and the last one, and looks whether each is the best."""
    model, encode = folder.load_model(), folder.read_tokenizer().encode
    pairs = [("To be, or ", "not"), ("ROMEO:", "\n"), (LONG, " To")]
    ids = [encode(context + end) for context, end in pairs]
    prompt = ids if as_ids else [context + end for context, end in pairs]
    choices = complete(client, prompt=prompt, **HARNESS)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    for choice, (context, end), each in zip(choices, pairs, ids, strict=True):
        inside = slice(len(context), -1)
        got = choice["logprobs"]["token_logprobs"][inside]
        assert got == pytest.approx(slowly_scored(model, each)[-len(end) :], abs=1e-4)
        best = [max(top.values()) for top in choice["logprobs"]["top_logprobs"][inside]]
        greedy = complete(client, prompt=context, max_tokens=len(end), temperature=0)
        assert (got == best) == (greedy["choices"][0]["text"] == end)
        assert len(choice["logprobs"]["tokens"]) == len(each) + 1
    alone = complete(client, prompt=prompt[2], **HARNESS)["choices"][0]
    assert alone["logprobs"] == choices[2]["logprobs"]


def test_what_would_take_too_long_is_refused_with_a_way_out(
    client: TestClient, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folder.load_model()
    monkeypatch.setattr(prompting, "MAX_SCORING", work(model, 100, "jump") * 2)
    assert work(model, 100) > prompting.MAX_SCORING
    body = {"model": "baseline", "prompt": [[1] * 100] * 2, "logprobs": 0} | {"max_tokens": 0}
    answer = client.post("/v1/completions", json=body | {"echo": True})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "prompt", "too_large")
    assert 'past_context "jump"' in error["message"]
    complete(client, **body, echo=True, past_context="jump")
    complete(client, **body | {"max_tokens": 1}, echo=False)
