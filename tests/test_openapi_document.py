"""The API's description as a document: valid, with names that last, and true to its own schemas."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from fastapi.testclient import TestClient

from app.security.rights import needed_right

# Clients are generated from these: one that changes breaks theirs.
OPERATION_IDS = """
    create_completion list_models get_model create_chat_completion create_response
    read_attention score_head_roles compare_heads inspect_head get_distribution ablate_heads
    measure_importance
    predict_next_token compare_orders encode_text show_batch explain_self_attention
    explain_cross_attention attend_by_hand list_parts read_activations measure_head_diversity
    follow_depth try_dropout
    list_runs import_run get_run edit_notes get_report export_run
    list_jobs create_job check_job get_job delete_job cancel_job resume_job get_job_log watch_job
    list_sweeps create_sweep check_sweep get_sweep cancel_sweep
    list_corpora upload_corpus get_corpus delete_corpus list_presets get_config_schema
    get_health get_readiness get_metrics
"""
EVERYWHERE = {"400", "408", "421", "500", "503"}
ERROR = {"$ref": "#/components/schemas/ErrorReply"}

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def examples(content: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each example of a body, with its schema."""
    for told in content.values():
        for example in told.get("examples", {}).values():
            yield told["schema"], example["value"]
        if "example" in told and "schema" in told:
            yield told["schema"], told["example"]


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.Draft202012Validator(schema | {"components": document["components"]})
        assert re.fullmatch("[A-Z][A-Za-z]+", name)


def test_operations_have_the_names_that_they_always_had(document: dict[str, Any]) -> None:
    named = Counter(operation["operationId"] for _, _, operation in operations(document))
    assert named == Counter(OPERATION_IDS.split())


def test_tags_are_described(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {
        tag for _, _, operation in operations(document) for tag in operation["tags"]
    } == described


def test_examples_are_what_their_schemas_say(document: dict[str, Any]) -> None:
    checked = 0
    for method, path, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for schema, example in examples(body.get("content", {})):
                whole = {"components": document["components"], "allOf": [schema]}
                problems = jsonschema_rs.Draft202012Validator(whole).iter_errors(example)
                assert not [str(problem) for problem in problems], (method, path)
                checked += 1
    assert checked > 60


def test_every_operation_has_the_common_errors_in_the_one_shape(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        answers = operation["responses"]
        assert answers.keys() >= EVERYWHERE, path
        assert "default" not in answers, "what may be answered is told, one by one"
        assert ("401" in answers) == (needed_right(method, path) is not None)
        assert bool(operation.get("security")) == ("401" in answers)
        assert ("413" in answers) == ("requestBody" in operation)
        for status, answer in answers.items():
            if status >= "400" and (path, status) != ("/readyz", "503"):
                assert answer["content"] == {"application/json": {"schema": ERROR}}, (path, status)
        for status in answers.keys() & {"429", "503"}:
            told = answers[status].get("headers", {})
            assert "Retry-After" in told or path == "/readyz"
