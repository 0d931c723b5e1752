"""Every kind of map against a slow reference, and what becomes of maps on their way out."""

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from app.attention_wire import compact, gzipped
from model.attention import attention_maps, pick
from model.config import GPTConfig
from model.gpt import GPT
from tests.slow_gpt import slow_attention
from tests.small_gpts import PLAIN, every_design, random_gpt

IDS = [3, 5, 3, 9, 0, 10, 5, 3, 7]


def maps_of(model: GPT, **choice: Any) -> np.ndarray:
    return attention_maps(model, IDS, **choice).numpy()


@every_design
def test_raw_maps_are_the_slow_ones(config: GPTConfig) -> None:
    model = random_gpt(config)
    slow = [[head.weights for head in layer] for layer in slow_attention(model, IDS)]
    np.testing.assert_allclose(maps_of(model), slow, atol=2e-6)
    last = np.array(slow)[:, :, -1]
    assert last.max() > 1.5 / len(IDS), "even maps would show nothing"


@every_design
@pytest.mark.parametrize("kind", ["value_weighted", "output_weighted"])
def test_weighted_maps_are_weights_times_lengths(config: GPTConfig, kind: str) -> None:
    model = random_gpt(config)
    T = len(IDS)
    slow = np.zeros((config.n_layer, config.n_head, T, T))
    for at, layer in enumerate(slow_attention(model, IDS)):
        for number, head in enumerate(layer):
            taken = head.values if kind == "value_weighted" else head.written
            for i in range(T):
                for j in range(T):
                    slow[at, number, i, j] = np.sqrt(sum((head.weights[i, j] * taken[j]) ** 2))
    np.testing.assert_allclose(maps_of(model, kind=kind), slow, rtol=1e-5, atol=2e-6)


@every_design
def test_rollout_is_the_papers(config: GPTConfig) -> None:
    model = random_gpt(config)
    maps = maps_of(model, kind="rollout")
    below = np.eye(len(IDS))
    for at, layer in enumerate(slow_attention(model, IDS)):
        for number, head in enumerate(layer):
            alone = (0.5 * head.weights + 0.5 * np.eye(len(IDS))) @ below
            np.testing.assert_allclose(maps[at, number], alone, atol=2e-6)
        mean = sum(head.weights for head in layer) / config.n_head
        below = (0.5 * mean + 0.5 * np.eye(len(IDS))) @ below
        np.testing.assert_allclose(maps[at].mean(0), below, atol=2e-6)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-6)
    assert not np.triu(maps, 1).any()


def test_maps_are_merged_cell_by_cell() -> None:
    model = random_gpt(PLAIN)
    maps, choice = maps_of(model), {"layers": [2, 0], "heads": [1]}
    for by, make_one in (("mean", np.mean), ("max", np.max)):
        merged = maps_of(model, merge="heads", merge_by=by)
        assert merged.shape == (3, 1, 9, 9)
        np.testing.assert_allclose(merged[:, 0], make_one(maps, axis=1), atol=1e-7)
        merged = maps_of(model, merge="all", merge_by=by, **choice)
        assert merged.shape == (1, 1, 9, 9)
        np.testing.assert_allclose(merged[0, 0], make_one(maps[[2, 0], 1], axis=0), atol=1e-7)


@pytest.mark.parametrize("choice", [{"layers": [3]}, {"heads": [2]}])
def test_what_is_not_there_cannot_be_picked(choice: dict[str, list[int]]) -> None:
    with pytest.raises(IndexError):
        pick(list(torch.zeros(3, 2, 4, 4)), **choice)


# On the wire


def unpacked(body: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """Header, and bytes (L, H, T, T) with zeros above the diagonal."""
    (size,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + size])
    sent = iter(body[4 + size :])
    levels = np.zeros(header["shape"])
    layers, heads, length, _ = header["shape"]
    for layer in range(layers):
        for head in range(heads):
            for query in range(length):
                for key in range(query + 1):
                    levels[layer, head, query, key] = next(sent)
    assert next(sent, None) is None
    return header, levels


@pytest.mark.parametrize("size", [1, 1.001, 40, 0.01], ids=str)
def test_bytes_are_as_near_as_a_byte_can_be(size: float) -> None:
    maps = np.tril(np.random.default_rng(0).random((2, 3, 7, 7), np.float32) ** 4) * size
    largest = float(np.max(maps))
    facts = {"largest": largest, "shape": [2, 3, 7, 7]}
    header, levels = unpacked(compact(facts, list(maps)))
    assert header["scale"] == pytest.approx(255 if largest <= 1 else 255 / largest)
    assert levels.max() <= 255
    np.testing.assert_allclose(levels / header["scale"], maps, atol=0.501 / header["scale"])
    header, levels = unpacked(compact(facts, list(maps), "sqrt8"))
    assert (header["encoding"], levels.max()) == ("sqrt8", 255)
    np.testing.assert_allclose(levels / 255, np.sqrt(maps / header["largest"]), atol=0.501 / 255)


def test_maps_of_nothing_are_sent_too() -> None:
    """A model whose values are all zero has weighted maps of zeros."""
    facts = {"largest": 0.0, "shape": [1, 1, 3, 3]}
    for encoding in ("uint8", "sqrt8"):
        _, levels = unpacked(compact(facts, [np.zeros((1, 3, 3), np.float32)], encoding))  # type: ignore[arg-type]
        assert not levels.any()


@pytest.mark.parametrize("encoding", ["uint8", "sqrt8"])
@pytest.mark.parametrize("kind", ["raw", "value_weighted", "output_weighted", "rollout"])
@pytest.mark.parametrize("merge", [None, "heads", "all"])
def test_the_forms_agree(client: TestClient, encoding: str, kind: str, merge: str | None) -> None:
    body = {"run": "baseline", "text": "To be, or", "kind": kind, "merge": merge, "heads": [1, 0]}

    def ask(accept: str) -> Any:
        sent = body | {"merge_by": "max", "encoding": encoding}
        return client.post("/api/attention", json=sent, headers={"Accept": accept})

    numbers = ask("application/json").json()
    exact = np.load(io.BytesIO(ask("application/x-npy").content))
    header, levels = unpacked(ask("application/octet-stream").content)
    facts = {key: value for key, value in numbers.items() if key != "maps"}
    assert {key: header[key] for key in facts} == facts
    assert facts["shape"] == [1 if merge == "all" else 2, 1 if merge else 2, 9, 9]
    assert (facts["kind"], facts["merge"], facts["heads"]) == (kind, merge, [1, 0])
    assert facts["largest"] == exact.max()
    np.testing.assert_allclose(numbers["maps"], exact, atol=1e-8)
    if encoding == "uint8":
        np.testing.assert_allclose(levels / header["scale"], exact, atol=0.501 / header["scale"])
    else:
        np.testing.assert_allclose(levels / 255, np.sqrt(exact / exact.max()), atol=0.501 / 255)


def test_bytes_are_compressed_once_and_only_for_who_can_read_it(client: TestClient) -> None:
    def ask(accept: str, encoding: str) -> Any:
        headers = {"Accept": accept, "Accept-Encoding": encoding}
        body = {"run": "baseline", "text": "To be, or not to"}
        return client.post("/api/attention", json=body, headers=headers)

    npy = "application/x-npy"
    packed, plain = ask(npy, "br, gzip"), ask(npy, "identity")
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content, "the client has unpacked it"
    assert int(packed.headers["content-length"]) == len(gzipped(plain.content))
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept, Accept-Encoding"
    assert "content-encoding" not in ask("application/octet-stream", "gzip").headers, "it is short"
