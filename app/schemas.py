"""Requests and replies of the API, with their bounds."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

MAX_PROMPT_CHARACTERS = 100_000
MAX_SEQUENCES = 32
MAX_BIASES = 300
LONGEST_NAME = 200
LARGEST = 2**53 - 1  # of the whole numbers that every reader of JSON has
MAX_FIELDS = 500  # that are looked at: each that is unknown becomes an error of its own
NULL = {"type": "null"}
ABOUT_A_FIELD = ("title", "description", "default", "examples")

Name = Annotated[str, Field(max_length=LONGEST_NAME)]  # what something is looked up by
TokenId = Annotated[int, Field(ge=0, le=LARGEST)]
Step = Annotated[int, Field(ge=0, le=LARGEST)]
# A list is looked at no further than its first mistake: it may be long, and the event loop waits.
# How long it may be is checked for all of these together, and only told here.
Ids = Annotated[
    list[TokenId],
    Field(fail_fast=True, json_schema_extra={"maxItems": MAX_PROMPT_CHARACTERS}),
]
Prompt = Annotated[str, Field(json_schema_extra={"maxLength": MAX_PROMPT_CHARACTERS})]
Several = Field(fail_fast=True, json_schema_extra={"maxItems": MAX_SEQUENCES})
PromptValue = Prompt | Annotated[list[Prompt], Several] | Ids | Annotated[list[Ids], Several]
NoText = Annotated[str, Field(json_schema_extra={"maxLength": 0})]
StopString = Annotated[str, Field(min_length=1, max_length=200)]
Bias = Annotated[float, Field(strict=True, ge=-100, le=100, allow_inf_nan=False)]


def one_message(message: str) -> WrapValidator:
    """One message instead of one for each branch of a union, or each entry."""

    def validated(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise ValueError(message) from None

    return WrapValidator(validated)


def _quickly(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Refuse too many ids, and take plain ones, without a look at each that takes its time."""
    if isinstance(value, list) and value:
        count = len(value)
        if isinstance(value[0], list) and count <= MAX_PROMPT_CHARACTERS:
            count = max(count, sum(len(part) for part in value if isinstance(part, list)))
        if count > MAX_PROMPT_CHARACTERS:
            raise ValueError(f"must have at most {MAX_PROMPT_CHARACTERS:,} ids in all")
        if set(map(type, value)) == {int} and min(value) >= 0 and max(value) <= LARGEST:
            return value
    return validate(value)


def _wrong(field: str, message: str) -> PydanticCustomError:
    """For what only shows once all fields are read."""
    return PydanticCustomError("fields_disagree", "{message}", {"field": field, "message": message})


def _no_suffix(value: str | None) -> str | None:
    if value:
        raise ValueError("these models only write on from a prompt; leave it out")
    return value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _tell_of_nulls(schema: dict[str, Any]) -> None:
    """What need not be there may be null as well."""
    for name, field in schema.get("properties", {}).items():
        if name not in schema.get("required", ()):
            about = {key: field.pop(key) for key in ABOUT_A_FIELD if key in field}
            branches = field.pop("anyOf", None) or [dict(field)]
            field.clear()
            kinds = [kind for kind in branches if kind != NULL]
            field.update({"anyOf": [*kinds, NULL]} | about)


def require_few_fields(fields: Any) -> None:
    """Raises ValueError for more than any request has, those of its objects' objects among them."""
    count, objects = 0, [fields]
    for it in objects:  # grows meanwhile
        if isinstance(it, dict):
            count += len(it)
            if count > MAX_FIELDS:
                raise ValueError("no request has so many fields")
            objects += it.values()


