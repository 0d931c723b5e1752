"""What a client sends to have several runs trained as one."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator

from app.jobs.requests import Wanted, WantedConfiguration
from app.schemas import LONGEST_NAME, Name
from model.config import RUN_ID_PATTERN, fields_disagree

LONGEST_PREFIX = 48
LONGEST_TITLE = 200
MOST_FIELDS = 50

FieldName = Annotated[str, Field(max_length=100)]
Number = Annotated[float, Field(ge=-(2**63), le=2**63, allow_inf_nan=False)]
BOUNDS = {"maxLength": LONGEST_NAME, "minimum": -(2**63), "maximum": 2**63}
# The configuration that it becomes part of refuses what is beyond, and names its field.
Value = Annotated[Any, WithJsonSchema({"type": ["boolean", "number", "string", "null"], **BOUNDS})]
Values = Annotated[list[Value], Field(min_length=1, max_length=1000)]


class Draw(BaseModel):
    """What a field may be in a random sweep: one of some values, or a number within a range."""

    model_config = ConfigDict(extra="forbid")

    values: Values | None = None
    min: Number | None = None
    max: Number | None = Field(None, description="Can be drawn too.")
    log: StrictBool = Field(
        False, description="Every order of magnitude is as likely as the others."
    )

    @model_validator(mode="after")
    def _values_or_range(self) -> Self:
        if self.values is not None:
            if self.min is not None or self.max is not None or self.log:
                raise fields_disagree("values", "give either values, or min and max")
        elif self.min is None or self.max is None:
            raise fields_disagree("max" if self.max is None else "min", "give values, or both ends")
        elif self.min >= self.max:
            raise fields_disagree("min", f"{self.min:g} must be below max ({self.max:g})")
        elif self.log and self.min <= 0:
            raise fields_disagree("min", "must be above 0 where log is true")
        return self


class RandomSearch(BaseModel):
    """So many runs, each with values of its own."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=1, le=1000, description="How many runs.")
    seed: int = Field(0, ge=0, lt=2**63, description="The same seed draws the same values again.")
    fields: dict[FieldName, Draw] = Field(
        min_length=1,
        max_length=MOST_FIELDS,
        description="By field, as `model.n_layer` or `train.learning_rate`.",
    )


class SweepRequest(Wanted):
    """Runs to be trained: some presets, or one configuration with a grid or random values."""

    title: str | None = Field(None, min_length=1, max_length=LONGEST_TITLE)
    run_id: str | None = Field(
        None,
        pattern=RUN_ID_PATTERN,
        max_length=LONGEST_PREFIX,
        description="What the ids of its runs begin with; made from the title when left out.",
    )
    presets: list[Name] | None = Field(None, min_length=1, max_length=1000)
    preset: Name | None = Field(None, description="What all runs have in common: a named run's.")
    config: WantedConfiguration | None = Field(None, description="Or any configuration.")
    grid: dict[FieldName, Values] | None = Field(
        None,
        min_length=1,
        max_length=MOST_FIELDS,
        description="Values of each field; every combination is trained.",
    )
    random: RandomSearch | None = None
    limit: int = Field(32, ge=1, le=1000, description="A sweep of more runs is refused, never cut.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("presets", "grid", "random") if getattr(self, name) is not None]
        if len(given) != 1:
            raise fields_disagree(given[-1] if given else "grid", "give presets, grid or random")
        bases = [name for name in ("preset", "config") if getattr(self, name) is not None]
        if self.presets and bases:
            raise fields_disagree(bases[0], "presets are complete: leave it out")
        if not self.presets and len(bases) != 1:
            raise fields_disagree("config", "give either preset or config")
        return self
