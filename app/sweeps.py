"""From one request to many runs: several presets, a grid of values, or values drawn at random."""

import difflib
import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from app.errors import InvalidRequest
from app.jobs.requests import JobRequest, WantedConfiguration
from app.sweep_request import LONGEST_PREFIX, LONGEST_TITLE, Draw, RandomSearch, SweepRequest
from model.config import RunPlan
from model.presets import PRESETS

LONGEST_ID = 64
DRAWS_PER_RUN = 100  # before a random sweep gives up on finding others that are valid
DRAWN_DIGITS = 3  # significant ones; enough to search with, and short enough to read


@dataclass(frozen=True)
class SweptRun:
    """A run of a sweep, as it would be asked for alone."""

    values: dict[str, Any]  # by field; in these the sweep's runs differ
    request: JobRequest


@dataclass(frozen=True)
class Expansion:
    """All that a sweep asks for."""

    title: str
    fields: list[str]
    runs: list[SweptRun]


@dataclass(frozen=True)
class Combination:
    """Values of the fields that vary, and the configuration that they give."""

    values: dict[str, Any]
    configuration: WantedConfiguration


class Mismatch(Exception):
    """Values that are right, each for itself, but not together; `field` is one of them."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def expand(request: SweepRequest, is_taken: Callable[[str], bool] = lambda _: False) -> Expansion:
    """The runs of a sweep: presets as listed, a grid's last field fastest, others as drawn.

    Run ids begin with the request's own, or with a name of which `is_taken` says that none of the
    ids it gives is in use. Presets that are not given one have none. Raises InvalidRequest, naming
    the field.
    """
    if request.presets is not None:
        return _of_presets(request, request.presets)
    base, base_title = _base(request)
    if request.grid is not None:
        combinations = _grid(base, request.grid, request)
    else:
        assert request.random is not None
        combinations = _drawn(base, request.random, request)
    title = request.title or base_title
    ids = _run_ids(request, [combination.values for combination in combinations], is_taken)
    runs = [
        SweptRun(
            combination.values,
            JobRequest(
                config=combination.configuration,
                run_id=run_id,
                title=_shortened(f"{title}: {_described(combination.values)}"),
                hypothesis=request.hypothesis,
                corpus=request.corpus,
                tokenizer=request.tokenizer,
                device=request.device,
            ),
        )
        for combination, run_id in zip(combinations, ids, strict=True)
    ]
    fields = list(combinations[0].values)
    names = " and ".join(map(_short, fields))
    return Expansion(request.title or _shortened(f"{base_title}: {names}"), fields, runs)


# Presets


def _of_presets(request: SweepRequest, ids: list[str]) -> Expansion:
    """Each with its own title and hypothesis; their values are those in which they differ."""
    _require_few(len(ids), request.limit)
    if repeated := _repeated(ids):
        raise _invalid("presets", f"{repeated[0]!r} is there twice")
    presets = [_preset(id, "presets") for id in ids]
    flat = [_flat(preset) for preset in presets]
    # What only some of the families have is no difference between these runs: `model.kind` is.
    common = [name for name in flat[0] if all(name in values for values in flat)]
    fields = [name for name in common if len({values[name] for values in flat}) > 1]
    runs = [
        SweptRun(
            {field: values[field] for field in fields},
            JobRequest(
                preset=preset.id,
                run_id=f"{request.run_id}.{preset.id}" if request.run_id else None,
                corpus=request.corpus,
                tokenizer=request.tokenizer,
                device=request.device,
            ),
        )
        for preset, values in zip(presets, flat, strict=True)
    ]
    title = request.title or _shortened(", ".join(preset.title for preset in presets))
    return Expansion(title, fields, runs)


def _preset(id: str, param: str) -> RunPlan:
    if id not in PRESETS:
        message = f"{param}: there is no {id!r}; there are {', '.join(PRESETS)}"
        raise InvalidRequest(message, param=param, code="unknown_preset")
    return PRESETS[id]


def _flat(preset: RunPlan) -> dict[str, Any]:
    """Every hyperparameter by its dotted name."""
    parts = {"model": preset.model, "train": preset.train}
    return {f"{part}.{name}": value for part, config in parts.items() for name, value in config}


# Grids


def _base(request: SweepRequest) -> tuple[WantedConfiguration, str]:
    """What all runs have in common, and a title."""
    if request.preset is None:
        assert request.config is not None
        return request.config, "Sweep"
    preset = _preset(request.preset, "preset")
    return WantedConfiguration(model=preset.model, train=preset.train), preset.title


def _grid(
    base: WantedConfiguration, grid: Mapping[str, list[Any]], request: SweepRequest
) -> list[Combination]:
    """Every combination; one that is invalid refuses the whole grid."""
    _require_few(math.prod(map(len, grid.values())), request.limit)
    checked = {}
    for field, values in grid.items():
        checked[field] = _checked_values(base, field, values, f"grid.{field}", request)
    combinations = []
    for chosen in itertools.product(*checked.values()):
        combination = dict(zip(checked, chosen, strict=True))
        try:
            combinations.append(_combination(base, combination))
        except Mismatch as mismatch:
            message = f"{_described(combination)} cannot be trained: {mismatch}"
            raise _invalid(f"grid.{mismatch.field}", message) from None
    return combinations


def _checked_values(
    base: WantedConfiguration, field: str, values: list[Any], param: str, request: SweepRequest
) -> list[Any]:
    """The values as the configuration takes them; raises InvalidRequest if it does not."""
    info = _field_info(base, field, param, request)
    checked = [_checked(info, value, param) for value in values]
    if repeated := _repeated(checked):
        raise _invalid(param, f"{_written(repeated[0])} is there twice")
    return checked


def _checked(info: FieldInfo, value: Any, param: str) -> Any:
    bounded: Any = Annotated[info.annotation, info]
    try:
        return TypeAdapter(bounded).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise _invalid(param, f"{value!r}: {message[:1].lower()}{message[1:]}") from None


def _field_info(
    base: WantedConfiguration, field: str, param: str, request: SweepRequest
) -> FieldInfo:
    """How the configuration describes a field. Raises InvalidRequest if it cannot vary."""
    known = {
        f"{part}.{name}": info
        for part, config in (("model", base.model), ("train", base.train))
        for name, info in type(config).model_fields.items()
        if name != "kind"
    }
    if field not in known:
        by_name = {name: name for name in known} | {_short(name): name for name in known}
        close = difflib.get_close_matches(field, by_name, n=1)
        hint = f"; the closest is {by_name[close[0]]!r}" if close else ""
        message = f"{param}: training a {base.model.kind} model has no such field{hint}"
        raise InvalidRequest(message, param=param, code="unknown_field")
    if field == "model.vocab_size" and request.tokenizer != "bpe":
        raise _invalid(param, "the text decides it; it can vary where tokenizer is bpe")
    return known[field]


def _combination(base: WantedConfiguration, values: dict[str, Any]) -> Combination:
    """The base with these values instead of its own. Raises Mismatch."""
    parts: dict[str, Any] = {}
    for part, config in (("model", base.model), ("train", base.train)):
        changes = {_short(name): v for name, v in values.items() if name.startswith(f"{part}.")}
        try:
            parts[part] = type(config).model_validate(config.model_dump() | changes)
        except ValidationError as error:
            problem = error.errors()[0]
            named = str(problem.get("ctx", {}).get("field", ""))
            message = f"{named}: {problem['msg']}"
            blamed = next((name for name in changes if name in message), next(iter(changes)))
            raise Mismatch(f"{part}.{blamed}", message) from None
    return Combination(values, WantedConfiguration(**parts))


# Random values


def _drawn(
    base: WantedConfiguration, search: RandomSearch, request: SweepRequest
) -> list[Combination]:
    """As many different, valid combinations as are asked for; others are drawn again."""
    _require_few(search.count, request.limit)
    draws = {
        field: _draw(base, field, wanted, f"random.fields.{field}", request)
        for field, wanted in search.fields.items()
    }
    generator = random.Random(search.seed)
    combinations: list[Combination] = []
    last = "there are too few values to draw from"
    for _ in range(search.count * DRAWS_PER_RUN):
        values = {field: draw(generator.random()) for field, draw in draws.items()}
        if any(values == other.values for other in combinations):
            continue
        try:
            combinations.append(_combination(base, values))
        except Mismatch as mismatch:
            last = f"{_described(values)}, for one, cannot: {mismatch}"
        if len(combinations) == search.count:
            return combinations
    found = f"only {len(combinations)} of {search.count} were found that differ and can be trained"
    raise _invalid("random.count", f"{found}; {last}")


Drawing = Callable[[float], Any]  # from a number in [0, 1) to a value


def _draw(
    base: WantedConfiguration, field: str, wanted: Draw, param: str, request: SweepRequest
) -> Drawing:
    if wanted.values is not None:
        values = _checked_values(base, field, wanted.values, f"{param}.values", request)
        return lambda share: values[int(share * len(values))]
    assert wanted.min is not None
    assert wanted.max is not None
    info = _field_info(base, field, param, request)
    low = _checked(info, wanted.min, f"{param}.min")
    high = _checked(info, wanted.max, f"{param}.max")
    numbers = {type(low), type(high)}
    if numbers == {int}:
        return _integers(low, high, log=wanted.log)
    if numbers == {float}:
        return _floats(low, high, log=wanted.log)
    raise _invalid(param, "a range is for numbers; give values")


def _integers(low: int, high: int, *, log: bool) -> Drawing:
    """Both ends included; in a logarithmic range n is drawn as often as anything in [n, n + 1)."""
    between = _between(low, high + 1, log=log)
    return lambda share: min(high, int(between(share)))


def _floats(low: float, high: float, *, log: bool) -> Drawing:
    between = _between(low, high, log=log)
    return lambda share: min(high, max(low, float(f"{between(share):.{DRAWN_DIGITS}g}")))


def _between(low: float, high: float, *, log: bool) -> Callable[[float], float]:
    if log:
        return lambda share: low * (high / low) ** share
    return lambda share: low + (high - low) * share


# Names


def _run_ids(
    request: SweepRequest, combinations: Sequence[dict[str, Any]], is_taken: Callable[[str], bool]
) -> list[str]:
    """With the values in them, as `sweep.n_head-8.learning_rate-0.003`; else numbered."""
    if request.run_id:
        return _ids_from(request.run_id, combinations)
    for prefix in _prefixes(request.title or request.preset or "sweep"):
        ids = _ids_from(prefix, combinations)
        if not any(map(is_taken, ids)):
            return ids
    raise AssertionError("there is no end to numbers")


def _ids_from(prefix: str, combinations: Sequence[dict[str, Any]]) -> list[str]:
    ids = [
        ".".join([prefix, *(f"{_short(field)}-{_word(value)}" for field, value in values.items())])
        for values in combinations
    ]
    if len(set(ids)) == len(ids) and max(map(len, ids)) <= LONGEST_ID:
        return ids
    digits = len(str(len(ids)))
    return [f"{prefix}.{number:0{digits}}" for number in range(1, len(ids) + 1)]


def _prefixes(name: str) -> Iterator[str]:
    """The name as the beginning of an id, then with 2, 3 … behind it."""
    word = _word(name)[: LONGEST_PREFIX - 6].rstrip("-._") or "sweep"
    yield word
    for number in itertools.count(2):
        yield f"{word}-{number}"


def _word(value: Any) -> str:
    """Of the characters that a run id may have."""
    return re.sub(r"[^a-z0-9._-]+", "-", _written(value).lower()).strip("-._")


def _described(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_short(field)} {_written(value)}" for field, value in values.items())


def _written(value: Any) -> str:
    """As it stands in a request, but for long fractions."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
    return str(value)


def _short(field: str) -> str:
    """`model.n_head` -> `n_head`; no name is in both parts."""
    return field.partition(".")[2]


def _shortened(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


# Errors


def _require_few(count: int, limit: int) -> None:
    if count > limit:
        raise InvalidRequest(
            f"limit: the sweep has {count:,} runs, more than {limit:,}; "
            "ask for fewer, or raise limit",
            param="limit",
            code="too_many",
        )


def _repeated(values: Sequence[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value in values[:place]]


def _invalid(param: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {message}", param=param, code="invalid_value")
