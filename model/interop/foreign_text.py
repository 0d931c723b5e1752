"""What stands in a foreign file, in a message: one line that can be printed, and not a long one."""

LONGEST = 120


def shown(text: object) -> str:
    """The beginning, with a question mark for each character that cannot be seen."""
    words = str(text)
    line = "".join(c if c.isprintable() else "?" for c in words[:LONGEST])
    return line if len(words) <= LONGEST else f"{line}…"
