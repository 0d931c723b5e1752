"""What a key may allow, and what each request needs.

The table is by method and path and not by route, so that a route that is added without a thought
needs the highest right.
"""

from typing import Literal, get_args

Right = Literal["read", "generate", "train"]

RIGHTS: tuple[Right, ...] = get_args(Right)
MEANING: dict[Right, str] = {
    "read": "see the pages, the runs, the jobs and the texts, and take runs out",
    "generate": "have runs write, and look inside them",
    "train": "train, import, annotate and delete",
}

# What may be asked by anybody: whether the server lives, and what it takes to show a key.
PUBLIC = {"/healthz", "/readyz", "/sign-in", "/sign-out"}
PUBLIC_FOLDER = "/static/"

READING = {"GET", "HEAD", "OPTIONS"}
ASKING_RUNS = ("/v1/", "/api/attention", "/api/learn/")  # a POST there changes nothing


def needed_right(method: str, path: str) -> Right | None:
    """None for what anybody may do."""
    if path in PUBLIC or path.startswith(PUBLIC_FOLDER):
        return None
    if method in READING:
        return "read"
    return "generate" if path.startswith(ASKING_RUNS) else "train"
