"""A run folder after a kill at any moment, or with any bytes in it: whole, or said to be broken."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import UnknownRun, UnusableRun
from app.main import create_app
from app.registry import Registry
from app.settings import Settings
from model.config import BigramConfig, NGramConfig
from model.families import build_model
from model.run_folder import LONGEST_REASON, BrokenRun, RunFolder, Sample
from model.tokenizer import train_tokenizer
from model.train_state import TrainState
from tests.conftest import CHARACTERS, GPT, METRICS, wait_until, write_run

# What is written of a run while it is trained, and afterwards.
Write = tuple[str, int]
WRITES = st.lists(
    st.tuples(
        st.sampled_from(["config", "metrics", "samples", "weights", "snapshot", "forget", "state"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=6,
)
SMALL = GPT.model_copy(update={"n_layer": 1, "block_size": 4})


class Killed(BaseException):
    """Nothing that is left to do is done."""


@contextmanager
def killed_at(call: int) -> Iterator[None]:
    """From that call of the system on, none is done any more, as when the process is gone.

    Tidying up is none either.
    """
    before, calls = {name: getattr(os, name) for name in ("replace", "fsync", "chmod", "unlink")}, 0

    def counted(name: str) -> Callable[..., Any]:
        def do(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > call:
                raise Killed
            return before[name](*arguments, **options)

        return do

    for name in before:
        setattr(os, name, counted(name))
    try:
        yield
    except Killed:
        pass
    finally:
        for name, function in before.items():
            setattr(os, name, function)


def write(folder: RunFolder, what: str, number: int) -> None:
    match what:
        case "config":
            config = folder.read_config()
            folder.write_config(config.model_copy(update={"outcome": "better" * number}))
        case "metrics":
            folder.write_metrics(METRICS[:number])
        case "samples":
            folder.write_samples(
                [Sample(step=i, prompt="", text="To", seed=i) for i in range(number)]
            )
        case "weights":
            torch.manual_seed(number)
            folder.write_weights(build_model(SMALL))
        case "snapshot":
            torch.manual_seed(number)
            folder.write_snapshot(number, build_model(SMALL))
        case "forget":
            folder.forget_after(number)
        case "state":
            folder.state.path.mkdir(exist_ok=True)
            folder.state.write(TrainState(number, 1.0, {"a": torch.full((2,), float(number))}))


def seen(folder: RunFolder) -> dict[str, Any]:
    """All that a reader finds, by the file that it is in."""
    found: dict[str, Any] = {
        "config": folder.read_config(),
        "tokenizer": folder.read_tokenizer().document(),
        "metrics": folder.read_metrics(),
        "samples": folder.read_samples(),
        "state": folder.state.read().step if folder.state.exists() else None,
    }
    for step in (None, *folder.snapshot_steps()):
        weights = folder.load_model(step).state_dict().values()
        found[f"weights {step}"] = [tensor.tolist() for tensor in weights]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_run(tmp_path_factory.mktemp("whole"), "one", SMALL, steps=(1,))


@settings(max_examples=30)
@given(writes=WRITES, call=st.integers(0, 24))
def test_a_kill_between_any_two_calls_of_the_system(
    whole: RunFolder, writes: list[Write], call: int
) -> None:
    """Each file is as it was or as it was to be; and whoever goes on tidies up."""
    with tempfile.TemporaryDirectory() as room:
        folder = RunFolder(Path(room) / "one")
        shutil.copytree(whole.path, folder.path)
        before = after = seen(folder)
        with killed_at(call):
            for what, number in writes:
                before = after
                after = {}
                write(folder, what, number)
                after = seen(folder)
        now = seen(folder)
        if not after:  # it was killed in the middle of this one: is it the one or the other?
            write(folder, what, number)
            after = seen(folder)
        for file, content in now.items():
            assert content in (before.get(file), after.get(file)), file
        with folder.state.locked():
            assert not list(folder.path.rglob(".*"))
        registry = Registry(Path(room), 10**9)
        assert (registry.broken(), [run.id for run in registry.runs()]) == ({}, ["one"])


@settings(max_examples=20)
@given(call=st.integers(0, 14))
def test_a_folder_that_was_never_whole_is_none(call: int) -> None:
    """Its configuration comes last."""
    with tempfile.TemporaryDirectory() as room:
        with killed_at(call):
            write_run(Path(room), "one", SMALL)
        registry = Registry(Path(room), 10**9)
        assert registry.broken() == {}
        for run in registry.runs():
            assert seen(run.folder)["metrics"] == METRICS


def test_a_disk_that_refuses_leaves_nothing_beside(whole: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "one")
    shutil.copytree(whole.path, folder.path)
    before = seen(folder)
    for name in ("fsync", "replace", "chmod"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, name, _refuse)
            for what in ("config", "metrics", "samples", "weights", "snapshot"):
                with pytest.raises(OSError, match="No space"):
                    write(folder, what, 1)
        assert seen(folder) == before
        assert not list(folder.path.rglob(".*"))


def _refuse(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """One run of each family, and one of each tokenizer."""
    root = tmp_path_factory.mktemp("folders")
    pairs = train_tokenizer("bpe", "To be, or not to be. " * 9, 270)
    model = SMALL.model_copy(update={"vocab_size": pairs.vocab_size})
    return [
        write_run(root, "gpt", SMALL, steps=(1,)),
        write_run(root, "bigram", BigramConfig(vocab_size=len(CHARACTERS))),
        write_run(root, "ngram", NGramConfig(vocab_size=len(CHARACTERS), order=3)),
        write_run(root, "pairs", model, tokenizer=pairs),
    ]


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=3
)
CUTS = st.just(1.0) | st.floats(0, 1)


def edited(whole: bytes, edits: list[tuple[float, int, bytes]], cut: float) -> bytes:
    """At each place, a share of the length, so many bytes give way to others; the end is cut."""
    changed = bytearray(whole)
    for share, gone, content in edits:
        place = int(share * len(changed))
        changed[place : place + gone] = content
    return bytes(changed[: int(cut * len(changed))])


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


def require_read_or_refused(folder: RunFolder) -> None:
    """Whatever can be read predicts something; whatever cannot says so in words."""
    registry = Registry(folder.path.parent, 10**9)
    listed, broken = registry.listing()
    assert {run.id for run in listed} | broken.keys() == {"gpt", "bigram", "ngram", "pairs"}
    assert not broken.keys() - {folder.id}, "the others are as ever"
    for step in (None, 1):
        try:
            with registry.lend(folder.id, step) as loaded, torch.inference_mode():
                logits = loaded.model(torch.tensor([[0, 1]]))
                assert not logits.isnan().any()
        except UnusableRun as error:
            require_words(str(error))
        except UnknownRun:
            assert step == 1 and folder.id != "gpt", "only one of them has a snapshot"


def require_words(reason: str) -> None:
    assert reason.isprintable() and len(reason) < LONGEST_REASON + 99
    assert "log says why" not in reason, "whatever may break is expected"


@settings(max_examples=80)
@given(st.data(), EDITS, CUTS)
def test_any_bytes_in_any_file(
    folders: list[RunFolder], data: st.DataObject, edits: list, cut: float
) -> None:
    folder = data.draw(st.sampled_from(folders), "folder")
    files = sorted(p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*.*"))
    path = folder.path / data.draw(st.sampled_from(files), "file")
    with changed(path, edited(path.read_bytes(), edits, cut)):
        require_read_or_refused(folder)


@settings(max_examples=40)
@given(st.binary(max_size=200) | st.text(max_size=99).map(str.encode))
def test_bytes_that_were_never_a_file_of_a_run(folders: list[RunFolder], content: bytes) -> None:
    folder = folders[0]
    for name, read in (
        ("config.json", folder.read_config),
        ("tokenizer.json", folder.read_tokenizer),
        ("model.safetensors", folder.load_model),
    ):
        with changed(folder.path / name, content), pytest.raises(BrokenRun, match=name):
            read()
    for name, lines in (
        ("metrics.jsonl", folder.read_metrics),
        ("samples.jsonl", folder.read_samples),
    ):
        with changed(folder.path / name, content):
            try:
                assert lines() == []
            except BrokenRun as error:
                require_words(str(error))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["\ud800", "\x00", "</script>", 2**80, -1, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something is in a document."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@pytest.fixture(scope="module")
def client(
    folders: list[RunFolder], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    root, data = folders[0].path.parent, tmp_path_factory.mktemp("data")
    app = create_app(Settings(checkpoints=root, data=data))
    with TestClient(app, raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)
        yield client


@settings(max_examples=40)
@given(st.data(), st.sampled_from(["config.json", "metrics.jsonl", "samples.jsonl"]), JSON)
def test_any_value_in_any_place_is_served_or_refused(
    client: TestClient, folders: list[RunFolder], data: st.DataObject, name: str, value: object
) -> None:
    """Not every value that can be read can be shown: it must not come that far."""
    path = folders[0].path / name
    first, *rest = path.read_text("utf-8").splitlines(keepends=True)
    document = json.loads(first if name != "config.json" else path.read_text("utf-8"))
    *inner, last = data.draw(st.sampled_from(places(document)[1:]), "place")
    place = document
    for key in inner:
        place = place[key]
    place[last] = value
    text = json.dumps(document) + ("\n" + "".join(rest) if name != "config.json" else "")
    with changed(path, text.encode("utf-8", "surrogatepass")):
        for address in ("/api/runs", "/runs", "/", "/readyz", "/metrics"):
            assert client.get(address).status_code == 200, address
        for address in ("/api/runs/gpt", "/api/report?runs=gpt,bigram", "/attention?run=gpt"):
            answer = client.get(address)
            assert answer.status_code < 500 or (
                answer.status_code == 503 and answer.json()["error"]["code"] == "broken_run"
            ), address


def test_memory_is_asked_for_only_as_far_as_the_model_goes(
    whole: RunFolder, tmp_path: Path
) -> None:
    """A file that says that it is huge is compared with the model before it is read."""
    folder = RunFolder(tmp_path / "one")
    shutil.copytree(whole.path, folder.path)
    numbers = 2**38
    header = json.dumps(
        {"wte.weight": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}
    ).encode()
    with folder.weights_path().open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * numbers)  # a terabyte of nothing
    with pytest.raises(BrokenRun, match=r"model\.safetensors: .* missing"):
        folder.load_model()
    counted = write_run(tmp_path, "ngram", NGramConfig(vocab_size=len(CHARACTERS), order=1))
    folder.weights_path().rename(counted.weights_path())
    with pytest.raises(BrokenRun, match=r"over 1,073,741,824 bytes of counts are not read"):
        counted.load_model()
