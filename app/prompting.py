"""From a completion request to the texts that the engine should write."""

from dataclasses import dataclass

from app.errors import InvalidRequest
from app.registry import LoadedRun
from app.schemas import CompletionRequest, Context
from app.writing import Task
from model.batch import Batch
from model.decoding import score
from model.sampling import Sampling
from model.sequence import Sequence, Token
from model.tokenizer import TextDecoder, Tokenizer, UnknownCharacters

MAX_SCORED_TOKENS = 10_000


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model takes it, with the log-probabilities of its tokens if wanted."""

    ids: list[int]
    context: Context
    scores: list[Token | None] | None


def read_prompts(request: CompletionRequest, loaded: LoadedRun) -> list[Prompt]:
    """Raises InvalidRequest for what the vocabulary does not have. May take a while."""
    return [_read(prompt, request, loaded) for prompt in request.prompts]


def tasks(
    request: CompletionRequest, loaded: LoadedRun, prompts: list[Prompt], batch: Batch
) -> list[Task]:
    """`n` for each prompt, the same seeds for every prompt."""
    if request.max_tokens == 0:
        return []
    tokenizer = loaded.tokenizer
    return [
        Task(
            batch=batch,
            sequence=Sequence(
                prompt.ids or start_ids(tokenizer),
                _sampling(request, number),
                request.logprobs or 0,
                request.past_context,
            ),
            token_text=tokenizer.token_text,
            max_tokens=request.max_tokens,
            stops=request.stop,
            decoder=TextDecoder(tokenizer, after=prompt.ids),
        )
        for prompt in prompts
        for number in range(request.n)
    ]


def start_ids(tokenizer: Tokenizer) -> list[int]:
    """What an empty prompt starts from: a newline, where the vocabulary has one."""
    try:
        return tokenizer.encode("\n")
    except UnknownCharacters:
        return [0]


def _read(prompt: str | list[int], request: CompletionRequest, loaded: LoadedRun) -> Prompt:
    tokenizer = loaded.tokenizer
    ids = _encode(prompt, tokenizer)
    start = max(0, len(ids) - loaded.model.reach)
    text = prompt if isinstance(prompt, str) else tokenizer.decode(ids)
    left_out = len(TextDecoder(tokenizer).feed(*ids[:start]))  # of a character that is cut, nothing
    context = Context(
        prompt_tokens=len(ids), seen_tokens=len(ids) - start, seen_text=text[left_out:]
    )
    scores = None
    if request.echo and request.logprobs is not None:
        if len(ids) > MAX_SCORED_TOKENS:
            most = f"{MAX_SCORED_TOKENS:,} {tokenizer.unit}"
            message = f"prompt: at most {most} for echo with logprobs; it has {len(ids):,}"
            raise InvalidRequest(message, param="prompt", code="too_large")
        scores = score(loaded.model, ids, request.logprobs)
    return Prompt(ids, context, scores)


def _encode(prompt: str | list[int], tokenizer: Tokenizer) -> list[int]:
    if isinstance(prompt, str):
        try:
            return tokenizer.encode(prompt)
        except UnknownCharacters as error:
            message = f"prompt: {error}"
            raise InvalidRequest(message, param="prompt", code="unknown_characters") from None
    if prompt and max(prompt) >= tokenizer.vocab_size:
        message = f"prompt: token ids go from 0 to {tokenizer.vocab_size - 1}, not {max(prompt)}"
        raise InvalidRequest(message, param="prompt", code="unknown_tokens")
    return prompt


def _sampling(request: CompletionRequest, number: int) -> Sampling:
    return Sampling(
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        min_p=request.min_p,
        repetition_penalty=request.repetition_penalty,
        seed=None if request.seed is None else request.seed + number,
    )
