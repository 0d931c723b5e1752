"""A model on its way in: received, turned into a run out of sight, and only then given its name."""

from collections.abc import Callable
from pathlib import Path

from app.errors import Conflict, InvalidRequest
from app.hidden_folder import HiddenFolder
from model.interop.errors import UnreadableModel
from model.interop.importing import bring_in, suggested_id
from model.run_folder import RunFolder
from model.tokenizer import Tokenizer


class IncomingModel(HiddenFolder):
    """Makes a run of foreign files out of sight; what is left of that goes in the end."""

    def __init__(
        self,
        checkpoints: Path,
        most_bytes: int,
        is_taken: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`is_taken` tells of ids that no folder has yet. Raises OSError."""
        super().__init__(checkpoints)
        self._checkpoints, self._most_bytes = checkpoints, most_bytes
        self._is_taken = is_taken
        self.upload = self.path / "upload"  # where to write what is received

    def bring_in(
        self,
        source: Path,
        name: str,
        id: str | None = None,
        title: str | None = None,
        vocabulary: Tokenizer | None = None,
    ) -> RunFolder:
        """Make the run of what is at `source`; `name` is what its owner calls that.

        Raises Conflict if there is a run of that id, InvalidRequest for what cannot be read,
        OSError.
        """
        id = id or suggested_id(source, name)
        place = self._checkpoints / id
        if place.exists() or self._is_taken(id):
            raise _taken(id)
        made = self.path / "made"
        made.mkdir()
        try:
            run = bring_in(
                source,
                made,
                id,
                name=name,
                title=title,
                vocabulary=vocabulary,
                most_bytes=self._most_bytes,
            )
        except UnreadableModel as error:
            raise InvalidRequest(str(error), param=error.param, code="unreadable_model") from None
        if self._is_taken(id):  # by a job, meanwhile
            raise _taken(id)
        try:
            run.path.rename(place)
        except OSError:
            if place.exists():  # another was quicker
                raise _taken(id) from None
            raise
        return RunFolder(place)


def _taken(id: str) -> Conflict:
    message = f"id: there is a run {id!r} already, or one in the making; choose another id"
    return Conflict(message, param="id", code="run_exists")
