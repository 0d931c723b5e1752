"""Rows of the benchmarks as Markdown.

python bench/tables.py FILE ...            print a table of each
python bench/tables.py PAGE.md FILE ...    put them between the markers there
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MARKER = "benchmarks"
TITLES = {
    "generation": "Writing, in one process",
    "serving": "Serving, over HTTP",
    "soak": "Under load for ten minutes",
    "start": "Starting, with many runs",
    "train": "Training",
    "attention": "The attention explorer",
    "lessons": "Opening a lesson",
    "gpu": "On a GPU",
    "ray_jobs": "Jobs on a Ray cluster",
    "losses": "The exercise's own script",
    "estimate": "The sampled estimate",
}
COLUMNS = {
    "what": "",
    "value": "ours",
    "against": "peer",
    "peer": "its",
    "ratio": "ratio",
    "noise": "±",
    "floor": "floor",
    "of_floor": "times the floor",
    "limit": "limited by",
}
WORDS = {"what", "against", "limit"}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """In Markdown, with the columns that any row has something for."""
    cells = [_cells(row) for row in rows]
    shown = [key for key in COLUMNS if any(cell[key] for cell in cells)]
    head = "| " + " | ".join(COLUMNS[key] for key in shown) + " |\n"
    rule = "|" + "|".join("---" if key in WORDS else "--:" for key in shown) + "|\n"
    return head + rule + "".join(f"| {' | '.join(c[key] for key in shown)} |\n" for c in cells)


def _cells(row: dict[str, Any]) -> dict[str, str]:
    noise, unit = row.get("noise"), row["unit"]
    return {
        "what": row.get("what") or f"`{row['name']}`",
        "value": number(row["value"], unit),
        "against": row.get("against") or "",
        "peer": number(row.get("peer"), unit),
        "ratio": number(row.get("ratio")),
        "noise": "" if noise is None else f"{100 * noise:.0f} %",
        "floor": number(row.get("floor"), unit),
        "of_floor": number(row.get("of_floor")),
        "limit": row.get("limit") or "",
    }


def number(value: float | None, unit: str = "") -> str:
    """Three digits, or all in front of the point; rates without a space before their slash."""
    if value is None:
        return ""
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if not unit or unit == "share":
        return digits
    return f"{digits}{unit}" if unit.startswith("/") else f"{digits} {unit}"


def section(path: Path) -> str:
    """A heading, the table, and where it is from; nothing where nothing was measured."""
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    if not rows:
        return ""
    last = rows[-1]
    software = " ".join(f"{name} {last[name]}" for name in ("torch", "python") if name in last)
    origin = ", ".join(
        part for part in (last.get("machine", ""), software, last.get("when")) if part
    )
    title = TITLES.get(path.stem, path.stem)
    return f"### {title}\n\n{table(rows)}\n`bench/{path.stem}.py`; {origin}.\n\n"


def put(page: str, content: str) -> str:
    """`page` with `content` between its markers."""
    begin, end = f"<!-- {MARKER} -->", f"<!-- /{MARKER} -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{content}{end}{rest.split(end)[1]}"


def main(arguments: list[str]) -> None:
    paths = [Path(argument) for argument in arguments]
    pages = [path for path in paths if path.suffix == ".md"]
    content = "".join(section(path) for path in paths if path.suffix == ".json")
    if not pages:
        print(content, end="")
    for page in pages:
        page.write_text(put(page.read_text("utf-8"), content), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
