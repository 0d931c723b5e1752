"""The page of runs' own arithmetic, in the browser, against the same worked out here."""

import base64
import io
import math
import operator
import zipfile
from typing import Any

import pytest
from playwright.sync_api import Error, Page

from model.interop.naming import id_from, title_from
from tests.conftest import LiveServer

CALL = """async ([module, name, all]) =>
  (await import(`/static/js/${module}.js`))[name](...all)"""


@pytest.fixture(scope="module")
def call(shared_page: Page, live: LiveServer):
    shared_page.goto(f"{live.url}/healthz")  # any address of the same origin

    def function(module: str, name: str, *arguments: Any) -> Any:
        return shared_page.evaluate(CALL, [module, name, list(arguments)])

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


# A run that was brought in: nothing is made up about it

IMPORTED = {
    "layout": "nanogpt",
    "file": "ckpt.pt",
    "sha256": "b" * 64,
    "steps": 5000,
    "val_loss": 1.46972,
}


def brought(id: str = "brought", **fields: Any) -> dict:
    config = {"model": run(id)["config"]["model"], "train": None}
    unknown = {"corpus": None, "train_loss": None, "val_loss": None, "wall_time_s": None}
    return run(id, **{"config": config, "imported": IMPORTED, **unknown, **fields})


def test_where_a_run_comes_from(call) -> None:
    assert call("run_origin", "originSentence", IMPORTED) == (
        "Imported from nanoGPT's ckpt.pt, 5,000 steps, validation loss 1.4697 as its own trainer "
        "estimated"
    )
    untold = {"steps": None, "val_loss": None}
    for layout, sentence in (
        ("huggingface", "Imported from gpt2, a Hugging Face model"),
        ("exercise", "Imported from gpt2, in the exercise's own layout"),
    ):
        imported = IMPORTED | {"layout": layout, "file": "gpt2"} | untold
        assert call("run_origin", "originSentence", imported) == sentence


def test_what_nobody_knows_of_a_run_is_not_known_and_sets_it_apart_from_none(call) -> None:
    baseline, other = run("baseline"), brought(config=model(n_head=8) | {"train": None})
    rows = call("runs/config_diff", "settingRows", [baseline, other], baseline, {"all": True})
    cells = {row["name"]: row["cells"] for row in rows}
    for name in ("max_iters", "batch_size", "text"):
        assert cells[name][1] == {"text": "not known", "different": False}
    assert cells["batch_size"][0]["text"] == "16"
    assert cells["imported"][1]["text"] == "nanoGPT"
    apart = call("differences", "differences", other, baseline)
    assert [(one["name"], one["value"]) for one in apart] == [("n_head", "8")]
    assert call("differences", "differences", brought("a"), brought("b")) == []


def test_losses_that_were_not_measured_here_are_compared_with_none(call) -> None:
    baseline, other = run("baseline"), brought(tokenizer="bpe")
    assert call("losses", "sameText", other, other) is False
    assert call("losses", "lossChange", other | {"val_loss": 1.0}, baseline) is None
    assert call("losses", "tokensNote", [baseline, other]) == ""
    assert call("losses", "tokensNote", [baseline, other | {"val_loss": 3.0}]) != ""
    [outcome] = call("runs/cost_gain", "outcomes", [other], baseline)
    words = "Brought: brought in, so neither its time nor its loss was measured here."
    assert call("runs/cost_gain", "sentence", outcome, baseline) == words


# Its files on their way in

PACK = """async ([files, pieces]) => {
  const { zipOf } = await import("/static/js/zip.js");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const shares = [];
  const entries = files.map(([name, content]) => ({
    name,
    content: new Blob(Array(pieces).fill(bytes(content))),
  }));
  const zip = await zipOf(entries, { onProgress: (share) => shares.push(share) });
  const data = new Uint8Array(await zip.arrayBuffer());
  let text = "";
  for (let i = 0; i < data.length; i += 9999) {
    text += String.fromCharCode(...data.subarray(i, i + 9999));
  }
  return { zip: btoa(text), shares };
}"""


