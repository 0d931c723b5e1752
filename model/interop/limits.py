"""How much may come in."""

from model.interop.errors import UnreadableModel


def require_size(file: str, size: int, most_bytes: int, advice: str = "") -> None:
    """Raises UnreadableModel where `size` bytes are more than may come in."""
    if size > most_bytes:
        message = f"{file}: {size:,} bytes, and at most {most_bytes:,} bytes may come in"
        raise UnreadableModel(f"{message}; {advice}" if advice else message)
