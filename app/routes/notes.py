"""`PATCH /api/runs/{id}`: what was expected of a run, what came of it, and the verdict."""

from fastapi import APIRouter

from app.deps import QueueDep, RegistryDep
from app.errors import ErrorReply
from app.notes import NotesEdit, change_notes
from app.run_listing import RunSummary, summary

router = APIRouter(prefix="/api", tags=["Runs"])


@router.patch(
    "/runs/{id}",
    summary="Edit a run's notes",
    responses={
        404: {"model": ErrorReply, "description": "There is no such run."},
        409: {
            "model": ErrorReply,
            "description": "It is being trained, or a note is not what `if_unchanged` says.",
        },
        422: {"model": ErrorReply, "description": "A field cannot be used; `param` names it."},
        503: {"model": ErrorReply, "description": "The run's folder is broken."},
        507: {"model": ErrorReply, "description": "The folder cannot be written to."},
        "default": {"model": ErrorReply, "description": "Any other error."},
    },
)
def patch_run(id: str, body: NotesEdit, registry: RegistryDep, queue: QueueDep) -> RunSummary:
    """Change the hypothesis, the outcome or the verdict, in the run's folder; all else stays.

    With `if_unchanged` nobody's newer words are written over. A run's model stays loaded.
    """
    training = queue.run_ids()
    change_notes(registry.run(id), body, id in training)
    return summary(registry.run(id), training)
