"""`/api/attention` in its three forms, against the model's own maps."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model.attention import attention_maps
from model.run_folder import RunFolder

TEXT = "To be, or"
NPY = {"Accept": "application/x-npy"}
COMPACT = {"Accept": "application/octet-stream"}


def ask(client: TestClient, headers: dict[str, str] | None = None, **fields: Any):
    body = {"run": "baseline", "text": TEXT, **fields}
    return client.post("/api/attention", json=body, headers=headers)


def expected_maps(root: Path, text: str, step: int | None = None) -> np.ndarray:
    folder = RunFolder(root / "baseline")
    ids = folder.read_tokenizer().encode(text)
    return attention_maps(folder.load_model(step), ids).numpy()


def test_json_maps_are_the_models(client: TestClient, shared_checkpoints: Path) -> None:
    answer = ask(client).json()
    expected = expected_maps(shared_checkpoints, TEXT)
    assert answer["shape"] == list(expected.shape) == [2, 2, 9, 9]
    np.testing.assert_allclose(answer["maps"], expected, atol=1e-8)
    np.testing.assert_allclose(np.sum(answer["maps"], -1), 1, atol=1e-6)
    assert not np.triu(answer["maps"], 1).any()
    assert answer["tokens"] == list(TEXT)
    assert (answer["text_offset"], answer["step"]) == (0, None)


def test_npy_holds_the_same_numbers(client: TestClient, shared_checkpoints: Path) -> None:
    answer = ask(client, NPY, step=10)
    assert answer.headers["content-type"] == "application/x-npy"
    maps = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected_maps(shared_checkpoints, TEXT, step=10), atol=1e-7)


def test_the_compact_form_is_the_lower_triangle_in_bytes(
    client: TestClient, shared_checkpoints: Path
) -> None:
    answer = ask(client, COMPACT)
    (length,) = struct.unpack_from("<I", answer.content)
    header = json.loads(answer.content[4 : 4 + length])
    data = answer.content[4 + length :]
    assert (4 + length) % 8 == 0
    assert header["tokens"] == list(TEXT)
    assert (header["n_layer"], header["n_head"], header["length"]) == (2, 2, 9)
    assert (header["dtype"], header["scale"]) == ("uint8", 255)
    expected = expected_maps(shared_checkpoints, TEXT)
    cells = iter(data)
    for layer in range(2):
        for head in range(2):
            for query in range(9):
                for key in range(query + 1):
                    assert next(cells) == round(255 * float(expected[layer, head, query, key]))
    assert next(cells, None) is None


def test_layers_and_heads_can_be_picked(client: TestClient, shared_checkpoints: Path) -> None:
    answer = ask(client, layers=[1], heads=[1, 0]).json()
    assert (answer["layers"], answer["heads"], answer["n_head"]) == ([1], [1, 0], 2)
    expected = expected_maps(shared_checkpoints, TEXT)[1:, ::-1]
    np.testing.assert_allclose(answer["maps"], expected, atol=1e-8)


def test_of_a_long_text_the_end_is_seen(client: TestClient) -> None:
    text = "x" * 4 + "To be, or not to"
    answer = ask(client, text=text.replace("x", "T"), layers=[0], heads=[0]).json()
    assert answer["text_offset"] == 4
    assert answer["tokens"] == list("To be, or not to")
    beyond = ask(client, text="€" * 4 + "To be, or not to", layers=[0], heads=[0])
    assert beyond.status_code == 200, "what is not seen need not be known"


def test_a_shorter_context_sees_the_end_alone(client: TestClient, shared_checkpoints: Path) -> None:
    answer = ask(client, length=4).json()
    assert (answer["tokens"], answer["text_offset"]) == (list(TEXT[-4:]), len(TEXT) - 4)
    expected = expected_maps(shared_checkpoints, TEXT[-4:])
    np.testing.assert_allclose(answer["maps"], expected, atol=1e-7)


@pytest.mark.parametrize(
    ("fields", "status", "param", "code"),
    [
        ({"run": "nope"}, 404, "run", "unknown_run"),
        ({"step": 11}, 404, "step", "unknown_snapshot"),
        ({"run": "bigram"}, 422, "run", "no_attention"),
        ({"run": "ngram"}, 422, "run", "no_attention"),
        ({"text": ""}, 422, "text", "invalid_value"),
        ({"text": "a" * 100_001}, 422, "text", "invalid_value"),
        ({"text": "5€"}, 422, "text", "unknown_characters"),
        ({"layers": [2]}, 422, "layers", "invalid_value"),
        ({"heads": [0, 7]}, 422, "heads", "invalid_value"),
        ({"layers": []}, 422, "layers", "invalid_value"),
        ({"layers": [-1]}, 422, "layers.0", "invalid_value"),
        ({"kind": "flow"}, 422, "kind", "invalid_value"),
        ({"merge": "layers"}, 422, "merge", "invalid_value"),
        ({"merge_by": "min"}, 422, "merge_by", "invalid_value"),
        ({"encoding": "sqrt"}, 422, "encoding", "invalid_value"),
        ({"length": 0}, 422, "length", "invalid_value"),
        ({"prompt": "To"}, 422, "prompt", "invalid_value"),
    ],
)
def test_wrong_requests(
    client: TestClient, fields: dict[str, Any], status: int, param: str, code: str
) -> None:
    answer = ask(client, **fields)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert error["message"]


def test_large_maps_are_not_sent_as_json(client: TestClient) -> None:
    """The app under test allows 2,000 numbers; two layers of two heads of 16 are 1,024."""
    assert ask(client, text="T" * 16).status_code == 200
    client.app.state.settings = client.app.state.settings.model_copy(  # type: ignore[attr-defined]
        update={"attention_json_cells": 1000}
    )
    try:
        refused = ask(client, text="T" * 16)
        assert refused.status_code == 422
        assert "Accept: application/x-npy" in refused.json()["error"]["message"]
        assert ask(client, NPY, text="T" * 16).status_code == 200
    finally:
        client.app.state.settings = client.app.state.settings.model_copy(  # type: ignore[attr-defined]
            update={"attention_json_cells": 2000}
        )
