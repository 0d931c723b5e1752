"""A safetensors file is read into memory: as the format's own library reads it, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors import SafetensorError

from model.families import build_model
from model.run_folder import RunFolder
from model.tensor_file import MOST_HEADER_BYTES, TYPES, TensorFile, UnreadableTensors
from tests.conftest import GPT, write_run

ROOT = Path(__file__).parent.parent


def read(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    path.write_bytes(data)
    with path.open("rb") as file:
        return TensorFile(file).read()


def file_of(header: str | bytes, numbers: bytes = b"") -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + numbers


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tensors") / "any.safetensors"


SHAPES = st.lists(st.integers(0, 4), max_size=3)
TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__"),
    st.tuples(st.sampled_from(list(TYPES.values())), SHAPES),
    max_size=5,
)


@given(TENSORS)
def test_what_the_library_writes_is_read_bit_by_bit(path: Path, kinds: dict) -> None:
    tensors = {
        name: torch.randint(-99, 99, shape).to(dtype) for name, (dtype, shape) in kinds.items()
    }
    found = read(safetensors.torch.save(tensors, {"format": "pt"}), path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


WHOLE = safetensors.torch.save({"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2).half()})


@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE)), st.binary(max_size=6)), max_size=3),
    st.integers(0, len(WHOLE)) | st.just(len(WHOLE)),
    st.binary(max_size=4),
)
@example([], len(WHOLE), b"")
def test_what_the_library_refuses_is_refused(path: Path, edits: list, cut: int, end: bytes) -> None:
    data = bytearray(WHOLE)
    for place, content in edits:
        data[place : place + len(content)] = content
    changed = bytes(data[:cut]) + end
    try:
        found = read(changed, path)
    except UnreadableTensors:
        return
    theirs = safetensors.torch.load(changed)  # raises SafetensorError
    assert found.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(found[name].view(torch.uint8), tensor.view(torch.uint8))


def entry(shape: object = (2,), offsets: object = (0, 8), kind: object = "F32") -> str:
    return (
        f'{{"a": {{"dtype": "{kind}", "shape": {list(shape)}, "data_offsets": {list(offsets)}}}}}'  # type: ignore[call-overload]
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut off"),
        (b"\x08", "cut off"),
        (bytes(8), "no JSON"),
        ((2**63).to_bytes(8, "little") + b"{}", "cut off"),
        (file_of("{"), "no JSON"),
        (file_of(b"\xff\xfe"), "no JSON"),
        (file_of("[" * 100_000), "no JSON"),
        (file_of("[]"), "no list"),
        (file_of(" " * (MOST_HEADER_BYTES + 1)), "header has 8,388,609 bytes"),
        (file_of('{"a": 1}'), "does not say what a is"),
        (file_of(entry(), bytes(7)), "7 of them"),
        (file_of(entry(), bytes(9)), "9 of them"),
        (file_of(entry(offsets=(1, 9)), bytes(9)), "leave something out"),
        (file_of(entry(shape=(3,)), bytes(8)), "does not say what a is"),
        (file_of(entry(shape=(-2,)), bytes(8)), "does not say what a is"),
        (file_of(entry(shape=(2**40, 2**40)), bytes(8)), "does not say what a is"),
        (file_of(entry(kind="F8_E4M3"), bytes(8)), "F8_E4M3"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(path: Path, data: bytes, says: str) -> None:
    with pytest.raises(UnreadableTensors, match=says):
        read(data, path)
    if "F8" not in says and len(data) < MOST_HEADER_BYTES:  # these are torn for nobody else
        with pytest.raises(SafetensorError):
            safetensors.torch.load(data)


def test_numbers_that_lie_askew_are_read(path: Path) -> None:
    """No library writes it so, but the format has no word against it."""
    header = (
        '{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},'
        '"b": {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]}}'
    )
    number = torch.tensor([1.5])
    found = read(file_of(header, b"\x07" + number.numpy().tobytes()), path)
    assert found["a"].item() == 7
    assert torch.equal(found["b"], number)


def test_a_file_that_changes_while_it_is_read_is_not_taken(path: Path) -> None:
    path.write_bytes(WHOLE)
    with path.open("rb") as opened:
        file = TensorFile(opened)
        os.truncate(path, len(WHOLE) - 3)
        with pytest.raises(UnreadableTensors, match="changed while it was read"):
            file.read()
    path.write_bytes(WHOLE)
    with path.open("rb") as opened:
        file = TensorFile(opened)
        path.write_bytes(bytes(len(WHOLE)))
        os.utime(path, ns=(0, 1))
        with pytest.raises(UnreadableTensors, match="changed while it was read"):
            file.read()


USES_A_FILE_THAT_IS_CUT = """
import os, sys, torch
from pathlib import Path
from model.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
model, ids = folder.load_model(), torch.tensor([[1, 2, 3]])
before = model(ids)
for left in (4096, 0):
    os.truncate(folder.weights_path(), left)
    assert torch.equal(model(ids), before)
with folder.weights_path().open("wb") as file:
    file.write(bytes(10_000_000))
assert torch.equal(model(ids), before)
"""


def test_a_file_that_is_cut_or_written_over_does_not_end_who_uses_it(tmp_path: Path) -> None:
    """In a process of its own, as a mapped file would end it with SIGBUS."""
    folder = write_run(tmp_path, "one", GPT.model_copy(update={"n_embd": 128}))
    process = subprocess.run(
        [sys.executable, "-c", USES_A_FILE_THAT_IS_CUT, str(folder.path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")


def test_nothing_is_mapped(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one")
    model = RunFolder(folder.path).load_model()
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what is mapped")
    assert "safetensors" not in [
        Path(line.split()[-1]).suffix.removeprefix(".") for line in maps.read_text().splitlines()
    ]
    assert model.size == build_model(GPT).size
