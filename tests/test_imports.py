"""The rules of the house: who may import whom, who may touch what, and how long things may be."""

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("model", "app", "sidelight")
PYTHON = sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = sorted((ROOT / "static" / "js").rglob("*.js"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))

MODEL_MAY_USE = {
    "filelock",
    "llvmlite",
    "numba",
    "numpy",
    "onnx",
    "psutil",
    "pydantic",
    "pydantic_core",
    "safetensors",
    "scipy",
    "tokenizers",
    "torch",
} | sys.stdlib_module_names
CLIENT_MAY_USE = {"httpx", "numpy"} | sys.stdlib_module_names
WEB = {"http", "urllib", "socket", "socketserver", "asyncio", "wsgiref", "xmlrpc"}
LEAVES = {
    "attention_wire",
    "errors",
    "examples",
    "schemas",
    "security",
    "settings",
    "sse",
    "stop_strings",
    "vendor",
}
LEAVES_OF_LEAVES = {"app.errors", "app.settings"}
FILE_LINES = 400
FUNCTION_LINES = 50


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): ast.parse(path.read_text("utf-8")) for path in PYTHON}


def imports(module: str) -> Iterator[str]:
    """What `module` imports, anywhere in it, as full names; ours as the module they come from."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            assert node.module
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


def layer(module: str) -> int:
    """Where a module of `app` stands: it imports from lower layers only, 0 being the leaves."""
    part = module.split(".")[1]
    if part in LEAVES:
        return 0
    return {"deps": 2, "routes": 3, "main": 4, "serving": 5, "cli": 6, "__main__": 7}.get(part, 1)


def test_there_is_something_to_check() -> None:
    assert {"model.gpt", "app.main", "app.routes.completions"} <= MODULES.keys()
    assert {"sidelight.client", "sidelight.calls.writing"} <= MODULES.keys()
    assert {"api.js", "plotly.js", "state.js"} <= {path.name for path in SCRIPTS}
    assert "base.html" in {path.name for path in TEMPLATES}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("model")])
def test_model_knows_nothing_of_the_web(module: str) -> None:
    used = {name.split(".")[0] for name in imports(module)}
    assert used <= (MODEL_MAY_USE - WEB) | {"model"}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("app.")])
def test_app_imports_run_one_way(module: str) -> None:
    for other in imports(module):
        if other not in MODULES or not other.startswith("app."):
            continue
        if other == "app.main":
            assert module == "app.serving", "only what puts it on a socket imports main"
        if layer(module) == 0:
            of_its_own = other.split(".")[1] == module.split(".")[1]
            assert of_its_own or other in LEAVES_OF_LEAVES, f"{module} imports {other}"
        elif layer(module) == 1:
            assert layer(other) <= 1, f"{module} is below {other}"
        else:
            together = module == "app.routes"
            assert layer(other) < layer(module) or together, f"{module} imports {other}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("sidelight")])
def test_the_client_needs_nothing_of_ours(module: str) -> None:
    used = {name.split(".")[0] for name in imports(module)}
    assert used <= CLIENT_MAY_USE | {"sidelight"}


def test_nothing_of_ours_needs_the_client() -> None:
    for module in MODULES:
        if not module.startswith("sidelight"):
            assert "sidelight" not in {name.split(".")[0] for name in imports(module)}, module


def test_leaves_and_routes_do_no_tensor_work() -> None:
    for module in MODULES:
        if module.startswith("app.") and layer(module) in {0, 3}:
            assert "torch" not in {name.split(".")[0] for name in imports(module)}, module


def test_nothing_imports_in_a_circle() -> None:
    graph = {name: {other for other in imports(name) if other in MODULES} for name in MODULES}
    assert set(TopologicalSorter(graph).static_order()) >= MODULES.keys()


def test_importing_the_app_does_nothing() -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in MODULES["app.main"].body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
        constant = isinstance(node, ast.Assign | ast.AnnAssign) and len(calls) <= 1
        assert isinstance(node, allowed) or docstring or constant, ast.unparse(node)


# In the browser


def without_comments(path: Path) -> str:
    return re.sub(
        r"/\*.*?\*/|^\s*//.*?$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def script_imports(path: Path) -> set[str]:
    """The modules that a script imports, by their path in static/js; every one must be our own."""
    found = re.findall(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""", without_comments(path))
    assert all(re.fullmatch(r"\.{1,2}/([\w-]+/)?[\w-]+\.js", name) for name in found), found
    return {script_name(path.parent / name) for name in found}


def script_name(path: Path) -> str:
    return path.resolve().relative_to(ROOT / "static" / "js").as_posix()


def page_scripts() -> set[str]:
    """The modules that a template loads itself: the pages, and what every page has."""
    sources = (path.read_text("utf-8") for path in TEMPLATES)
    return {name for text in sources for name in re.findall(r"""/js/([\w-]+\.js)""", text)}


def test_only_api_js_fetches() -> None:
    network = r"\bfetch\s*\(|XMLHttpRequest|\bEventSource\b|\bWebSocket\b|sendBeacon"
    assert {path.name for path in SCRIPTS if re.search(network, without_comments(path))} == {
        "api.js"
    }


def test_only_plotly_js_touches_plotly() -> None:
    assert {p.name for p in SCRIPTS if re.search(r"\bPlotly\b", without_comments(p))} == {
        "plotly.js"
    }


def test_scripts_import_one_way() -> None:
    graph = {script_name(path): script_imports(path) for path in SCRIPTS}
    assert set(TopologicalSorter(graph).static_order()) == graph.keys()
    pages = page_scripts()
    assert pages <= graph.keys()
    assert not pages & set().union(*graph.values()), "a page is imported"
    assert not graph["state.js"], "state.js stands alone"
    assert graph["api.js"] <= {"sse.js"}, "api.js knows the wire and nothing else"


def test_page_text_is_never_parsed_as_html() -> None:
    parsing = r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b|new Function"
    assert not [p.name for p in SCRIPTS if re.search(parsing, without_comments(p))]


class InlineCode(HTMLParser):
    """Collects what a strict content security policy refuses, and what is not served from here."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        inert = attributes.get("type") == "application/json"
        if tag == "style" or (tag == "script" and "src" not in attributes and not inert):
            self.found.append(f"<{tag}>")
        for name, value in attributes.items():
            address = (value or "").strip().lower()
            if name == "style" or name.startswith("on") or address.startswith("javascript:"):
                self.found.append(f"{tag} {name}")
            if tag in {"script", "link", "img"} and re.match(r"(https?:)?//", address):
                self.found.append(f"{tag} {address}")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_inline_code(path: Path) -> None:
    parser = InlineCode()
    parser.feed(path.read_text("utf-8"))
    assert not parser.found


# Lengths


def test_files_are_short() -> None:
    folders = (*OURS, "tests", "bench", "static/js", "static/css", "templates")
    kinds = {".py", ".js", ".css", ".html"}
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in kinds:
                assert path.read_text("utf-8").count("\n") <= FILE_LINES, path.relative_to(ROOT)


def test_functions_are_short() -> None:
    paths = [path for folder in (*OURS, "tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= FUNCTION_LINES, (
                    f"{path.relative_to(ROOT)}: {node.name}, {length} lines"
                )
