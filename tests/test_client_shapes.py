"""The Python client's types are the server's: its TypedDicts against the API's description."""

import inspect
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from fastapi.testclient import TestClient

from sidelight import attention_shapes, completion, report_shapes, shapes
from sidelight.calls import training
from sidelight.naming import RunAt

ANSWERS = {
    shapes.Run: "RunSummary",
    shapes.RunDetail: "RunDetail",
    shapes.Job: "JobView",
    shapes.Corpus: "CorpusSummary",
    report_shapes.Report: "Report",
    attention_shapes.Inside: "InsideReply",
    attention_shapes.WithoutHeads: "AblationReply",
}
# Requests, of which a type need not have every field.
REQUESTS = {
    completion.Sampling: "CompletionRequest",
    attention_shapes.Drawing: "DistributionRequest",
    attention_shapes.WritingOn: "AblationRequest",
    RunAt: "InitFrom",
}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


class Schemas:
    """The API's description, and what of a type disagrees with it."""

    def __init__(self, named: dict[str, Any]) -> None:
        self.named = named

    def of(self, name: str) -> dict[str, Any]:
        return self.named[name]

    def problems(self, annotation: Any, schema: dict[str, Any], place: str) -> list[str]:
        if "$ref" in schema:
            schema = self.of(schema["$ref"].rsplit("/")[-1])
        if get_origin(annotation) in (Union, types.UnionType):
            return self._of_union(get_args(annotation), schema, place)
        if is_typeddict(annotation) and "properties" in schema:
            return self.of_fields(annotation, schema, place)
        if get_origin(annotation) is list and schema.get("type") == "array":
            inner = schema.get("items") or {"anyOf": schema["prefixItems"]}
            return self.problems(get_args(annotation)[0], inner, f"{place}[]")
        if get_origin(annotation) is Literal:
            agrees = set(get_args(annotation)) == set(schema.get("enum", [schema.get("const")]))
        elif get_origin(annotation) is dict:
            agrees = schema.get("type") == "object" or "oneOf" in schema
        else:
            agrees = schema.get("type") == PLAIN.get(annotation, "nothing else")
        return [] if agrees else [f"{place}: {annotation}, but {schema}"]

    def of_fields(self, kind: Any, schema: dict[str, Any], place: str) -> list[str]:
        ours, theirs = get_type_hints(kind), schema["properties"]
        if kind.__total__ and ours.keys() != theirs.keys():
            return [f"{place}: {ours.keys() ^ theirs.keys()}"]
        if unknown := ours.keys() - theirs.keys():
            return [f"{place}: {unknown}"]
        return [
            problem
            for field, annotation in ours.items()
            if (place, field) != ("Inside", "row")  # it becomes arrays
            for problem in self.problems(annotation, theirs[field], f"{place}.{field}")
        ]

    def _of_union(self, branches: tuple[Any, ...], schema: dict[str, Any], place: str) -> list[str]:
        theirs = schema.get("anyOf", [schema])
        fits = [[not self.problems(ours, other, place) for other in theirs] for ours in branches]
        both = all(map(any, fits)) and all(map(any, zip(*fits, strict=True)))
        return [] if both else [f"{place}: {branches}, but {theirs}"]


@pytest.fixture(scope="module")
def schemas(client: TestClient) -> Schemas:
    return Schemas(client.get("/openapi.json").json()["components"]["schemas"])


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_answers_have_the_servers_fields(schemas: Schemas, kind: type) -> None:
    assert schemas.problems(kind, schemas.of(ANSWERS[kind]), kind.__name__) == []


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_what_can_be_asked_is_what_the_server_takes(schemas: Schemas, kind: type) -> None:
    theirs = schemas.of(REQUESTS[kind])["properties"]
    for field, annotation in get_type_hints(kind).items():
        is_union = get_origin(annotation) in (Union, types.UnionType)
        offered = theirs[field].get("anyOf", [theirs[field]])
        for each in get_args(annotation) if is_union else [annotation]:
            assert any(not schemas.problems(each, other, field) for other in offered), field


def test_training_takes_all_that_the_server_does(schemas: Schemas) -> None:
    ours = inspect.signature(training.train).parameters.keys()
    assert ours == schemas.of("JobRequest")["properties"].keys()


def test_a_difference_would_be_found(schemas: Schemas) -> None:
    answer, theirs = shapes.Metric, schemas.of("Metric")
    assert schemas.problems(answer, theirs, "") == []
    fields = theirs["properties"]
    wrong = [
        {**fields, "new": {"type": "string"}},
        {name: field for name, field in fields.items() if name != "step"},
        {**fields, "step": {"type": "string"}},
        {**fields, "estimate": {"type": "number"}},
        {**fields, "train_loss": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
    ]
    for properties in wrong:
        assert schemas.problems(answer, {**theirs, "properties": properties}, "")


def test_events_have_the_fields_that_are_sent() -> None:
    from app.jobs.events import PROGRESS

    assert get_type_hints(shapes.Progress).keys() == {*PROGRESS, "phase", "learning_rate"}
