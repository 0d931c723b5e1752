"""Models on their way in and out."""

from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from sidelight.asking import FILES_S, Ask, Call, place
from sidelight.files import LONGEST_NAME, whole, written_beside, zipped
from sidelight.naming import run_at
from sidelight.shapes import ExportFormat, Run

AnyPath = str | PathLike[str]

# What a folder has of a model; other programs' copies of it would only take long to send.
SENT = {".json", ".jsonl", ".safetensors"}
CHECKPOINTS = {".pkl", ".pt", ".pth"}  # and these, where no config.json says how to build it
BYTES = "application/octet-stream"


def import_model(
    path: AnyPath | Sequence[AnyPath],
    *,
    id: str | None = None,
    title: str | None = None,
    vocabulary: str | None = None,
) -> Call[Run]:
    """Make a run of a model from elsewhere, whose file or folder is here.

    That is a nanoGPT `ckpt.pt`, alone or with its `meta.pkl` as the second of two paths; a GPT-2
    folder from Hugging Face; a state dict in the exercise's layout; or a run folder; as a zip too.
    Without `id` the run is called after the file. `vocabulary` names a text of the server's whose
    distinct characters, sorted, are the tokens, where the model brings none.

    A folder, or several files, are sent as one zip that is made on the way. Raises OSError for what
    cannot be read, ValueError for no file or two of one name.
    """
    paths = [Path(path)] if isinstance(path, str | PathLike) else [Path(each) for each in path]
    if not paths:
        raise ValueError("path: give at least one")
    query = {
        "name": _name(paths)[-LONGEST_NAME:],
        "id": id,
        "title": title,
        "vocabulary": vocabulary,
    }
    asked = partial(Ask, "POST", "/api/runs", query=query, wait_s=FILES_S)
    if len(paths) == 1 and not paths[0].is_dir():
        with whole(paths[0], BYTES) as (body, headers):
            answer = yield asked(headers=headers, body=body)
    else:
        body = zipped(_by_name(paths))
        answer = yield asked(headers={"Content-Type": BYTES}, body=body)
    made: Run = answer.json()
    return made


def export(run: str, format: ExportFormat = "run", path: AnyPath = ".") -> Call[Path]:
    """Save a run for other programs, as one zip; returns where it is.

    A `path` that is a folder gets `baseline-huggingface.zip` and the like. A run's `exports` are
    the formats that it can have. Raises OSError for what cannot be written.
    """
    named, target = run_at(run), Path(path)
    if target.is_dir():
        target /= f"{run}-{format}.zip"
    with written_beside(target) as file:
        yield Ask(
            "GET",
            place("api", "runs", named["run"], "export"),
            query={"format": format, "step": named["step"]},
            save=file.write,
            wait_s=FILES_S,
        )
    return target


def _name(paths: Sequence[Path]) -> str:
    """What the run is called after. Many files are called ckpt.pt: their folder tells more."""
    first = paths[0].resolve()
    if len(paths) == 1 and not first.is_dir():
        return f"{first.parent.name}/{first.name}"
    folder = first if first.is_dir() else first.parent
    return f"{folder.name}.zip"


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
    """Every file to be sent, by its name in the zip. Raises FileNotFoundError, ValueError."""
    files: dict[str, Path] = {}
    for name, file in _named(paths):
        if name in files:
            raise ValueError(f"{files[name]} and {file} cannot both be called {name}")
        files[name] = file
    return files


def _named(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if path.is_dir():
            yield from _of_folder(path)
        else:
            yield path.name, path


def _of_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    wanted = SENT if (folder / "config.json").is_file() else SENT | CHECKPOINTS
    found = [file for file in (*folder.iterdir(), *folder.glob("snapshots/*")) if file.is_file()]
    files = [file for file in sorted(found) if file.suffix in wanted]
    if not files:
        raise FileNotFoundError(f"{folder}: there is no file of a model in this folder")
    for file in files:
        yield file.relative_to(folder).as_posix(), file
