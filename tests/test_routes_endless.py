"""A run with an attention window on the API: what it is said to see is what its heads did see."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from model.attention import attention_maps
from model.config import GPTConfig
from model.decoding import next_logits
from model.gpt import GPT
from model.head_roles import badges, repeated_maps, repeated_scores, text_scores
from model.run_folder import RunFolder
from tests.conftest import CHARACTERS, write_run

WINDOW, REACH = 7, 19
ENDLESS = GPTConfig(
    vocab_size=len(CHARACTERS),
    block_size=8,
    n_layer=3,
    n_head=2,
    n_embd=8,
    position="rotary",
    attention_window=WINDOW,
)
TEXT = "To be, or not to be: that is the matter."


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("endless")
    write_run(root, "endless", ENDLESS)
    return root


@pytest.fixture(scope="module")
def api(root: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(checkpoints=root, data=root / "data"))) as client:
        yield client


@pytest.fixture(scope="module")
def model(root: Path) -> GPT:
    model = RunFolder(root / "endless").load_model()
    assert isinstance(model, GPT)
    return model


@pytest.fixture(scope="module")
def ids(root: Path) -> list[int]:
    return RunFolder(root / "endless").read_tokenizer().encode(TEXT)


def test_the_list_says_how_far_back_it_sees(api: TestClient) -> None:
    (run,) = api.get("/api/runs").json()["runs"]
    assert run["block_size"] == REACH
    assert run["config"]["model"]["attention_window"] == WINDOW
    assert run["config"]["model"]["block_size"] == 8


def test_the_last_row_is_that_of_the_whole_text(
    api: TestClient, model: GPT, ids: list[int]
) -> None:
    """So a replayed character is explained by what really chose it."""
    answer = api.post("/api/attention", json={"run": "endless", "text": TEXT}).json()
    got = torch.tensor(answer["maps"])[:, :, -1]
    assert len(answer["tokens"]) == REACH
    whole = attention_maps(model, ids)
    torch.testing.assert_close(got, whole[:, :, -1, -REACH:], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        next_logits(model, ids), next_logits(model, ids[-REACH:]), atol=1e-5, rtol=0
    )


def test_a_completion_goes_on_from_the_whole_text(
    api: TestClient, model: GPT, ids: list[int]
) -> None:
    body = {"model": "endless", "prompt": TEXT, "max_tokens": 40, "temperature": 0}
    answer = api.post("/v1/completions", json=body).json()
    assert answer["context"] == {
        "prompt_tokens": len(ids),
        "seen_tokens": REACH,
        "seen_text": TEXT[-REACH:],
    }
    written = list(ids)
    for _ in range(40):
        written.append(int(next_logits(model, written).argmax()))
    assert answer["choices"][0]["text"] == "".join(CHARACTERS[id] for id in written[len(ids) :])


def test_what_the_window_hides_is_masked(api: TestClient) -> None:
    body = {"run": "endless", "text": TEXT, "layer": 1, "head": 0, "query": 12}
    row = api.post("/api/attention/inside", json=body).json()["row"]
    seen = [key for key, masked in enumerate(row["masked"]) if not masked]
    assert seen == list(range(13 - WINDOW, 13))
    assert [key for key, weight in enumerate(row["weight"]) if weight] == seen


def test_roles_go_by_what_is_in_sight(api: TestClient, model: GPT, ids: list[int]) -> None:
    answer = api.post("/api/attention/roles", json={"run": "endless", "text": TEXT}).json()
    scores = text_scores(attention_maps(model, ids[-REACH:]), WINDOW)
    scores |= repeated_scores(repeated_maps(model), WINDOW)
    assert answer["random_tokens"] == 8
    for entry in answer["heads"]:
        layer, head = entry["layer"], entry["head"]
        raw = {name: float(score.raw[layer, head]) for name, score in scores.items()}
        assert entry["scores"] == pytest.approx(raw, abs=1e-6)
        assert entry["badges"] == badges(scores, layer, head)


def test_heads_can_be_switched_off(api: TestClient) -> None:
    body = {"run": "endless", "text": TEXT, "heads": [[2, 1]]}
    assert api.post("/api/attention/ablation", json=body).status_code == 200
    body = {"run": "endless", "text": TEXT}
    assert api.post("/api/attention/importance", json=body).status_code == 200


def test_a_job_with_a_window_that_cannot_be_is_refused(api: TestClient) -> None:
    config = {"model": {"attention_window": 16}}
    answer = api.post("/api/jobs", json={"config": config})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "config.model.attention_window"
    assert "rotary" in answer.json()["error"]["message"]
