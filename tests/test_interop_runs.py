"""A Sidelight run that is brought in is the same run under another id; and what ids are made of."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from model.attention import attention_maps
from model.config import RUN_ID_PATTERN, BigramConfig, GPTConfig, NGramConfig
from model.interop.exporting import ExportFormat, export_run
from model.interop.importing import bring_in, suggested_id
from model.run_folder import RunFolder
from model.tokenizer import ByteTokenizer, CharTokenizer, train_tokenizer
from tests.conftest import CHARACTERS, GPT, TEXT, write_run
from tests.foreign_models import (
    LETTERS,
    TOLERANCE,
    LectureModel,
    bring,
    nanogpt,
    nanogpt_checkpoint,
    refusal,
    save_huggingface,
    save_nanogpt,
    zipped,
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = write_run(tmp_path, "baseline", steps=(10, 50))
    folder.state.path.mkdir()
    (folder.state.path / "lock").write_bytes(b"")
    (folder.path / "notes.md").write_text("mine")
    return folder


def require_same_run(copy: RunFolder, origin: RunFolder) -> None:
    ours, theirs = copy.read_config(), origin.read_config()
    assert ours == theirs.model_copy(update={"id": copy.id})
    names = {path.relative_to(origin.path) for path in origin.path.rglob("*") if path.is_file()}
    kept = {name for name in names if name.parts[0] not in {"state", "notes.md"}}
    found = {path.relative_to(copy.path) for path in copy.path.rglob("*") if path.is_file()}
    assert found == kept
    for name in kept - {Path("config.json")}:
        assert (copy.path / name).read_bytes() == (origin.path / name).read_bytes()


@pytest.mark.parametrize("form", ["folder", "zip", "zip of the folder"])
def test_all_that_counts_is_kept(tmp_path: Path, run: RunFolder, form: str) -> None:
    archive = tmp_path / "run.zip"
    source = {
        "folder": lambda: run.path,
        "zip": lambda: zipped(run.path, archive),
        "zip of the folder": lambda: zipped(run.path, archive, "baseline/"),
    }[form]()
    assert suggested_id(source, "download.zip") == "baseline"
    copy = bring(source, "copy")
    require_same_run(copy, run)
    assert copy.snapshot_steps() == [10, 50] and len(copy.read_metrics()) == 2
    assert run.path.joinpath("model.safetensors").exists(), "the origin is left as it was"
    for step in (None, 10):
        ids = torch.tensor([[1, 2, 3]])
        assert torch.equal(copy.load_model(step)(ids), run.load_model(step)(ids))


def test_another_title(run: RunFolder) -> None:
    assert bring(run.path, "copy", title="A copy").read_config().title == "A copy"


@pytest.mark.parametrize("kind", ["bigram", "ngram", "bytes", "bpe", "window"])
def test_every_kind_of_run(tmp_path: Path, kind: str) -> None:
    pairs = train_tokenizer("bpe", TEXT, 280)
    modern = {"position": "rotary", "norm": "rmsnorm", "attention_window": 4, "n_embd": 16}
    model, tokenizer = {
        "bigram": (BigramConfig(vocab_size=len(CHARACTERS)), None),
        "ngram": (NGramConfig(vocab_size=len(CHARACTERS), order=3), None),
        "bytes": (GPT.model_copy(update={"vocab_size": 256}), ByteTokenizer()),
        "bpe": (GPT.model_copy(update={"vocab_size": pairs.vocab_size}), pairs),
        "window": (GPTConfig.model_validate(GPT.model_dump() | modern), None),
    }[kind]
    origin = write_run(tmp_path, kind, model, tokenizer=tokenizer)
    require_same_run(bring(origin.path, "copy"), origin)


def test_one_that_was_still_training(run: RunFolder) -> None:
    run.weights_path().unlink()
    copy = bring(run.path, "copy")
    assert copy.snapshot_steps() == [10, 50] and not copy.is_finished()
    assert not copy.state.path.exists()


@pytest.mark.parametrize("format", ["huggingface", "safetensors", "run"])
def test_what_goes_out_comes_in_again(tmp_path: Path, format: ExportFormat) -> None:
    origin = write_run(tmp_path / "runs", "baseline")
    (tmp_path / "scratch").mkdir()
    for name, path in export_run(origin, format, tmp_path / "scratch").items():
        (tmp_path / "export" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / "export" / name)
    back = bring(tmp_path / "export", "back")
    ids = origin.read_tokenizer().encode("To be, or not")
    assert back.read_tokenizer().encode("To be, or not") == ids
    logits = (run.load_model()(torch.tensor([ids])) for run in (origin, back))
    torch.testing.assert_close(*logits, rtol=0, atol=TOLERANCE)
    maps = (attention_maps(run.load_model(), ids) for run in (origin, back))
    torch.testing.assert_close(*maps, rtol=0, atol=TOLERANCE)


class TestRefused:
    def changed(self, run: RunFolder, **fields: object) -> None:
        path = run.path / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    def test_a_vocabulary_besides(self, run: RunFolder) -> None:
        refused = refusal(run.path, vocabulary=CharTokenizer(CHARACTERS))
        assert refused.param == "vocabulary"

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"params": -1}, "params"),
            ({"model": {"kind": "gpt", "n_layer": 10**9}}, "n_layer"),
            ({"model": {"kind": "rnn"}}, "model"),
            ({"model": {"kind": "gpt", "n_embd": 8192, "position": "rotary"}}, "in float32"),
            ({"title": "x" * 201}, "title"),
            ({"more": 1}, "more"),
            ({"tokenizer": "bpe"}, "kind bpe"),
        ],
    )
    def test_a_configuration_that_is_none(
        self, run: RunFolder, fields: dict[str, object], words: str
    ) -> None:
        self.changed(run, **fields)
        assert words in str(refusal(run.path))

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("tokenizer.json", b"{"),
            ("tokenizer.json", b'{"kind": "character", "vocabulary": ["a", "b"]}'),
            ("metrics.jsonl", b'{"step": 1}\n'),
            ("samples.jsonl", b"\xff"),
            ("model.safetensors", b"cut"),
            ("model.safetensors", None),
            ("snapshots/step-000010.safetensors", b""),
            ("tokenizer.json", None),
        ],
    )
    def test_a_part_that_cannot_be_read(
        self, tmp_path: Path, run: RunFolder, name: str, content: bytes | None
    ) -> None:
        (run.path / name).unlink()
        if content is None and name == "model.safetensors":
            shutil.rmtree(run.path / "snapshots")
        if content is not None:
            (run.path / name).write_bytes(content)
        refused = refusal(run.path)
        assert Path(name).name in str(refused) and "mine/" not in str(refused)

    @pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl", "tokenizer.json"])
    def test_a_history_beyond_memory(self, run: RunFolder, name: str) -> None:
        with (run.path / name).open("ab") as file:
            file.truncate(100_000_000)
        refused = refusal(run.path, most_bytes=10**9)
        assert name in str(refused) and "100,000,000 bytes" in str(refused)

    def test_weights_that_are_not_finite(self, run: RunFolder) -> None:
        model = run.load_model()
        model.wte.weight[0, 0] = torch.nan
        run.write_weights(model)
        assert "finite" in str(refusal(run.path))

    def test_weights_that_overflow_once_they_are_used(self, run: RunFolder) -> None:
        model = run.load_model()
        for block in model.blocks:
            block.mlp.fc.weight.fill_(3e38)
            block.mlp.proj.weight.fill_(3e38)
        run.write_weights(model)
        assert "not finite" in str(refusal(run.path))

    def test_an_id_or_a_title_that_is_none(self, tmp_path: Path, run: RunFolder) -> None:
        for wrong in ("../x", "", "A", "x" * 65, "a/b", ".unpacked", "a\n"):
            refused = refusal(run.path, run_id=wrong)
            assert refused.param == "id"
            (tmp_path / ".into-baseline").rmdir()
        assert refusal(run.path, title="x" * 201).param == "title"


class TestSuggestedId:
    @pytest.mark.parametrize(
        ("name", "id"),
        [
            ("out-shakespeare-char/ckpt.pt", "out-shakespeare-char"),
            ("gpt2.zip", "gpt2"),
            ("GPT2 Medium.ZIP", "gpt2-medium"),
            ("ckpt.pt", "ckpt"),
            ("out/best.pth", "best"),
            ("C:\\models\\Großes Modell.pt", "groes-modell"),
            ("models--openai-community--gpt2", "gpt2"),
            ("../../etc/passwd", "passwd"),
            ("___", "model"),
            ("日本語.pt", "model"),
            ("", "model"),
            (".pt", "model"),
            ("x" * 300, "x" * 64),
            ("a" * 63 + "--.zip", "a" * 63),
        ],
    )
    def test_from_a_name(self, tmp_path: Path, name: str, id: str) -> None:
        source = tmp_path / "upload"
        source.write_bytes(b"no model")
        assert suggested_id(source, name) == id
        assert re.fullmatch(RUN_ID_PATTERN, id)

    def test_it_never_raises(self, tmp_path: Path) -> None:
        assert suggested_id(tmp_path / "missing", "a.zip") == "a"
        assert suggested_id(tmp_path, "b") == "b"
        for config in (b"[" * 10**5, b'{"id": "../../x", "model": 1, "params": 1}', b"\xff", b""):
            path = tmp_path / "c.zip"
            with zipfile.ZipFile(path, "w") as out:
                out.writestr("config.json", config)
            assert suggested_id(path, "c.zip") == "c"

    def test_of_other_layouts(self, tmp_path: Path) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        assert suggested_id(folder, "gpt2") == "gpt2"
        assert suggested_id(zipped(folder, tmp_path / "a.zip"), "a.zip") == "a"


@pytest.mark.parametrize(
    ("name", "title"), [("Mine, at last.pt", "Mine, at last"), ("a\x07b.pt", "ab"), ("", "model")]
)
def test_a_title_is_the_name(tmp_path: Path, name: str, title: str) -> None:
    path = tmp_path / "upload"
    torch.save({"model": LectureModel().state_dict(), "chars": LETTERS}, path)
    assert bring(path, name=name).read_config().title == title


def test_everything_is_written_inside_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
    archive = zipped(folder, tmp_path / "out.zip")
    into = tmp_path / "into"
    into.mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    bring_in(archive, into, "mine", name="out.zip", most_bytes=10**7)
    shutil.rmtree(into)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "out", "out.zip"]
    assert not list((tmp_path / "here").iterdir())
