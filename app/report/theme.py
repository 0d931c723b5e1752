"""The pages' own rules and colours, for files that have to carry them along."""

import re

from app.settings import ROOT

STYLES = ROOT / "static" / "css"
DARK = "@media screen and (prefers-color-scheme: dark)"

PROPERTY = re.compile(r"(--[\w-]+):\s*([^;]+);")
USE = re.compile(r"var\((--[\w-]+)\)")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
BLOCK = r":root{} \{{(.*?)\}}"

Properties = dict[str, str]


def page_style() -> str:
    """All that a report needs that is one HTML file: dark where the reader's system is, on screen.

    Of the custom properties only those that are used.
    """
    rules = "\n".join(_read(name) for name in ("report_file", "report", "report_figure"))
    light, dark = _themes()
    return "\n".join(
        (
            f":root {{\n  color-scheme: light;\n{_listed(light, rules)}}}",
            f"{DARK} {{\n:root {{\n  color-scheme: dark;\n{_listed(dark, rules)}}}\n}}",
            rules,
        )
    )


def figure_style() -> str:
    """The same for a figure that is a file; with plain colours, as not every viewer knows more."""
    rules = _unwrapped(_read("report_figure"))
    light, dark = _themes()
    return f"\n{_filled(rules, light)}\n{DARK} {{\n{_filled(rules, light | dark)}\n}}\n"


def _themes() -> tuple[Properties, Properties]:
    """The custom properties, and those that are other ones in the dark."""
    tokens = _read("tokens")
    light = re.search(BLOCK.format(""), tokens, re.DOTALL)
    dark = re.search(BLOCK.format(r'\[data-theme="dark"\]'), tokens, re.DOTALL)
    if light is None or dark is None:
        raise ValueError("static/css/tokens.css: there must be a block for each theme")
    return dict(PROPERTY.findall(light[1])), dict(PROPERTY.findall(dark[1]))


def _read(name: str) -> str:
    return COMMENT.sub("", (STYLES / f"{name}.css").read_text("utf-8")).strip()


def _listed(properties: Properties, rules: str) -> str:
    used = set(USE.findall(rules))
    while (
        more := {other for name in used for other in USE.findall(properties.get(name, ""))} - used
    ):
        used |= more
    return "".join(f"  {name}: {value};\n" for name, value in properties.items() if name in used)


def _filled(rules: str, properties: Properties) -> str:
    return USE.sub(lambda use: properties[use[1]], rules)


def _unwrapped(rules: str) -> str:
    """Without the layer, which a file needs not."""
    inner = re.fullmatch(r"@layer components \{(.*)\}", rules, re.DOTALL)
    if inner is None:
        raise ValueError("static/css/report_figure.css: it must be one layer")
    return inner[1].strip()
