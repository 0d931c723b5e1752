"""The tokens of a text that a run sees, and what its heads make of them."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from app.errors import InvalidRequest
from app.per_model import PerModel
from app.recent_maps import RecentMaps
from app.registry import LoadedRun, unusable
from model.attention import Kind
from model.gpt import GPT
from model.head_roles import Score, repeated_maps, repeated_scores
from model.tokenizer import UnknownCharacters


class Reader:
    """Lets runs read texts, and remembers for a while what their heads looked at.

    A text whose maps would have more numbers than `max_cells` is refused; at most `cache_bytes` of
    maps are kept. All methods may be called from any thread.
    """

    def __init__(self, max_cells: int, cache_bytes: int = 0) -> None:
        self._max_cells = max_cells
        self._recent = RecentMaps(cache_bytes)
        self._repeated = PerModel(
            lambda model: repeated_scores(repeated_maps(model), model.config.attention_window)
        )

    def read(self, loaded: LoadedRun, text: str, length: int | None = None) -> "Window":
        """The end of `text`, at most `length` tokens of it: all that the last one depends on.

        Raises InvalidRequest for a run without heads, for characters that it does not know, and for
        too many numbers.
        """
        model = loaded.model
        if not isinstance(model, GPT):
            kind = model.config.kind
            message = f"run {loaded.run.id!r} is a {kind} model, which has no attention heads"
            raise InvalidRequest(message, param="run", code="no_attention")
        count = min(length or model.reach, model.reach)
        try:
            ids, text_offset = loaded.tokenizer.encode_end(text, count)
        except UnknownCharacters as error:
            message = f"text: {error}"
            raise InvalidRequest(message, param="text", code="unknown_characters") from None
        # The model works out every head, whichever are asked for.
        cells = model.config.n_layer * model.config.n_head * len(ids) ** 2
        check_size(cells, self._max_cells, "use a shorter text")
        return Window(loaded, model, ids, text_offset, self)

    def maps(self, model: GPT, ids: list[int], kind: Kind) -> list[Tensor]:
        """As `model.attention.layer_maps`."""
        return self._recent.of(model, ids, kind)

    def repeated(self, model: GPT) -> dict[str, Score]:
        """The roles that show on repeated random tokens."""
        return self._repeated.of(model)


@dataclass(frozen=True)
class Window:
    """The last tokens of a text that a run sees."""

    loaded: LoadedRun
    model: GPT
    ids: list[int]
    text_offset: int  # characters before them
    reader: Reader

    @property
    def tokens(self) -> list[str]:
        """As a person sees them."""
        return [self.loaded.tokenizer.token_text(i) for i in self.ids]

    def maps(self, kind: Kind = "raw") -> list[Tensor]:
        """What every head looks at: float32 (H, T, T) for each layer. Raises UnusableRun."""
        maps = self.reader.maps(self.model, self.ids, kind)
        if not all(layer.sum().isfinite() for layer in maps):
            why = "its weights are so large that what they make of this text is no number"
            raise unusable(self.loaded.run.id, why)
        return maps

    def repeated(self) -> dict[str, Score]:
        """What the heads do on repeated random tokens, whatever the text."""
        return self.reader.repeated(self.model)

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


def check_size(cells: int, limit: int, advice: str) -> None:
    """Raises InvalidRequest if there are more numbers than `limit`."""
    if cells > limit:
        message = f"text: these maps have {cells:,} numbers, the limit is {limit:,}: {advice}"
        raise InvalidRequest(message, param="text", code="too_large")
