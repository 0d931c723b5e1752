"""Whatever the bytes are, a model comes in whole or is refused; nothing else happens."""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.interop.errors import UnreadableModel
from model.interop.importing import bring_in, suggested_id
from model.interop.vocabulary import vocabulary_file
from model.run_folder import RunFolder
from tests.conftest import write_run
from tests.foreign_models import (
    LETTERS,
    LectureModel,
    nanogpt,
    nanogpt_checkpoint,
    save_huggingface,
    save_nanogpt,
    zipped,
)

LONGEST_MESSAGE = 700
EDITS = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), min_size=1, max_size=4)
CUTS = st.floats(0, 1) | st.just(1.0)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="module")
def wholes(room: Path) -> dict[str, bytes]:
    """Files that come in, or are part of something that does."""
    folder = save_nanogpt(room / "out", nanogpt_checkpoint(nanogpt()))
    torch.save({"model": LectureModel().state_dict(), "chars": LETTERS}, room / "lecture.pt")
    huggingface = save_huggingface(room / "gpt2")
    run = write_run(room, "baseline", steps=(10,))
    return {
        "nanogpt": (folder / "ckpt.pt").read_bytes(),
        "exercise": (room / "lecture.pt").read_bytes(),
        "zip": zipped(folder, room / "a.zip").read_bytes(),
        "run": zipped(run.path, room / "b.zip").read_bytes(),
        "meta.pkl": (folder / "meta.pkl").read_bytes(),
        "config.json": (huggingface / "config.json").read_bytes(),
        "model.safetensors": (huggingface / "model.safetensors").read_bytes(),
    }


def edited(whole: bytes, edits: list[tuple[float, bytes]], cut: float) -> bytes:
    """Some bytes written over, at places that are shares of the length, and the end left out."""
    changed = bytearray(whole)
    for share, content in edits:
        place = int(share * len(changed))
        changed[place : place + len(content)] = content
    return bytes(changed[: int(cut * len(changed))])


def outcome(source: Path, room: Path) -> RunFolder | None:
    """The run, or None where it is refused in words that can be shown."""
    into = room / "into"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    assert suggested_id(source, "any")
    try:
        return bring_in(source, into, "mine", name="any", most_bytes=10**6)
    except UnreadableModel as error:
        require_words(error)
        return None


def require_words(error: UnreadableModel) -> None:
    assert str(error).isprintable() and len(str(error)) < LONGEST_MESSAGE
    assert error.param in {"file", "vocabulary"}


def written(room: Path, content: bytes) -> Path:
    path = room / "any"
    path.write_bytes(content)
    return path


@settings(max_examples=50)
@given(st.binary(max_size=300))
@example(b"PK\x05\x06" + bytes(18))
def test_any_bytes(room: Path, content: bytes) -> None:
    assert outcome(written(room, content), room) is None
    assert outcome(written(room, b"PK\x03\x04" + content), room) is None


@settings(max_examples=50)
@given(st.data(), EDITS, CUTS)
def test_files_that_were_changed(
    room: Path, wholes: dict[str, bytes], data: st.DataObject, edits: list, cut: float
) -> None:
    """Where one comes in all the same, the change was to what nobody reads."""
    name = data.draw(st.sampled_from(["nanogpt", "exercise", "zip", "run"]))
    run = outcome(written(room, edited(wholes[name], edits, cut)), room)
    if run is not None and name == "exercise":
        theirs, ours = LectureModel().lm_head.weight, run.load_model().lm_head.weight
        assert torch.equal(theirs, ours)


@settings(max_examples=50)
@given(st.data(), EDITS, CUTS)
def test_parts_of_a_checkpoint_that_were_changed(
    room: Path, wholes: dict[str, bytes], data: st.DataObject, edits: list, cut: float
) -> None:
    """Inside a zip that is whole: what torch notes, and its pickle most of all."""
    part = data.draw(st.sampled_from(["data.pkl", "data.pkl", "version", ".storage_alignment"]))

    def change(name: str, content: bytes) -> bytes:
        return edited(content, edits, cut) if name.endswith(f"/{part}") else content

    outcome(written(room, rezipped(wholes["nanogpt"], change)), room)


def rezipped(whole: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(packed, "w") as out:
        for name in archive.namelist():
            out.writestr(name, change(name, archive.read(name)))
    return packed.getvalue()


@settings(max_examples=50)
@given(st.data(), EDITS, CUTS)
def test_files_in_a_folder_that_were_changed(
    room: Path, wholes: dict[str, bytes], data: st.DataObject, edits: list, cut: float
) -> None:
    places = {"meta.pkl": "out", "config.json": "gpt2", "model.safetensors": "gpt2"}
    name = data.draw(st.sampled_from(list(places)))
    path = room / places[name] / name
    path.write_bytes(edited(wholes[name], edits, cut))
    try:
        outcome(path.parent, room)
    finally:
        path.write_bytes(wholes[name])


@settings(max_examples=50)
@given(st.binary(max_size=100) | st.text().map(str.encode), st.sampled_from(["pkl", "json", "txt"]))
def test_any_vocabulary(room: Path, content: bytes, ending: str) -> None:
    path = room / f"any.{ending}"
    path.write_bytes(content)
    try:
        tokenizer = vocabulary_file(path)
    except UnreadableModel as error:
        require_words(error)
    else:
        assert tokenizer.vocab_size > 0
