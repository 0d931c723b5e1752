"""`/static`: our own files, asked for anew each time, and other projects', kept for good."""

from os import PathLike, stat_result

from fastapi import APIRouter, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.vendor import FOLDER, vendor_files

router = APIRouter(include_in_schema=False)


class OwnFiles(StaticFiles):
    """Every use asks whether the file changed, so that pages never mix modules of two versions."""

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


@router.get(FOLDER + "/{name}")
def vendor_file(name: str, request: Request) -> Response:
    file = next((file for file in vendor_files() if file.name == name), None)
    if file is None:
        raise HTTPException(404)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": f'"{file.name}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.path.read_bytes(), media_type=file.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(file.gzipped, media_type=file.media_type, headers=headers)
