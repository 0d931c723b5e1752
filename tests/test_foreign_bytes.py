"""Whoever reads bytes that somebody else made gives what it promises, or the error it promises."""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.attention_wire import npy
from app.corpora import ABOUT_FILE, Corpora
from app.incoming_text import TEXT_FILE
from app.jobs.events import Place
from app.keys.ring import FILE, KeyRing, UnreadableKeys
from app.main import create_app
from app.settings import Settings
from model.interop.errors import UnreadableModel
from model.interop.huggingface_tokenizer import read_tokenizer_json
from model.interop.importing import bring_in
from model.interop.plain_pickle import NotPlain, read_plain_pickle
from model.train_state import TrainState, UnusableState
from sidelight.server_events import EventParser
from tests.conftest import write_run

BYTES = st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


@given(BYTES | JSON.map(json.dumps).map(str.encode))
@example(b'{"keys": []}')
@example(b"[" * 100_000)
def test_a_file_of_keys(room: Path, content: bytes) -> None:
    """Nobody gets in with one that cannot be read, and everybody needs a key then."""
    (room / FILE).write_bytes(content)
    ring = KeyRing(room)
    try:
        assert ring.listed() == []
    except UnreadableKeys:
        assert ring.required()
    assert ring.of_bearer("sk-sidelight-any") is None
    assert ring.of_cookie("any") is None


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge"])
def test_a_file_of_keys_that_is_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / FILE
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, 10**9)
    ring = KeyRing(tmp_path)
    with pytest.raises(UnreadableKeys, match=f"{FILE}: (a|it has) "):
        ring.listed()
    assert ring.required() and ring.of_bearer("any") is None


@given(st.lists(BYTES, max_size=8))
def test_events_that_a_client_reads(parts: list[bytes]) -> None:
    parser = EventParser()
    for part in parts:
        for event in parser.feed(part):
            assert isinstance(event.data, str)


@given(st.none() | st.text(max_size=40) | st.from_regex(r"[0-9.:/-]{0,30}"))
@example("9" * 5000 + ".1.1.1")
@example("٣.1.1.1")
def test_where_a_watcher_stopped(last_id: str | None) -> None:
    place = Place.parse(last_id)
    assert Place.parse(str(place)) == place or last_id is None


@given(BYTES)
def test_a_pickle(content: bytes) -> None:
    for program in (content, b"\x80\x02" + content + b"."):
        try:
            read_plain_pickle(program)
        except NotPlain:
            continue


@given(BYTES)
def test_a_state_to_go_on_from(room: Path, content: bytes) -> None:
    (room / "training.safetensors").write_bytes(content)
    with pytest.raises(UnusableState):
        TrainState.read(str(room / "training.safetensors"))


