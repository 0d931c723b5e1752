"""`/v1/chat/completions` and `/v1/responses`: what base models are not for, said clearly."""

from typing import Any

from fastapi import APIRouter

from app.errors import ErrorReply, NoSuchEndpoint

router = APIRouter(prefix="/v1", tags=["OpenAI"])

MESSAGE = (
    "model: these are base models, which write on from a text and have never seen a chat: "
    "send the text as `prompt` to /v1/completions"
)
ANSWER: dict[str, Any] = {"status_code": 404, "response_description": "These are base models."}


@router.post("/chat/completions", name="create_chat_completion", summary="No chat", **ANSWER)
@router.post("/responses", name="create_response", summary="No responses", **ANSWER)
async def refuse() -> ErrorReply:
    """Always an error, whatever is sent: ask `/v1/completions`, which takes a prompt."""
    raise NoSuchEndpoint(MESSAGE, param="model", code="not_a_chat_model")
