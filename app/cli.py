"""The same journeys in a terminal: serve, keys, generate, attention, runs, report, train and more.

Commands import what they need themselves, so that `--help` does not wait for torch.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from app import __version__
from app.errors import RequestError
from app.keys.command import keys
from app.settings import Settings

if TYPE_CHECKING:
    from app.registry import LoadedRun

cli = typer.Typer(
    help="Train small GPTs, prompt them side by side and look inside their attention heads.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

cli.add_typer(keys, name="keys")

Checkpoints = Annotated[
    Path | None, typer.Option(help="The folder of run folders.", show_default="checkpoints")
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run; see `sidelight runs`.")]
Step = Annotated[int | None, typer.Option(help="Take the snapshot of this training step.")]


def main() -> None:
    """The `sidelight` command."""
    cli(prog_name="sidelight")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)
    ] = None,
    checkpoints: Checkpoints = None,
    replicas: Annotated[
        int | None, typer.Option(help="Processes that write and read, on Ray Serve.", min=0)
    ] = None,
    ray_cluster: Annotated[
        str | None, typer.Option(help="Where they run, as HEAD:6379; here if left out.")
    ] = None,
    open_to_all: Annotated[
        bool | None,
        typer.Option("--open-to-all", help="Let other machines in although nobody needs a key."),
    ] = None,
) -> None:
    """Serve the pages and the API until Ctrl-C."""
    given = {"host": host, "port": port, "checkpoints": checkpoints, "open_to_all": open_to_all}
    given |= {"replicas": replicas, "ray_cluster": ray_cluster}
    from app.exposure import listen
    from app.starting import CannotStart, read_settings, require_startable

    try:
        settings = read_settings(**{name: it for name, it in given.items() if it is not None})
        os.environ.pop("SIDELIGHT_API_KEY", None)  # no process that begins here is to have it
        require_startable(settings)
        listener = listen(settings.host, settings.port)
    except CannotStart as error:
        _stop(str(error))
    from app.logs.lines import told_on_stderr
    from app.replicas.cluster import NoCluster
    from app.serving import leave
    from app.serving import serve as serve_app

    try:
        with told_on_stderr(settings):
            serve_app(listener, settings)
            leave()
    except (NoCluster, CannotStart) as error:
        _stop(str(error))


@cli.command()
def generate(
    run: RunId,
    prompt: Annotated[str, typer.Argument(help="The text to go on from.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="How many tokens.")] = 500,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(min=1, help="Only the k likeliest.")] = None,
    top_p: Annotated[float | None, typer.Option(max=1, help="Only that probability.")] = None,
    seed: Annotated[int | None, typer.Option(help="Repeats a text.")] = None,
    past_context: Annotated[
        Literal["exact", "jump"],
        typer.Option(help="jump: beyond the context many times faster, and other text."),
    ] = "exact",
    step: Step = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Write on from a prompt, token by token."""
    from app.prompting import start_ids
    from model.decoding import generate as tokens
    from model.sampling import Sampling
    from model.tokenizer import TextDecoder

    with _lent(run, step, checkpoints) as loaded:
        tokenizer = loaded.tokenizer
        ids = tokenizer.encode(prompt) or start_ids(tokenizer)
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        sys.stdout.write(prompt)
        text = TextDecoder(tokenizer)
        for token in tokens(loaded.model, ids, max_tokens, sampling, past_context=past_context):
            if token.id == tokenizer.end_id:
                break
            sys.stdout.write(text.feed(token.id))
            sys.stdout.flush()
    sys.stdout.write(text.flush() + "\n")


