"""The tokens of a text that a run sees, and the run's shape."""

from dataclasses import dataclass
from typing import Any

from app.errors import InvalidRequest
from app.registry import LoadedRun
from model.gpt import GPT
from model.tokenizer import UnknownCharacters


@dataclass(frozen=True)
class Window:
    """The last tokens of a text that fit a run's context."""

    loaded: LoadedRun
    model: GPT
    ids: list[int]
    text_offset: int  # characters before them

    @property
    def tokens(self) -> list[str]:
        """As a person sees them."""
        return [self.loaded.tokenizer.token_text(i) for i in self.ids]

    def facts(self) -> dict[str, Any]:
        """The fields of `attention_schemas.Window`."""
        return {
            "run": self.loaded.run.id,
            "step": self.loaded.step,
            "tokens": self.tokens,
            "text_offset": self.text_offset,
            "n_layer": self.model.config.n_layer,
            "n_head": self.model.config.n_head,
        }

    def place(self, layer: int, head: int, param: str) -> tuple[int, int]:
        """The head, if it is there. Raises InvalidRequest."""
        for name, index, count in (
            ("layers", layer, self.model.config.n_layer),
            ("heads", head, self.model.config.n_head),
        ):
            if index >= count:
                message = f"{param}: the run has {name} 0 to {count - 1}, not {index}"
                raise InvalidRequest(message, param=param, code="invalid_value")
        return layer, head


def read(loaded: LoadedRun, text: str, length: int | None, max_cells: int) -> Window:
    """The end of `text`, at most `length` tokens of it.

    Raises InvalidRequest for a run without heads, for characters that it does not know, and where
    its maps would have more numbers than `max_cells`.
    """
    model = loaded.model
    if not isinstance(model, GPT):
        message = (
            f"run {loaded.run.id!r} is a {model.config.kind} model, which has no attention heads"
        )
        raise InvalidRequest(message, param="run", code="no_attention")
    count = min(length or model.block_size, model.block_size)
    try:
        ids, text_offset = loaded.tokenizer.encode_end(text, count)
    except UnknownCharacters as error:
        raise InvalidRequest(f"text: {error}", param="text", code="unknown_characters") from None
    # The model works out every head, whichever are asked for.
    check_size(
        model.config.n_layer * model.config.n_head * len(ids) ** 2, max_cells, "use a shorter text"
    )
    return Window(loaded, model, ids, text_offset)


def check_size(cells: int, limit: int, advice: str) -> None:
    """Raises InvalidRequest if there are more numbers than `limit`."""
    if cells > limit:
        message = f"text: these maps have {cells:,} numbers, the limit is {limit:,}: {advice}"
        raise InvalidRequest(message, param="text", code="too_large")
