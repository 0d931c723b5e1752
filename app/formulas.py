"""Formulas written in LaTeX, as MathML, which browsers set themselves.

Jinja filters, for a formula within a line and on a line of its own:
`{% filter tex %}q_i{% endfilter %}`, `{% filter tex_block %}q_i{% endfilter %}`.
"""

from functools import cache

from latex2mathml.converter import convert
from markupsafe import Markup


@cache
def tex(latex: str) -> Markup:
    """A formula within a line."""
    return _formula(latex, "inline")


@cache
def tex_block(latex: str) -> Markup:
    """A formula on a line of its own, which can be scrolled where it is too wide."""
    return Markup('<div class="formula" tabindex="0">{}</div>').format(_formula(latex, "block"))


def _formula(latex: str, display: str) -> Markup:
    # It stands in a page's source, where `<` is well written as `&lt;`.
    source = Markup(latex).unescape().strip()  # noqa: S704 (only templates have formulas)
    return Markup(convert(source, display=display))  # noqa: S704
