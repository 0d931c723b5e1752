"""The tuning report of the shipped runs, beside the exercise's own figures: docs/report.md.

python bench/report.py    write it and its two figures
"""

from pathlib import Path

from app.registry import Registry
from app.report import markdown
from app.report.contents import build
from app.report.schemas import Report, ReportRow
from app.report.words import duration, figure, percent

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "report.md"
# A run of one's own may lie in the folder too.
SHIPPED = ("baseline", "case-1", "case-2", "case-3", "one-head", "modern", "bigram", "ngram")
# What the exercise reports of each: training and validation loss, and seconds.
EXERCISE = {
    "baseline": (1.6647, 1.8235, 358),
    "case-1": (1.5636, 1.7391, 691),
    "case-2": (1.6021, 1.7830, 345),
    "case-3": (1.6844, 1.8442, 513),
}

BEGINNING = """\
# Tuning report: the shipped runs

Each changes something about the baseline, with the hypothesis written down first.
[runs.md](runs.md) says how the runs are measured; the exercise that four of them repeat has its
figures [below](#beside-the-exercises-own-figures). `sidelight report` and the page `/runs/report`
make such a report of any runs; `bench/report.py` wrote this one.

"""
BESIDE = """
## Beside the exercise's own figures

The exercise reports four of these runs. Losses in this table are by its own estimate, there and
here: the mean over 200 random batches of each split, at the last step.

{table}

- **Order and differences.** {order} Against
  its baseline, each change moves the validation loss here by {points} percentage points
  more or less than there.
- **Level.** Every run here ends {least:.3f} to {most:.3f} lower. The estimate's own chance, a
  standard deviation of 0.006, is too small for that in all four. The seed, which all four share
  here, moves a run by as much, and so may how attention scores are scaled:
  [runs.md](runs.md#beside-the-exercises-own-figures) has what was measured.
- **Time.** The exercise names no hardware; here it was {device}, a virtual machine.
  That these runs took {quickest} to {slowest} % of the time there says nothing of either program.
  The exercise's script, timed here, does: [How fast training is](runs.md#how-fast-training-is).
- **What the clock covers.** There, training waits for each evaluation. 51 of them over 400 batches
  are 20,400 forward passes, beside 5,000 steps that cost about three each: more than half of the
  work. Here evaluation runs in another thread beside training, and the estimate is taken at the
  last step only.

### Why twice the context cost no time there

`case-2` sees twice as many characters at each step. Here it took {case_2_here} times the baseline's
time: two cores spend most of a step on arithmetic, and that doubles. There it took {case_2_there}
times, less than the baseline itself.

- **What can be said.** On that machine the time of a step did not depend on the characters in it,
  so little of it was arithmetic. It did depend on the steps ({case_1_there} times for twice as
  many) and on the heads ({case_3_there} times for twice as many; here {case_3_here}). Time that
  goes with the number of operations and not with their size fits a GPU that batches this small
  leave idle, and heads that are a module each.
- **What cannot.** That it was a GPU: the exercise does not say. That a longer context is free: it
  was at this size, there. That `case-2` is quicker than the baseline: each run was timed once, and
  {seconds} seconds out of {of} may be chance.
"""


def pages() -> dict[Path, str]:
    """The report and its figures, as they should be."""
    registry = Registry(ROOT / "checkpoints", 0)
    there = {run.id for run in registry.runs()}
    runs = [registry.run(id) for id in SHIPPED if id in there]
    report = build(runs, runs[0])
    figures = markdown.figure_files(report)
    names = {name: f"{PAGE.stem}-{name}.svg" for name in figures}
    text = BEGINNING + markdown.body(report, names) + beside(report)
    return {PAGE: text} | {PAGE.with_name(names[name]): svg for name, svg in figures.items()}


def beside(report: Report) -> str:
    """The four runs that the exercise has as well."""
    rows = {row.id: row for row in report.runs if row.id in EXERCISE}
    mine = {id: _estimate(row)[1] for id, row in rows.items()}
    theirs = {id: val for id, (_, val, _) in EXERCISE.items()}
    lower = [theirs[id] - mine[id] for id in EXERCISE]
    apart = [abs(_change(theirs, id) - _change(mine, id)) for id in EXERCISE if id != "baseline"]
    shares = [_seconds(rows[id]) / seconds for id, (*_, seconds) in EXERCISE.items()]
    there = {id: EXERCISE[id][2] / EXERCISE["baseline"][2] for id in EXERCISE}
    here = {id: _seconds(rows[id]) / _seconds(rows["baseline"]) for id in EXERCISE}
    return BESIDE.format(
        table=_table(rows, mine, theirs),
        order=_order(mine, theirs),
        points=f"{min(apart):.1f} to {max(apart):.1f}",
        least=min(lower),
        most=max(lower),
        device=rows["baseline"].device,
        quickest=figure(100 * min(shares)),
        slowest=figure(100 * max(shares)),
        case_1_there=figure(there["case-1"]),
        case_2_there=f"{there['case-2']:.2f}",
        case_2_here=figure(here["case-2"]),
        case_3_there=figure(there["case-3"]),
        case_3_here=figure(here["case-3"]),
        seconds=EXERCISE["baseline"][2] - EXERCISE["case-2"][2],
        of=EXERCISE["baseline"][2],
    )


def _table(rows: dict[str, ReportRow], mine: dict[str, float], theirs: dict[str, float]) -> str:
    head = ["Run"]
    for what in ("training loss", "validation loss", "to baseline", "wall time"):
        head += [f"{what}: there", "here"]
    return markdown.table(
        head,
        [
            [
                f"`{id}`",
                f"{train:.4f}",
                f"{_estimate(rows[id])[0]:.4f}",
                f"{val:.4f}",
                f"{mine[id]:.4f}",
                percent(_change(theirs, id)),
                percent(_change(mine, id)),
                duration(seconds),
                duration(_seconds(rows[id])),
            ]
            for id, (train, val, seconds) in EXERCISE.items()
        ],
    )


def _order(mine: dict[str, float], theirs: dict[str, float]) -> str:
    ours, other = (sorted(losses, key=losses.__getitem__) for losses in (mine, theirs))
    if ours == other:
        return f"The order is the same, from the lowest loss: {', '.join(ours)}."
    return f"From the lowest loss: {', '.join(other)} there, {', '.join(ours)} here."


def _change(losses: dict[str, float], id: str) -> float:
    """Per cent above the baseline's."""
    return 100 * (losses[id] / losses["baseline"] - 1)


def _estimate(row: ReportRow) -> tuple[float, float]:
    assert row.estimate, f"{row.id} has no estimate in metrics.jsonl"
    return row.estimate.train_loss, row.estimate.val_loss


def _seconds(row: ReportRow) -> float:
    assert row.wall_time_s, f"{row.id} has no time in metrics.jsonl"
    return row.wall_time_s


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
        print(f"{path.relative_to(ROOT)} is written")
