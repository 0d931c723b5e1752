"""Files through the Python client: models in and out, texts to train on."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from safetensors.torch import load, load_file

from app.settings import Settings
from sidelight.client import AsyncSidelight, Sidelight, SidelightError
from sidelight.files import zipped
from tests.conftest import TEXT, LiveServer, on_a_loop, write_run
from tests.foreign_models import LETTERS, nanogpt, nanogpt_checkpoint, save_nanogpt

MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("files")
    write_run(root / "checkpoints", "baseline", steps=(10, 50))
    settings = Settings(
        checkpoints=root / "checkpoints", data=root / "data", max_import_bytes=MOST_BYTES
    )
    with LiveServer(settings) as server:
        yield server


@pytest.fixture(scope="module")
def sidelight(server: LiveServer) -> Iterator[Sidelight]:
    with Sidelight(server.url) as client:
        yield client


def asked(url: str, ask: Callable[[AsyncSidelight], Any]) -> Any:
    """What one call of the async client comes to."""

    async def result() -> Any:
        async with AsyncSidelight(url) as client:
            return await ask(client)

    return on_a_loop(result())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# A real server


def test_a_run_goes_out_and_comes_in_again(
    sidelight: Sidelight, server: LiveServer, tmp_path: Path
) -> None:
    saved = sidelight.export("baseline", path=tmp_path)
    assert saved == tmp_path / "baseline-run.zip" and names(tmp_path) == {saved.name}
    twin = sidelight.import_model(saved, id="twin", title="A twin")
    assert (twin["id"], twin["title"], twin["steps"]) == ("twin", "A twin", [10, 50])
    with zipfile.ZipFile(saved) as archive:
        archive.extractall(tmp_path)
    copy = asked(server.url, lambda client: client.import_model(tmp_path / "baseline", id="copy"))
    assert copy["steps"] == [10, 50]
    texts = {
        sidelight.generate(f"{run}{step}", "To", 20, seed=1)
        for run in ("baseline", "twin", "copy")
        for step in ("", "@50")
    }
    assert len(texts) == 2, "the copies differ from their origin"


def test_a_step_is_exported_under_a_chosen_name(
    sidelight: Sidelight, server: LiveServer, tmp_path: Path
) -> None:
    chosen = tmp_path / "weights.zip"
    chosen.write_bytes(b"an earlier one")
    assert sidelight.export("baseline@50", "safetensors", chosen) == chosen
    saved = asked(server.url, lambda c: c.export("baseline@50", "safetensors", str(tmp_path)))
    assert saved.name == "baseline@50-safetensors.zip"
    checkpoints = server.app.state.settings.checkpoints
    expected = load_file(checkpoints / "baseline" / "snapshots" / "step-000050.safetensors")
    for path in (chosen, saved):
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("model.safetensors"))
            weights = load(archive.read(name))
        assert weights.keys() == expected.keys()
        assert all(weights[name].equal(expected[name]) for name in weights)


def test_a_refused_export_leaves_nothing(sidelight: Sidelight, tmp_path: Path) -> None:
    for run, format, status, param in (
        ("no", "run", 404, "run"),
        ("baseline@11", "safetensors", 404, "step"),
        ("baseline", "gguf", 422, "format"),
    ):
        with pytest.raises(SidelightError) as refused:
            sidelight.export(run, format, tmp_path)  # type: ignore[arg-type]
        assert (refused.value.status, refused.value.param) == (status, param)
    with pytest.raises(FileNotFoundError):
        sidelight.export("baseline", path=tmp_path / "no" / "baseline.zip")
    assert names(tmp_path) == set()


def test_a_checkpoint_and_its_vocabulary_are_two_paths(
    sidelight: Sidelight, tmp_path: Path
) -> None:
    folder = save_nanogpt(tmp_path / "out-letters", nanogpt_checkpoint(nanogpt()))
    (folder / "meta.pkl").rename(tmp_path / "meta.pkl")
    run = sidelight.import_model([folder / "ckpt.pt", tmp_path / "meta.pkl"])
    assert run["id"] == "out-letters"
    assert run["imported"] is not None and run["imported"]["layout"] == "nanogpt"
    assert sidelight.run("out-letters")["vocabulary"] == list(LETTERS)
    with pytest.raises(SidelightError) as taken:
        sidelight.import_model(folder)
    assert (taken.value.status, taken.value.param, taken.value.code) == (409, "id", "run_exists")


@pytest.mark.parametrize("pieces", [1, 2])
def test_what_is_too_large_is_refused(
    sidelight: Sidelight, server: LiveServer, tmp_path: Path, pieces: int
) -> None:
    files = [tmp_path / f"{number}.pt" for number in range(pieces)]
    for file in files:
        file.write_bytes(bytes(2_000_000))
    for ask in (sidelight.import_model, lambda of: asked(server.url, lambda c: c.import_model(of))):
        with pytest.raises(SidelightError, match="300,000 bytes") as large:
            ask(files)
        assert large.value.status == 413


def test_texts_are_listed_and_kept_once(
    sidelight: Sidelight, server: LiveServer, tmp_path: Path
) -> None:
    path = tmp_path / "my text.txt"
    path.write_text(TEXT * 2)
    kept = sidelight.upload_corpus(str(path))
    assert kept["characters"] == 2 * len(TEXT) and kept["name"] == "my text.txt"
    assert asked(server.url, lambda client: client.upload_corpus(path))["id"] == kept["id"]
    assert kept["id"] in [corpus["id"] for corpus in sidelight.corpora()]
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(SidelightError) as refused:
        sidelight.upload_corpus(path)
    assert (refused.value.status, refused.value.code) == (422, "unusable_text")
    with pytest.raises(FileNotFoundError):
        sidelight.upload_corpus(tmp_path / "no.txt")


# What is sent


class Recorded:
    """Takes whatever is sent, and answers as the server would."""

    def __init__(self) -> None:
        self.query: dict[str, str] = {}
        self.headers = httpx.Headers()
        self.body = b""
        http = httpx.Client(base_url="http://any", transport=httpx.MockTransport(self._answer))
        self.sidelight = Sidelight(client=http, api_key="secret")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.query, self.headers = dict(request.url.params), request.headers
        self.body = request.read()
        return httpx.Response(201, json={"id": "made"})

    def files(self) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(self.body)) as archive:
            assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
            return {name: archive.read(name) for name in archive.namelist()}


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, "out-poems/ckpt.pt")
    recorded = Recorded()
    write(tmp_path, "long/" + "x" * 200 + ".pt")
    recorded.sidelight.import_model(tmp_path / "long" / ("x" * 200 + ".pt"))
    assert recorded.query == {"name": "x" * 197 + ".pt"}
    recorded.sidelight.import_model(tmp_path / "out-poems" / "ckpt.pt", title="Poems")
    assert recorded.query == {"name": "out-poems/ckpt.pt", "title": "Poems"}
    assert recorded.body == b"out-poems/ckpt.pt"
    assert recorded.headers["content-length"] == "17"
    assert recorded.headers["authorization"] == "Bearer secret"


def test_a_folder_is_sent_without_what_is_no_part_of_a_model(tmp_path: Path) -> None:
    needed = {"config.json", "model.safetensors", "tokenizer.json", "snapshots/step.safetensors"}
    write(tmp_path / "gpt2", *needed, "optimizer.pt", "pytorch_model.bin", ".git/x.json")
    write(tmp_path / "gpt2", "checkpoint-500/model.safetensors", "state/x.safetensors")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "ckpt.pt").symlink_to(tmp_path / "gpt2" / "optimizer.pt")
    recorded = Recorded()
    recorded.sidelight.import_model(tmp_path / "gpt2", id="mine")
    assert recorded.query == {"name": "gpt2.zip", "id": "mine"}
    assert recorded.files() == {name: name.encode() for name in needed}
    recorded.sidelight.import_model(tmp_path / "links")
    assert recorded.files() == {"ckpt.pt": b"optimizer.pt"}


def test_several_files_become_one_zip(tmp_path: Path) -> None:
    write(tmp_path, "out-poems/ckpt.pt", "data/meta.pkl", "data/ckpt.pt")
    recorded = Recorded()
    recorded.sidelight.import_model([tmp_path / "out-poems", tmp_path / "data" / "meta.pkl"])
    assert recorded.query == {"name": "out-poems.zip"}
    assert set(recorded.files()) == {"ckpt.pt", "meta.pkl"}
    with pytest.raises(ValueError, match=r"ckpt\.pt"):
        recorded.sidelight.import_model([tmp_path / "out-poems", tmp_path / "data"])
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "none", [tmp_path / "none"]):
        with pytest.raises(FileNotFoundError):
            recorded.sidelight.import_model(path)
    with pytest.raises(ValueError, match="at least one"):
        recorded.sidelight.import_model([])


def test_a_large_model_is_never_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "large.pt").open("wb") as file:
        file.truncate(100 << 20)
    tracemalloc.start()
    try:
        sent = sum(map(len, zipped({"large.pt": tmp_path / "large.pt"})))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent > 100 << 20
    assert peak < 10 << 20


class Torn(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"half of it"
        raise httpx.ReadError("cut")

    async def __aiter__(self) -> Any:
        for part in self:
            yield part


def test_half_an_export_is_none(tmp_path: Path) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Torn()))
    (tmp_path / "baseline-run.zip").write_bytes(b"an earlier one")
    with (
        Sidelight(client=httpx.Client(base_url="http://any", transport=transport)) as client,
        pytest.raises(httpx.ReadError),
    ):
        client.export("baseline", path=tmp_path)

    async def export() -> None:
        http = httpx.AsyncClient(base_url="http://any", transport=transport)
        await AsyncSidelight(client=http).export("baseline", path=tmp_path)

    with pytest.raises(httpx.ReadError):
        on_a_loop(export())
    assert names(tmp_path) == {"baseline-run.zip"}
    assert (tmp_path / "baseline-run.zip").read_bytes() == b"an earlier one"
