"""JSON from somewhere else, which may be no JSON, or nested a million deep."""

import json
from pathlib import Path

from model.interop.foreign_text import shown


def read_json(path: Path, most_bytes: int) -> object:
    """Raises ValueError that says what is wrong, OSError."""
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"over {most_bytes:,} bytes")
    return parse_json(data)


def parse_json(data: bytes) -> object:
    """Raises ValueError that says what is wrong."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except UnicodeDecodeError:
        raise ValueError("no UTF-8") from None
    except ValueError as error:
        raise ValueError(f"no JSON ({shown(error)})") from None
