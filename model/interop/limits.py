"""How much may come in."""

from model.interop.errors import UnreadableModel

MOST_CONFIG_BYTES = 1 << 20
MOST_HISTORY_BYTES = 64 << 20  # of all that was noted of a run, and so of its samples
MOST_VOCABULARY_BYTES = 32 << 20  # of a tokenizer as JSON; GPT-2's has three megabytes


def require_size(file: str, size: int, most_bytes: int, advice: str = "") -> None:
    """Raises UnreadableModel where `size` bytes are more than may come in."""
    if size > most_bytes:
        message = f"{file}: {size:,} bytes, and at most {most_bytes:,} bytes may come in"
        raise UnreadableModel(f"{message}; {advice}" if advice else message)
