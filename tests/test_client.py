"""What the Python client says of heads, against a live server and the model's own numbers."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model.attention import attention_maps
from model.run_folder import RunFolder
from sidelight.client import Sidelight, SidelightError
from tests.conftest import LiveServer

TEXT = "To be, or not"


@pytest.fixture(scope="module")
def sidelight(live: LiveServer) -> Iterator[Sidelight]:
    with Sidelight(live.url) as client:
        yield client


def test_it_needs_nothing_of_the_server() -> None:
    heavy = "{'torch', 'fastapi', 'pydantic', 'app', 'model'}"
    code = f"import sys, sidelight.client; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_maps_are_the_models(sidelight: Sidelight, shared_checkpoints: Path) -> None:
    folder = RunFolder(shared_checkpoints / "baseline")
    ids = folder.read_tokenizer().encode(TEXT)
    for name, step in (("baseline", None), ("baseline@50", 50)):
        seen = sidelight.attention(name, TEXT)
        assert (seen.tokens, seen.text_offset) == (list(TEXT), 0)
        assert seen.maps.dtype == np.float32
        expected = attention_maps(folder.load_model(step), ids).numpy()
        np.testing.assert_allclose(seen.maps, expected, atol=1e-7)


def test_kinds_and_merges(sidelight: Sidelight) -> None:
    raw = sidelight.attention("baseline", TEXT)
    of_layers = sidelight.attention("baseline", TEXT, merge="heads", merge_by="max")
    np.testing.assert_allclose(of_layers.maps, raw.maps.max(1, keepdims=True), atol=1e-7)
    rollout = sidelight.attention("baseline", TEXT, kind="rollout", length=5)
    assert rollout.tokens == list(TEXT[-5:])
    np.testing.assert_allclose(rollout.maps.sum(-1), 1, atol=1e-5)


def test_roles_are_arrays_by_layer_head_and_role(sidelight: Sidelight) -> None:
    roles = sidelight.roles("baseline", TEXT)
    assert {"previous", "first", "self", "induction", "duplicate", "entropy", "distance"} <= {
        *roles.names
    }
    assert roles.scores.shape == roles.corrected.shape == (2, 2, len(roles.names))
    maps = sidelight.attention("baseline", TEXT).maps
    previous = np.diagonal(maps, -1, axis1=2, axis2=3).mean(-1)
    np.testing.assert_allclose(
        roles.scores[..., roles.names.index("previous")], previous, atol=1e-5
    )
    assert set(roles.badges) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_run_does_not_differ_from_itself(sidelight: Sidelight) -> None:
    same = sidelight.compare("baseline", "baseline", TEXT)
    np.testing.assert_allclose(same.divergence, 0, atol=1e-6)
    np.testing.assert_allclose(same.similarity, 1, atol=1e-5)
    other = sidelight.compare("baseline", "case-1", TEXT, match="anywhere")
    assert len(other.partners) == len(set(other.partners.values())) == 4
    assert (other.divergence > 0).all()


def test_one_query_of_one_head(sidelight: Sidelight) -> None:
    maps = sidelight.attention("baseline", TEXT).maps
    inside = sidelight.inside("baseline", TEXT, layer=1, head=0, query=6)
    np.testing.assert_allclose(inside["row"]["weight"], maps[1, 0, 6], atol=1e-6)
    total = sum(part["logit"] for part in inside["attribution"]["parts"])
    assert total == pytest.approx(inside["attribution"]["logit"], abs=1e-4)


def test_heads_are_missed_one_by_one(sidelight: Sidelight) -> None:
    loss, changes = sidelight.importance("baseline", TEXT)
    assert changes.shape == (2, 2)
    without = sidelight.without_heads("baseline", TEXT, [(1, 0)], generate=5, seed=3)
    assert without["loss_before"] == pytest.approx(loss, abs=1e-5)
    assert without["loss_after"] - loss == pytest.approx(float(changes[1, 0]), abs=1e-5)
    assert without["text_before"] == sidelight.generate("baseline", TEXT, 5, seed=3)


def test_the_next_token_stage_by_stage(sidelight: Sidelight) -> None:
    drawn = sidelight.next_token("baseline", TEXT, temperature=0.5, top_k=3, top=43)
    assert drawn.stages == ["model", "temperature", "top_k"]
    np.testing.assert_allclose(drawn.probabilities.sum(0), 1, atol=1e-5)
    assert (drawn.probabilities[:, 2] > 0).sum() == 3


@pytest.mark.parametrize(
    ("run", "text", "param"),
    [("nope", TEXT, "run"), ("baseline", "€", "text"), ("baseline@x", "a", "run")],
)
def test_a_refusal_names_the_field(sidelight: Sidelight, run: str, text: str, param: str) -> None:
    with pytest.raises(SidelightError) as refused:
        sidelight.attention(run, text)
    assert refused.value.param == param
