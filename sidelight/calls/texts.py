"""The texts to train on."""

from os import PathLike
from pathlib import Path

from sidelight.asking import FILES_S, Ask, Call
from sidelight.files import LONGEST_NAME, whole
from sidelight.shapes import Corpus


def corpora() -> Call[list[Corpus]]:
    """Every text that can be trained on, Tiny Shakespeare first."""
    answer = yield Ask("GET", "/api/corpora")
    found: list[Corpus] = answer.json()["corpora"]
    return found


def upload_corpus(path: str | PathLike[str]) -> Call[Corpus]:
    """Send a UTF-8 text; one that the server has already is not kept twice.

    Raises OSError for a file that cannot be read.
    """
    text = Path(path)
    with whole(text, "text/plain") as (body, headers):
        query = {"name": text.name[-LONGEST_NAME:]}
        answer = yield Ask(
            "POST", "/api/corpora", query=query, headers=headers, body=body, wait_s=FILES_S
        )
    kept: Corpus = answer.json()
    return kept
