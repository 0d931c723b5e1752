"""`POST /api/runs`: a model from elsewhere becomes a run."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from starlette.requests import ClientDisconnect

from app.answers import BYTES, refusals
from app.corpora import Corpora
from app.deps import (
    AdmissionDep,
    CorporaDep,
    ModelFilesDep,
    QueueDep,
    RegistryDep,
    SettingsDep,
    one_upload,
)
from app.errors import InvalidRequest, NoRoom, UnknownCorpus
from app.incoming_model import IncomingModel
from app.logs.context import note
from app.receiving import receive
from app.run_listing import RunSummary, summary
from app.schemas import Name
from model.config import RUN_ID_PATTERN
from model.tokenizer import CharTokenizer

CLIENT_CLOSED_REQUEST = 499  # nobody reads it; it is for the log

router = APIRouter(prefix="/api", tags=["Runs"])

RESPONSES = refusals(
    {
        409: "There is a run of that id.",
        413: "It is over the limit, which the message names.",
        422: "It cannot be read; `param` says what is wrong.",
        503: "Too many come in just now; see `Retry-After`.",
        507: "The disk is full.",
    }
)
BODY = {
    "required": True,
    "content": {"application/octet-stream": BYTES},
}


@router.post(
    "/runs",
    summary="Bring in a model",
    status_code=HTTPStatus.CREATED,
    response_model=RunSummary,
    responses=RESPONSES,
    openapi_extra={"requestBody": BODY},
    dependencies=[Depends(one_upload)],
)
async def import_run(
    request: Request,
    registry: RegistryDep,
    corpora: CorporaDep,
    queue: QueueDep,
    admission: AdmissionDep,
    model_files: ModelFilesDep,
    settings: SettingsDep,
    name: Annotated[
        str, Query(max_length=200, description="The file's name; the id is made from it.")
    ] = "model",
    id: Annotated[
        str | None, Query(pattern=RUN_ID_PATTERN, description="What the run is to be called.")
    ] = None,
    title: Annotated[str | None, Query(max_length=200, description="Its title.")] = None,
    vocabulary: Annotated[
        Name | None,
        Query(description="A text of `/api/corpora` whose different characters are its tokens."),
    ] = None,
) -> Response:
    """Make a run of a file, whose bytes are the body: `curl --data-binary @ckpt.pt`.

    A nanoGPT checkpoint, a state dict of the exercise's model, or a zip: of a Hugging Face GPT-2
    folder, of a checkpoint with its `meta.pkl`, or of a run folder. Nothing in it is executed.
    """
    if request.headers.get("content-type", "").startswith("multipart/"):
        message = "send the file's bytes alone, not a form: curl --data-binary @ckpt.pt"
        raise InvalidRequest(message, param="file", code="multipart")
    await run_in_threadpool(admission.require_room, trained=False)
    most = settings.max_import_bytes
    try:
        empty = await run_in_threadpool(IncomingModel, settings.checkpoints, most, queue.is_taken)
        async with contextmanager_in_threadpool(empty) as incoming:
            with incoming.upload.open("wb") as file:
                await receive(request, file.write)
            tokenizer = await run_in_threadpool(_characters_of, vocabulary, corpora)
            async with model_files:
                folder = await run_in_threadpool(
                    incoming.bring_in, incoming.upload, name, id, title, tokenizer
                )
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    except OSError as error:
        message = f"the model cannot be kept: {error.strerror}"
        raise NoRoom(message, code="disk") from None
    note(run=folder.id)
    told = summary(await run_in_threadpool(registry.run, folder.id)).model_dump_json()
    return Response(told, HTTPStatus.CREATED, media_type="application/json")


def _characters_of(vocabulary: str | None, corpora: Corpora) -> CharTokenizer | None:
    """Raises InvalidRequest for a text that is not here."""
    if not vocabulary:
        return None
    try:
        return CharTokenizer.from_text(corpora.load(vocabulary).text)
    except UnknownCorpus as error:
        raise InvalidRequest(
            f"vocabulary: {error.message}", param="vocabulary", code="unknown_corpus"
        ) from None
