"""docs/settings.md lists every setting with its default, and no other."""

import re
from pathlib import Path
from typing import Any

from app.settings import ROOT, Settings

ROW = re.compile(r"^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
DOCS = ROOT / "docs"


def shown(default: Any) -> str:
    """As the page has it."""
    if default in (None, ()):
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, Path):
        return str(default.relative_to(ROOT))
    return str(default)


def rows() -> list[tuple[str, str, str]]:
    return ROW.findall((DOCS / "settings.md").read_text("utf-8"))


def test_every_setting_is_listed_once_with_its_default() -> None:
    listed = {name.lower(): default for name, default, _ in rows()}
    assert len(listed) == len(rows()), "one is listed twice"
    assert listed == {name: shown(field.default) for name, field in Settings.model_fields.items()}


def test_every_setting_says_what_it_means() -> None:
    for name, _, meaning in rows():
        assert len(meaning) > 10, name
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_no_other_page_speaks_of_a_setting_that_is_not_there() -> None:
    names = {f"SIDELIGHT_{name.upper()}" for name in Settings.model_fields}
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        spoken_of = set(re.findall(r"SIDELIGHT_[A-Z_]*[A-Z]", page.read_text("utf-8")))
        assert spoken_of <= names, page.name
