"""A checkpoint is read without executing anything in it, and nothing in it can do harm."""

import copy
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from model.interop import torch_file
from model.interop.errors import UnreadableModel
from model.interop.torch_file import read_torch_file
from model.tokenizer import CharTokenizer
from tests.foreign_models import (
    LETTERS,
    LectureModel,
    Planted,
    bring,
    nanogpt,
    nanogpt_checkpoint,
    refusal,
    save_nanogpt,
)

GIGABYTE = 10**9


def rewritten(
    path: Path,
    change: Callable[[str, bytes], bytes | None],
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """The same zip with other contents; an entry that becomes None is left out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, content in entries.items():
            if (changed := change(name, content)) is not None:
                out.writestr(name, changed)
    return path


def with_pickle(tmp_path: Path, program: bytes) -> Path:
    """A checkpoint whose pickle is `program`."""
    path = tmp_path / "ckpt.pt"
    torch.save({"a": torch.zeros(4)}, path)
    return rewritten(path, lambda n, content: program if n.endswith("data.pkl") else content)


def saved(tmp_path: Path, content: object, **options: Any) -> Path:
    path = tmp_path / "ckpt.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, path, **options)
    return path


def message(path: Path) -> str:
    refused = refusal(path, name="ckpt.pt")
    assert refused.param == "file" and str(refused).startswith("ckpt.pt: ")
    return str(refused)


def unread(path: Path) -> str:
    """Why it is not even read, whatever model might be in it."""
    with pytest.raises(UnreadableModel) as refused:
        read_torch_file(path, "ckpt.pt")
    assert refused.value.param == "file" and str(refused.value).startswith("ckpt.pt: ")
    return str(refused.value)


def test_everything_that_trainers_save_is_read(tmp_path: Path) -> None:
    model = nn.Linear(3, 4)
    moments = {"step": torch.tensor(1.0), "exp_avg": torch.ones(4, 3)}
    settings = {"lr": 1e-3, "betas": (0.9, 0.999), "foreach": None, "params": [0, 1]}
    content = {
        "model": model.state_dict(),
        "parameters": list(model.parameters()),
        "optimizer": {"state": {0: moments}, "param_groups": [settings]},
        "loss": torch.tensor(1.5),
        "halves": torch.ones(3).half(),
        "rounded": torch.ones(3).bfloat16(),
        "flags": torch.tensor([True, False]),
        "ids": torch.arange(5),
        "turned": torch.arange(6.0).view(2, 3).T,
        "part": torch.arange(10.0)[3:7],
        "empty": torch.empty(0, 3),
        "config": {"a": 1, "b": None, "c": True, "d": "text", "e": -1.5, "f": [1, 2], "g": (1,)},
        "large": [2**40, -(2**80)],
        7: "seven",
    }
    found = read_torch_file(saved(tmp_path, content), "ckpt.pt")
    for name in ("loss", "halves", "rounded", "flags", "ids", "turned", "part", "empty"):
        assert torch.equal(found[name], content[name]) and found[name].dtype == content[name].dtype
    for name in ("config", "large", 7):
        assert found[name] == content[name]
    assert torch.equal(found["model"]["weight"], model.weight)
    assert torch.equal(found["parameters"][1], model.bias)
    assert found["optimizer"]["param_groups"] == [settings]
    assert torch.equal(found["optimizer"]["state"][0]["exp_avg"], moments["exp_avg"])


class TestPlantedCode:
    @pytest.mark.parametrize("protocol", range(6))
    @pytest.mark.parametrize("call", [os.system, eval, os.mkdir], ids=lambda call: call.__name__)
    def test_it_is_refused_by_name_and_never_called(
        self, tmp_path: Path, call: Callable[..., object], protocol: int
    ) -> None:
        mark = tmp_path / "called"
        commands = {os.system: f"mkdir {mark}", eval: f"__import__('os').mkdir({str(mark)!r})"}
        planted = Planted(call, commands.get(call, str(mark)))
        call(planted.arguments[0])
        assert mark.exists(), "the payload works"
        mark.rmdir()
        program = pickle.dumps({"model": planted}, protocol)
        said = message(with_pickle(tmp_path, program))
        # Before protocol 3 `builtins` has the name that it had in Python 2.
        assert f"{call.__module__}.{call.__name__}" in said.replace("__builtin__", "builtins")
        assert not mark.exists()

    def test_in_a_whole_nanogpt_checkpoint(self, tmp_path: Path) -> None:
        mark = tmp_path / "called"
        checkpoint = nanogpt_checkpoint(nanogpt(), config=Planted(os.mkdir, str(mark)))
        said = str(refusal(save_nanogpt(tmp_path / "out", checkpoint)))
        assert "posix.mkdir" in said or "nt.mkdir" in said
        assert not mark.exists()

    @pytest.mark.parametrize(
        "program",
        [
            b"\x80\x02(c__builtin__\neval\nS'1'\no.",  # OBJ
            b"(S'true'\nios\nsystem\n.",  # INST
            b"\x80\x02cbuiltins\neval\n)\x81.",  # NEWOBJ
            b"\x80\x02\x82\x01.",  # EXT1
            b"\x80\x02ctorch.serialization\nload\n.",
            b"\x80\x02ctorch._utils\n_rebuild_wrapper_subclass\n.",
            b"\x80\x02ctorch.storage\n_load_from_bytes\n.",
            b"\x80\x02ccollections\nOrderedDict\n(X\x01\x00\x00\x00ak\x01tR.",
            b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb.",
        ],
    )
    def test_by_every_way_of_calling(self, tmp_path: Path, program: bytes) -> None:
        unread(with_pickle(tmp_path, program))

    def test_by_the_second_wall_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch_file, "_require_described", lambda *_: None)
        mark = tmp_path / "called"
        path = saved(tmp_path, {"a": Planted(os.mkdir, str(mark))})
        assert "torch cannot load it" in unread(path)
        assert not mark.exists()

    def test_a_whole_module_gets_advice_of_its_own(self, tmp_path: Path) -> None:
        said = message(saved(tmp_path, nn.Sequential(nn.Linear(2, 2))))
        assert "whole pickled module" in said and "model.state_dict()" in said


class TestTensorsThatAreNone:
    @pytest.mark.parametrize(
        "tensor",
        [
            torch.zeros(1).expand(10**12),
            torch.zeros(4).as_strided((3, 2), (1, 1)),
            torch.zeros(3).to_sparse(),
            torch.zeros(3, dtype=torch.complex64),
            torch.zeros(3, device="meta"),
        ],
        ids=["stride 0", "overlapping", "sparse", "complex", "meta"],
    )
    def test_of_a_kind_that_is_not_read(self, tmp_path: Path, tensor: torch.Tensor) -> None:
        unread(saved(tmp_path, {"a": tensor}))

    def test_quantised(self, tmp_path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensor = torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8)
        assert "_rebuild_qtensor" in unread(saved(tmp_path, {"a": tensor}))

    @pytest.mark.parametrize(
        ("offset", "size", "stride"),
        [
            (1, (4,), (1,)),
            (0, (2, 3), (3, 1)),
            (-1, (1,), (1,)),
            (0, (2,), (-1,)),
            (0, (2,), (1, 1)),
            (0, (10**30,), (0,)),
            (0, (2, 2), (2**62, 1)),
            (0, (1,) * 9, (1,) * 9),
        ],
        ids=str,
    )
    def test_beyond_what_is_stored(
        self, tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        program = _tensor("K\x04", offset, size, stride)
        assert "makes no tensor" in unread(with_pickle(tmp_path, program))

    def test_more_numbers_than_are_stored(self, tmp_path: Path) -> None:
        for numbers in ("K\x05", "K\x03", "J\xff\xff\xff\xff"):
            program = _tensor(numbers, 0, (3,), (1,))
            assert "not so many" in unread(with_pickle(tmp_path, program))
        whole = _tensor("K\x04", 0, (4,), (1,))
        found = read_torch_file(with_pickle(tmp_path, whole), "ckpt.pt")
        assert torch.equal(found["a"], torch.zeros(4)), "all is well with the right number"


def _tensor(numbers: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The pickle of a dict with a tensor, as torch writes it."""

    def plain(value: object) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + numbers.encode("latin-1")
        + b"tQ"
    )
    arguments = storage + plain(offset) + plain(size) + plain(stride) + b"\x89ccollections\n"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"OrderedDict\n)RtR"
    return b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s."


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint that comes in."""
    path = tmp_path_factory.mktemp("whole") / "ckpt.pt"
    torch.save({"model": LectureModel().state_dict(), "chars": LETTERS}, path)
    bring(path)
    return path.read_bytes()


class TestDamage:
    @pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
    def test_cut_off(self, tmp_path: Path, whole: bytes, share: float) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole[: int(share * len(whole))])
        message(path)

    def test_a_flipped_bit_anywhere_in_the_weights(self, tmp_path: Path, whole: bytes) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole)
        with zipfile.ZipFile(path) as archive:
            weights = (entry for entry in archive.infolist() if "/data/" in entry.filename)
            entry = max(weights, key=lambda entry: entry.file_size)
            place = whole.index(archive.read(entry)) + entry.file_size // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert "CRC" in message(path)

    def test_something_behind_it(self, tmp_path: Path, whole: bytes) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole + whole)
        message(path)

    @pytest.mark.parametrize("name", ["data.pkl", "data/0", "data/5"])
    def test_without_a_part(self, tmp_path: Path, whole: bytes, name: str) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole)
        rewritten(path, lambda n, content: None if n.endswith(f"/{name}") else content)
        assert refusal(path).param == "file"

    def test_a_second_pickle_where_torch_does_not_look(self, tmp_path: Path, whole: bytes) -> None:
        """What is checked has to be what is loaded."""
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole)
        with zipfile.ZipFile(path) as archive:
            harmless = archive.read("ckpt/data.pkl")
        mark = tmp_path / "called"
        planted = pickle.dumps(Planted(os.mkdir, str(mark)), 2)
        rewritten(path, lambda n, content: planted if n.endswith("data.pkl") else content)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("data.pkl", harmless)
        assert "asks for" in message(path)
        assert not mark.exists()

    def test_entries_that_share_their_bytes(self, tmp_path: Path, whole: bytes) -> None:
        """To compare them with their checksums would take forever."""
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole)
        with zipfile.ZipFile(path, "a") as archive:
            first = archive.infolist()[0]
            for number in range(100, 200):
                again = copy.copy(first)
                again.filename = again.orig_filename = f"ckpt/data/{number}"
                archive.filelist.append(again)
            archive.writestr("ckpt/data/end", b"")
        assert "twice" in message(path)

    def test_compressed(self, tmp_path: Path, whole: bytes) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole)
        assert "compressed" in message(rewritten(path, lambda _, c: c, zipfile.ZIP_DEFLATED))

    def test_with_notes_of_megabytes(self, tmp_path: Path, whole: bytes) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole)
        rewritten(path, lambda n, content: bytes(5000) if n.endswith("/version") else content)
        assert "has not written it" in message(path)

    def test_of_another_order_of_bytes(self, tmp_path: Path, whole: bytes) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(whole)
        rewritten(path, lambda n, content: b"big" if n.endswith("byteorder") else content)
        assert "big-endian" in message(path)


class TestOtherForms:
    def test_that_of_old_torch(self, tmp_path: Path) -> None:
        path = saved(tmp_path, {"a": torch.ones(2)}, _use_new_zipfile_serialization=False)
        assert "1.6" in message(path)

    def test_another_protocol(self, tmp_path: Path) -> None:
        path = saved(tmp_path, {"a": torch.ones(2)}, pickle_protocol=4)
        assert "torch.save it once more" in message(path)

    def test_torchscript(self, tmp_path: Path) -> None:
        path = tmp_path / "ckpt.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(nn.Linear(2, 2)).save(str(path))
        assert "TorchScript" in message(path)

    def test_no_checksums(self, tmp_path: Path) -> None:
        torch.serialization.set_crc32_options(False)
        try:
            path = saved(tmp_path, {"a": torch.ones(2)})
        finally:
            torch.serialization.set_crc32_options(True)
        assert "checksums" in message(path)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "empty"),
            (b"hello", "no model"),
            (b"PK\x03\x04" + bytes(100), "cut off"),
            (pickle.dumps({"a": 1}), "a pickle"),
            (b"\x10\x00\x00\x00\x00\x00\x00\x00{}              ", "config.json"),
        ],
    )
    def test_no_checkpoint_at_all(self, tmp_path: Path, content: bytes, words: str) -> None:
        path = tmp_path / "ckpt.pt"
        path.write_bytes(content)
        assert words in message(path)


class TestTooMuch:
    def test_three_gigabytes_where_one_is_allowed(self, tmp_path: Path) -> None:
        path = tmp_path / "out" / "ckpt.pt"
        path.parent.mkdir()
        with path.open("wb") as file:
            file.truncate(3 * GIGABYTE)
        assert path.stat().st_blocks * 512 < GIGABYTE, "it has a hole"
        for source in (path, path.parent):
            refused = refusal(source, most_bytes=GIGABYTE)
            assert refused.param == "file"
            assert "3,000,000,000 bytes" in str(refused) and "1,000,000,000" in str(refused)

    def test_weights_that_grow_beyond_it(self, tmp_path: Path) -> None:
        """Half precision takes twice as much here; many tensors might be one and the same."""
        weights = {"token_embedding_table.weight": torch.zeros(200, 200).half()}
        path = saved(tmp_path, weights)
        assert path.stat().st_size < 100_000
        tokens = CharTokenizer(map(chr, range(0x4E00, 0x4E00 + 200)))
        refused = refusal(path, most_bytes=100_000, vocabulary=tokens)
        assert "160,000 bytes" in str(refused)

    def test_a_pickle_of_megabytes(self, tmp_path: Path) -> None:
        program = b"\x80\x02" + b"N0" * (5 << 20) + b"}."
        assert "has not written it" in unread(with_pickle(tmp_path, program))

    def test_keys_that_would_end_the_process(self, tmp_path: Path) -> None:
        """The hash of a tuple that is nested deep enough overflows the stack."""
        program = b"\x80\x02})" + b"\x85" * 10**5 + b"K\x01s."
        assert "key" in unread(with_pickle(tmp_path, program))

    def test_keys_of_one_hash(self, tmp_path: Path) -> None:
        program = pickle.dumps({i * (2**61 - 1): 0 for i in range(1000)}, 2)
        assert "key" in unread(with_pickle(tmp_path, program))
