"""Which JavaScript modules a page will need, so that it can ask for them all at once."""

import re
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "static" / "js"
STATIC_IMPORT = re.compile(
    r"""^(?:import|export)\b[^;]*?\bfrom\s+["']\./([\w-]+\.js)["']""", re.MULTILINE
)


@cache
def page_modules(*names: str) -> list[str]:
    """The addresses of modules and of all that they import, directly or not, themselves first."""
    found = list(names)
    for module in found:  # grows meanwhile
        for other in STATIC_IMPORT.findall((SCRIPTS / module).read_text("utf-8")):
            if other not in found:
                found.append(other)
    return [f"/static/js/{module}" for module in found]
