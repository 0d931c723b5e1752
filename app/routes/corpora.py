"""`/api/corpora`: the texts to train on, and new ones."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from app import examples
from app.answers import Answers, refusals
from app.corpora import CorpusSummary
from app.deps import CorporaDep, SettingsDep, one_upload
from app.errors import InvalidRequest, NoRoom
from app.logs.context import note
from app.receiving import receive
from app.schemas import Name
from model.corpus import CorpusError

CLIENT_CLOSED_REQUEST = 499  # nobody reads it; it is for the log

router = APIRouter(prefix="/api", tags=["Training"])

UNKNOWN = refusals({404: "There is no such text."})
UPLOAD: Answers = {
    200: {"model": CorpusSummary, "description": "The same text was here already: that one."},
    201: {"content": {"application/json": {"example": examples.kept(examples.CORPUS)}}},
    **refusals(
        {
            413: "It is over the limit, which the message names.",
            422: "It is not UTF-8, or too little to learn from.",
            503: "Too many come in just now; see `Retry-After`.",
            507: "The disk is full.",
        }
    ),
}
BODY = {
    "required": True,
    "content": {"text/plain": {"schema": {"type": "string"}, "example": examples.CORPUS_TEXT}},
}


class CorpusList(BaseModel):
    """The texts there are, Tiny Shakespeare first."""

    corpora: list[CorpusSummary]
    max_bytes: int = Field(description="Largest text that can be uploaded.")


@router.get("/corpora", summary="All texts")
def list_corpora(corpora: CorporaDep, settings: SettingsDep) -> CorpusList:
    """Every text that can be trained on, with its most frequent characters."""
    return CorpusList(corpora=list(corpora.list()), max_bytes=settings.max_upload_bytes)


@router.post(
    "/corpora",
    summary="Upload a text",
    status_code=HTTPStatus.CREATED,
    response_model=CorpusSummary,
    responses=UPLOAD,
    openapi_extra={"requestBody": BODY},
    dependencies=[Depends(one_upload)],
)
async def upload_corpus(
    request: Request,
    corpora: CorporaDep,
    name: Annotated[
        str, Query(max_length=200, description="The file's name; the id is made from it.")
    ] = "text",
) -> Response:
    """Keep a UTF-8 text, whose bytes are the body: `curl --data-binary @my.txt`.

    It is checked while it arrives. A text that is here already is not kept twice.
    """
    if request.headers.get("content-type", "").startswith("multipart/"):
        message = "send the file's bytes alone, not a form: curl --data-binary @my.txt"
        raise InvalidRequest(message, param="body", code="multipart")
    try:
        empty = await run_in_threadpool(corpora.receive, name)
        async with contextmanager_in_threadpool(empty) as incoming:
            await receive(request, incoming.write)
            corpus, is_new = await run_in_threadpool(corpora.keep, incoming)
    except CorpusError as error:
        raise InvalidRequest(str(error), param="body", code="unusable_text") from None
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    except OSError as error:
        message = f"the text cannot be kept: {error.strerror}"
        raise NoRoom(message, code="disk") from None
    note(corpus=corpus.id)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return Response(corpus.model_dump_json(), status, media_type="application/json")


@router.get("/corpora/{id}", summary="One text", responses=UNKNOWN)
def get_corpus(id: Name, corpora: CorporaDep) -> CorpusSummary:
    """The same, with more of its characters."""
    return corpora.get(id)


@router.delete(
    "/corpora/{id}",
    summary="Delete a text",
    status_code=HTTPStatus.NO_CONTENT,
    responses=UNKNOWN | refusals({409: "It is built in or needed."}),
)
def delete_corpus(id: Name, corpora: CorporaDep) -> None:
    """Delete an uploaded text; the runs that were trained on it stay."""
    corpora.delete(id)
