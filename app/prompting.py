"""From a completion request to the texts that the engine should write."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.errors import InvalidRequest
from app.registry import LoadedRun
from app.schemas import CompletionRequest, Context
from app.writing import Task
from model.batch import Batch
from model.sampling import Sampling
from model.scoring import score, work
from model.sequence import Sequence, Token
from model.tokenizer import TextDecoder, Tokenizer, UnknownCharacters

MAX_SCORED_TOKENS = 10_000
MAX_SCORING = 5e12  # multiplications: a core takes minutes for them


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model takes it, with the log-probabilities of its tokens if wanted."""

    ids: list[int]
    context: Context
    scores: list[Token | None] | None


def scores_prompts(request: CompletionRequest) -> bool:
    """Whether the prompts' own tokens are to have log-probabilities, which takes a while."""
    return request.echo and request.logprobs is not None


def read_prompts(request: CompletionRequest, loaded: LoadedRun) -> list[Prompt]:
    """Raises InvalidRequest for what the vocabulary does not have, or too much to score.

    May take a while.
    """
    _check_ids("logit_bias", request.logit_bias, loaded.tokenizer)
    prompts: Iterable[str | list[int]] = request.prompts
    ids = [_encode(prompt, loaded.tokenizer) for prompt in prompts]
    scores: list[list[Token | None] | None] = [None for _ in ids]
    if scores_prompts(request):
        scores = [*_scored(ids, request, loaded)]
    return [
        Prompt(of_prompt, _context(prompt, of_prompt, loaded), scored)
        for prompt, of_prompt, scored in zip(prompts, ids, scores, strict=True)
    ]


def tasks(
    request: CompletionRequest, loaded: LoadedRun, prompts: list[Prompt], batch: Batch
) -> list[Task]:
    """`texts_per_prompt` for each prompt, the same seeds for every prompt."""
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
            end_id=tokenizer.end_id,
        )
        for prompt in prompts
        for number in range(request.texts_per_prompt)
    ]


def start_ids(tokenizer: Tokenizer) -> list[int]:
    """What an empty prompt starts from: what stands between two texts, else a newline."""
    if tokenizer.end_id is not None:
        return [tokenizer.end_id]
    try:
        return tokenizer.encode("\n")
    except UnknownCharacters:
        return [0]


def _context(prompt: str | list[int], ids: list[int], loaded: LoadedRun) -> Context:
    tokenizer = loaded.tokenizer
    start = max(0, len(ids) - loaded.model.reach)
    text = prompt if isinstance(prompt, str) else tokenizer.decode(ids)
    left_out = len(TextDecoder(tokenizer).feed(*ids[:start]))  # of a character that is cut, nothing
    return Context(prompt_tokens=len(ids), seen_tokens=len(ids) - start, seen_text=text[left_out:])


def _scored(
    prompts: list[list[int]], request: CompletionRequest, loaded: LoadedRun
) -> list[list[Token | None]]:
    model, past_context = loaded.model, request.past_context
    longest = max(map(len, prompts))
    if longest > MAX_SCORED_TOKENS:
        most = f"{MAX_SCORED_TOKENS:,} {loaded.tokenizer.unit}"
        message = f"prompt: at most {most} for echo with logprobs; it has {longest:,}"
        raise InvalidRequest(message, param="prompt", code="too_large")
    if sum(work(model, len(ids), past_context) for ids in prompts) > MAX_SCORING:
        message = (
            "prompt: too much for echo with logprobs of this run, which reads all of its context "
            'anew for each token past it: send less, or past_context "jump"'
        )
        raise InvalidRequest(message, param="prompt", code="too_large")
    return [score(model, ids, request.logprobs or 0, past_context) for ids in prompts]


def _encode(prompt: str | list[int], tokenizer: Tokenizer) -> list[int]:
    if isinstance(prompt, str):
        try:
            return tokenizer.encode(prompt)
        except UnknownCharacters as error:
            message = f"prompt: {error}"
            raise InvalidRequest(message, param="prompt", code="unknown_characters") from None
    _check_ids("prompt", prompt, tokenizer)
    return prompt


def _check_ids(param: str, ids: Iterable[int], tokenizer: Tokenizer) -> None:
    largest = max(ids, default=0)
    if largest >= tokenizer.vocab_size:
        message = f"{param}: token ids go from 0 to {tokenizer.vocab_size - 1}, not {largest}"
        raise InvalidRequest(message, param=param, code="unknown_tokens")


def _sampling(request: CompletionRequest, number: int) -> Sampling:
    return Sampling(
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        min_p=request.min_p,
        repetition_penalty=request.repetition_penalty,
        seed=None if request.seed is None else request.seed + number,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logit_bias=request.logit_bias,
    )