class ApiRequest(BaseModel):
    """A field that is null counts as left out, as OpenAI's clients expect."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_tell_of_nulls)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Any) -> Any:
        if isinstance(fields, dict):
            require_few_fields(fields)
            return {name: value for name, value in fields.items() if value is not None}
        return fields


class StreamOptions(ApiRequest):
    include_usage: StrictBool = Field(
        False, description="Send one more event, with the usage; in the others it is null."
    )
    include_obfuscation: StrictBool = Field(False, description="Accepted and ignored.")


class CompletionRequest(ApiRequest):
    """What to go on writing, and how the tokens are drawn."""

    model: Name = Field(description="Id of a run; see `/v1/models`.", examples=["baseline"])
    prompt: Annotated[
        PromptValue,
        one_message("must be a text, a list of texts, token ids or lists of them"),
        WrapValidator(_quickly, json_schema_input_type=PromptValue),
    ] = Field(
        "",
        description="The text to go on from, several texts, or token ids. An empty one starts "
        "from the token that stands between two texts, where the run has one, else from a newline. "
        f"At most {MAX_PROMPT_CHARACTERS:,} characters, or ids, in all.",
        examples=["ROMEO:"],
    )
    max_tokens: int = Field(
        16,
        ge=0,
        le=10_000,
        description="How many tokens to write, characters of most runs; 0 only with `echo`.",
    )
    temperature: float = Field(
        1.0, ge=0, le=10, description="Divides the logits; 0 always takes the likeliest token."
    )
    top_p: float = Field(
        1.0, gt=0, le=1, description="Draw from the fewest likeliest that hold this probability."
    )
    top_k: int | None = Field(
        None, ge=1, le=LARGEST, description="Draw from the k likeliest tokens."
    )
    min_p: float | None = Field(
        None, ge=0, le=1, description="Leave out what is below this share of the likeliest's."
    )
    repetition_penalty: float = Field(
        1.0, ge=0.1, le=10, description="Above 1, tokens already there become less likely."
    )
    presence_penalty: float = Field(
        0.0,
        ge=-2,
        le=2,
        description="Taken from the logits of tokens that were written, not of the prompt's.",
    )
    frequency_penalty: float = Field(
        0.0, ge=-2, le=2, description="The same, times how often each was written."
    )
    logit_bias: Annotated[
        dict[TokenId, Bias],
        one_message(f"must map at most {MAX_BIASES} token ids to numbers from -100 to 100"),
    ] = Field(
        default_factory=dict,
        max_length=MAX_BIASES,
        description="What to add to a token's logit, by its id: -100 all but forbids it.",
        examples=[{"0": -100}],
    )
    n: int = Field(
        1, ge=1, le=MAX_SEQUENCES, description="Texts per prompt; with a seed, seed, seed + 1, …"
    )
    best_of: int | None = Field(
        None,
        ge=1,
        le=20,
        description="Write so many texts per prompt and send the `n` whose tokens have the highest "
        "mean log-probability, best first. All of them count as usage. Not streamed.",
    )
    stop: Annotated[
        Annotated[list[StopString], Field(max_length=4)],
        BeforeValidator(
            _as_list,
            json_schema_input_type=StopString | Annotated[list[StopString], Field(max_length=4)],
        ),
    ] = Field(
        default_factory=list,
        description="Up to four strings; the text ends before the first that appears.",
    )
    seed: int | None = Field(
        None, ge=-(2**63), lt=2**63, description="The same seed gives the same text again."
    )
    logprobs: int | None = Field(
        None,
        ge=0,
        le=5,
        description="Also give each token's natural log-probability, and those of this many "
        "likeliest ones, before temperature and filters.",
    )
    echo: StrictBool = Field(False, description="Begin the text with the prompt.")
    stream: StrictBool = Field(False, description="Send server-sent events as the text is written.")
    stream_options: StreamOptions | None = Field(None, description="Only with `stream`.")
    step: Step | None = Field(None, description="Take the snapshot of this training step.")
    past_context: Literal["exact", "jump"] = Field(
        "exact",
        description="What the run sees of a text longer than its context: always the last tokens "
        "that fit, or, many times faster and with other text, a window that fills up and then "
        "jumps ahead by half.",
    )
    max_time: float | None = Field(
        None,
        gt=0,
        le=3600,
        description="Seconds from the request on, waiting included; then the text ends where it "
        "is. The server may allow less.",
    )
    user: str | None = Field(None, max_length=1000, description="Accepted and ignored.")
    suffix: Annotated[NoText | None, AfterValidator(_no_suffix)] = Field(
        None, description="Only empty: what comes after the text is never known."
    )

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.max_tokens == 0 and not self.echo:
            raise _wrong("max_tokens", "must be at least 1 unless echo is true")
        if self.stream_options is not None and not self.stream:
            raise _wrong("stream_options", "must be left out unless stream is true")
        if self.texts_per_prompt > self.n and self.stream:
            raise _wrong("best_of", "must be n or left out to stream: the best show at the end")
        if self.best_of is not None and self.best_of < self.n:
            raise _wrong("best_of", f"must be at least n, which is {self.n}")
        if sum(map(len, self.prompts)) > MAX_PROMPT_CHARACTERS:
            raise _wrong("prompt", f"must have at most {MAX_PROMPT_CHARACTERS:,} characters")
        if not 1 <= self.texts <= MAX_SEQUENCES:
            factor = "best_of" if self.texts_per_prompt > self.n else "n"
            raise _wrong("prompt", f"prompts times {factor} must make 1 to {MAX_SEQUENCES} texts")
        return self

    @property
    def texts_per_prompt(self) -> int:
        """How many are written; `n` of them are sent."""
        return max(self.n, self.best_of or 0)

    @property
    def texts(self) -> int:
        """How many are written for all prompts."""
        return len(self.prompts) * self.texts_per_prompt

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        """One entry per prompt; token ids count as one prompt unless they are lists in a list."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [self.prompt]
        return self.prompt  # type: ignore[return-value]