def test_python_reads_a_zip_made_in_the_browser(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/healthz")
    files = {
        "config.json": b"{}",
        "snapshots/step-000050.safetensors": bytes(range(256)) * 400,
        "ünïcode ☃.txt": b"snow",
        "empty": b"",
    }
    sent = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
    packed = page.evaluate(PACK, [sent, 3])
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed["zip"]))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: 3 * content for name, content in files.items()
        }
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert packed["shares"] == sorted(packed["shares"])
    assert packed["shares"][-1] == 1


def test_what_a_zip_of_the_first_edition_cannot_hold_is_refused(call) -> None:
    huge = {"name": "huge", "content": {"size": 2**32}}
    with pytest.raises(Error, match="less than four gigabytes"):
        call("zip", "zipOf", [huge])


NAMES = [
    "out-shakespeare-char/ckpt.pt",
    "ckpt.pt",
    "gpt2.zip",
    "GPT 2 (mine).PT",
    "models--openai-community--gpt2",
    "_.hidden._",
    "Zoë's große Läufe",
    "…",
    "a/b\\checkpoint.pth",
    "x" * 90,
    f"{'x' * 63}--tail",
    "模型.pt",
]


def test_a_run_is_called_as_the_server_would_call_it(call) -> None:
    for name in NAMES:
        assert call("runs/run_naming", "idFrom", name) == id_from(name)
        assert call("runs/run_naming", "titleFrom", name) == title_from(name)


FOLDER = ["config.json", "model.safetensors", "tokenizer.json"]
SNAPSHOT = "snapshots/step-000100.safetensors"
CHOSEN: list[tuple[list[str], list[str], str, str]] = [  # files, those sent, their name, a problem
    (["ckpt.pt"], ["ckpt.pt"], "out/ckpt.pt", ""),
    (["ckpt.pt", "meta.pkl", "old.pt"], ["ckpt.pt", "meta.pkl"], "out/ckpt.pt", ""),
    (["a.pt", "b.pth"], ["a.pt"], "out/a.pt", "Which is the model, a.pt or b.pth"),
    ([*FOLDER, "pytorch_model.bin", "ckpt.pt"], FOLDER, "out", ""),
    (["config.json", "pytorch_model.bin"], ["config.json"], "out", "in another form"),
    (["config.json"], ["config.json"], "out", "it has no weights yet"),
    (["config.json", SNAPSHOT, "snapshots/notes.txt"], ["config.json", SNAPSHOT], "out", ""),
    (["run.zip"], ["run.zip"], "run.zip", ""),
    (["run.zip", "ckpt.pt"], ["run.zip"], "run.zip", "A zip comes alone"),
    (["model.safetensors"], [], "out", "config.json is missing"),
    (["meta.pkl"], [], "out", "a vocabulary without a model"),
    (["cat.png"], [], "out", "No model is among these"),
]


def test_files_are_known_by_their_names(call) -> None:
    for names, sent, name, problem in CHOSEN:
        files = [{"name": one} for one in names]
        model = call("runs/model_files", "modelFiles", files, "out")
        assert [one["name"] for one in model["sent"]] == sent
        assert {one["name"] for one in model["leftOut"]} == {*names} - {*sent}
        assert model["name"] == name
        assert problem in model["problem"] and bool(problem) == bool(model["problem"])
        assert all(call("runs/model_files", "recognised", one) for one in sent)
    assert call("runs/model_files", "recognised", "cat.png") == ""


def test_chosen_files_join_those_there_are_and_a_folder_takes_their_place(call) -> None:
    def names(before: list[str], added: list[str], *, whole: bool = False) -> list[str]:
        files = ([{"name": name} for name in some] for some in (before, added))
        return [one["name"] for one in call("runs/model_files", "withAdded", *files, whole)]

    assert names(["ckpt.pt"], ["meta.pkl"]) == ["ckpt.pt", "meta.pkl"]
    assert names(["ckpt.pt", "meta.pkl"], ["ckpt.pt"]) == ["meta.pkl", "ckpt.pt"]
    assert names(["ckpt.pt"], ["config.json"], whole=True) == ["config.json"]
    assert names(["ckpt.pt"], ["run.zip"]) == ["run.zip"]
    assert names(["run.zip"], ["ckpt.pt"]) == ["ckpt.pt"]
