"""Tokens by what a person sees of them."""

from app.errors import InvalidRequest
from app.reading import Window


def token_id(window: Window, text: str) -> int:
    """The id of the token that is shown as `text`. Raises InvalidRequest, naming `target`."""
    tokenizer = window.loaded.tokenizer
    for id in range(tokenizer.vocab_size):
        if tokenizer.token_text(id) == text:
            return id
    message = (
        f"target: {text!r} is not one of the {tokenizer.vocab_size:,} {tokenizer.unit} that run "
        f"{window.loaded.run.id!r} can write"
    )
    raise InvalidRequest(message, param="target", code="unknown_token")