class Context(BaseModel):
    """What of the prompt the model saw."""

    prompt_tokens: int = Field(description="Tokens in the prompt.")
    seen_tokens: int = Field(description="How many of its last ones are inside the context.")
    seen_text: str = Field(
        description="Their text, with the whole of a character that is partly seen."
    )


class Logprobs(BaseModel):
    """Natural logarithms, from the model's own distribution; one entry per token."""

    tokens: list[str] = Field(
        description="Each token's text; of one that cuts a character the bytes, as `bytes:\\xe2`. "
        "The token that ends a text is the last, though it is not in the text."
    )
    token_logprobs: list[float | None] = Field(description="null for a text's first token.")
    top_logprobs: list[dict[str, float] | None] = Field(
        description="The likeliest tokens there, and always the one that was drawn."
    )
    text_offset: list[int] = Field(description="Where each begins in the choice's whole text.")


class Choice(BaseModel):
    """One text. Choices are ordered by prompt, then by seed, or with `best_of` the best first."""

    index: int
    text: str
    logprobs: Logprobs | None = None
    finish_reason: Literal["length", "stop"] | None = Field(
        description="`length`: max_tokens written, or time is up. `stop`: a stop string, or the "
        "token that ends a text. null: not the end."
    )
    stop_reason: Literal["deadline"] | None = Field(
        None,
        exclude_if=lambda reason: reason is None,
        description="Only there where it says something. `deadline`: the text is shorter than "
        "`max_tokens` as time was up.",
    )


class Usage(BaseModel):
    prompt_tokens: int = Field(description="Of each prompt once.")
    completion_tokens: int = Field(description="All that were written, stop strings' among them.")
    total_tokens: int


class Completion(BaseModel):
    """OpenAI's text completion, with `context` besides."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int = Field(description="Seconds since 1970.")
    model: str
    choices: list[Choice]
    usage: Usage | None = None
    context: Context | None = Field(None, description="For the first prompt.")
    contexts: list[Context] | None = Field(None, description="For each of several prompts.")


class Model(BaseModel):
    """A run as OpenAI's model."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since 1970.")
    owned_by: Literal["sidelight"] = "sidelight"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class ReadinessCheck(BaseModel):
    """One thing that has to work."""

    name: str = Field(description="`running`, `engine`, `runs`, `data` or `jobs`.")
    ok: bool
    reason: str | None = Field(description="What is wrong with it.")


class Readiness(BaseModel):
    """Somebody without a key, where one is needed, gets nothing but `ready`."""

    ready: bool = Field(description="Whether every check is fine.")
    runs: list[str] = Field([], description="Those that can be read.")
    broken: dict[str, str] = Field({}, description="Why the others cannot.")
    checks: list[ReadinessCheck] = Field([], description="What was looked into.")
