"""What got slower between two runs of the benchmarks, by more than the noise.

    python bench/compare.py OLD.json NEW.json [OLD.json NEW.json ...]
    python bench/compare.py OLD_FOLDER NEW_FOLDER

Rows are matched by their names. Of each, what is compared is the first of these that both have:

- the ratio to a peer that is not ours, which ran beside it: a busy host slows both;
- the value relative to `host`, a fixed piece of work that ran beside it;
- the value.

A row has changed when the difference is more than 5 %, and more than 3 times the noise of both
sides together; where a row does not tell its noise, more than 20 %. The unit says which direction
is better: of rates and shares up, of seconds and bytes and losses down; other units are left alone,
and so are rows of the machine itself. Exits with 1 when anything got slower, or a check that held
does not hold any more.
"""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

LEAST_CHANGE = 0.05
NOISES = 3
UNKNOWN_NOISE = 0.2
HIGHER = {"share"}
TIMES = {"s", "ms", "us", "µs", "ns"}
LOWER = TIMES | {"bytes", "KB", "MB", "GB", "nats"}


@dataclass(frozen=True)
class Change:
    """`factor` is how many times better the row is now, beyond `allowed` either way."""

    name: str
    factor: float
    allowed: float
    by: str
    words: str


@dataclass
class Comparison:
    slower: list[Change] = field(default_factory=list)
    faster: list[Change] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        return bool(self.slower or self.broken)


def compare(old: Sequence[Row], new: Sequence[Row]) -> Comparison:
    """All rows of one benchmark before and now."""
    before, now = ({row["name"]: row for row in rows} for rows in (old, new))
    found = Comparison(
        new=[name for name in now if name not in before],
        gone=[name for name in before if name not in now],
        warnings=list(_warnings(old, new)),
    )
    for name in (name for name in now if name in before):
        if before[name].get("holds") is True and now[name].get("holds") is False:
            found.broken.append(name)
        change = change_of(before[name], now[name])
        if change is None:
            found.left_alone.append(name)
        elif max(change.factor, 1 / change.factor) - 1 <= change.allowed:
            found.same.append(name)
        else:
            (found.slower if change.factor < 1 else found.faster).append(change)
    return found


def change_of(old: Row, new: Row) -> Change | None:
    """How a row changed; None where that says nothing, or cannot be said."""
    if old["unit"] != new["unit"] or old.get("of_machine") or new.get("of_machine"):
        return None
    how = _measure(old, new)
    if how is None:
        return None
    by, before, now, noise = how
    if not (before > 0 and now > 0):
        return None
    words = f"{old['value']:g} -> {new['value']:g} {new['unit']}, {by}"
    return Change(new["name"], now / before, noise, by, words)


def _measure(old: Row, new: Row) -> tuple[str, float, float, float] | None:
    """By what they are compared, the two numbers, larger being better, and what is allowed."""
    rows = (old, new)
    if all(row.get("ratio") and not row.get("own_peer") for row in rows):
        before, now = (float(row["ratio"]) for row in rows)
        return f"{before:g} -> {now:g} times its peer", before, now, _allowed("ratio_noise", *rows)
    unit = old["unit"]
    if unit.endswith("/s") or unit in HIGHER:
        values = [float(row["value"]) for row in rows]
    elif unit in LOWER and all(row["value"] for row in rows):
        values = [1 / float(row["value"]) for row in rows]
    else:
        return None
    allowed, by = _allowed("noise", *rows), "by its value"
    if (unit.endswith("/s") or unit in TIMES) and all(row.get("host") for row in rows):
        values = [value / float(row["host"]) for value, row in zip(values, rows, strict=True)]
        by = "relative to the host's speed"
    return by, values[0], values[1], allowed


def _allowed(key: str, old: Row, new: Row) -> float:
    noises = [row.get(key, row.get("noise")) for row in (old, new)]
    if any(noise is None for noise in noises):
        return UNKNOWN_NOISE
    return max(LEAST_CHANGE, NOISES * math.hypot(*(float(noise) for noise in noises)))


def _warnings(old: Sequence[Row], new: Sequence[Row]) -> Iterator[str]:
    for key in ("machine", "torch", "python"):
        was, is_now = (sorted({row[key] for row in rows if key in row}) for rows in (old, new))
        if was and is_now and was != is_now:
            yield f"another {key}: {', '.join(was)} -> {', '.join(is_now)}"
    machine = {row["name"]: row["value"] for row in old if row.get("of_machine")}
    for row in new:
        change = row["value"] / machine.get(row["name"], row["value"]) - 1
        if row["name"] in machine and abs(change) > LEAST_CHANGE:
            now = f"{row['value']:g} {row['unit']}"
            yield f"the machine itself: {row['name']} {change:+.0%}, {now}"


def report(title: str, found: Comparison) -> str:
    lines = [title]
    lines += [f"  note: {warning}" for warning in found.warnings]
    for word, changes in (("SLOWER", found.slower), ("faster", found.faster)):
        for change in sorted(changes, key=lambda change: change.factor):
            lines.append(
                f"  {word}: {change.name} x {change.factor:.2f} ({change.words};"
                f" {change.allowed:.0%} is noise)"
            )
    lines += [f"  DOES NOT HOLD any more: {name}" for name in found.broken]
    lines += [f"  gone: {name}" for name in found.gone]
    lines += [f"  new: {name}" for name in found.new]
    lines.append(f"  within the noise: {len(found.same)}; not compared: {len(found.left_alone)}")
    return "\n".join(lines)


def pairs(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Of folders, each file of the old one and its like in the new one.

    Raises ValueError for an odd number.
    """
    if not paths or len(paths) % 2:
        raise ValueError("name pairs of files or folders: OLD NEW")
    for old, new in zip(paths[::2], paths[1::2], strict=True):
        if old.is_dir() and new.is_dir():
            yield from ((path, new / path.name) for path in sorted(old.glob("*.json")))
        else:
            yield old, new


def main(arguments: Sequence[str]) -> int:
    try:
        files = list(pairs([Path(argument) for argument in arguments]))
    except ValueError as error:
        print(f"{error}\n\n{__doc__}", file=sys.stderr)
        return 2
    if not files:
        print("no earlier results to compare with")
    fails = False
    for old, new in files:
        if not new.exists():
            print(f"{old} -> nothing: {new} is not there")
            continue
        found = compare(*(json.loads(path.read_text("utf-8")) for path in (old, new)))
        print(report(f"{old} -> {new}", found))
        fails |= found.fails
    return 1 if fails else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
