"""A report as Markdown that no title, hypothesis or sample can break."""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence

from app.report import cells, words
from app.report.cost import by_gain
from app.report.figures import cost, curves, svg_file
from app.report.schemas import Report, ReportRow, ReportSampling
from app.report.theme import figure_style

SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")  # in what CommonMark or GitHub sees a meaning in a line
RESULTS = (
    "Losses are in {}, lower is better; each run is compared with {}. "
    "The gap is the validation loss less the training loss."
)
CURVES = (
    "Strong: the validation split. Dotted: the training split. A level line is a run that was "
    "evaluated once."
)
TABLE_HEAD = ("Run", "Changed", "Parameters", "Steps", "Time", "Training loss", "Validation loss")


def figure_files(report: Report) -> dict[str, str]:
    """The figures as SVG files, by the end of their names."""
    style = figure_style()
    return {
        "curves": svg_file(curves(report), style),
        "cost": svg_file(cost(report), style),
    }


def whole(report: Report) -> str:
    """With its figures inside."""
    files = figure_files(report)
    return document(report, {name: _data_uri(svg) for name, svg in files.items()})


def document(report: Report, addresses: dict[str, str]) -> str:
    """With its figures at `addresses`."""
    return f"# {report.title}\n\n{body(report, addresses)}"


def body(report: Report, addresses: dict[str, str]) -> str:
    """All below the title."""
    parts = [
        _list(report.conclusion),
        "## Results",
        RESULTS.format(report.unit, text(report.runs[0].title)),
        _results(report),
        _list(report.notes),
        "## Loss while training",
        f"![Validation loss by training step]({addresses['curves']})",
        CURVES,
        "## Cost against gain",
        f"![Minutes of training against validation loss]({addresses['cost']})",
        _costs(report),
        "## Hypotheses",
        *map(_hypothesis, report.runs),
        "## Samples",
        *_samples(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(words_of_others: str) -> str:
    """What somebody wrote, as it reads, inside a line or a cell."""
    shown = words.printable(words_of_others.strip())
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = (line.strip() for line in SPECIAL.sub(r"\\\1", shown).split("\n"))
    return "<br>".join(line for line in lines if line)


def code(value: str) -> str:
    """A code span, also inside a cell."""
    shown = words.one_line(value).replace("|", "\\|")
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def fenced(value: str) -> str:
    """A block that nothing in it ends."""
    fence = "`" * max(3, _longest_run(value) + 1)
    return f"{fence}text\n{words.printable(value)}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], leading: int = 1) -> str:
    """The `leading` columns are words, the others numbers, which stand at the right."""
    rule = ["---" if i < leading else "--:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def _results(report: Report) -> str:
    bits = ["Bits per character"] if report.compare_bits else []
    head = [*TABLE_HEAD, *bits, "Gap", f"To {text(report.runs[0].title)}"]
    return table(head, [_result(report, row) for row in report.runs], leading=2)


def _result(report: Report, row: ReportRow) -> list[str]:
    bits = [words.loss(row.val_bits_per_character)] if report.compare_bits else []
    return [
        f"{text(cells.name(row))} ({code(row.id)})",
        _changes(row),
        words.grouped(row.params),
        words.grouped(row.steps),
        words.duration(row.wall_time_s),
        words.loss(row.train_loss),
        words.loss(row.val_loss),
        *bits,
        words.loss(row.gap),
        cells.change(report, row),
    ]


def _costs(report: Report) -> str:
    head = ["Run", "Minutes", f"Times {text(report.runs[0].title)}", "Loss", "Gained each minute"]
    rows = [
        [
            text(cells.name(row)),
            cells.minutes(row),
            text(cells.times(report, row)),
            cells.change(report, row),
            cells.gained(report, row),
        ]
        for row in sorted(report.runs, key=lambda row: by_gain(row.cost))
    ]
    return table(head, rows)


def _changes(row: ReportRow) -> str:
    shown = [code(change) for change in cells.changes(row)]
    return ", ".join(filter(None, [*shown, cells.more_changes(row)]))


def _hypothesis(row: ReportRow) -> str:
    verdict = f": {words.VERDICTS[row.verdict]}" if row.hypothesis else ""
    told = {
        "Changed": _changes(row),
        "Hypothesis": text(row.hypothesis),
        "Outcome": text(row.outcome),
    }
    paragraphs = [f"**{place}.** {what}" for place, what in told.items() if what]
    return "\n\n".join([f"### {text(row.title)}{verdict}", *paragraphs])


def _samples(report: Report) -> list[str]:
    if report.sampling is None:
        return ["No run has a sample."]
    return [_drawn(report.sampling), *map(_sample, report.runs)]


def _drawn(sampling: ReportSampling) -> str:
    return (
        f"Each goes on from {code(words.prompt(sampling.prompt))}, with seed {sampling.seed} and "
        f"temperature {words.plain(sampling.temperature)}."
    )


def _sample(row: ReportRow) -> str:
    if row.sample is None:
        return f"### {text(row.title)}\n\nIt has no sample that was drawn in this way."
    return f"### {text(row.title)}, step {row.sample.step:,}\n\n{fenced(row.sample.text)}"


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {text(sentence)}" for sentence in sentences)


def _longest_run(value: str) -> int:
    return max(map(len, re.findall("`+", value)), default=0)


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
