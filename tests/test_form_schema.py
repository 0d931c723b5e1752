"""Every hyperparameter can be reached in the form, and the API describes what the server takes."""

from collections import Counter

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from model.config import BigramConfig, GPTConfig, ModelConfig, NGramConfig, TrainConfig
from model.families import build_model
from model.presets import PRESETS

PARTS = {"model": (GPTConfig, BigramConfig, NGramConfig), "train": (TrainConfig,)}
NOT_OFFERED = {"model.kind", "model.vocab_size"}


@pytest.fixture(scope="module")
def schema(client: TestClient):
    return client.get("/api/config-schema").json()


def test_every_field_is_in_exactly_one_group(schema) -> None:
    there = {
        f"{part}.{name}"
        for part, configs in PARTS.items()
        for config in configs
        for name in config.model_fields
    }
    grouped = Counter(path for group in schema["groups"] for path in group["fields"])
    assert grouped.keys() == there - NOT_OFFERED
    assert set(grouped.values()) == {1}


def test_groups_have_different_titles(schema) -> None:
    titles = [group["title"] for group in schema["groups"]]
    assert len(set(titles)) == len(titles)


def test_every_field_has_a_default_and_an_explanation(schema) -> None:
    for part in ("model", "bigram", "ngram", "train"):
        for name, about in schema[part]["properties"].items():
            assert "default" in about, (part, name)
            assert about.get("description") or name == "kind", (part, name)


def test_presets_are_what_they_say(client: TestClient) -> None:
    listed = client.get("/api/presets").json()["presets"]
    assert [preset["id"] for preset in listed] == list(PRESETS)
    for preset in listed:
        model = TypeAdapter(ModelConfig).validate_python(preset["config"]["model"])
        assert TrainConfig(**preset["config"]["train"]) == PRESETS[preset["id"]].train
        counted = None if model.kind == "ngram" else build_model(model).size
        assert preset["params"] == counted
