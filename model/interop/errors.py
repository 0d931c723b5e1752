"""What keeps a model from coming in or going out."""


class UnreadableModel(ValueError):
    """Files cannot be brought in as a run; the message names the file, and what to do about it.

    `param` is what was given wrong: `file`, `vocabulary`, `id` or `title`.
    """

    def __init__(self, message: str, param: str = "file") -> None:
        super().__init__(message)
        self.param = param


class NotExportable(ValueError):
    """A run cannot be taken out in that format; the message says why, and which ones it can."""
