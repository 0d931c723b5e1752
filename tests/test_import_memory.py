"""A model that is brought in is read, and not mapped: what becomes of its file ends no server."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from app.settings import ROOT
from model.interop.errors import UnreadableModel
from model.interop.torch_file import read_torch_file
from tests.foreign_models import (
    bring,
    nanogpt,
    nanogpt_checkpoint,
    save_huggingface,
    save_nanogpt,
)

# A process that brings a model in, and loses the model's file once its tensors have been read.
LOSING = """
import sys
from pathlib import Path

from model.interop import importing

source, file, into = map(Path, sys.argv[1:])
converted = importing.converted


def lose_and_convert(*given):
    assert str(file) not in Path("/proc/self/maps").read_text()
    file.write_bytes(b"")
    return converted(*given)


importing.converted = lose_and_convert
importing.bring_in(source, into, "mine", name="theirs", most_bytes=10**7)
"""


@pytest.mark.parametrize("layout", ["nanogpt", "huggingface"])
def test_a_file_that_is_cut_off_once_it_is_read_does_no_harm(tmp_path: Path, layout: str) -> None:
    if layout == "nanogpt":
        source = save_nanogpt(tmp_path / "theirs", nanogpt_checkpoint(nanogpt()))
        file = source / "ckpt.pt"
    else:
        source = save_huggingface(tmp_path / "theirs")
        file = source / "model.safetensors"
    undisturbed, into = bring(source), tmp_path / "into"
    into.mkdir()
    command = [sys.executable, "-c", LOSING, str(source), str(file), str(into)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    assert not file.stat().st_size
    made = into / "mine" / "model.safetensors"
    assert made.read_bytes() == undisturbed.weights_path().read_bytes()


def test_a_lack_of_memory_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save_nanogpt(tmp_path / "theirs", nanogpt_checkpoint(nanogpt())) / "ckpt.pt"

    def fail(*_: object, **__: object) -> None:
        torch.empty(2**60)

    monkeypatch.setattr("model.interop.torch_file.torch.load", fail)
    with pytest.raises(MemoryError):
        read_torch_file(file, "ckpt.pt")
    monkeypatch.setattr("model.interop.torch_file.torch.load", lambda *_, **__: torch.ones(2) @ 3)
    with pytest.raises(UnreadableModel, match="torch cannot load it"):
        read_torch_file(file, "ckpt.pt")
