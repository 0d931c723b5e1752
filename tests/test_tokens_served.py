"""Runs whose tokens are bytes or byte pairs, through everything that serves them."""

import codecs
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import cli
from app.main import create_app
from app.settings import Settings
from app.writing import Task, Text
from model.attention import attention_maps
from model.config import BigramConfig, GPTConfig, NGramConfig
from model.run_folder import RunFolder
from model.sequence import Sequence, Token
from model.tokenizer import BPETokenizer, ByteTokenizer, TextDecoder, Tokenizer
from tests.conftest import write_run
from tests.stand_in_batch import Counting

# Nearly every character takes several bytes, so nearly every token cuts one.
TEXT = "Žluťoučký kůň úpěl ďábelské ódy. 🙂🙂 Čtyři €!\n" * 30
BYTES = ByteTokenizer()
PAIRS = BPETokenizer.train(TEXT[:200], 300)
KINDS = {"byte": BYTES, "bpe": PAIRS}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each kind a GPT that writes noise, and an n-gram model that writes its text again."""
    root = tmp_path_factory.mktemp("checkpoints")
    for kind, tokenizer in KINDS.items():
        size = tokenizer.vocab_size
        gpt = GPTConfig(vocab_size=size, block_size=16, n_layer=2, n_head=2, n_embd=8)
        counts = NGramConfig(vocab_size=size, order=4)
        write_run(root, kind, gpt, tokenizer=tokenizer, steps=(10,))
        write_run(root, f"{kind}-ngram", counts, tokenizer=tokenizer, text=TEXT)
    return root


@pytest.fixture(scope="module")
def client(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(checkpoints=root, data=tmp_path_factory.mktemp("data"))
    with TestClient(create_app(settings)) as client:
        yield client


def complete(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/completions", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def chunks(client: TestClient, **fields: Any) -> list[dict[str, Any]]:
    """The choices of a streamed answer, as they come."""
    answer = client.post("/v1/completions", json=fields | {"stream": True})
    *lines, done = [line for line in answer.text.split("\n\n") if line]
    assert done == "data: [DONE]"
    events = (json.loads(line.removeprefix("data: ")) for line in lines)
    return [choice for event in events for choice in event["choices"]]


def drawn(root: Path, run: str, ids: list[int], count: int) -> list[int]:
    """The `count` likeliest ids after `ids`, by a plain forward pass."""
    model, ids = RunFolder(root / run).load_model(), list(ids)
    for _ in range(count):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids[-model.block_size :]]))[0, -1].argmax()))
    return ids[-count:]


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_is_what_the_ids_spell(client: TestClient, root: Path, kind: str) -> None:
    """However many tokens: a character that the last one cuts becomes one U+FFFD."""
    tokenizer: Tokenizer = KINDS[kind]
    prompt = tokenizer.encode("ů")
    for run in (kind, f"{kind}-ngram"):
        ids = drawn(root, run, prompt, 25)
        for max_tokens in range(20, 26):
            answer = complete(client, model=run, prompt="ů", max_tokens=max_tokens, temperature=0)
            assert answer["choices"][0]["text"] == tokenizer.decode(ids[:max_tokens])
            usage = answer["usage"]
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(prompt), max_tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_never_splits_a_character(client: TestClient, kind: str) -> None:
    fields = {"model": f"{kind}-ngram", "prompt": "Ž", "max_tokens": 200, "seed": 1, "logprobs": 1}
    whole = complete(client, **fields)["choices"][0]
    assert sum(len(c.encode()) > 1 for c in whole["text"]) > 20, "there is something to split"
    parts = chunks(client, **fields)
    assert "".join(part["text"] for part in parts) == whole["text"]
    assert "\ufffd" not in whole["text"][:-1]
    for part in parts[1:-1]:
        assert part["text"], "an event without text would tell of half a character"
    for name, values in whole["logprobs"].items():
        assert [value for part in parts for value in part["logprobs"][name]] == values


def test_half_a_character_is_not_handed_out_before_its_end() -> None:
    tokenizer = ByteTokenizer()
    task = Task(
        batch=Counting(),
        sequence=Sequence([65]),
        token_text=tokenizer.token_text,
        max_tokens=9,
        decoder=TextDecoder(tokenizer),
    )
    text = Text(task, deadline=math.inf, wake=lambda: None)
    first, second = "Ž".encode()
    text.add([Token(65, -1.0), Token(first, -1.0)])
    assert [piece.text for piece in text.take(ended=False)] == ["A"]
    assert text.take(ended=False) == []
    text.add([Token(second, -1.0), Token(first, -1.0)])
    assert [piece.text for piece in text.take(ended=False)] == ["", "Ž"]
    assert [piece.text for piece in text.take(ended=True)] == [""]


@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_name_every_token(client: TestClient, root: Path, kind: str) -> None:
    tokenizer, prompt = KINDS[kind], "kůň €"
    fields = {"model": kind, "prompt": prompt, "logprobs": 2, "seed": 3, "max_tokens": 12}
    choice = complete(client, **fields, echo=True)["choices"][0]
    logprobs = choice["logprobs"]
    read = len(tokenizer.encode(prompt))
    assert len(logprobs["tokens"]) == read + 12
    id_of = {tokenizer.token_text(i): i for i in range(tokenizer.vocab_size)}
    ids = [id_of[token] for token in logprobs["tokens"]]
    assert choice["text"] == tokenizer.decode(ids)
    model = RunFolder(root / kind).load_model()
    for place in range(1, len(ids)):
        seen = torch.tensor([ids[max(0, place - 16) : place]])
        with torch.inference_mode():
            expected = model(seen)[0, -1].log_softmax(-1)
        assert logprobs["token_logprobs"][place] == pytest.approx(
            float(expected[ids[place]]), abs=1e-4
        )
        best = {*expected.topk(2).indices.tolist(), ids[place]}
        assert set(logprobs["top_logprobs"][place]) == {tokenizer.token_text(i) for i in best}
        before = b"".join(map(tokenizer.token_bytes, ids[:place]))
        written = codecs.getincrementaldecoder("utf-8")("replace").decode(before)
        assert logprobs["text_offset"][place] == len(written)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_that_end_amid_a_character_are_completed(
    client: TestClient, root: Path, kind: str
) -> None:
    tokenizer, run = KINDS[kind], f"{kind}-ngram"
    for place in range(1, 14):
        ids = tokenizer.encode(TEXT)[:place]
        whole = tokenizer.decode(ids + drawn(root, run, ids, 30))
        fields = {"model": run, "prompt": ids, "max_tokens": 30, "temperature": 0}
        text = complete(client, **fields)["choices"][0]["text"]
        assert tokenizer.decode(ids).rstrip("\ufffd") + text == whole
        assert complete(client, **fields, echo=True)["choices"][0]["text"] == whole
        parts = chunks(client, **fields, echo=True)
        assert "".join(part["text"] for part in parts) == whole
        alone = complete(client, **fields | {"max_tokens": 0}, echo=True)["choices"][0]["text"]
        assert alone == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", ["€", "k", "ůň ú", " ó", "🙂", "🙂 Č", "nowhere"])
def test_stop_strings_may_begin_and_end_amid_tokens(
    client: TestClient, kind: str, stop: str
) -> None:
    fields = {"model": f"{kind}-ngram", "prompt": "Žluť", "temperature": 0, "logprobs": 0}
    fields |= {"max_tokens": 90}
    whole = complete(client, **fields)["choices"][0]["text"]
    assert (stop in whole) == (stop != "nowhere")
    choice = complete(client, **fields, stop=stop)["choices"][0]
    assert choice["text"] == whole.partition(stop)[0]
    assert choice["finish_reason"] == ("stop" if stop in whole else "length")
    assert len(choice["logprobs"]["tokens"]) == len(choice["logprobs"]["text_offset"])
    parts = chunks(client, **fields, stop=stop)
    assert "".join(part["text"] for part in parts) == choice["text"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_seen_of_a_prompt_is_told_in_characters(client: TestClient, kind: str) -> None:
    tokenizer = KINDS[kind]
    for length in range(1, 40):
        prompt = TEXT[:length]
        ids = tokenizer.encode(prompt)
        context = complete(client, model=kind, prompt=prompt, max_tokens=1)["context"]
        assert context["prompt_tokens"] == len(ids)
        assert context["seen_tokens"] == min(16, len(ids))
        assert prompt.endswith(context["seen_text"])
        seen = tokenizer.decode(ids[-16:]).lstrip("\ufffd")
        cut = context["seen_text"].removesuffix(seen)
        assert len(cut) <= 1, "of a character that is cut, the whole"
        assert bool(cut) == tokenizer.decode(ids[-16:]).startswith("\ufffd")


def test_an_empty_prompt_starts_from_a_newline(client: TestClient) -> None:
    for run in KINDS:
        texts = {
            complete(client, model=run, prompt=p, seed=1)["choices"][0]["text"] for p in ("", "\n")
        }
        assert len(texts) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_prompts_are_named_in_tokens(client: TestClient, kind: str) -> None:
    def error(**fields: Any) -> dict[str, Any]:
        answer = client.post("/v1/completions", json={"model": kind} | fields)
        assert answer.status_code == 400, answer.text
        return answer.json()["error"]

    unit = {"byte": "bytes", "bpe": "tokens"}[kind]
    long = error(prompt="🙂Č4" * 4000, echo=True, logprobs=0)
    assert (long["param"], long["code"]) == ("prompt", "too_large")
    assert f"10,000 {unit}" in long["message"]
    beyond = error(prompt=[KINDS[kind].vocab_size])
    assert f"from 0 to {KINDS[kind].vocab_size - 1}" in beyond["message"]
    body = f'{{"model": "{kind}", "prompt": "a\\ud83d"}}'
    headers = {"Content-Type": "application/json"}
    half = client.post("/v1/completions", content=body.encode(), headers=headers)
    assert half.status_code == 400
    assert half.json()["error"]["param"] == "prompt"


@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_of_tokens_and_its_offset_in_characters(
    client: TestClient, root: Path, kind: str
) -> None:
    tokenizer, folder = KINDS[kind], RunFolder(root / kind)
    for length in (1, 5, 12, 30):
        text = TEXT[:length]
        answer = client.post("/api/attention", json={"run": kind, "text": text}).json()
        ids = tokenizer.encode(text)[-16:]
        assert answer["tokens"] == [tokenizer.token_text(i) for i in ids]
        np.testing.assert_allclose(
            answer["maps"], attention_maps(folder.load_model(), ids).numpy(), atol=1e-7
        )
        seen = tokenizer.decode(ids).lstrip("\ufffd")
        rest = text[answer["text_offset"] :]
        assert rest.endswith(seen)
        assert len(rest) - len(seen) == tokenizer.decode(ids).startswith("\ufffd")
        headers = {"Accept": "application/octet-stream"}
        body = {"run": kind, "text": text}
        packed = client.post("/api/attention", json=body, headers=headers).content
        (size,) = struct.unpack_from("<I", packed)
        header = json.loads(packed[4 : 4 + size])
        assert (header["tokens"], header["text_offset"]) == (
            answer["tokens"],
            answer["text_offset"],
        )


@pytest.mark.parametrize("kind", KINDS)
def test_runs_tell_of_their_tokens(client: TestClient, root: Path, kind: str) -> None:
    folder = RunFolder(root / kind)
    folder.write_config(folder.read_config().model_copy(update={"tokens_per_character": 1.5}))
    run = client.get(f"/api/runs/{kind}").json()
    assert run["tokenizer"] == kind
    assert run["val_loss"] == 2.6
    assert run["val_bits_per_character"] == pytest.approx(2.6 * 1.5 / math.log(2))
    tokenizer = KINDS[kind]
    assert run["vocabulary"] == [tokenizer.token_text(i) for i in range(tokenizer.vocab_size)]
    assert run["vocabulary"].count("a") == 1
    listed = {run["id"]: run for run in client.get("/api/runs").json()["runs"]}
    assert listed[kind] == {key: run[key] for key in listed[kind]}


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_line_writes_whole_characters(root: Path, kind: str) -> None:
    run, tokenizer = f"{kind}-ngram", KINDS[kind]
    ids = tokenizer.encode("Žl")
    for count in range(20, 25):
        arguments = ["generate", run, "Žl", "--max-tokens", str(count), "--temperature", "0"]
        result = CliRunner().invoke(cli, arguments, env={"SIDELIGHT_CHECKPOINTS": str(root)})
        assert result.exit_code == 0, result.stderr
        assert result.stdout == tokenizer.decode(ids + drawn(root, run, ids, count)) + "\n"


def test_another_tokenizer_breaks_a_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one", BigramConfig(vocab_size=256), tokenizer=BYTES)
    client = TestClient(create_app(Settings(checkpoints=tmp_path, data=tmp_path / "data")))
    with client:
        assert client.get("/api/runs/one").status_code == 200
        folder.write_tokenizer(PAIRS)
        answer = client.get("/api/runs/one")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "broken_run")
        says = "tokenizer.json: kind bpe, but config.json says byte"
        assert says in answer.json()["error"]["message"]
