"""A report from run folders."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal

from app.registry import Run
from app.report.conclusion import conclusion
from app.report.cost import change_percent, cost, finite, is_measured, same_text
from app.report.differences import differences
from app.report.schemas import (
    Report,
    ReportPoint,
    ReportRow,
    ReportSample,
    ReportSampling,
)
from app.run_listing import RunSummary, summary
from model.run_folder import Sample

CHANCE = "Each run is one draw of its seed, so a small difference may be chance."


def build(runs: Sequence[Run], reference: Run, training: Collection[str] = ()) -> Report:
    """Each of `runs` against `reference`, which comes first whether it is among them or not.

    `training` are the ids of those that are not at their end. Reads their histories from the disk.
    Raises UnusableRun.
    """
    chosen = [reference, *(run for run in runs if run.id != reference.id)]
    known = [summary(run, training) for run in chosen]
    histories = [run.samples() for run in chosen]
    sampling = next((_sampling(samples[-1]) for samples in histories if samples), None)
    rows = [
        _row(run, it, known[0], _sample(samples, sampling))
        for run, it, samples in zip(chosen, known, histories, strict=True)
    ]
    return Report(
        title="Tuning report",
        reference=reference.id,
        unit=_unit(known),
        compare_bits=len({run.tokenizer for run in known if is_measured(run)}) > 1,
        conclusion=conclusion(rows),
        notes=_notes(known),
        sampling=sampling,
        runs=rows,
    )


def _row(
    run: Run, known: RunSummary, reference: RunSummary, sample: ReportSample | None
) -> ReportRow:
    train, val = finite(known.train_loss), finite(known.val_loss)
    imported = run.config.imported
    return ReportRow(
        id=run.id,
        title=known.title,
        changes=differences(known, reference),
        params=known.params,
        steps=run.last.step if run.last else imported.steps if imported else None,
        wall_time_s=known.wall_time_s,
        train_loss=train,
        val_loss=val,
        val_bits_per_character=finite(known.val_bits_per_character),
        change_percent=change_percent(known, reference),
        gap=val - train if val is not None and train is not None else None,
        estimate=known.estimate,
        device=known.device,
        training=known.training,
        hypothesis=known.hypothesis,
        outcome=known.outcome,
        verdict=known.verdict,
        cost=cost(known, reference),
        curve=[
            ReportPoint(
                step=metric.step,
                train_loss=finite(metric.train_loss),
                val_loss=finite(metric.val_loss),
            )
            for metric in run.metrics()
        ],
        sample=sample,
    )


def _sample(samples: Sequence[Sample], sampling: ReportSampling | None) -> ReportSample | None:
    """The last one that was drawn in that way."""
    for sample in reversed(samples):
        if _sampling(sample) == sampling:
            return ReportSample(step=sample.step, text=sample.text)
    return None


def _sampling(sample: Sample) -> ReportSampling:
    return ReportSampling(prompt=sample.prompt, seed=sample.seed, temperature=sample.temperature)


def _unit(runs: Sequence[RunSummary]) -> Literal["nats per character", "nats per token"]:
    characters = all(run.tokenizer == "character" for run in runs if is_measured(run))
    return "nats per character" if characters else "nats per token"


def _notes(runs: Sequence[RunSummary]) -> list[str]:
    reference, *others = runs
    measured = [run for run in runs if is_measured(run)]
    in_tokens = [run for run in measured if run.tokenizer != "character"]
    elsewhere = [run for run in others if is_measured(run) and not same_text(run, reference)]
    told = [
        _told(in_tokens, "Losses per token, where tokens are not characters"),
        _told(elsewhere, f"Not known to be on the text of {reference.title}, so not compared"),
        _told([run for run in runs if run.training], "Still training, so the figures are so far"),
        _told([run for run in runs if not is_measured(run)], "Brought in without losses"),
        _devices(runs),
        CHANCE if len(measured) > 1 else "",
    ]
    return [note for note in told if note]


def _told(runs: Sequence[RunSummary], what: str) -> str:
    return f"{what}: {', '.join(run.title for run in runs)}." if runs else ""


def _devices(runs: Sequence[RunSummary]) -> str:
    """Why their minutes may not compare; empty where nothing speaks against it."""
    timed = [run for run in runs if run.wall_time_s is not None]
    counts = Counter(run.device or "a device that was not recorded" for run in timed)
    if len(counts) < 2:
        return ""
    each = (f"{device} ({count} run{'s' * (count > 1)})" for device, count in counts.items())
    return f"Minutes compare on the same device only. These were measured on {', '.join(each)}."