@settings(max_examples=60)
@given(st.data(), JSON)
def test_a_tokenizer_of_somebody_elses(data: st.DataObject, value: object) -> None:
    """Any value in any place of a document that is otherwise right."""
    letters = {chr(c): i for i, c in enumerate(range(0x100, 0x200))}
    document: dict = {
        "model": {"type": "BPE", "vocab": letters, "merges": [["a", "b"]]},
        "added_tokens": [{"id": 256, "content": "<|endoftext|>", "special": True}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "decoder": {"type": "ByteLevel"},
    }
    part = data.draw(st.sampled_from([*document, "model.vocab", "model.merges", "model.type"]))
    outer, _, inner = part.partition(".")
    if inner:
        document[outer][inner] = value
    else:
        document[outer] = value
    with suppress(ValueError):
        tokenizer = read_tokenizer_json(document)
        assert tokenizer.decode(tokenizer.encode("ab")) == "ab"


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.sampled_from(["float32", "float64"])
)
def test_maps_as_npy_are_read_back(layers: int, heads: int, length: int, kind: str) -> None:
    rng = np.random.default_rng(layers * heads * length)
    maps = [rng.random((heads, length, length)).astype(kind) for _ in range(layers)]
    found = np.lib.format.read_array(io.BytesIO(npy(maps)), allow_pickle=False)
    assert found.dtype == np.dtype("<f4")
    np.testing.assert_array_equal(found, np.stack(maps).astype("<f4"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("checkpoints")
    write_run(root, "one")
    app = create_app(Settings(checkpoints=root, data=tmp_path_factory.mktemp("data")))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@settings(max_examples=60)
@given(BYTES, st.text(max_size=30))
@example(b"\xef\xbb\xbf", "a")
@example(b"ab\x00cd" * 9, "../../a")
@example("To be, or not to be.\r\n".encode("utf-16"), "C:\\a.txt")
def test_a_text_that_is_uploaded(client: TestClient, content: bytes, name: str) -> None:
    """Kept as it is, or refused; under a name that leads nowhere."""
    answer = client.post("/api/corpora", params={"name": name}, content=content)
    assert answer.status_code in {200, 201, 422}
    corpora: Corpora = client.app.state.corpora  # type: ignore[attr-defined]
    if answer.status_code == 422:
        assert answer.json()["error"]["message"]
    else:
        kept = answer.json()
        assert corpora.load(kept["id"]).text.encode() == content.removeprefix(b"\xef\xbb\xbf")
        assert client.delete(f"/api/corpora/{kept['id']}").status_code == 204
    assert [path.name for path in corpora.folder.iterdir()] == []


@settings(max_examples=60)
@given(
    st.sampled_from(["/api/jobs", "/api/sweeps", "/api/attention", "/v1/completions", "notes"]),
    JSON,
    st.sampled_from(["config", "preset", "model", "outcome", "text", "prompt", "run"]),
)
def test_a_request_of_any_json(client: TestClient, path: str, value: object, field: str) -> None:
    for body in (value, {field: value}):
        if path in {"/api/jobs", "/api/sweeps"} and isinstance(body, dict):
            body["none"] = 1  # nothing is to be trained here
        content = json.dumps(body).encode("utf-8", "surrogatepass")
        method, address = ("PATCH", "/api/runs/one") if path == "notes" else ("POST", path)
        headers = {"Content-Type": "application/json"}
        answer = client.request(method, address, content=content, headers=headers)
        assert answer.status_code in {200, 400, 404, 422}, answer.text
        if answer.status_code != 200:
            assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    return Corpora(tmp_path_factory.mktemp("texts"))


@given(BYTES)
def test_what_is_kept_of_a_text(texts: Corpora, content: bytes) -> None:
    """What others leave in the folder of texts is left out of the list."""
    folder = texts.folder / "mine"
    folder.mkdir(exist_ok=True)
    (folder / ABOUT_FILE).write_bytes(content)
    (folder / TEXT_FILE).write_bytes(content)
    assert texts.ids() == ["tinyshakespeare"]


@pytest.mark.parametrize("name", [ABOUT_FILE, TEXT_FILE])
def test_a_pipe_among_the_texts_holds_nobody_up(texts: Corpora, name: str) -> None:
    folder = texts.folder / name.removesuffix(".txt")
    folder.mkdir()
    for file in (ABOUT_FILE, TEXT_FILE):
        (os.mkfifo if file == name else Path.touch)(folder / file)
    assert texts.ids() == ["tinyshakespeare"]


def test_a_zip_in_a_zip_is_not_looked_into(tmp_path: Path) -> None:
    inner = tmp_path / "run.zip"
    run = write_run(tmp_path, "one").path
    with zipfile.ZipFile(inner, "w") as out:
        for path in run.iterdir():
            out.write(path, path.name)
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as out:
        out.write(inner, "run.zip")
    (tmp_path / "into").mkdir()
    with pytest.raises(UnreadableModel, match="no model is in it"):
        bring_in(outer, tmp_path / "into", "mine", name="outer.zip", most_bytes=10**7)
