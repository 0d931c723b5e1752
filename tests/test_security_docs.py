"""SECURITY.md promises nothing without a test, and names none that is not there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
PROMISED = TEXT.partition("\n## What is promised\n")[2].partition("\n## ")[0]
PROMISES = re.findall(r"^- .*(?:\n  .*)*", PROMISED, re.MULTILINE)
NAMED = re.findall(r"`(tests/\w+\.py)(?:::(\w+))?`", TEXT)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[2:40])
def test_every_promise_names_its_tests(promise: str) -> None:
    assert re.search(r"`tests/test_\w+\.py(::test_\w+)?`", promise)


@pytest.mark.parametrize("named", sorted(set(NAMED)), ids="::".join)
def test_every_test_that_is_named_is_there(named: tuple[str, str]) -> None:
    path, name = named
    defined = {
        node.name
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in defined if name else any(test.startswith("test_") for test in defined)


def test_there_is_something_promised() -> None:
    assert len(PROMISES) >= 20 and len(NAMED) >= len(PROMISES)
    assert len(TEXT.splitlines()) <= 150


def test_links_lead_somewhere() -> None:
    for address in re.findall(r"\]\(([^)#]+)", TEXT):
        assert address.startswith("https://") or (ROOT / address).is_file(), address
