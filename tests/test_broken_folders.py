"""Whatever is in a run's folder: it is shown as broken with the reason, and harms nothing else."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from app.cli import cli
from app.main import create_app
from app.registry import Registry
from app.settings import Settings
from model.run_folder import LONGEST_REASON, RunFolder
from tests.conftest import write_run
from tests.foreign_models import zipped

GIGABYTE = 10**9
SECRET = "what is nobody's business"
FILES = ("config.json", "tokenizer.json", "metrics.jsonl", "samples.jsonl", "model.safetensors")
Damage = Callable[[Path], object]


def put(name: str, content: bytes) -> Damage:
    return lambda run: (run / name).write_bytes(content)


def huge(name: str) -> Damage:
    """A file that is a hole: it takes no room on the disk."""
    return lambda run: os.truncate(run / name, GIGABYTE)


def replaced(name: str, make: Callable[[Path], object]) -> Damage:
    def damage(run: Path) -> None:
        (run / name).unlink()
        make(run / name)

    return damage


def link(to: str | Path) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(to)


def moved_and_linked(run: Path) -> None:
    """Inside the folder of all runs, and yet a link."""
    run.rename(run.parent / f".{run.name}")
    run.symlink_to(run.parent / f".{run.name}")


def own_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's whole path may have 107 bytes
        end.bind(path.name)
        os.chdir(here)


def snapshots(make: Callable[[Path], object]) -> Damage:
    def damage(run: Path) -> None:
        shutil.rmtree(run / "snapshots")
        make(run / "snapshots")

    return damage


def config(**changes: object) -> Damage:
    def damage(run: Path) -> None:
        document = json.loads((run / "config.json").read_bytes())
        (run / "config.json").write_text(json.dumps(document | changes))

    return damage


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    def damage(run: Path) -> None:
        tensors = load_file(run / "model.safetensors")
        change(tensors)
        save_file(tensors, run / "model.safetensors")

    return damage


def first(value: float) -> Damage:
    return weights(lambda tensors: tensors["blocks.1.mlp.fc.weight"][0].fill_(value))


LINE = '{"step": 1, "train_loss": %s, "val_loss": 1, "learning_rate": 1, "elapsed_s": 1, '
LINE += '"tokens_per_s": 1}\n'
SEEN: dict[str, tuple[Damage, str]] = {
    **{f"huge-{i}": (huge(n), f"{n}: it has 1,000,000,000 bytes") for i, n in enumerate(FILES[:4])},
    **{f"no-utf8-{i}": (put(n, b"\xff\xfe"), f"{n}: ") for i, n in enumerate(FILES[:4])},
    **{f"no-list-{i}": (put(n, b"[1]"), f"{n}: ") for i, n in enumerate(FILES[:4])},
    **{f"deep-{i}": (put(n, b"[" * 10**6), f"{n}: ") for i, n in enumerate(FILES[:4])},
    **{f"folder-{i}": (replaced(n, Path.mkdir), f"{n}: a folder") for i, n in enumerate(FILES)},
    **{f"pipe-{i}": (replaced(n, os.mkfifo), f"{n}: a pipe") for i, n in enumerate(FILES)},
    **{f"socket-{i}": (replaced(n, own_socket), f"{n}: a socket") for i, n in enumerate(FILES)},
    **{
        f"link-{i}": (replaced(n, link("/etc/passwd")), f"{n}: it is a link")
        for i, n in enumerate(FILES)
    },
    **{
        f"nowhere-{i}": (replaced(n, link("none")), f"{n}: it is a link")
        for i, n in enumerate(FILES)
    },
    "empty-config": (put("config.json", b""), "config.json: "),
    "empty-tokenizer": (put("tokenizer.json", b""), "tokenizer.json: "),
    "no-tokenizer": (lambda run: (run / "tokenizer.json").unlink(), "No such file"),
    "whole-link": (moved_and_linked, "it is a link"),
    "snapshots-link": (snapshots(link("/tmp")), "snapshots: it is a link"),
    "snapshots-loop": (snapshots(link("snapshots")), "snapshots: it is a link"),
    "snapshots-file": (snapshots(Path.touch), "snapshots: something else"),
    "snapshot-link": (
        replaced("snapshots/step-000010.safetensors", link("/etc/passwd")),
        "snapshots/step-000010.safetensors: it is a link",
    ),
    "snapshot-folder": (
        replaced("snapshots/step-000010.safetensors", Path.mkdir),
        "snapshots/step-000010.safetensors: a folder",
    ),
    "newer-field": (config(colour="red"), "colour: there is no such field; perhaps a newer"),
    "newer-format": (config(format=2, colour="red"), "format is 2: another Sidelight"),
    "other-id": (config(id="huge-0"), "id is 'huge-0'"),
    "nan-config": (config(tokens_per_character=float("nan")), "tokens_per_character"),
    "other-tokens": (put("tokenizer.json", b'{"kind": "byte"}'), "config.json says character"),
    "nan-loss": (put("metrics.jsonl", (LINE % "NaN").encode()), "metrics.jsonl: "),
    "huge-step": (put("samples.jsonl", b'{"step": 1%s}' % (b"0" * 99)), "samples.jsonl: "),
    "lines": (put("metrics.jsonl", b"1\n" * 200_001), "200,001 lines"),
    "half-a-line": (put("metrics.jsonl", (LINE % "1")[:-9].encode()), "metrics.jsonl: "),
    "long-name": (config(**{"c\n" * 10_000: 1}), "c?: there is no such field"),
}
ASKED: dict[str, tuple[Damage, str]] = {
    **{
        f"cut-{n}": (lambda run, n=n: os.truncate(run / FILES[4], n), FILES[4])
        for n in (0, 4, 8, 99)
    },
    "one-byte-less": (
        lambda run: os.truncate(run / FILES[4], (run / FILES[4]).stat().st_size - 1),
        "bytes, and the file",
    ),
    "huge-weights": (huge(FILES[4]), "bytes, and the file 9"),
    "text": (put(FILES[4], b"no weights at all"), "no safetensors file"),
    "nan": (first(torch.nan), "blocks.1.mlp.fc.weight has a number that is not finite"),
    "infinite": (first(torch.inf), "blocks.1.mlp.fc.weight has a number that is not finite"),
    "shape": (
        weights(lambda tensors: tensors.update({"wte.weight": torch.zeros(2, 2)})),
        "wte.weight is 2 x 2, and the model's",
    ),
    "kind": (
        weights(lambda found: found.update({"wte.weight": found["wte.weight"].long()})),
        "wte.weight holds int64",
    ),
    "less": (weights(lambda tensors: tensors.pop("wte.weight")), "wte.weight is missing"),
    "more": (weights(lambda tensors: tensors.update(more=torch.zeros(1))), "more is left over"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    whole = write_run(root, "good", steps=(10,)).path
    for name, (damage, _) in (SEEN | ASKED).items():
        shutil.copytree(whole, root / name)
        config(id=name)(root / name)
        if name.startswith("cut"):
            shutil.rmtree(root / name / "snapshots")
        damage(root / name)
    (root / "nowhere").symlink_to("none")
    (root / "Not A Run").mkdir()
    shutil.copytree(whole, root / "My Run")
    shutil.copytree(whole, root / os.fsdecode(b"bytes-\xff"))
    (root / "a-file").write_text(SECRET)
    return root


@pytest.fixture(scope="module")
def client(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = create_app(Settings(checkpoints=root, data=tmp_path_factory.mktemp("data")))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def reasons(client: TestClient) -> dict[str, str]:
    return {it["id"]: it["reason"] for it in client.get("/api/runs").json()["broken"]}


@pytest.mark.parametrize("name", SEEN.keys())
def test_what_is_wrong_is_told_and_asking_is_refused(client: TestClient, name: str) -> None:
    reason = reasons(client)[name]
    assert SEEN[name][1] in reason
    assert reason.isprintable() and len(reason) <= LONGEST_REASON + 1
    for method, path, body in (
        ("GET", f"/api/runs/{name}", None),
        ("GET", f"/api/runs/{name}/export", None),
        ("PATCH", f"/api/runs/{name}", {"outcome": "Better."}),
        ("POST", "/v1/completions", {"model": name, "prompt": "To"}),
        ("POST", "/api/attention", {"run": name, "text": "To"}),
    ):
        answer = client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "broken_run")
        assert reason in answer.json()["error"]["message"]
        assert "root:" not in answer.text


@pytest.mark.parametrize("name", ASKED)
def test_weights_are_looked_at_when_they_are_asked_for(client: TestClient, name: str) -> None:
    answer = client.post("/v1/completions", json={"model": name, "prompt": "To"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "broken_run")
    assert ASKED[name][1] in answer.json()["error"]["message"]
    assert ASKED[name][1] in reasons(client)[name], "and the list knows from then on"


def test_names_that_are_no_ids_are_told(client: TestClient) -> None:
    broken = reasons(client)
    assert "rename it" in broken["My Run"]
    assert "rename it" in broken["bytes-�"]
    assert not broken.keys() & {"Not A Run", "a-file", "nowhere"}
    assert client.get("/api/runs/My%20Run").status_code == 404


def test_the_others_are_as_ever(client: TestClient, root: Path) -> None:
    listed = client.get("/api/runs").json()
    assert "good" in {run["id"] for run in listed["runs"]}
    assert SEEN.keys() <= {it["id"] for it in listed["broken"]}
    answer = client.post("/v1/completions", json={"model": "good", "prompt": "To", "seed": 1})
    assert answer.status_code == 200
    assert client.get("/runs").status_code == 200
    ready = client.get("/readyz").json()
    assert SEEN.keys() <= ready["broken"].keys()
    told = CliRunner().invoke(cli, ["runs"], env={"SIDELIGHT_CHECKPOINTS": str(root)})
    assert (told.exit_code, "good" in told.stdout) == (0, True)
    assert "huge-0 is broken: huge-0/config.json: it has 1,000,000,000 bytes" in told.stderr


def test_what_is_mended_is_back(client: TestClient, root: Path) -> None:
    write_run(root, "no-utf8-0")
    assert client.get("/api/runs/no-utf8-0").status_code == 200
    for name in ("config.json", "tokenizer.json"):
        SEEN["no-utf8-0" if name == "config.json" else "no-utf8-1"][0](root / "no-utf8-0")


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_weights_that_are_no_numbers_do_not_come_in(
    client: TestClient, root: Path, tmp_path: Path, value: float
) -> None:
    run = tmp_path / "coming"
    shutil.copytree(root / "good", run)
    first(value)(run)
    packed = zipped(run, tmp_path / "coming.zip").read_bytes()
    answer = client.post("/api/runs?name=coming.zip&id=coming", content=packed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unreadable_model")
    assert (
        "blocks.1.mlp.fc.weight has a number that is not finite"
        in answer.json()["error"]["message"]
    )
    assert not list(root.glob(".incoming*")) and not (root / "coming").exists()


def test_numbers_that_grow_too_large_on_the_way(tmp_path: Path) -> None:
    """The weights are finite, and what comes of them is not: there are no maps to draw."""
    folder = write_run(tmp_path, "one")
    weights(lambda tensors: tensors["wte.weight"][5].fill_(1e30))(folder.path)
    with TestClient(create_app(Settings(checkpoints=tmp_path))) as client:
        character = folder.read_tokenizer().decode([5])
        for accept in ("application/json", "application/x-npy", "application/octet-stream"):
            body = {"run": "one", "text": f"To {character}"}
            answer = client.post("/api/attention", json=body, headers={"Accept": accept})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "broken_run")
            body["text"] = "To"
            answer = client.post("/api/attention", json=body, headers={"Accept": accept})
            assert answer.status_code == 200


def test_what_is_deleted_while_it_is_read_is_not_told_of(tmp_path: Path, monkeypatch) -> None:
    folder = write_run(tmp_path, "one")
    write_run(tmp_path, "other")
    read_tokenizer = RunFolder.read_tokenizer

    def deleted_first(it: RunFolder):
        if it.id == "one":
            folder.remove()
        return read_tokenizer(it)

    monkeypatch.setattr(RunFolder, "read_tokenizer", deleted_first)
    runs, broken = Registry(tmp_path, GIGABYTE).listing()
    assert ([run.id for run in runs], broken) == (["other"], {})


def test_what_nobody_has_thought_of_harms_no_other_run(tmp_path: Path, monkeypatch) -> None:
    for name in ("one", "other"):
        write_run(tmp_path, name)
    read_config = RunFolder.read_config

    def failing(it: RunFolder):
        if it.id == "one":
            raise ZeroDivisionError
        return read_config(it)

    monkeypatch.setattr(RunFolder, "read_config", failing)
    runs, broken = Registry(tmp_path, GIGABYTE).listing()
    assert [run.id for run in runs] == ["other"]
    assert "ZeroDivisionError" in broken["one"]


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one")
    try:
        weights = folder.weights_path()
        weights.unlink()
        os.mknod(weights, 0o20666, os.makedev(1, 5))  # /dev/zero, which has no end
    except PermissionError:
        pytest.skip("only root may make a device")
    with TestClient(create_app(Settings(checkpoints=tmp_path))) as client:
        assert reasons(client) == {"one": "one/model.safetensors: a device is in its place"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch, name: str) -> None:
    """Root may read all, so for root the system is asked to say what it says to others."""
    folder = write_run(tmp_path, "one")
    (folder.path / name).chmod(0)
    if os.geteuid() == 0:
        refuse_opening(monkeypatch, name)
    with TestClient(create_app(Settings(checkpoints=tmp_path))) as client:
        client.post("/v1/completions", json={"model": "one", "prompt": "To"})
        assert reasons(client) == {"one": f"one/{name}: Permission denied"}
        monkeypatch.undo()
        (folder.path / name).chmod(0o644)
        assert reasons(client) == {}


def refuse_opening(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    opened = os.open

    def asked(path, *args, **kwargs) -> int:
        if os.fspath(path) == refused:
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", asked)
