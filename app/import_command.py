"""What `sidelight import` and `sidelight export` do."""

import shutil
from pathlib import Path

from app.corpora import Corpora
from app.errors import Conflict, InvalidRequest, RequestError
from app.export_archive import write_zip
from app.hidden_folder import HiddenFolder
from app.incoming_model import IncomingModel
from app.registry import Registry
from app.settings import Settings
from model.interop.errors import NotExportable, UnreadableModel
from model.interop.exporting import ExportFormat, export_run
from model.interop.vocabulary import vocabulary_file
from model.plain_file import open_plain
from model.run_folder import BrokenRun, RunFolder
from model.tokenizer import CharTokenizer, Tokenizer

TROUBLE = (RequestError, UnreadableModel, NotExportable, BrokenRun, OSError)


def import_model(
    source: Path, run_id: str | None, title: str | None, vocabulary: str | None, settings: Settings
) -> RunFolder:
    """Bring in what is at `source`. Raises what is in TROUBLE."""
    if not source.exists():
        raise InvalidRequest(f"{source}: there is no such file or folder")
    tokenizer = _vocabulary(vocabulary, settings) if vocabulary else None
    parts = source.resolve().parts  # nanoGPT calls every run's file ckpt.pt: the folder tells more
    name = parts[-1] if source.is_dir() else "/".join(parts[-2:])
    if source.is_dir() and parts[-2:-1] == ("snapshots",):  # of Hugging Face's cache, by a hash
        name = parts[-3]
    with IncomingModel(settings.checkpoints, settings.max_import_bytes) as incoming:
        try:
            return incoming.bring_in(source, name, run_id, title, tokenizer)
        except Conflict as error:
            raise Conflict(f"{error.message} with --run-id") from None


def export(
    run_id: str, format: ExportFormat, step: int | None, out: Path | None, settings: Settings
) -> Path:
    """Write a folder, or a zip where `out` ends so. Raises what is in TROUBLE."""
    run = Registry(settings.checkpoints, 0).run(run_id)
    run.require_step(step)
    out = out or Path(f"{run.id}-{format}")
    if out.exists():
        raise InvalidRequest(f"{out} is there already; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with HiddenFolder(out.parent) as hidden:
        scratch, made = hidden.path / "scratch", hidden.path / out.name
        scratch.mkdir()
        step = step if format == "run" else run.available(step)
        files = export_run(run.folder, format, scratch, step)
        if out.suffix == ".zip":
            write_zip(files, made)
        else:
            for name, path in files.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                with open_plain(path.parent, path.name) as file, (made / name).open("wb") as copy:
                    shutil.copyfileobj(file, copy)
        made.rename(out)
    return out


def _vocabulary(named: str, settings: Settings) -> Tokenizer:
    """Of a file, or the characters of a text that is here."""
    if Path(named).is_file():
        return vocabulary_file(Path(named))
    corpora = Corpora(settings.data / "corpora")
    return CharTokenizer.from_text(corpora.load(named).text)
