"""A report as HTML: what the page shows, and one file that needs nothing else."""

from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from app.report import cells, words
from app.report.cost import by_gain
from app.report.figures import cost, curves, markup
from app.report.schemas import Report
from app.report.theme import page_style
from app.settings import ROOT


def document(report: Report) -> str:
    """One file: no script, nothing from elsewhere, its own style, for the screen and for paper."""
    style = Markup("<style>\n{}\n</style>").format(Markup(page_style()))  # noqa: S704 (our own)
    return _templates().get_template("report_file.html").render(parts(report) | {"style": style})


def parts(report: Report) -> dict[str, Any]:
    """What templates/_partials/report_body.html needs; it escapes all that somebody wrote."""
    return {
        "report": report,
        "by_gain": sorted(report.runs, key=lambda row: by_gain(row.cost)),
        "figures": {
            "curves": Markup(markup(curves(report))),  # noqa: S704 (an XML tree, escaped)
            "cost": Markup(markup(cost(report))),  # noqa: S704
        },
        "words": words,
        "cells": cells,
    }


@lru_cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(ROOT / "templates"), autoescape=True, trim_blocks=True
    )