@cli.command()
def attention(
    run: RunId,
    text: Annotated[str, typer.Argument(help="The text to read.")],
    layer: Annotated[int | None, typer.Option(min=0, help="Only this layer, from 0.")] = None,
    head: Annotated[int | None, typer.Option(min=0, help="Only this head, from 0.")] = None,
    kind: Annotated[
        Literal["raw", "value_weighted", "output_weighted", "rollout"],
        typer.Option(help="What is measured; docs/attention.md explains each."),
    ] = "raw",
    merge: Annotated[
        Literal["heads", "all"] | None,
        typer.Option(help="One map for each layer, or one in all."),
    ] = None,
    merge_by: Annotated[Literal["mean", "max"], typer.Option(help="How maps become one.")] = "mean",
    roles: Annotated[bool, typer.Option("--roles", help="Print what each head does.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write a .npy, .csv or .json file.")] = None,
    step: Step = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Print what one head looks at, or what each does, or write the maps of all to a file."""
    from app.attention_command import map_table, role_table, trouble, write_maps
    from app.attention_schemas import AttentionRequest
    from app.inspection import inspect
    from app.reading import Reader

    if not text:
        _stop("the text is empty")
    layers, heads = None if layer is None else [layer], None if head is None else [head]
    asked = AttentionRequest.model_construct(  # typer has checked what it can
        run=run, text=text, layers=layers, heads=heads, kind=kind, merge=merge, merge_by=merge_by
    )
    if wrong := trouble(asked, roles, out):
        _stop(wrong)
    reader = Reader(_settings(None).attention_cells)
    with _lent(run, step, checkpoints) as loaded:
        if roles:
            _table(role_table(reader.read(loaded, text)))
        elif out is None:
            _table(map_table(inspect(loaded, asked, reader)))
        else:
            write_maps(inspect(loaded, asked, reader), out)


@cli.command()
def runs(checkpoints: Checkpoints = None) -> None:
    """List the runs, and the folders that cannot be read."""
    import logging

    from app.registry import Registry
    from app.run_listing import list_runs

    settings = _settings(checkpoints)
    logging.getLogger("sidelight").addHandler(logging.NullHandler())  # what is broken is told below
    listed = list_runs(Registry(settings.checkpoints, 0), (), settings.max_import_bytes)
    rows = [
        [run.id, run.title, f"{run.params:,}", *map(_loss, (run.train_loss, run.val_loss))]
        for run in listed.runs
    ]
    _table([["run", "title", "parameters", "train loss", "val loss"], *rows])
    for folder in listed.broken:
        print(f"{folder.id} is broken: {folder.reason}", file=sys.stderr)


@cli.command()
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids; all with a loss if unset.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="The run to compare with.", show_default="baseline")
    ] = None,
    format: Annotated[
        Literal["markdown", "html", "json"] | None,
        typer.Option(help="As --out ends, if left out; else markdown."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; beside Markdown its figures. Prints if left out."),
    ] = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Say what each change to a run cost and what it brought."""
    from app.report_command import TROUBLE, tuning_report

    try:
        told = tuning_report(runs or [], reference, format, out, _settings(checkpoints))
    except TROUBLE as error:
        _stop(str(error))
    sys.stdout.write(told)


@cli.command()
def train(
    preset: Annotated[str | None, typer.Argument(help="A named run, as `baseline`.")] = None,
    run_id: Annotated[str | None, typer.Option(help="Its id; the preset's if left out.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change a field: --set model.n_head=8 --set train.max_iters=100"
        ),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="`tinyshakespeare`, an uploaded text's id, or a text file.")
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="character, byte or bpe.")] = "character",
    init_from: Annotated[
        str | None, typer.Option(help="Start from a run's weights: RUN, or RUN@STEP.")
    ] = None,
    hypothesis: Annotated[str, typer.Option(help="What it is to show, kept with the run.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda, cuda:1.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="The folder that gets the run's folder.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this run instead.")] = None,
) -> None:
    """Train a run and show its losses; a running server shows it at once."""
    from app.train_command import TROUBLE, plan_of
    from app.train_command import run as train_run
    from model.distributed import is_first_process
    from model.run_folder import RunFolder

    if (preset is None) == (resume is None):
        _stop("name a preset, or a run to go on with: --resume RUN")
    try:
        plan = None
        if preset:
            plan = plan_of(preset, run_id, change or [], tokenizer, hypothesis, init_from)
        folder = RunFolder(_runs(out) / (plan.id if plan else resume or ""))
        if resume and not folder.state.exists():
            _stop(f"{folder.path} has nothing to go on from")
        if plan and folder.path.exists() and is_first_process():
            _stop(f"{folder.path} is there already; choose another --run-id or --out")
        finished = train_run(plan, folder, corpus, device)
    except TROUBLE as error:
        _stop(str(error))
    except KeyboardInterrupt:
        print(f"stopped; {folder.path} holds what was written")
        raise typer.Exit(130) from None
    if not finished:
        where = f" --out {out}" if out else ""
        print(f"stopped; go on with: sidelight train --resume {folder.id}{where}")
        raise typer.Exit(130)
    if is_first_process():
        print(f"{folder.path} is ready")


@cli.command(name="import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="nanoGPT's ckpt.pt, a Hugging Face GPT-2 folder, the exercise's state dict, a "
            "run folder; or a zip of one.",
        ),
    ],
    run_id: Annotated[str | None, typer.Option(help="Its id; made from the name if unset.")] = None,
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help="Where its tokens are told, if not in PATH: a meta.pkl, tokenizer.json or text "
            "file, or `tinyshakespeare` or another text's id."
        ),
    ] = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Make a run of somebody else's model; nothing in its files is executed."""
    from app.import_command import TROUBLE, import_model

    try:
        run = import_model(source, run_id, title, vocabulary, _settings(checkpoints))
    except TROUBLE as error:
        _stop(str(error))
    config = run.read_config()
    print(f"{run.path} is ready: {config.model.kind}, {config.params:,} parameters")


