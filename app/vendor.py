"""Other projects' browser files, taken from installed packages so that the pages work offline."""

import gzip
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import distribution
from pathlib import Path
from threading import Lock

FOLDER = "/static/vendor"


@dataclass(frozen=True)
class VendorFile:
    """A file whose address names its version, so that a browser may keep it for good."""

    name: str
    path: Path
    media_type: str

    @property
    def url(self) -> str:
        return f"{FOLDER}/{self.name}"

    @cached_property
    def gzipped(self) -> bytes:
        """Compressed once; that takes a second for the largest, every other request none."""
        with _compressing:
            return self.__dict__.get("gzipped") or gzip.compress(self.path.read_bytes(), 9, mtime=0)


_compressing = Lock()


@cache
def plotly_js() -> VendorFile:
    return _file("plotly", "plotly/package_data/plotly.min.js", "plotly", "min.js")


@cache
def swagger_ui_js() -> VendorFile:
    path = "fastapi_swagger/resources/swagger-ui-bundle.js"
    return _file("fastapi-swagger", path, "swagger-ui", "js")


@cache
def swagger_ui_css() -> VendorFile:
    return _file("fastapi-swagger", "fastapi_swagger/resources/swagger-ui.css", "swagger-ui", "css")


def vendor_files() -> list[VendorFile]:
    return [plotly_js(), swagger_ui_js(), swagger_ui_css()]


def _file(package: str, path: str, name: str, suffix: str) -> VendorFile:
    installed = distribution(package)
    media_type = "text/css" if suffix.endswith("css") else "text/javascript"
    located = Path(str(installed.locate_file(path)))
    return VendorFile(f"{name}-{installed.version}.{suffix}", located, media_type)
