"""What the lessons about text tell: against counting by hand, plain torch, and training itself."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from model.config import CorpusInfo, GPTConfig, ModelConfig, NGramConfig
from model.corpus import Corpus
from model.evaluation import whole_loss
from model.ngram import NGram
from model.ngram_orders import order_losses
from model.run_folder import RunFolder
from model.tokenizer import Tokenizer, train_tokenizer
from model.training import Trainer
from tests.conftest import CHARACTERS, TEXT, write_run

V = len(CHARACTERS)
CORPUS = Corpus("speech", TEXT + "ROMEO: But, what?\nJust A Wit in Ham. " + TEXT[::-1])
TRAIN, VAL = CORPUS.split()
SEEN = 16  # tokens, of the GPTs here


def write(root: Path, id: str, model: ModelConfig, tokenizer: Tokenizer | None = None) -> None:
    """A run that was trained on CORPUS; an n-gram one has counted its training part."""
    folder = write_run(root, id, model, tokenizer=tokenizer, text=TRAIN)
    info = CorpusInfo(name="speech", sha256=CORPUS.sha256, characters=len(CORPUS.text))
    folder.write_config(folder.read_config().model_copy(update={"corpus": info}))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("lessons")
    pieces = train_tokenizer("bpe", TRAIN, 280)
    shape = {"block_size": SEEN, "n_layer": 2, "n_head": 2, "n_embd": 8}
    write(root, "gpt", GPTConfig.model_validate({"vocab_size": V, **shape}))
    write(root, "counts", NGramConfig(vocab_size=V, order=4))
    bpe = GPTConfig.model_validate({"vocab_size": pieces.vocab_size, **shape})
    write(root, "pieces", bpe, pieces)
    write_run(root, "elsewhere", NGramConfig(vocab_size=V, order=2))
    with TestClient(create_app(Settings(checkpoints=root, data=root / "data"))) as client:
        client.post("/api/corpora?name=speech.txt", content=CORPUS.text)
        yield client


def folder(client: TestClient, run: str) -> RunFolder:
    return RunFolder(client.app.state.settings.checkpoints / run)  # type: ignore[attr-defined]


def ask(client: TestClient, name: str, **body: Any) -> Any:
    return client.post(f"/api/learn/{name}", json=body)


# The orders


@pytest.mark.parametrize("window", [1, 5])
def test_every_order_is_a_model_counted_for_itself(window: int) -> None:
    text = torch.randint(0, 6, (400,), generator=torch.Generator().manual_seed(window))
    model = NGram(NGramConfig(vocab_size=9, order=4))  # three tokens occur only when it is judged
    model.count(text[:200] % 4)
    expected = []
    for order in range(1, 5):
        alone = NGram(NGramConfig(vocab_size=9, order=order))
        alone.count(text[:200] % 4)
        expected.append(whole_loss(alone, text, window))
    assert order_losses(model, text, window) == pytest.approx(expected, rel=1e-6)


def test_the_quality_of_orders_is_on_the_validation_text(client: TestClient) -> None:
    reply = client.get("/api/learn/orders?run=counts").json()
    run = folder(client, "counts")
    model, ids = run.load_model(), run.read_tokenizer().encode(VAL)
    assert reply["corpus"] == "speech"
    assert (reply["characters"], reply["tokens"], reply["window"]) == (len(VAL), len(VAL), 3)
    orders = reply["orders"]
    assert [entry["order"] for entry in orders] == [0, 1, 2, 3, 4]
    assert orders[0]["perplexity"] == pytest.approx(V)
    assert orders[-1]["loss"] == pytest.approx(whole_loss(model, torch.tensor(ids), 3), rel=1e-6)
    assert (orders[1]["size"], orders[-1]["size"]) == (len(set(TRAIN)), model.size)
    for entry in orders:
        assert entry["bits_per_character"] == pytest.approx(math.log2(entry["perplexity"]))


# What comes next


@pytest.mark.parametrize(
    ("text", "order"), [("or not to b", None), ("to JA", 4), ("be", 2), ("n", 4)]
)
def test_the_sum_of_an_ngram_run_can_be_redone_by_hand(
    client: TestClient, text: str, order: int | None
) -> None:
    reply = ask(client, "next-token", run="counts", text=text, order=order, top=5).json()
    longest = min(order or 4, len(text) + 1)
    assert reply["tokens"] == list(text[len(text) - min(len(text), (order or 4) - 1) :])
    assert [line["order"] for line in reply["sums"]] == list(range(1, longest + 1))
    below = [1 / V] * 5
    for line in reply["sums"]:
        n = line["order"]
        context = text[len(text) - (n - 1) :]
        grams = Counter(TRAIN[i : i + n] for i in range(len(TRAIN) - n + 1))
        followed = {gram[-1]: count for gram, count in grams.items() if gram[:-1] == context}
        assert (line["total"], line["kinds"]) == (sum(followed.values()), len(followed))
        tokens = [candidate["token"] for candidate in reply["candidates"]]
        assert line["counts"] == [followed.get(token, 0) for token in tokens]
        if followed:
            weight = line["total"] + line["kinds"]
            sums = zip(line["counts"], below, strict=True)
            below = [(count + line["kinds"] * p) / weight for count, p in sums]
        assert line["probabilities"] == pytest.approx(below, rel=1e-6)
    assert [c["probability"] for c in reply["candidates"]] == pytest.approx(below, rel=1e-6)


@pytest.mark.parametrize("run", ["gpt", "pieces"])
def test_a_prediction_is_the_models_own(client: TestClient, run: str) -> None:
    text = "A Wit in Ham: But, to be ROMEO!"
    reply = ask(client, "next-token", run=run, text=text, top=3).json()
    model, tokenizer = folder(client, run).load_model(), folder(client, run).read_tokenizer()
    ids = tokenizer.encode(text)
    with torch.no_grad():
        after = [
            model(torch.tensor([ids[max(0, t - SEEN) : t]]))[0, -1].double().softmax(-1)
            for t in range(1, len(ids) + 1)
        ]
    best = after[-1].topk(3)
    assert [c["id"] for c in reply["candidates"]] == best.indices.tolist()
    assert [c["probability"] for c in reply["candidates"]] == pytest.approx(best.values.tolist())
    assert reply["rest"] == pytest.approx(1 - float(best.values.sum()))
    entropy = torch.distributions.Categorical(probs=after[-1]).entropy()
    assert reply["entropy"] == pytest.approx(float(entropy) / math.log(2))
    seen = ids[-SEEN:]
    assert len(seen) < len(ids)
    assert reply["tokens"] == [tokenizer.token_text(id) for id in seen]
    assert reply["left_out"] == len(text) - len(tokenizer.decode(seen))
    bits = [-math.log2(p[id]) for p, id in zip(after, ids[1:], strict=False)]
    assert [surprise["bits"] for surprise in reply["surprises"]][1:] == pytest.approx(
        bits, rel=1e-4
    )
    characters = len(tokenizer.decode(ids[1:]))
    assert reply["bits_per_character"] == pytest.approx(sum(bits) / characters, rel=1e-4)


def test_an_empty_text_starts_as_a_prompt_does(client: TestClient) -> None:
    empty, newline = (ask(client, "next-token", run="gpt", text=text).json() for text in ("", "\n"))
    assert (empty["started"], empty["surprises"], empty["tokens"]) == (True, None, ["\n"])
    assert empty["candidates"] == newline["candidates"]


def test_of_a_long_text_the_end_is_told(client: TestClient) -> None:
    text = TEXT[:500]
    whole, end = (ask(client, "next-token", run="gpt", text=t).json() for t in (text, text[-60:]))
    assert len(whole["surprises"]) == 300
    assert whole["left_out"] == len(text) - SEEN
    assert whole["candidates"] == end["candidates"]
    bits = [[surprise["bits"] for surprise in reply["surprises"]] for reply in (whole, end)]
    assert bits[0][-60 + SEEN :] == pytest.approx(bits[1][SEEN:], rel=1e-4)
    assert None not in bits[0]


# Tokens and batches


def test_a_text_is_shown_with_its_ids_and_without_those_it_has_not(client: TestClient) -> None:
    reply = ask(client, "encoding", run="gpt", text="Té b]\n").json()
    ids = [CHARACTERS.find(character) for character in "Té b]\n"]
    assert [piece["id"] for piece in reply["pieces"]] == [None if id < 0 else id for id in ids]
    assert [piece["text"] for piece in reply["pieces"]] == list("Té b]\n")
    assert (reply["unknown"], reply["decoded"]) == (["é", "]"], "T b\n")
    assert (reply["characters"], reply["bytes"]) == (6, 7)
    cut = ask(client, "encoding", run="pieces", text="to be é").json()
    assert cut["decoded"] == "to be é"
    assert "".join(piece["text"] for piece in cut["pieces"][:-2]) == "to be "
    assert [piece["text"] for piece in cut["pieces"][-2:]] == ["bytes:\\xc3", "bytes:\\xa9"]


@pytest.mark.parametrize("iteration", [0, 3])
def test_a_batch_is_the_one_that_training_draws(
    client: TestClient, tmp_path: Path, iteration: int
) -> None:
    reply = ask(client, "batch", run="gpt", iteration=iteration).json()
    run = folder(client, "gpt")
    config, tokenizer = run.read_config(), run.read_tokenizer()
    trainer = Trainer(RunFolder(tmp_path / "gpt"), config, CORPUS, tokenizer, torch.device("cpu"))
    x, y = [trainer.batch() for _ in range(iteration + 1)][-1]
    assert [window["ids"][:-1] for window in reply["windows"]] == x.tolist()
    assert [window["ids"][1:] for window in reply["windows"]] == y.tolist()
    generator = torch.Generator().manual_seed(1337)
    for _ in range(iteration + 1):
        starts = torch.randint(len(TRAIN) - SEEN, (16, 1), generator=generator)
    assert reply["starts"] == starts[:, 0].tolist()
    texts = ["".join(window["tokens"]) for window in reply["windows"]]
    assert texts == [TRAIN[start : start + SEEN + 1] for start in reply["starts"]]
    assert (reply["own"], reply["known"], reply["draws"]) == (True, True, True)
    assert (reply["batch_size"], reply["window"], reply["predictions"]) == (16, SEEN, 16 * SEEN)
    assert (reply["train_characters"], reply["val_characters"]) == (len(TRAIN), len(VAL))
    other = ask(client, "batch", run="gpt", iteration=iteration, seed=1).json()
    assert other["starts"] != reply["starts"]


def test_a_batch_of_a_run_whose_text_is_elsewhere(client: TestClient) -> None:
    error = ask(client, "batch", run="elsewhere").json()["error"]
    assert (error["param"], error["code"]) == ("corpus", "corpus_unavailable")
    reply = ask(client, "batch", run="elsewhere", corpus="speech").json()
    assert (reply["own"], reply["draws"], reply["window"]) == (False, False, 1)


@pytest.mark.parametrize(
    ("name", "body", "param", "code"),
    [
        ("next-token", {"run": "gpt", "text": "5€"}, "text", "unknown_characters"),
        ("next-token", {"run": "gpt", "order": 2}, "order", "invalid_value"),
        ("next-token", {"run": "counts", "order": 5}, "order", "invalid_value"),
        ("next-token", {"run": "nope"}, "run", "unknown_run"),
        ("encoding", {"run": "gpt", "text": "a" * 2001}, "text", "invalid_value"),
        ("batch", {"run": "gpt", "corpus": "nope"}, "corpus", "unknown_corpus"),
        ("batch", {"run": "gpt", "corpus": "tinyshakespeare"}, "corpus", "unknown_characters"),
        ("batch", {"run": "gpt", "iteration": 1001}, "iteration", "invalid_value"),
        ("batch", {"run": "gpt", "seed": -1}, "seed", "invalid_value"),
        ("orders", {"run": "gpt"}, "run", "no_orders"),
        ("orders", {"run": "elsewhere"}, "corpus", "corpus_unavailable"),
    ],
)
def test_wrong_requests(
    client: TestClient, name: str, body: dict[str, Any], param: str, code: str
) -> None:
    if name == "orders":
        answer = client.get("/api/learn/orders", params=body)
    else:
        answer = ask(client, name, **body)
    assert answer.status_code == (404 if code in {"unknown_run", "unknown_corpus"} else 422)
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
