"""Every field of every request has bounds, as the API's own description shows."""

from collections.abc import Iterator
from typing import Any

from fastapi.testclient import TestClient

Schema = dict[str, Any]

SAID = {"enum", "const"}
STRING_BOUNDS = SAID | {"maxLength", "pattern", "format"}
# Bodies that are no JSON have a limit of their own, in bytes.
BYTES = {"text/plain", "application/octet-stream"}


def fields(client: TestClient) -> Iterator[tuple[str, Schema]]:
    """Each value that a request may have, however deep inside another, with where it is."""
    api = client.get("/openapi.json").json()
    waiting = [*asked(api)]
    seen = set[str]()
    while waiting:
        place, schema = waiting.pop()
        if name := schema.get("$ref", "").rpartition("/")[2]:
            if (once := f"{place} {name}") not in seen:
                seen.add(once)
                waiting.append((place, api["components"]["schemas"][name]))
            continue
        yield place, schema
        waiting += inside(place, schema)


def asked(api: Schema) -> Iterator[tuple[str, Schema]]:
    """The parameters and the bodies of all operations."""
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            where = f"{method.upper()} {path}"
            for parameter in operation.get("parameters", ()):
                yield f"{where} {parameter['name']}", parameter["schema"]
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                if kind not in BYTES:
                    yield where, body["schema"]


def inside(place: str, schema: Schema) -> list[tuple[str, Schema]]:
    branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key, ())]
    entries = [schema.get("items"), schema.get("additionalProperties")]
    entries += schema.get("prefixItems", ())
    return [
        *((place, branch) for branch in branches),
        *((f"{place}.{name}", of) for name, of in schema.get("properties", {}).items()),
        *((f"{place}[]", entry) for entry in entries if isinstance(entry, dict)),
    ]


def kinds(schema: Schema) -> set[str]:
    kind = schema.get("type", ())
    return {kind} if isinstance(kind, str) else set(kind)


def missing(schema: Schema) -> list[str]:
    """The bounds that it should have and has not."""
    here, kind = schema.keys(), kinds(schema)
    wanted = []
    if "string" in kind and not here & STRING_BOUNDS:
        wanted.append("maxLength")
    if "array" in kind and "maxItems" not in here:
        wanted.append("maxItems")
    if kind & {"number", "integer"} and not here & SAID:
        if not here & {"minimum", "exclusiveMinimum"}:
            wanted.append("minimum")
        if not here & {"maximum", "exclusiveMaximum"}:
            wanted.append("maximum")
    if (
        "object" in kind
        and schema.get("additionalProperties", True)
        and "maxProperties" not in here
    ):
        wanted.append("additionalProperties: false, or maxProperties")
    if not kind and not here & (SAID | {"anyOf", "oneOf", "allOf", "$ref"}):
        wanted.append("a type")
    return wanted


def test_every_field_of_every_request_is_bounded(client: TestClient) -> None:
    found = list(fields(client))
    assert len(found) > 300
    unbounded = {f"{place}: {', '.join(wanted)}" for place, of in found if (wanted := missing(of))}
    assert not unbounded, "\n".join(["", *sorted(unbounded)])
