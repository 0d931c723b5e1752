"""`/v1` on a real port, as OpenAI's own client sees it, with and without asyncio."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Completion

from app.settings import Settings
from model.config import GPTConfig, NGramConfig
from model.run_folder import RunFolder
from model.sampling import Sampling
from model.tokenizer import ByteTokenizer
from tests.conftest import CHARACTERS, LiveServer, on_a_loop, write_run
from tests.slow_decoding import written

# Nearly every character takes several bytes, and each byte is a token.
ACCENTS = "Žluťoučký kůň úpěl ďábelské ódy. 🙂🙂 Čtyři €!\n" * 20


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    write_run(root, "baseline")
    bytes_, size = ByteTokenizer(), 256
    write_run(root, "bytes", NGramConfig(vocab_size=size, order=4), tokenizer=bytes_, text=ACCENTS)
    gpt = GPTConfig(vocab_size=size, block_size=16, n_layer=1, n_head=2, n_embd=8)
    write_run(root, "noise", gpt, tokenizer=bytes_)
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[LiveServer]:
    with LiveServer(Settings(checkpoints=root, data=root / "data")) as server:
        yield server


@pytest.fixture(scope="module")
def judge(server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as judge:
        yield judge


def slowly_written(root: Path, prompt: str, count: int, **sampling: Any) -> str:
    folder = RunFolder(root / "baseline")
    tokenizer = folder.read_tokenizer()
    sampling = Sampling(**sampling)
    ids, _ = written(folder.load_model(), tokenizer.encode(prompt), count, sampling)
    return tokenizer.decode(ids)


def texts(completion: Completion) -> list[str]:
    return [choice.text for choice in completion.choices]


# What is written


def test_every_field_of_the_client_is_taken(judge: openai.OpenAI, root: Path) -> None:
    completion = judge.completions.create(
        model="baseline",
        prompt="ROMEO:",
        best_of=2,
        echo=False,
        frequency_penalty=0.5,
        logit_bias={"0": -100, str(CHARACTERS.index("o")): 2},
        logprobs=None,
        max_tokens=40,
        n=2,
        presence_penalty=-0.5,
        seed=3,
        stop=["\n\n", "1", "2", "3"],
        stream=False,
        stream_options=None,
        suffix="",
        temperature=0.8,
        top_p=0.9,
        user="me",
        extra_body={"top_k": 20, "min_p": 0.01, "repetition_penalty": 1.1},
    )
    sampling = {
        "temperature": 0.8,
        "top_p": 0.9,
        "top_k": 20,
        "min_p": 0.01,
        "repetition_penalty": 1.1,
        "presence_penalty": -0.5,
        "frequency_penalty": 0.5,
        "logit_bias": {0: -100, CHARACTERS.index("o"): 2},
    }
    expected = [slowly_written(root, "ROMEO:", 40, seed=seed, **sampling) for seed in (3, 4)]
    assert texts(completion) == expected
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert completion.object == "text_completion"
    assert completion.id.startswith("cmpl-")
    assert completion.usage is not None
    assert completion.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 6, "completion_tokens": 80, "total_tokens": 86,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"presence_penalty": 2.0},
        {"frequency_penalty": 1.5},
        {"frequency_penalty": -2.0},
        {"logit_bias": {"5": 3, "7": -3.5}},
    ],
    ids=str,
)
def test_each_changes_the_text_as_its_formula_says(
    judge: openai.OpenAI, root: Path, fields: dict[str, Any]
) -> None:
    sampling = dict(fields)
    if "logit_bias" in fields:
        sampling["logit_bias"] = {int(id): bias for id, bias in fields["logit_bias"].items()}
    plain, changed = (
        judge.completions.create(
            model="baseline", prompt="To be", max_tokens=50, temperature=0, **extra
        )
        for extra in ({}, fields)
    )
    assert texts(changed) == [slowly_written(root, "To be", 50, temperature=0, **sampling)]
    assert texts(changed) != texts(plain)


def test_log_probabilities_are_the_models_own_whatever_is_asked(judge: openai.OpenAI) -> None:
    fields = {"model": "baseline", "prompt": "To", "max_tokens": 1, "temperature": 0, "logprobs": 5}
    only = {str(CHARACTERS.index("w")): 100}
    plain, forced = (
        judge.completions.create(**fields, **extra).choices[0]
        for extra in ({}, {"logit_bias": only, "presence_penalty": 2.0})
    )
    assert forced.text == "w"
    assert forced.logprobs is not None and plain.logprobs is not None
    (top,), (own,) = forced.logprobs.top_logprobs or [], plain.logprobs.top_logprobs or []
    assert {token: top[token] for token in own} == own
    assert top["w"] < min(own.values()) + 1e-9


def test_the_best_come_back_best_first(judge: openai.OpenAI) -> None:
    fields = {"model": "baseline", "prompt": ["To", "be"], "max_tokens": 15, "logprobs": 0}
    alone = [judge.completions.create(**fields, seed=seed) for seed in range(5, 9)]
    expected = []
    for prompt in range(2):
        of_prompt = [completion.choices[prompt] for completion in alone]
        of_prompt.sort(key=lambda choice: -sum(choice.logprobs.token_logprobs))
        expected += [choice.text for choice in of_prompt[:2]]
    best = judge.completions.create(**fields, seed=5, n=2, best_of=4)
    assert texts(best) == expected
    assert [choice.index for choice in best.choices] == [0, 1, 2, 3]
    assert best.usage is not None
    assert (best.usage.prompt_tokens, best.usage.completion_tokens) == (4, 2 * 4 * 15)
    echoed = judge.completions.create(**fields, seed=5, n=2, best_of=4, echo=True)
    prompts = ["To", "To", "be", "be"]
    assert texts(echoed) == [prompt + text for prompt, text in zip(prompts, expected, strict=True)]


def test_texts_of_different_lengths_are_compared_by_the_token(judge: openai.OpenAI) -> None:
    """The stop string's tokens are the text's own as well."""
    fields = {"model": "baseline", "prompt": "To", "max_tokens": 30, "logprobs": 0}
    drawn: list[tuple[str, list[float]]] = []
    for seed in range(1, 9):
        plain = judge.completions.create(**fields, seed=seed).choices[0]
        count = plain.text.find("o") + 1 or 30
        logprobs = plain.logprobs.token_logprobs[:count]
        drawn.append((plain.text[:count].removesuffix("o"), logprobs))
    by_mean = sorted(drawn, key=lambda text: -sum(text[1]) / len(text[1]))
    best = judge.completions.create(**fields, seed=1, stop="o", n=4, best_of=8)
    assert texts(best) == [text for text, _ in by_mean[:4]]
    assert by_mean != sorted(drawn, key=lambda text: -sum(text[1]))
    assert best.usage is not None
    assert best.usage.completion_tokens == sum(len(logprobs) for _, logprobs in drawn)


def test_prompts_of_every_kind(judge: openai.OpenAI) -> None:
    ids = [[CHARACTERS.index(c) for c in text] for text in ("To", "be")]
    several = [
        judge.completions.create(model="baseline", prompt=prompt, seed=1, n=2)
        for prompt in (["To", "be"], ids)
    ]
    one = [
        judge.completions.create(model="baseline", prompt=prompt, seed=1, n=2)
        for prompt in ("To", ids[0], ["To"], [ids[0]])
    ]
    assert texts(several[0]) == texts(several[1])
    assert [texts(completion) for completion in one] == [texts(several[0])[:2]] * 4


def test_thirty_two_texts_at_once(judge: openai.OpenAI) -> None:
    completion = judge.completions.create(model="baseline", prompt="To", n=32, max_tokens=2)
    assert [choice.index for choice in completion.choices] == list(range(32))


def test_a_text_is_scored(judge: openai.OpenAI) -> None:
    completion = judge.completions.create(
        model="baseline", prompt=["To be", "not"], echo=True, max_tokens=0, logprobs=1
    )
    assert texts(completion) == ["To be", "not"]
    assert completion.usage is not None and completion.usage.completion_tokens == 0
    for choice in completion.choices:
        assert choice.logprobs is not None and choice.logprobs.token_logprobs is not None
        assert choice.logprobs.token_logprobs[0] is None
        assert max(choice.logprobs.token_logprobs[1:]) < 0
        assert choice.logprobs.text_offset == list(range(len(choice.text)))


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_each_of_four_stops_ends_the_text(judge: openai.OpenAI, place: int) -> None:
    fields = {"model": "baseline", "prompt": "To", "max_tokens": 60, "seed": 2}
    (whole,) = texts(judge.completions.create(**fields))
    stops = ["0", "1", "2", "3"]
    stops[place] = whole[20:23]
    (choice,) = judge.completions.create(**fields, stop=stops).choices
    assert (choice.text, choice.finish_reason) == (whole[: whole.index(whole[20:23])], "stop")


# Streams


def test_usage_is_null_in_every_chunk_but_the_last(judge: openai.OpenAI) -> None:
    fields = {"model": "baseline", "prompt": "To", "max_tokens": 30, "n": 2, "seed": 1}
    options = {"include_usage": True, "include_obfuscation": False}
    *chunks, last = judge.completions.create(**fields, stream=True, stream_options=options)
    assert len(chunks) > 2
    assert all(c.usage is None and "usage" in c.model_fields_set and c.choices for c in chunks)
    whole = judge.completions.create(**fields)
    assert (last.choices, last.usage) == ([], whole.usage)
    joined = ["", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            joined[choice.index] += choice.text
    assert joined == texts(whole)


@pytest.mark.parametrize("options", [None, {"include_usage": False}], ids=str)
def test_without_it_no_chunk_speaks_of_usage(
    judge: openai.OpenAI, options: dict[str, Any] | None
) -> None:
    first, *chunks = judge.completions.create(
        model="baseline", prompt="To", max_tokens=30, stream=True, stream_options=options
    )
    for chunk in (first, *chunks):
        assert "usage" not in chunk.model_fields_set
        assert chunk.choices
        assert "stop_reason" not in chunk.choices[0].model_extra
    assert first.model_extra["context"]["seen_text"] == "To"
    assert all("context" not in chunk.model_extra for chunk in chunks)


@pytest.mark.usefixtures("slow_model")
def test_a_reason_beside_the_reason_is_there_only_where_it_says_something(
    judge: openai.OpenAI,
) -> None:
    fields = {"model": "baseline", "prompt": "To", "extra_body": {"max_time": 0.1}}
    (late,) = judge.completions.create(**fields, max_tokens=10_000).choices
    assert (late.finish_reason, late.model_extra["stop_reason"]) == ("length", "deadline")
    (whole,) = judge.completions.create(**fields, max_tokens=1).choices
    assert (whole.finish_reason, whole.model_extra) == ("length", {})


@pytest.mark.parametrize("model", ["bytes", "noise"])
def test_no_chunk_cuts_a_character(judge: openai.OpenAI, model: str) -> None:
    fields = {"model": model, "prompt": "Ž", "max_tokens": 300, "seed": 1}
    parts = [
        choice.text
        for chunk in judge.completions.create(**fields, stream=True)
        for choice in chunk.choices
    ]
    assert ["".join(parts)] == texts(judge.completions.create(**fields))
    assert sum(len(c.encode()) > 1 for part in parts for c in part) > 50
    if model == "bytes":
        assert "\ufffd" not in "".join(parts)[:-1]


def test_a_stream_as_the_wire_has_it(judge: openai.OpenAI) -> None:
    create = judge.completions.with_streaming_response.create
    with create(model="baseline", prompt="To", max_tokens=5, stream=True) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: {") for line in lines[:-1])


def test_a_raw_response_parses_to_the_same(judge: openai.OpenAI) -> None:
    fields = {"model": "baseline", "prompt": "To", "seed": 1}
    raw = judge.completions.with_raw_response.create(**fields)
    assert raw.status_code == 200
    assert raw.headers["content-type"] == "application/json"
    assert texts(raw.parse()) == texts(judge.completions.create(**fields))


def test_the_client_that_does_not_wait(server: LiveServer) -> None:
    async def journey() -> None:
        url = f"{server.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as judge:
            fields = {"model": "baseline", "prompt": "To", "max_tokens": 20}
            alone = [await judge.completions.create(**fields, seed=seed) for seed in (1, 2)]
            together = await asyncio.gather(
                *(judge.completions.create(**fields, seed=seed) for seed in (1, 2))
            )
            assert list(map(texts, together)) == list(map(texts, alone))
            stream = await judge.completions.create(
                **fields, seed=2, stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]
            parts = [choice.text for chunk in chunks for choice in chunk.choices]
            assert ["".join(parts)] == texts(alone[1])
            assert chunks[-1].usage == alone[1].usage
            assert [model.id async for model in judge.models.list()] == [
                "baseline", "bytes", "noise",
            ]  # fmt: skip
            with pytest.raises(openai.BadRequestError):
                await judge.completions.create(**fields, suffix="x")

    on_a_loop(journey())


# Models and errors


def test_models_are_listed_and_found(judge: openai.OpenAI) -> None:
    listed = list(judge.models.list())
    assert [(model.id, model.object, model.owned_by) for model in listed] == [
        (id, "model", "sidelight") for id in ("baseline", "bytes", "noise")
    ]
    assert judge.models.retrieve("baseline") == listed[0]
    for missing in (
        lambda: judge.models.retrieve("gpt-4"),
        lambda: judge.completions.create(model="gpt-4", prompt=""),
    ):
        with pytest.raises(openai.NotFoundError) as unknown:
            missing()
        assert (unknown.value.param, unknown.value.code) == ("model", "model_not_found")
        assert unknown.value.type == "invalid_request_error"


def test_a_chat_is_refused_with_a_way_on(judge: openai.OpenAI, server: LiveServer) -> None:
    turns: Any = [{"role": "user", "content": "To be?"}]
    for ask in (
        lambda: judge.chat.completions.create(model="baseline", messages=turns),
        lambda: judge.chat.completions.create(model="gpt-4", messages=[], stream=True),
        lambda: judge.responses.create(model="baseline", input="To be?"),
    ):
        with pytest.raises(openai.NotFoundError, match="/v1/completions") as refused:
            ask()
        error = refused.value
        assert (error.type, error.param) == ("invalid_request_error", "model")
        assert "base models" in error.message
    for path in ("/v1/chat/completions", "/v1/responses"):
        answer = server.http.post(path, content=b"\xff no JSON")
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"logit_bias": {"43": 1}}, "logit_bias"),
        ({"logit_bias": {"to": 1}}, "logit_bias"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"suffix": "."}, "suffix"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"logprobs": 6}, "logprobs"),
        ({"stop": list("abcde")}, "stop"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"prompt": [[43]]}, "prompt"),
        ({"extra_body": {"tools": []}}, "tools"),
    ],
    ids=str,
)
def test_a_wrong_field_is_a_typed_error_that_names_it(
    judge: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        judge.completions.create(**{"model": "baseline", "prompt": "To", **fields})
    assert (wrong.value.param, wrong.value.type) == (param, "invalid_request_error")
    assert wrong.value.message.startswith("Error code: 400")
    assert param in wrong.value.body["message"]
