"""Where the pages find their own scripts and styles, and which of them go together.

An address names the version of all files, as in `/static/v/3f9c1b/js/attention.js`. So a browser
keeps a file for good and asks for it only once, and pages never mix modules of two versions: what a
module imports is found beside it, in the same version.
"""

import hashlib
import os
import re
import time
from pathlib import Path

STATIC_IMPORT = re.compile(
    r"""^(?:import|export)\b[^;]*?\bfrom\s+["'](\.[^"']+)["']""", re.MULTILINE
)
LOOKS_EVERY_S = 1.0


class SiteFiles:
    """The files in `folder`, served under `/static`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._version, self._looked = "", 0.0

    @property
    def version(self) -> str:
        """Another one whenever a file has been changed, a second later at most."""
        if not self._version or time.monotonic() - self._looked > LOOKS_EVERY_S:
            self._version, self._looked = self._look(), time.monotonic()
        return self._version

    @property
    def root(self) -> str:
        """What the address of every file begins with, in the version of the moment."""
        return f"/static/v/{self.version}"

    def modules(self, *names: str) -> list[str]:
        """Addresses of scripts in `js/` and of all that they import, directly or not.

        A page that asks for them all at once does not wait for each to name the next.
        """
        scripts = self._folder / "js"
        found = list(names)
        for name in found:  # grows meanwhile
            folder = os.path.dirname(name)  # noqa: PTH120 (an address, not a path)
            for other in STATIC_IMPORT.findall((scripts / name).read_text("utf-8")):
                module = os.path.normpath(os.path.join(folder, other)).replace(os.sep, "/")  # noqa: PTH118
                if module not in found:
                    found.append(module)
        return [f"{self.root}/js/{name}" for name in found]

    def _look(self) -> str:
        digest = hashlib.sha256()
        for folder, folders, names in os.walk(self._folder):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)  # noqa: PTH118 (quick: this is done for each page)
                stat = os.stat(path)  # noqa: PTH116
                digest.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
        return digest.hexdigest()[:12]
