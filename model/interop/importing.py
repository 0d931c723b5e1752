"""Other people's models become runs, and runs from elsewhere too."""

import hashlib
import re
from contextlib import suppress
from pathlib import Path

import torch

from model.config import RUN_ID_PATTERN, ImportedFrom, ModelConfig, RunConfig
from model.interop.checkpoint import read_checkpoint
from model.interop.errors import UnreadableModel
from model.interop.files import CONFIG, Files, find_files, peek_config
from model.interop.foreign_model import ForeignModel
from model.interop.foreign_text import shown
from model.interop.huggingface import read_huggingface
from model.interop.json_file import parse_json
from model.interop.limits import require_size
from model.interop.naming import LONGEST_TITLE, id_from, title_from
from model.interop.sidelight_run import copy_run, read_config
from model.interop.torch_file import read_torch_file
from model.interop.vocabulary import vocabulary_among
from model.interop.weights import converted
from model.interop.weights_file import write_weights_file
from model.parameter_count import parameter_count
from model.run_folder import BrokenRun, RunFolder
from model.run_limits import MOST_CONFIG_BYTES
from model.tokenizer import Tokenizer

UNPACKED = ".unpacked"  # no run's id begins with a dot
FLOAT = 4  # bytes
IDS_TRIED = 4


def bring_in(
    source: Path,
    into: Path,
    run_id: str,
    *,
    name: str,
    title: str | None = None,
    vocabulary: Tokenizer | None = None,
    most_bytes: int,
) -> RunFolder:
    """Make the run `into / run_id` of a file, a zip or a folder, and execute nothing in it.

    `name` is what the owner of `source` calls it. `vocabulary` goes before what comes along with
    it. Neither what is read nor the run's weights may take more than `most_bytes`. Raises
    UnreadableModel, OSError; what there is by then is all inside `into`.
    """
    if not re.fullmatch(RUN_ID_PATTERN, run_id):
        raise UnreadableModel(f"id: {run_id!r} is none, as it must be like my-run.1", "id")
    if title is not None and len(title) > LONGEST_TITLE:
        raise UnreadableModel(f"title: over {LONGEST_TITLE} characters", "title")
    files = find_files(source, name, into / UNPACKED, most_bytes)
    folder = RunFolder(into / run_id)
    folder.create()
    config = _config(files)
    if config is not None and _is_sidelights(config):
        if vocabulary is not None:
            raise UnreadableModel("vocabulary: a run has its own; name none", "vocabulary")
        run = read_config(config)
        _require_weights(run.model, CONFIG, most_bytes)
        copy_run(files, run, folder, title)
    else:
        model = _foreign(files, config, vocabulary)
        _require_weights(model.model, model.file, most_bytes)
        _write(model, files, folder, title or title_from(name))
    _require_whole(folder, name)
    return folder


def suggested_id(source: Path, name: str) -> str:
    """The id of a run that it is, or else one made from its name; raises nothing."""
    with suppress(UnreadableModel, OSError, ValueError):
        config = peek_config(source, name)
        if _is_sidelights(config):
            return read_config(config).id
    return id_from(name)


def _config(files: Files) -> bytes | None:
    path = files.paths.get(CONFIG)
    if path is None:
        return None
    require_size(CONFIG, path.stat().st_size, MOST_CONFIG_BYTES)
    return path.read_bytes()


def _is_sidelights(config: bytes) -> bool:
    """Whether it is a run's. Raises UnreadableModel for what is no JSON."""
    try:
        content = parse_json(config)
    except ValueError as error:
        raise UnreadableModel(f"{CONFIG}: {error}") from None
    return isinstance(content, dict) and "model_type" not in content and "model" in content


def _foreign(files: Files, config: bytes | None, vocabulary: Tokenizer | None) -> ForeignModel:
    vocabulary = vocabulary or vocabulary_among(files)
    if files.checkpoint is not None:
        path = files.paths[files.checkpoint]
        content = read_torch_file(path, files.checkpoint)
        return read_checkpoint(content, files.checkpoint, vocabulary)
    assert config is not None  # as there is no model without either
    return read_huggingface(files, config, vocabulary)


def _require_weights(model: ModelConfig, file: str, most_bytes: int) -> None:
    """Raises UnreadableModel for more of them than may be, before there is one of them."""
    require_size(f"{file}: weights in float32", FLOAT * parameter_count(model), most_bytes)


def _write(model: ForeignModel, files: Files, folder: RunFolder, title: str) -> None:
    """The run with the origin's weights as ours. Raises UnreadableModel, OSError."""
    tensors = converted(model.tensors, model.places, model.model, model.file)
    write_weights_file(tensors, folder.weights_path())
    folder.write_tokenizer(model.tokenizer)
    folder.write_config(
        RunConfig(
            id=folder.id,
            title=title,
            model=model.model,
            train=model.train,
            tokenizer=model.tokenizer.kind,
            corpus=None,
            imported=ImportedFrom(
                layout=model.layout,
                file="".join(c for c in files.name if c.isprintable()),
                sha256=_sha256(files.paths[model.file]),
                steps=model.steps,
                val_loss=model.val_loss,
            ),
            params=parameter_count(model.model),
            software=model.software,
        )
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@torch.inference_mode()
def _require_whole(folder: RunFolder, name: str) -> None:
    """Read all of the run as the registry will, and predict a little with each of its weights."""
    try:
        config, tokenizer = folder.read_config(), folder.read_tokenizer()
        folder.read_metrics()
        folder.read_samples()
        folder.require_snapshots()
        if tokenizer.kind != config.tokenizer or tokenizer.vocab_size != config.model.vocab_size:
            has, needs = tokenizer.vocab_size, config.model.vocab_size
            raise UnreadableModel(
                f"{name}: tokenizer.json has {has:,} tokens of kind {tokenizer.kind}, and the "
                f"model {needs:,} of kind {config.tokenizer}",
                "vocabulary",
            )
        steps = folder.snapshot_steps()
        final = [None] if folder.weights_path().exists() or not steps else []
        for step in [*final, *steps]:
            folder.weight_bytes(step)
            model = folder.load_model(step)
            ids = torch.zeros(1, min(IDS_TRIED, model.block_size), dtype=torch.long)
            if not model(ids).isfinite().all():
                file = folder.weights_path(step).name
                raise UnreadableModel(f"{name}: {file} predicts what is not finite")
    except BrokenRun as error:
        raise UnreadableModel(
            f"{name}: {shown(str(error).removeprefix(f'{folder.id}/'))}"
        ) from None
