"""Numbers and words of a report as a person reads them, as on the page of runs."""

import math
from decimal import Decimal

from model.config import Verdict

UNKNOWN = "not known"
VERDICTS: dict[Verdict | None, str] = {
    "confirmed": "confirmed",
    "partly": "partly confirmed",
    "refuted": "refuted",
    None: "no verdict yet",
}


def grouped(count: int | None) -> str:
    """10000 -> 10,000."""
    return UNKNOWN if count is None else f"{count:,}"


def loss(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4f}"


def duration(seconds: float | None) -> str:
    """4.2 s, 45 s, 3 min 5 s, 2 h."""
    if seconds is None:
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = _rounded(seconds)
    if whole < 60:
        return f"{whole} s"
    return _in_two(whole, "min", "s") if whole < 3600 else _in_two(_rounded(whole / 60), "h", "min")


def percent(value: float) -> str:
    """Signed: +1.6 %, −4.3 %, 0.0 %."""
    sign = "" if f"{abs(value):.1f}" == "0.0" else "+" if value > 0 else "−"
    return f"{sign}{abs(value):.1f} %"


def figure(value: float) -> str:
    """Two digits, or all before the point: 0.034, 1.9, 12, 1,426."""
    return f"{_rounded(value):,}" if value >= 10 else plain(float(f"{value:.2g}"))


def plain(value: float) -> str:
    """Without an exponent, and without a point where it is whole: 10000, 0.00001."""
    whole = int(value)
    return str(whole) if whole == value else format(Decimal(repr(value)), "f")


def printable(text: str) -> str:
    """`text` with a picture in the place of every control character but tab and line feed.

    XML cannot hold the others, and a terminal would obey them.
    """
    return text.replace("\r\n", "\n").translate(_PICTURES)


def prompt(text: str) -> str:
    """What a sample went on from, with its line breaks to be seen."""
    shown = text.replace("\n", "↵").replace("\t", "⇥")
    return printable(shown) or "nothing"


def one_line(text: str) -> str:
    return printable(" ".join(text.split()))


_PICTURES = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}
_PICTURES |= dict.fromkeys((*range(0x80, 0xA0), 0xFFFE, 0xFFFF), 0xFFFD)


def _rounded(value: float) -> int:
    """Halves go up, as in a browser."""
    return math.floor(value + 0.5)


def _in_two(count: int, larger: str, smaller: str) -> str:
    many, rest = divmod(count, 60)
    return f"{many:,} {larger} {rest} {smaller}" if rest else f"{many:,} {larger}"