@cli.command()
def export(
    run: RunId,
    format: Annotated[
        Literal["run", "safetensors", "huggingface", "onnx"],
        typer.Option(help="run: what `sidelight import` takes; huggingface: a GPT-2 folder."),
    ] = "run",
    out: Annotated[
        Path | None, typer.Option(help="The folder to write, or a .zip; RUN-FORMAT if unset.")
    ] = None,
    step: Step = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Write a run as files that other programs read."""
    from app.import_command import TROUBLE
    from app.import_command import export as export_files

    try:
        written = export_files(run, format, step, out, _settings(checkpoints))
    except TROUBLE as error:
        _stop(str(error))
    print(f"{written} is ready")


@contextmanager
def _lent(run: str, step: int | None, checkpoints: Path | None) -> Iterator["LoadedRun"]:
    """The loaded run; whatever goes wrong with it or its text is one line on stderr."""
    import torch

    from app.registry import Registry
    from model.tokenizer import UnknownCharacters

    settings = _settings(checkpoints)
    torch.set_num_threads(settings.threads)
    registry = Registry(settings.checkpoints, settings.memory_budget_mb * 10**6)
    try:
        with registry.lend(run, step) as loaded:
            yield loaded
    except (RequestError, UnknownCharacters, ValueError) as error:
        _stop(str(error))
    except KeyboardInterrupt:
        print()
        raise typer.Exit(130) from None


def _settings(checkpoints: Path | None) -> Settings:
    from app.starting import CannotStart, read_settings

    try:
        return read_settings(**{"checkpoints": checkpoints} if checkpoints else {})
    except CannotStart as error:
        _stop(str(error))


def _runs(out: Path | None) -> Path:
    """Where a new run's folder goes."""
    settings = _settings(None)  # also with `out`: where uploaded texts are is among them
    return out or settings.checkpoints


def _stop(message: str) -> NoReturn:
    print(f"sidelight: {message}", file=sys.stderr)
    raise typer.Exit(1)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(rows: list[list[str]]) -> None:
    """Columns as wide as their widest cell, each beginning where its name does."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
