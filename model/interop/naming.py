"""What to call a run, from what its files were called."""

import re
import unicodedata

LONGEST_ID, LONGEST_TITLE = 64, 200
ENDINGS = re.compile(r"\.(zip|pth?|safetensors)$", re.IGNORECASE)
SAYS_NOTHING = {"ckpt", "checkpoint", "model", "weights", "pytorch_model", "upload"}
HUGGING_FACE = re.compile(r"^models--(?:.*--)?")


def title_from(name: str) -> str:
    """The name without its ending, or that of the folder around where it says nothing."""
    parts = [part.strip() for part in re.split(r"[/\\]", name)]
    words = [ENDINGS.sub("", part) for part in parts if part not in {"", ".", ".."}]
    telling = [word for word in words if word.lower() not in SAYS_NOTHING]
    word = (telling or words or ["model"])[-1]
    shown = "".join(c for c in HUGGING_FACE.sub("", word) if c.isprintable())
    return shown[:LONGEST_TITLE].strip() or "model"


def id_from(name: str) -> str:
    """The same as an id: small letters, digits, dots, hyphens and underscores."""
    plain = unicodedata.normalize("NFKD", title_from(name)).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9._-]+", "-", plain.lower()).lstrip("._-")
    return words[:LONGEST_ID].rstrip("._-") or "model"
