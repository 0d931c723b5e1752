"""Where the names in a figure stand, so that none covers another."""

from collections.abc import Sequence
from typing import NamedTuple

CHARACTER = 6.6  # mean width at the figures' type size
LINE = 15.0
MOST = 24


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


class Label(NamedTuple):
    """A text's anchor at (x, y), its baseline, and the room that it takes."""

    x: float
    y: float
    anchor: str
    box: Box


def shortened(title: str, most: int = MOST) -> str:
    return title if len(title) <= most else f"{title[: most - 1].rstrip()}…"


def spread(places: Sequence[float], low: float, high: float) -> list[float]:
    """Places at least a line apart, each as near to its own as those allow, in the same order."""
    order = sorted(range(len(places)), key=places.__getitem__)
    found = list(places)
    floor = low
    for i in order:
        found[i] = floor = max(found[i], floor)
        floor += LINE
    ceiling = high
    for i in reversed(order):
        found[i] = ceiling = min(found[i], ceiling)
        ceiling -= LINE
    return found


def beside(x: float, y: float, text: str, taken: Sequence[Box], frame: Box) -> Label | None:
    """Right or left of a dot, above or below it: the first place that is free, if there is one."""
    width, apart = CHARACTER * len(text), 9.0
    level = [(side, lift) for side in ("start", "end") for lift in (0, 5, -5)]
    for anchor, lift in (*level, ("middle", -13), ("middle", 14)):
        shift = {"start": apart, "end": -apart, "middle": 0}[anchor]
        before = {"start": 0, "end": width, "middle": width / 2}[anchor]
        left, base = x + shift - before, y + 4 + lift
        box = Box(left, base - 9, left + width, base + 3)
        if _inside(box, frame) and not any(_overlap(box, other) for other in taken):
            return Label(x + shift, base, anchor, box)
    return None


def _inside(box: Box, frame: Box) -> bool:
    across = frame.left <= box.left and box.right <= frame.right
    return across and frame.top <= box.top and box.bottom <= frame.bottom


def _overlap(one: Box, other: Box) -> bool:
    across = one.left < other.right and other.left < one.right
    return across and one.top < other.bottom and other.top < one.bottom
