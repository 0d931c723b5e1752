"""`/openapi.json`: the API's description."""

import json

from fastapi import APIRouter, Request, Response

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def description(request: Request) -> Response:
    """In a thread, unlike FastAPI's own: the first time it is put together, which takes a while."""
    content = json.dumps(request.app.openapi(), ensure_ascii=False, separators=(",", ":"))
    return Response(content, media_type="application/json")
