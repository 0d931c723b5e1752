"""Edits the notes of a run: its hypothesis, what came of it, and the verdict."""

from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.errors import Conflict, InvalidRequest, NoRoom
from app.examples import kept
from app.registry import Run, unusable
from model.config import Note, Verdict
from model.run_folder import BrokenRun
from model.run_notes import Notes, NotesChanged, edit_notes
from model.state_folder import RunBusy


def _not_null(value: Any) -> Any:
    if value is None:
        raise ValueError('give a text, or "" for none')
    return value


Text = Annotated[Note, BeforeValidator(_not_null)]


class NotesRead(BaseModel):
    """Some of a run's notes as somebody has read them."""

    model_config = ConfigDict(extra="forbid")

    hypothesis: Text = Field("", description="What was expected, and why.")
    outcome: Text = Field("", description="What happened.")
    verdict: Verdict | None = Field(None, description="On the hypothesis; null for none.")

    def given(self) -> Notes:
        """Those that were sent."""
        return cast("Notes", self.model_dump(include=Notes.__annotations__, exclude_unset=True))


class NotesEdit(NotesRead):
    """What is to change: a note that is left out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                kept(
                    {
                        "outcome": "Validation loss 2 % lower, for twice the time. One seed.",
                        "verdict": "confirmed",
                        "if_unchanged": {"outcome": "", "verdict": None},
                    }
                )
            ]
        }
    )

    if_unchanged: NotesRead | None = Field(
        None,
        description="Notes as they were read: with one that differs by now the edit is refused.",
    )


def change_notes(run: Run, edit: NotesEdit, training: bool) -> None:
    """Write the edit into the run's folder; `training` tells whether a job has the run.

    Raises InvalidRequest, Conflict, UnusableRun, and NoRoom where the disk refuses.
    """
    changes, read = edit.given(), edit.if_unchanged
    if not changes:
        message = "there is nothing to change: send hypothesis, outcome or verdict"
        raise InvalidRequest(message, code="no_changes")
    if training:
        raise _being_trained(run)
    try:
        edit_notes(run.folder, changes, read.given() if read else None)
    except RunBusy:
        raise _being_trained(run) from None
    except NotesChanged as error:
        message = f"{error.name}: somebody has changed it meanwhile; read it again"
        raise Conflict(message, param=error.name, code="notes_changed") from None
    except BrokenRun as error:
        raise unusable(run.id, str(error)) from None
    except OSError as error:
        message = (
            f"the notes of {run.id!r} cannot be kept: {error.strerror}; "
            "see that the server may write into the run's folder, and that the disk has room"
        )
        raise NoRoom(message, code="disk") from None


def _being_trained(run: Run) -> Conflict:
    message = f"run {run.id!r} is being trained: its notes can be edited once it is done"
    return Conflict(message, param="run", code="run_training")
