"""`/api/attention/roles` and `/comparison`, against the model's own scores and maps."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from fastapi.testclient import TestClient
from torch import Tensor

from app.main import create_app
from app.settings import Settings
from model.attention import attention_maps
from model.config import BigramConfig, GPTConfig
from model.head_matching import Match, pair_heads
from model.head_roles import ROLES, badges, repeated_maps, repeated_scores, text_scores
from model.run_folder import RunFolder
from model.tokenizer import ByteTokenizer, train_tokenizer
from tests.conftest import CHARACTERS, write_run
from tests.conftest import TEXT as FIXTURE_TEXT

TEXT = "To be, or"
PLACES = [(0, 0), (0, 1), (1, 0), (1, 1)]


def shaped(**fields: Any) -> GPTConfig:
    return GPTConfig.model_validate(
        {"vocab_size": len(CHARACTERS), "block_size": 16, "n_layer": 2, "n_head": 2, "n_embd": 8}
        | fields
    )


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Runs of different shapes and tokens."""
    root = tmp_path_factory.mktemp("zoo")
    write_run(root, "baseline", steps=(10,))
    write_run(root, "short", shaped(block_size=5), seed=1)
    write_run(root, "wide", shaped(n_head=4), seed=2)
    write_run(root, "deep", shaped(n_layer=3), seed=3)
    pieces = train_tokenizer("bpe", FIXTURE_TEXT, 280)
    write_run(root, "pieces", shaped(vocab_size=pieces.vocab_size), tokenizer=pieces)
    write_run(root, "bytes", shaped(vocab_size=256), tokenizer=ByteTokenizer())
    write_run(root, "bigram", BigramConfig(vocab_size=len(CHARACTERS)))
    with TestClient(create_app(Settings(checkpoints=root, data=root / "data"))) as client:
        yield client


def folder(client: TestClient, run: str) -> RunFolder:
    return RunFolder(client.app.state.settings.checkpoints / run)  # type: ignore[attr-defined]


def maps_of(client: TestClient, run: str, text: str, step: int | None = None) -> Tensor:
    ids = folder(client, run).read_tokenizer().encode(text)
    return attention_maps(folder(client, run).load_model(step), ids)


# Roles


def test_roles_are_the_models_own_scores(client: TestClient) -> None:
    answer = client.post("/api/attention/roles", json={"run": "baseline", "text": TEXT}).json()
    run = folder(client, "baseline")
    model, ids = run.load_model(), run.read_tokenizer().encode(TEXT)
    scores = text_scores(attention_maps(model, ids)) | repeated_scores(repeated_maps(model))
    assert [(entry["layer"], entry["head"]) for entry in answer["heads"]] == PLACES
    for entry in answer["heads"]:
        layer, head = entry["layer"], entry["head"]
        raw = {name: float(score.raw[layer, head]) for name, score in scores.items()}
        telling = {name: float(score.telling[layer, head]) for name, score in scores.items()}
        assert entry["scores"] == pytest.approx(raw, abs=1e-6)
        assert "first" not in entry["corrected"]
        assert entry["corrected"] | {"first": telling["first"]} == pytest.approx(telling, abs=1e-6)
        assert entry["badges"] == badges(scores, layer, head)
    assert answer["roles"] == [asdict(role) for role in ROLES]
    assert (answer["random_tokens"], answer["random_sequences"]) == (16, 8)
    assert (answer["run"], answer["step"], answer["tokens"]) == ("baseline", None, list(TEXT))


def test_roles_of_a_snapshot_and_of_a_shorter_context(client: TestClient) -> None:
    def ask(**fields: Any) -> Any:
        return client.post("/api/attention/roles", json={"run": "baseline", "text": TEXT, **fields})

    final, earlier = ask().json(), ask(step=10).json()
    assert earlier["step"] == 10
    assert earlier["heads"] != final["heads"]
    seen = ask(length=4).json()
    assert (seen["tokens"], seen["text_offset"]) == (list(", or"), 5)
    assert seen["heads"] == ask(text=", or").json()["heads"]
    for entry in ask(text="T").json()["heads"]:
        on_text = {role.name for role in ROLES if role.on == "text"}
        assert {entry["scores"][name] for name in on_text} == {0.0}


@pytest.mark.parametrize(
    ("fields", "status", "param", "code"),
    [
        ({"run": "nope"}, 404, "run", "unknown_run"),
        ({"step": 11}, 404, "step", "unknown_snapshot"),
        ({"run": "bigram"}, 422, "run", "no_attention"),
        ({"text": ""}, 422, "text", "invalid_value"),
        ({"text": "5€"}, 422, "text", "unknown_characters"),
        ({"length": 0}, 422, "length", "invalid_value"),
        ({"heads": [0]}, 422, "heads", "invalid_value"),
    ],
)
def test_wrong_requests_for_roles(
    client: TestClient, fields: dict[str, Any], status: int, param: str, code: str
) -> None:
    body = {"run": "baseline", "text": TEXT, **fields}
    answer = client.post("/api/attention/roles", json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)


# Comparison


def compared(client: TestClient, a: Any, b: Any, **fields: Any) -> Any:
    sides = [{"run": side} if isinstance(side, str) else side for side in (a, b)]
    body = {"text": TEXT, "a": sides[0], "b": sides[1], **fields}
    return client.post("/api/attention/comparison", json=body)


