"""`PATCH /api/runs/{id}`: what was expected of a run, what came of it, and the verdict."""

from fastapi import APIRouter

from app.answers import refusals
from app.deps import QueueDep, RegistryDep
from app.notes import NotesEdit, change_notes
from app.run_listing import RunSummary, summary
from app.schemas import Name

router = APIRouter(prefix="/api", tags=["Runs"])


@router.patch(
    "/runs/{id}",
    summary="Edit a run's notes",
    responses=refusals(
        {
            404: "There is no such run.",
            409: "It is being trained, or a note is not what `if_unchanged` says.",
            503: "The run's folder is broken.",
            507: "The folder cannot be written to.",
        }
    ),
)
def edit_notes(id: Name, body: NotesEdit, registry: RegistryDep, queue: QueueDep) -> RunSummary:
    """Change the hypothesis, the outcome or the verdict, in the run's folder; all else stays.

    With `if_unchanged` nobody's newer words are written over. A run's model stays loaded.
    """
    training = queue.run_ids()
    change_notes(registry.run(id), body, id in training)
    return summary(registry.run(id), training)
