"""Nothing that comes in is ever executed: no code that could, and no pickle that gets so far."""

import ast
import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from model.interop.errors import UnreadableModel
from model.interop.importing import bring_in
from model.interop.vocabulary import vocabulary_file
from model.run_folder import BrokenRun, RunFolder
from model.train_state import UnusableState
from tests.conftest import write_run
from tests.foreign_models import (
    Planted,
    bring,
    nanogpt,
    nanogpt_checkpoint,
    refusal,
    save_huggingface,
    save_nanogpt,
)

ROOT = Path(__file__).parent.parent
EXECUTING = {"marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "runpy", "code", "imp"}
EXECUTING |= {"pickle", "_pickle", "dbm", "copyreg", "pty", "jsonpickle", "pandas"}
BUILT_IN = {"eval", "exec", "compile", "__import__", "execfile"}

# The one call that may: see the head of that file.
SANCTIONED = {("model/interop/torch_file.py", "torch.load")}


@cache
def sources() -> list[tuple[str, ast.AST]]:
    """Every piece of the code, and which file it is in."""
    return list(_pieces())


def _pieces() -> Iterator[tuple[str, ast.AST]]:
    for folder in ("app", "model", "sidelight"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            for node in ast.walk(tree):
                yield path.relative_to(ROOT).as_posix(), node


def test_no_module_that_executes_what_it_reads_is_imported() -> None:
    for path, node in sources():
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            assert name.partition(".")[0] not in EXECUTING, f"{path} imports {name}"


def test_no_call_executes_what_it_reads() -> None:
    sanctioned = set()
    for path, node in sources():
        if not isinstance(node, ast.Call):
            continue
        called, options = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
        assert called not in BUILT_IN, f"{path}:{node.lineno}: {called}"
        if called in {"np.load", "numpy.load"} or called.endswith(".hub.load"):
            assert ast.unparse(options["allow_pickle"]) == "False", f"{path}:{node.lineno}"
        if called.startswith("torch.") and called.endswith(".load"):
            if called == "safetensors.torch.load":
                continue
            sanctioned.add((path, called))
            assert ast.unparse(options["weights_only"]) == "True", f"{path}:{node.lineno}"
        assert called not in {"torch.package.PackageImporter", "torch.jit.load"}, path
    assert sanctioned == SANCTIONED


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A folder that is made by whoever executes one of `programs`."""
    return tmp_path / "executed"


def programs(mark: Path) -> dict[str, bytes]:
    """Pickles that make `mark` when they are loaded, by the way in which they do."""
    path = str(mark).encode()
    name = b"X" + len(path).to_bytes(4, "little") + path  # BINUNICODE
    found = {
        f"reduce-{protocol}": pickle.dumps({"model": Planted(os.mkdir, str(mark))}, protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    }
    return found | {
        "global": b"\x80\x02cos\nmkdir\n" + name + b"\x85R.",
        "stack global": b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93" + name + b"\x85R.",
        "inst": b"(S'" + path + b"'\nios\nmkdir\n.",
        "obj": b"\x80\x02(cos\nmkdir\n" + name + b"o.",
        "in a dict": b"\x80\x02}X\x05\x00\x00\x00modelcos\nmkdir\n" + name + b"\x85Rs.",
        "before a dict": b"\x80\x02cos\nmkdir\n" + name + b"\x85R0}.",
        "behind a memo": b"\x80\x02cos\nmkdir\nq\x010h\x01" + name + b"\x85R.",
        "build": b"\x80\x02cos\nmkdir\n)\x81}X\x01\x00\x00\x00a" + name + b"sb.",
        "new object": b"\x80\x02cpathlib\nPosixPath\n" + name + b"\x85\x81.",
        "extension": b"\x80\x02\x82\x01" + name + b"\x85R.",
        "persistent": b"\x80\x02" + name + b"Q.",
        "by name": b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x05\x00\x00\x00mkdir\x86R.",
    }


def test_these_programs_would_be_executed(mark: Path) -> None:
    """Otherwise none of the others says anything."""
    works = 0
    for program in programs(mark).values():
        try:
            pickle.loads(program)
        except Exception:  # noqa: BLE001 (some are no more than odd)
            continue
        finally:
            if mark.exists():
                mark.rmdir()
                works += 1
    assert works >= 12


def torch_zip(path: Path, program: bytes) -> Path:
    """As torch writes it, but with another program."""
    packed = io.BytesIO()
    torch.save({"a": torch.ones(1)}, packed)
    with zipfile.ZipFile(packed) as whole, zipfile.ZipFile(path, "w") as out:
        for entry in whole.infolist():
            is_pickle = entry.filename.endswith("/data.pkl")
            out.writestr(entry.filename, program if is_pickle else whole.read(entry))
    return path


@pytest.fixture(scope="module")
def ways_in(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """What can be brought in, and which of its files is to be a pickle."""
    folder = tmp_path_factory.mktemp("ways")
    out = save_nanogpt(folder / "out", nanogpt_checkpoint(nanogpt()))
    gpt2, run = save_huggingface(folder / "gpt2"), write_run(folder, "run", steps=(10,)).path
    return [
        (out / "ckpt.pt", out / "ckpt.pt"),
        *((out, out / name) for name in ("ckpt.pt", "meta.pkl")),
        *((gpt2, path) for path in gpt2.iterdir()),
        *((run, path) for path in run.rglob("*") if path.is_file()),
    ]


@pytest.mark.parametrize("kind", sorted(programs(Path("any"))))
def test_nothing_that_is_brought_in_is_executed(
    tmp_path: Path, mark: Path, ways_in: list[tuple[Path, Path]], kind: str
) -> None:
    program = programs(mark)[kind]
    for number, (source, file) in enumerate(ways_in):
        whole = file.read_bytes()
        file.write_bytes(program)
        into = tmp_path / str(number)
        into.mkdir()
        try:
            with pytest.raises(UnreadableModel):
                bring_in(source, into, "mine", name=source.name, most_bytes=10**7)
        finally:
            file.write_bytes(whole)
        assert not mark.exists(), file
    refusal(torch_zip(tmp_path / "whole.pt", program))
    vocabulary = tmp_path / "meta.pkl"
    vocabulary.write_bytes(program)
    with pytest.raises(UnreadableModel):
        vocabulary_file(vocabulary)
    assert not mark.exists()


def test_a_pickle_that_nobody_asked_for_is_left_alone(tmp_path: Path, mark: Path) -> None:
    """Beside a model that is whole; it is not even copied."""
    folder = write_run(tmp_path, "one").path
    (folder / "state.pkl").write_bytes(programs(mark)["reduce-2"])
    (folder / "meta.pkl").write_bytes(programs(mark)["reduce-2"])
    run = bring(folder)
    assert not list(run.path.glob("*.pkl"))
    assert not mark.exists()


def test_nothing_in_a_run_folder_is_executed(tmp_path: Path, mark: Path) -> None:
    program = programs(mark)["reduce-2"]
    folder = write_run(tmp_path, "one", steps=(10,))
    folder.state.path.mkdir()
    for path in (
        *(path for path in folder.path.iterdir() if path.is_file()),
        folder.weights_path(10),
        folder.state.training,
    ):
        path.write_bytes(program)
    for read in (
        folder.read_config,
        folder.read_tokenizer,
        folder.read_metrics,
        folder.read_samples,
        folder.load_model,
        lambda: RunFolder(folder.path).load_model(10),
    ):
        with pytest.raises(BrokenRun):
            read()
    with pytest.raises(UnusableState):
        folder.state.read()
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["reduce-2", "stack global", "inst"])
def test_nothing_that_is_sent_is_executed(tmp_path: Path, mark: Path, kind: str) -> None:
    program = programs(mark)[kind]
    root = tmp_path / "checkpoints"
    with TestClient(create_app(Settings(checkpoints=root, data=tmp_path / "data"))) as client:
        for path in ("/api/runs?name=ckpt.pt", "/api/runs?name=meta.pkl&id=mine"):
            for body in (program, torch_zip(tmp_path / "sent.pt", program).read_bytes()):
                answer = client.post(path, content=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (
                    422,
                    "unreadable_model",
                )
        headers = {"Content-Type": "application/json"}
        for path in ("/api/jobs", "/api/attention", "/v1/completions"):
            assert client.post(path, content=program, headers=headers).status_code in {400, 422}
        assert client.post("/api/corpora?name=a", content=program).status_code in {201, 422}
        assert client.get("/api/runs").json()["runs"] == []
    assert not mark.exists()
