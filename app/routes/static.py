"""`/static`: our own files and other projects', kept for good where the address names a version."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.site_files import SiteFiles
from app.vendor import FOLDER, vendor_files

router = APIRouter(include_in_schema=False)


FOR_GOOD = "public, max-age=31536000, immutable"


class OwnFiles(StaticFiles):
    """Files under `v/VERSION/`, and without that; what is not the version of now is not kept."""

    def __init__(self, site: SiteFiles, **options: Any) -> None:
        super().__init__(**options)
        self._site = site

    async def get_response(self, path: str, scope: Scope) -> Response:
        first, *rest = path.split("/", 2)
        versioned = first == "v" and len(rest) == 2
        response = await super().get_response(rest[1] if versioned else path, scope)
        current = versioned and rest[0] == self._site.version
        response.headers["Cache-Control"] = FOR_GOOD if current else "no-cache"
        return response


@router.get(FOLDER + "/{name}")
def vendor_file(name: str, request: Request) -> Response:
    file = next((file for file in vendor_files() if file.name == name), None)
    if file is None:
        raise HTTPException(404)
    headers = {
        "Cache-Control": FOR_GOOD,
        "ETag": f'"{file.name}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(file.path, media_type=file.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(file.gzipped, media_type=file.media_type, headers=headers)