@pytest.mark.parametrize("without_first", [False, True])
@pytest.mark.parametrize("match", ["place", "layer", "anywhere"])
def test_comparisons_are_of_the_models_own_maps(
    zoo: TestClient, match: Match, without_first: bool
) -> None:
    """The same run at two steps."""
    earlier = {"run": "baseline", "step": 10}
    answer = compared(zoo, earlier, "baseline", match=match, without_first=without_first).json()
    maps = maps_of(zoo, "baseline", TEXT, 10), maps_of(zoo, "baseline", TEXT)
    expected = pair_heads(*maps, match, without_first)
    assert [(p["a"], p["b"]) for p in answer["pairs"]] == [
        ([*pair.a], [*(pair.b or ())]) for pair in expected
    ]
    for pair, of_model in zip(answer["pairs"], expected, strict=True):
        figures = (pair["divergence"], pair["similarity"])
        assert figures == pytest.approx((of_model.divergence, of_model.similarity), abs=1e-6)
        assert pair["divergence"] > 0
    assert (answer["a"]["step"], answer["b"]["step"], answer["match"]) == (10, None, match)
    back = compared(zoo, "baseline", earlier, match=match, without_first=without_first).json()
    assert sorted((p["b"], p["a"], p["divergence"]) for p in back["pairs"]) == sorted(
        (p["a"], p["b"], p["divergence"]) for p in answer["pairs"]
    )


def test_a_run_is_itself(zoo: TestClient) -> None:
    for pair in compared(zoo, "baseline", "baseline", match="anywhere").json()["pairs"]:
        assert pair["a"] == pair["b"]
        assert (pair["divergence"], pair["similarity"]) == (0, 1)


@pytest.mark.parametrize(("a", "b"), [("baseline", "short"), ("short", "baseline")])
def test_both_see_what_the_shorter_context_takes(zoo: TestClient, a: str, b: str) -> None:
    answer = compared(zoo, a, b).json()
    assert answer["a"]["tokens"] == answer["b"]["tokens"] == list("e, or")
    assert answer["a"]["text_offset"] == answer["b"]["text_offset"] == 4
    expected = pair_heads(maps_of(zoo, a, "e, or"), maps_of(zoo, b, "e, or"))
    assert [p["divergence"] for p in answer["pairs"]] == pytest.approx(
        [pair.divergence for pair in expected], abs=1e-6
    )
    shorter = compared(zoo, a, b, length=3).json()
    assert shorter["a"]["tokens"] == shorter["b"]["tokens"] == list(" or")


@pytest.mark.parametrize(("other", "match"), [("wide", "layer"), ("deep", "anywhere")])
def test_runs_with_more_heads(zoo: TestClient, other: str, match: str) -> None:
    fewer = compared(zoo, "baseline", other, match=match).json()["pairs"]
    assert len(fewer) == 4
    assert all(pair["b"] for pair in fewer)
    more = compared(zoo, other, "baseline", match=match).json()["pairs"]
    left_over = [pair for pair in more if pair["b"] is None]
    assert len(left_over) == len(more) - 4 > 0
    assert all(pair["divergence"] is pair["similarity"] is None for pair in left_over)
    assert sorted((p["a"], p["b"]) for p in fewer) == sorted(
        (p["b"], p["a"]) for p in more if p["b"]
    )


def test_other_tokenizers_may_cut_alike(zoo: TestClient) -> None:
    assert compared(zoo, "baseline", "bytes").json()["b"]["tokens"] == list(TEXT)
    for a, b in (("baseline", "pieces"), ("pieces", "baseline")):
        refused = compared(zoo, a, b)
        assert refused.status_code == 422
        error = refused.json()["error"]
        assert (error["param"], error["code"]) == ("b", "different_tokens")
        assert "'pieces'" in error["message"]


@pytest.mark.parametrize(
    ("fields", "status", "param", "code"),
    [
        ({"a": {"run": "nope"}}, 404, "a.run", "unknown_run"),
        ({"b": {"run": "nope"}}, 404, "b.run", "unknown_run"),
        ({"b": {"run": "baseline", "step": 11}}, 404, "b.step", "unknown_snapshot"),
        ({"b": {"run": "bigram"}}, 422, "b.run", "no_attention"),
        ({"a": {"run": "bigram"}}, 422, "a.run", "no_attention"),
        ({"a": {"step": 10}}, 422, "a.run", "invalid_value"),
        ({"b": {"run": "wide"}}, 422, "match", "invalid_value"),
        ({"b": {"run": "deep"}}, 422, "match", "invalid_value"),
        ({"b": {"run": "deep"}, "match": "layer"}, 422, "match", "invalid_value"),
        ({"match": "nearest"}, 422, "match", "invalid_value"),
        ({"text": "5€"}, 422, "text", "unknown_characters"),
        ({"run": "baseline"}, 422, "run", "invalid_value"),
    ],
)
def test_wrong_requests_for_a_comparison(
    zoo: TestClient, fields: dict[str, Any], status: int, param: str, code: str
) -> None:
    answer = compared(zoo, **({"a": "baseline", "b": "baseline"} | fields))
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    if param == "match" and "match" not in fields:
        assert "anywhere" in error["message"]


def test_too_many_heads_are_not_matched_anywhere(
    zoo: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.analysis.comparison.MOST_PAIRS", 4 * 8 - 1)
    assert compared(zoo, "baseline", "baseline", match="anywhere").status_code == 200
    refused = compared(zoo, "baseline", "wide", match="anywhere")
    assert refused.status_code == 422
    assert refused.json()["error"]["param"] == "match"
