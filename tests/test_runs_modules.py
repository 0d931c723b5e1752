"""The page of runs' own arithmetic, in the browser, against the same worked out here."""

import math
import operator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.conftest import LiveServer

CALL = """async ([module, name, all]) =>
  (await import(`/static/js/${module}.js`))[name](...all)"""


@pytest.fixture
def call(page: Page, live: LiveServer):
    page.goto(f"{live.url}/healthz")  # any address of the same origin

    def function(module: str, name: str, *arguments: Any) -> Any:
        return page.evaluate(CALL, [module, name, list(arguments)])

    return function


def run(id: str, **fields: Any) -> dict:
    usual = {
        "id": id,
        "kind": "gpt",
        "title": id.title(),
        "params": 1000,
        "val_loss": 2.0,
        "wall_time_s": 60.0,
        "corpus": {"name": "a text", "sha256": "a" * 64, "characters": 1001},
        "config": {
            "model": {"kind": "gpt", "block_size": 32, "n_head": 4},
            "train": {"max_iters": 5000, "batch_size": 16, "window": None},
        },
    }
    return usual | fields


def model(**fields: Any) -> dict:
    config = run("x")["config"]
    return {"model": config["model"] | fields, "train": config["train"]}


def train(**fields: Any) -> dict:
    config = run("x")["config"]
    return {"model": config["model"], "train": config["train"] | fields}


# Smoothing


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
def test_smoothing_is_a_mean_that_forgets(call, weight: float) -> None:
    values = [4.0, 2.5, 2.75, 2.1, 2.2, 1.9, 2.3]
    expected = []
    for end in range(1, len(values) + 1):
        weights = [weight ** (end - 1 - i) for i in range(end)]
        expected.append(sum(map(operator.mul, weights, values)) / sum(weights))
    assert call("smoothing", "smoothed", values, weight) == pytest.approx(expected)


def test_smoothing_leaves_out_what_is_no_number(call) -> None:
    assert call("smoothing", "smoothed", [1.0, None, 3.0], 0.5)[1] is None
    whole = call("smoothing", "smoothed", [1.0, 3.0], 0.5)
    assert call("smoothing", "smoothed", [1.0, None, 3.0], 0.5)[::2] == pytest.approx(whole)


# The axis of tokens


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        (model(), 300 * 16 * 32),
        (model(block_size=64), 300 * 16 * 64),
        (train(window=8), 300 * 16 * 8),
        (train(batch_size=2), 300 * 2 * 32),
        # It counts the training split once: 90 % of 1001 characters.
        (model(kind="ngram"), 900),
    ],
)
def test_tokens_seen(call, config: dict, tokens: int) -> None:
    assert call("curve_axis", "tokensSeen", run("x", config=config), 300) == tokens


# Settings


def test_only_settings_that_differ_are_listed_and_the_unusual_marked(call) -> None:
    baseline = run("baseline")
    other = run("other", config=model(n_head=8), params=1200)
    rows = call("runs/config_diff", "settingRows", [other, baseline], baseline, {"all": False})
    assert [(row["group"], row["name"]) for row in rows] == [
        ("Model", "n_head"),
        ("Model", "parameters"),
    ]
    assert rows[0]["cells"] == [
        {"text": "8", "different": True},
        {"text": "4", "different": False},
    ]


def test_all_settings_are_listed_with_where_the_run_comes_from(call) -> None:
    baseline = run("baseline")
    other = run(
        "other", tokenizer="bpe", device="cuda:0", init_from={"run": "baseline", "step": 500}
    )
    rows = call("runs/config_diff", "settingRows", [other], baseline, {"all": True})
    texts = {row["name"]: row["cells"][0]["text"] for row in rows}
    assert texts["block_size"] == "32"
    assert texts["window"] == "none"
    assert texts["init_from"] == "baseline at 500"
    assert texts["tokenizer"] == "bpe"
    assert texts["text"] == "a text"
    unusual = {row["name"] for row in rows if row["cells"][0]["different"]}
    assert unusual == {"init_from", "tokenizer", "device"}


def test_a_setting_that_a_model_does_not_have_is_no_value(call) -> None:
    bigram = run("bigram", kind="bigram", config={"model": {"kind": "bigram"}, "train": None})
    runs = [run("baseline"), bigram]
    rows = call("runs/config_diff", "settingRows", runs, runs[0], {"all": False})
    texts = {row["name"]: [cell["text"] for cell in row["cells"]] for row in rows}
    assert texts["n_head"] == ["4", "–"]


# Cost against gain


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"wall_time_s": 114.0, "val_loss": 1.914},
            "X: 1.9 times baseline's minutes, validation loss 4.3 % lower (2.3 % for each minute).",
        ),
        (
            {"wall_time_s": 61.0, "val_loss": 2.1},
            "X: about as many minutes as baseline, validation loss 5.0 % higher.",
        ),
        (
            {"wall_time_s": 720.0, "val_loss": 2.0},
            "X: 12 times baseline's minutes, validation loss the same.",
        ),
        (
            {"wall_time_s": 1.5, "val_loss": 3.0, "training": True},
            "X, so far: 0.025 times baseline's minutes, validation loss 50.0 % higher.",
        ),
        (
            {"wall_time_s": 120.0, "val_loss": 5.0, "tokenizer": "bpe"},
            "X: 2 times baseline's minutes, other tokens, so its loss does not compare.",
        ),
        (
            {"wall_time_s": None, "val_loss": None},
            "X: time not measured, no validation loss yet.",
        ),
    ],
)
def test_the_sentence_of_a_run(call, fields: dict, sentence: str) -> None:
    baseline = run("baseline")
    [outcome] = call("runs/cost_gain", "outcomes", [run("x", **fields)], baseline)
    assert call("runs/cost_gain", "sentence", outcome, baseline) == sentence


def test_the_order_is_by_gain_for_each_minute(call) -> None:
    gains = {"slow": (600, 1.5), "quick": (60, 1.8), "worse": (60, 2.2), "baseline": (60, 2.0)}
    runs = [run(id, wall_time_s=s, val_loss=loss) for id, (s, loss) in gains.items()]
    runs.append(run("unknown", val_loss=None))
    ordered = call("runs/cost_gain", "outcomes", runs, runs[3])
    per_minute = {id: (1 - loss / 2.0) / (s / 60) for id, (s, loss) in gains.items()}
    best_first = sorted(per_minute, key=per_minute.__getitem__, reverse=True)
    assert [outcome["run"]["id"] for outcome in ordered] == [*best_first, "unknown"]
    assert ordered[0]["perMinute"] == pytest.approx(0.1)


def test_bits_per_character_come_from_nats_where_tokens_are_characters(call) -> None:
    assert call("losses", "bitsPerCharacter", run("x")) == pytest.approx(2.0 / math.log(2))
    assert call("losses", "bitsPerCharacter", run("x", tokenizer="byte")) is None
    measured = run("x", tokenizer="byte", val_bits_per_character=2.5)
    assert call("losses", "bitsPerCharacter", measured) == 2.5
