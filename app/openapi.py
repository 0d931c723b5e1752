"""The API's description, with what is the same for every operation in one place."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from app.answers import Answers, refusals
from app.errors import ErrorReply
from app.examples import put_back
from app.security.access import COOKIE
from app.security.rights import MEANING, needed_right

Json = dict[str, Any]

TAGS = {
    "OpenAI": "What OpenAI's clients ask. Every run is a model.",
    "Runs": "Trained models: their configuration, history, notes and files.",
    "Attention": "What the heads of a run look at, what they do, and what happens without them.",
    "Learn": "The numbers behind the lessons' figures.",
    "Training": "Texts, presets, jobs that train a run, and sweeps of many.",
    "Health": "For whoever watches the server.",
}
SCHEMES: Json = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `sidelight keys`. A server that has none asks for none.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What a browser gets for a key at `/sign-in`.",
    },
}
SAFE = ("GET", "HEAD", "OPTIONS")


def describe(app: FastAPI) -> None:
    """Have `app.openapi()` tell of that too."""
    plain = app.openapi

    def complete() -> Json:
        if app.openapi_schema is None:
            document = put_back(plain())
            _complete(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi_tags = [{"name": name, "description": what} for name, what in TAGS.items()]
    app.openapi = complete  # type: ignore[method-assign]


def _complete(document: Json) -> None:
    for method, path, operation in _operations(document):
        own = {
            status: answer
            for status, answer in operation["responses"].items()
            if "HTTPValidationError" not in str(answer)  # FastAPI's shape, which is not ours
        }
        shared = {str(status): told for status, told in _shared(method, path, operation).items()}
        operation["responses"] = dict(sorted((shared | own).items()))
        for field in operation.get("parameters", ()):
            _without_null(field["schema"])
        if needed_right(method, path):
            operation["security"] = [{scheme: []} for scheme in SCHEMES]
    parts = document.setdefault("components", {})
    parts["securitySchemes"] = SCHEMES
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    error = ErrorReply.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= error.pop("$defs") | {ErrorReply.__name__: error}
    parts["schemas"] = dict(sorted(schemas.items()))


def _without_null(schema: Json) -> None:
    """There is no way to write null in an address or a header: it is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _shared(method: str, path: str, operation: Json) -> Answers:
    """What the checks around an operation may answer in its place."""
    right, has_body = needed_right(method, path), "requestBody" in operation
    reasons = {
        400: "It is no HTTP request, or its headers are too long.",
        408: "The request did not come in its time.",
        421: "The server does not answer to the name in `Host`.",
        500: "The server failed; its log says why.",
        503: "The server is stopping, or short of something that `code` names; see `Retry-After`.",
    }
    forbidden = []
    if right:
        reasons[401] = "The server wants a key, and there is none, or an unknown one."
        reasons[429] = "One client's limit is reached; see `Retry-After`."
        forbidden.append(f"The key does not have the right to {right}: {MEANING[right]}.")
    if method not in SAFE:
        forbidden.append("A page of another site sends this.")
    if forbidden:
        reasons[403] = " ".join(forbidden)
    if right == "train":
        reasons[507] = "The disk is full."
    if has_body:
        reasons[413] = "The body is over the limit, which the message names."
    if has_body or operation.get("parameters"):
        status = 400 if path.startswith("/v1/") else 422
        reasons[status] = "A field cannot be used; `param` names it."
    return refusals(reasons)
