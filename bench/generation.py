"""How fast text is written in one process, beside other ways of writing it in the same run.

    python bench/generation.py --json FILE [--full] [--rounds N] [--only baseline|baby]

One thread, random weights, 65 characters, two sizes: the tuning exercise's `baseline`, and `baby`,
nanoGPT's own for the same text. All start from a newline.

- `…_inside_…`: until the context is full, so a character is one new position.
- `…_past_…`: beyond it, where every character moves all others and the whole window is read again;
  of `baseline` 500 characters from a newline, of `baby` a few behind a full context.
- `…_batch_N`: N sequences together, all their characters per second; the peer is one alone.
- `…_first_token`: from a prompt that nearly fills the context to its first character.
- `…_joining`: how much longer a step takes the fifteen that are there when such a prompt joins.

Peers: the exercise's `generate`, nanoGPT's `sample.py`, and transformers' GPT-2 with its cache, by
its own `generate`; past its context, where that fails, it reads the cropped window. With `--full`
nanoGPT's model as one compiled graph of a full window besides. Everyone has a turn in each round.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import exercise
import nanogpt
import torch
from floors import Floor, Machine, Work, floor, inside, measure, past, reading
from measuring import VOCABULARY, Row, Timed, finish, in_turns, row, seconds
from transformers_peer import Transformers

from model.batch import Batch
from model.batches import batch_of
from model.config import GPTConfig
from model.cpu_batch import CpuBatch
from model.decoding import generate
from model.families import build_model
from model.gpt import GPT
from model.presets import PRESETS
from model.sampling import Sampling
from model.sequence import Sequence as Text

Writer = Callable[[list[int], int], object]
AtBest = Callable[[Machine], Floor]

LABELS = {"nanogpt": "nanoGPT", "exercise": "the exercise", "compiled": "compiled nanoGPT"}
START = [0]  # the newline
AS_SAMPLE = Sampling(temperature=nanogpt.TEMPERATURE, top_k=nanogpt.TOP_K)
BATCHES = (1, 2, 4, 16, 64)
CHARACTERS = 500
FEW = 8  # past the context of `baby`


class Size:
    """One size of model: ours, and the peers that have it."""

    def __init__(self, name: str) -> None:
        self.name = name
        config = PRESETS[name].model
        assert isinstance(config, GPTConfig)
        assert config.vocab_size == VOCABULARY
        self.config = config
        torch.manual_seed(1337)
        model = build_model(config).eval()
        assert isinstance(model, GPT)
        self.model = model
        self.nanogpt = nanogpt.NanoGPT(
            nanogpt.Size(
                block_size=config.block_size,
                vocab_size=config.vocab_size,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_embd=config.n_embd,
                bias=config.bias,
            )
        ).eval()
        self.transformers = Transformers(config)
        self.prompt = torch.randint(VOCABULARY, (config.block_size,)).tolist()

    def ours(self, sampling: Sampling) -> Writer:
        return lambda ids, tokens: list(generate(self.model, ids, tokens, sampling))

    def peers(self) -> dict[str, Writer]:
        return {
            "nanogpt": partial(nanogpt.sample, self.nanogpt),
            "transformers": self.transformers.sample,
        }


class Rounds:
    """Everyone takes a turn in each, and so does the machine itself, for the floors."""

    def __init__(self, size: Size, count: int) -> None:
        self._config, self._count = size.config, count
        self.machines: list[Machine] = []

    def of(self, measures: dict[str, Callable[[], float]], count: int | None = None) -> Timed:
        def look() -> float:
            machines.append(measure(self._config))
            return 0.0

        machines: list[Machine] = []
        found = in_turns({"": look, **measures}, count or self._count)
        del found[""]
        self.machines = machines
        return found

    def floors(self, at_best: AtBest) -> list[Floor]:
        return [at_best(machine) for machine in self.machines]


def contest(
    name: str,
    what: str,
    ids: list[int],
    tokens: int,
    writers: dict[str, Writer],
    rounds: Rounds,
    at_best: AtBest,
    repeat: int = 1,
    count: int | None = None,
) -> list[Row]:
    """A row for each peer; "ours" is one of `writers`. `at_best` is of one token."""
    for write in writers.values():
        write(ids, 2)

    def rate(write: Writer) -> float:
        return tokens * repeat / seconds(lambda: [write(ids, tokens) for _ in range(repeat)])

    rates = rounds.of({key: partial(rate, write) for key, write in writers.items()}, count)
    ours = rates.pop("ours")
    floors = rounds.floors(at_best)
    return [
        row(
            f"{name}_{peer}",
            "/s",
            ours,
            theirs,
            [1 / floor.seconds for floor in floors],
            what=what,
            against=LABELS.get(peer, peer),
            limit=floors[-1].limit,
        )
        for peer, theirs in rates.items()
    ]


def alone(size: Size, rounds: Rounds, *, full: bool) -> list[Row]:
    """One sequence, inside the context and past it."""
    config, T, small = size.config, size.config.block_size, size.name == "baseline"
    sampled = {"ours": size.ours(AS_SAMPLE), **size.peers()}
    rows = contest(
        f"{size.name}_inside",
        f"`{size.name}`, {T - 1} characters inside the context",
        START,
        T - 1,
        sampled,
        rounds,
        partial(floor, inside(config, 0, T - 1)),
        repeat=10 if small else 1,
        count=None if small else 5 if full else 2,  # nanoGPT takes a quarter of a minute
    )
    name = f"{size.name}_past"
    if not small:
        what, at_best = f"`{size.name}`, {FEW} characters past the context", past(config)
        sampled.pop("transformers")
        return rows + contest(
            name, what, size.prompt, FEW, sampled, rounds, partial(floor, at_best)
        )
    what, mean = f"`{size.name}`, {CHARACTERS} characters from a newline", partial(partly, config)
    if full:
        write = nanogpt.compiled_window(size.nanogpt)
        sampled["compiled"] = lambda _, tokens: write(tokens)
    rows += contest(name, what, START, CHARACTERS, sampled, rounds, mean)
    torch.manual_seed(1337)
    model = exercise.LanguageModel(VOCABULARY, exercise.N_EMBD // exercise.N_HEAD).eval()
    plain: dict[str, Writer] = {
        "ours": size.ours(Sampling()),
        "exercise": lambda ids, tokens: model.generate(torch.tensor([ids]), tokens),
    }
    return rows + contest(name, what, START, CHARACTERS, plain, rounds, mean)


def partly(config: GPTConfig, machine: Machine) -> Floor:
    """Of the mean character of CHARACTERS from a newline, the first of them inside the context."""
    T = config.block_size
    first, rest = floor(inside(config, 0, T), machine), floor(past(config), machine)
    each = (T * first.seconds + (CHARACTERS - T) * rest.seconds) / CHARACTERS
    return Floor(each, rest.limit)


def together(size: Size, rounds: Rounds, *, full: bool) -> list[Row]:
    """Several sequences in one batch, beside one alone."""
    T, small = size.config.block_size, size.name == "baseline"
    tokens = 28 if small else 32  # around the middle of the context, so the mean is that of all
    start = (T - tokens) // 2
    work = inside(size.config, start, start + tokens)
    rows = batches(size, "inside", size.prompt[: start - 1], tokens, work, BATCHES, rounds)
    work, counts = past(size.config), BATCHES if small or full else BATCHES[:-1]
    tokens = 100 if small else 2
    return rows + batches(size, "past", size.prompt, tokens, work, counts, rounds)


def batches(
    size: Size,
    place: str,
    ids: list[int],
    tokens: int,
    work: Work,
    counts: Sequence[int],
    rounds: Rounds,
) -> list[Row]:
    """All characters per second of so many sequences; what they start from is read before."""
    batch = batch_of(size.model)
    for text in joined(batch, ids, max(counts)):  # makes room once
        batch.leave(text)

    def rate(count: int) -> float:
        texts = joined(batch, ids, count)
        batch.advance()
        taken = seconds(lambda: batch.advance(tokens))
        for text in texts:
            batch.leave(text)
        return count * tokens / taken

    rates = rounds.of({str(count): partial(rate, count) for count in counts})
    rows = []
    for count in counts:
        floors = rounds.floors(partial(floor, work, sequences=count))
        rows.append(
            row(
                f"{size.name}_{place}_batch_{count}",
                "/s",
                rates[str(count)],
                rates["1"] if count > 1 else None,
                [count / floor.seconds for floor in floors],
                what=f"`{size.name}`, {place} the context, sequences together: {count}",
                limit=floors[-1].limit,
                **({"against": "one alone", "own_peer": True} if count > 1 else {}),
            )
        )
    return rows


def halves(size: Size, rounds: Rounds) -> list[Row]:
    """One sequence inside the context with matrices in half precision, beside the same without."""
    T, tokens = size.config.block_size, 28 if size.name == "baseline" else 32
    ids = size.prompt[: (T - tokens) // 2 - 1]

    def rate(batch: Batch) -> float:
        (text,) = joined(batch, ids, 1)
        batch.advance()
        taken = seconds(lambda: batch.advance(tokens))
        batch.leave(text)
        return tokens / taken

    both = {"half": CpuBatch(size.model, halves=True), "single": CpuBatch(size.model)}
    rates = rounds.of({name: partial(rate, batch) for name, batch in both.items()})
    about: Row = {"against": "single precision", "own_peer": True, "limit": "reading the weights"}
    what = f"`{size.name}`, inside the context, one sequence, half precision"
    name = f"{size.name}_inside_half"
    return [row(name, "/s", rates["half"], rates["single"], what=what, **about)]


def joined(batch: Batch, ids: list[int], count: int) -> list[Text]:
    texts = [Text(ids, AS_SAMPLE) for _ in range(count)]
    for text in texts:
        batch.join(text)
    return texts


def waiting(size: Size, ids: list[int]) -> Callable[[], float]:
    """Measures how many milliseconds longer a step of fifteen is when a text of `ids` joins."""
    batch = batch_of(size.model)

    def measured() -> float:
        others = joined(batch, START, 15)
        batch.advance()
        usual = seconds(batch.advance)
        text = joined(batch, ids, 1)[0]
        longer = seconds(batch.advance)
        for one in (*others, text):
            batch.leave(one)
        return 1000 * max(longer - usual, 1e-6)

    return measured


def beginning(size: Size, rounds: Rounds) -> list[Row]:
    """The first token behind a long prompt, and what others wait for it."""
    ids, batch = size.prompt[:-1], batch_of(size.model)
    repeat = 10 if size.name == "baseline" else 1

    def first() -> None:
        text = joined(batch, ids, 1)[0]
        batch.advance()
        batch.leave(text)

    def measured(work: Callable[[], object]) -> Callable[[], float]:
        work()
        return lambda: 1000 * seconds(lambda: [work() for _ in range(repeat)]) / repeat

    times = rounds.of(
        {
            "ours": measured(first),
            "joining": waiting(size, ids),
            **{peer: measured(partial(write, ids, 1)) for peer, write in size.peers().items()},
        }
    )
    ours, waits = times.pop("ours"), times.pop("joining")
    at_best = rounds.floors(partial(floor, reading(size.config, len(ids))))
    best, limit = [1000 * floor.seconds for floor in at_best], at_best[-1].limit
    what = f"`{size.name}`, first character behind a prompt of {len(ids)}"
    waited = f"`{size.name}`, what 15 others wait while a prompt of {len(ids)} joins"
    name = f"{size.name}_first_token"
    return [
        row(f"{size.name}_joining", "ms", waits, None, best, what=waited, limit=limit),
        *(
            row(
                f"{name}_{peer}",
                "ms",
                ours,
                theirs,
                best,
                what=what,
                against=LABELS.get(peer, peer),
                limit=limit,
            )
            for peer, theirs in times.items()
        ),
    ]


def machine_rows(size: Size, machines: Sequence[Machine]) -> list[Row]:
    """What the floors are made of; `of_machine` keeps them out of what got faster or slower."""
    products = [machine.operations_per_s / 1e9 for machine in machines]
    speeds = [machine.bytes_per_s / 1e9 for machine in machines]
    weights = inside(size.config, 0, 1).shared_bytes / 1e6
    read = f"one thread reads {weights:.1f} MB, the weights of `{size.name}`"
    multiplied = f"one thread multiplies large matrices, beside `{size.name}`"
    about = {"of_machine": True}
    return [
        row(f"{size.name}_reading", "GB/s", speeds, what=read, **about),
        row(f"{size.name}_products", "GFLOP/s", products, what=multiplied, **about),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--full", action="store_true", help="more rounds, and a compiled peer")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", choices=["baseline", "baby"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for size in (Size(name) for name in ("baseline", "baby") if options.only in (None, name)):
        few = 5 if size.name == "baseline" else 3
        rounds = Rounds(size, options.rounds or (11 if options.full else few))
        machines: list[Machine] = []
        for part in (
            partial(alone, full=options.full),
            partial(together, full=options.full),
            halves,
            beginning,
        ):
            rows += part(size, rounds)
            machines += rounds.machines
            print("…", *(f"{one['name']} {one['value']}" for one in rows[-3:]), flush=True)
        rows += machine_rows(size, machines)
    finish(rows, options.json)


if __name__ == "__main__":
    main()
