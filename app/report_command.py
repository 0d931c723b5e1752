"""What `sidelight report` does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from app.errors import InvalidRequest, RequestError
from app.registry import Registry
from app.report import html, markdown
from app.report.contents import build
from app.report.schemas import Report
from app.report.selection import choose
from app.settings import Settings

Format = Literal["markdown", "html", "json"]

TROUBLE = (RequestError, OSError)
ENDINGS: dict[str, Format] = {".md": "markdown", ".html": "html", ".json": "json"}


def tuning_report(
    ids: Sequence[str],
    reference: str | None,
    format: Format | None,
    out: Path | None,
    settings: Settings,
) -> str:
    """The report, or, if it goes to `out`, which files were written. Raises what is in TROUBLE."""
    format = format or _format_of(out)
    runs, against = choose(Registry(settings.checkpoints, 0), ids, reference)
    so_far = {run.id for run in (*runs, against) if not run.folder.is_finished()}
    report = build(runs, against, so_far)
    if out is None:
        return _text(report, format)
    files = _with_figures(report, out) if format == "markdown" else {out: _text(report, format)}
    out.parent.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, "utf-8")
    return "".join(f"{path} is ready\n" for path in files)


def _format_of(out: Path | None) -> Format:
    if out is None:
        return "markdown"
    if out.suffix not in ENDINGS:
        raise InvalidRequest(f"--out must end in one of {', '.join(ENDINGS)}, or name a --format")
    return ENDINGS[out.suffix]


def _text(report: Report, format: Format) -> str:
    """All in one."""
    match format:
        case "json":
            return f"{report.model_dump_json(indent=2)}\n"
        case "html":
            return html.document(report)
        case "markdown":
            return markdown.whole(report)


def _with_figures(report: Report, out: Path) -> dict[Path, str]:
    """The Markdown, and the figures that it shows beside it."""
    figures = markdown.figure_files(report)
    names = {name: f"{out.stem}-{name}.svg" for name in figures}
    text = markdown.document(report, names)
    return {out: text} | {out.with_name(names[name]): svg for name, svg in figures.items()}
