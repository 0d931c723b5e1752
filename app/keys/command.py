"""`sidelight keys`: who may use the server, and for what."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from app.errors import RequestError
from app.keys.ring import KeyRing, UnreadableKeys
from app.security.rights import MEANING, RIGHTS, Right

keys = typer.Typer(
    help="Make, list and remove API keys. A running server knows at once.", no_args_is_help=True
)

NAME = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, or what for.")]


@keys.command()
def add(
    name: NAME,
    rights: Annotated[
        str,
        typer.Option(
            help="What it may do, with commas between: "
            + "; ".join(f"{right}: {meaning}" for right, meaning in MEANING.items())
            + "."
        ),
    ] = "read,generate",
) -> None:
    """Make a key, and show it this one time."""
    chosen = _rights(rights)
    with _one_line():
        secret = _ring().add(name, chosen)
    typer.echo(secret)
    note = f"That is the key of {name!r}. It is shown this one time: only its hash is kept."
    typer.echo(note, err=True)


@keys.command(name="list")
def list_() -> None:
    """Show the names, rights and ages of all keys."""
    with _one_line():
        listed = _ring().listed()
    for key in listed:
        rights = ",".join(right for right in RIGHTS if right in key.rights)
        typer.echo(f"{key.name:<24}  {rights:<20}  {key.created:%Y-%m-%d %H:%M} UTC")
    if not listed:
        typer.echo("there are no keys; make one with: sidelight keys add NAME", err=True)


@keys.command()
def remove(name: NAME) -> None:
    """Nobody gets in with that key any more."""
    with _one_line():
        _ring().remove(name)
    typer.echo(f"the key {name!r} is removed")


def _ring() -> KeyRing:
    """Raises CannotStart."""
    from app.starting import read_settings  # imports torch

    return KeyRing(read_settings().data)


def _rights(listed: str) -> list[Right]:
    chosen = {part.strip() for part in listed.split(",") if part.strip()}
    if unknown := sorted(chosen - set(RIGHTS)):
        _stop(f"--rights: there is no right {unknown[0]!r}, only {', '.join(RIGHTS)}")
    if not chosen:
        _stop(f"--rights: name at least one of {', '.join(RIGHTS)}")
    return [right for right in RIGHTS if right in chosen]


@contextmanager
def _one_line() -> Iterator[None]:
    """Whatever goes wrong is one line on stderr."""
    from app.starting import CannotStart

    try:
        yield
    except ValidationError:
        _stop("the name must be 1 to 64 letters, digits, spaces or any of . @ _ -")
    except OSError as error:
        _stop(f"{error.filename or 'the keys'}: {error.strerror or error}")
    except RequestError as error:
        _stop(error.message)
    except (UnreadableKeys, LookupError, CannotStart) as error:
        _stop(str(error.args[0]))


def _stop(message: str) -> NoReturn:
    typer.echo(f"sidelight: {message}", err=True)
    raise typer.Exit(1)
