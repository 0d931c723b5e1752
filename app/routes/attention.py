"""`/api/attention`: what every head of a run looks at."""

import math

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from app import examples
from app.answers import BYTES, RUN
from app.attention_schemas import AttentionReply, AttentionRequest
from app.attention_wire import compact, gzipped, npy
from app.deps import SettingsDep, ask_run
from app.inspection import Inspection, inspect
from app.reading import Reader, check_size
from app.registry import LoadedRun
from app.settings import Settings

JSON = "application/json"
NPY = "application/x-npy"
COMPACT = "application/octet-stream"
COMPRESS_FROM_BYTES = 1000

router = APIRouter(prefix="/api", tags=["Runs"])

RESPONSES = RUN | {
    200: {
        "description": "The maps, in the form that `Accept` asks for.",
        "content": {
            **examples.of_answer(examples.ATTENTION)[200]["content"],
            NPY: {
                **BYTES,
                "example": "a .npy file: float32, (layers, heads, T, T)",
            },
            COMPACT: {
                **BYTES,
                "example": "uint32 little-endian N; N bytes of JSON with the fields of the reply "
                "but for `maps`, `length` T, `encoding` and `scale`; then for each layer and head "
                "the lower triangle row by row, one byte for each number: round(scale p), or "
                "with `sqrt8` round(255 sqrt(p / largest))",
            },
        },
    },
}


@router.post(
    "/attention",
    summary="Attention maps",
    response_model=AttentionReply,
    responses=RESPONSES,
    openapi_extra=examples.of_request(examples.ATTENTION_REQUESTS),
)
async def read_attention(
    body: AttentionRequest, request: Request, settings: SettingsDep
) -> Response:
    """How much each token looks at itself and each one before it, in every head.

    Of kind `raw` the numbers are the softmax of the forward pass that also writes text. Of a text
    longer than the context only the end is seen; `text_offset` tells how much was left out.
    """
    reader: Reader = request.app.state.reader

    def work(loaded: LoadedRun) -> Response:
        return _encoded(inspect(loaded, body, reader), request.headers, settings)

    return await ask_run(request, body.run, body.step, work)


def _encoded(seen: Inspection, headers: Headers, settings: Settings) -> Response:
    accept = headers.get("accept", "")
    if NPY in accept:
        return _bytes(npy(seen.maps), NPY, headers)
    if COMPACT in accept:
        return _bytes(compact(seen.facts(), seen.maps, seen.asked.encoding), COMPACT, headers)
    advice = f"ask for fewer layers or heads, or send Accept: {NPY} or {COMPACT}"
    check_size(math.prod(seen.shape), settings.attention_json_cells, advice)
    return Response(seen.json(), media_type=JSON, headers={"Vary": "Accept"})


def _bytes(body: bytes, media_type: str, headers: Headers) -> Response:
    """Compressed here, as the middleware leaves alone what is; it would take four times as long."""
    sent = {"Vary": "Accept"}
    if len(body) >= COMPRESS_FROM_BYTES and "gzip" in headers.get("accept-encoding", ""):
        body = gzipped(body)
        sent = {"Vary": "Accept, Accept-Encoding", "Content-Encoding": "gzip"}
    return Response(body, media_type=media_type, headers=sent)
