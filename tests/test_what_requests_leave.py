"""What a request held goes with it at once, not when Python next looks for what is in a circle.

Until then a model that has been dropped would still take its memory.
"""

import gc
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine import Engine
from app.settings import Settings
from app.writing import Text, Writing
from tests.conftest import LiveServer, wait_until, write_run
from tests.test_waiting_analysis import ask_for

WRITE = {"model": "mine", "prompt": "To be", "max_tokens": 40, "seed": 1}
READ = {"run": "mine", "text": "To be"}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("/v1/completions", WRITE),
    "stream": ("/v1/completions", WRITE | {"stream": True}),
    "stop string": ("/v1/completions", WRITE | {"stop": "e"}),
    "scores": ("/v1/completions", WRITE | {"max_tokens": 0, "echo": True, "logprobs": 1}),
    "maps": ("/api/attention", READ),
    "roles": ("/api/attention/roles", READ),
    "comparison": ("/api/attention/comparison", {"text": "To", "a": READ, "b": READ}),
    "ablation": ("/api/attention/ablation", READ | {"heads": [[0, 0]], "generate": 5}),
    "refused": ("/api/attention", READ | {"layers": [99]}),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    write_run(tmp_path / "checkpoints", "mine")
    with LiveServer(
        Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data")
    ) as server:
        server.http.post("/v1/completions", json=WRITE)  # the engine is warm
        gc.collect()
        gc.disable()
        try:
            yield server
        finally:
            gc.enable()


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Text]]:
    """All that are written."""
    found: list[weakref.ref[Text]] = []
    submit = Engine.submit

    def heard(engine: Engine, *given: Any, **named: Any) -> Writing:
        writing = submit(engine, *given, **named)
        found.extend(map(weakref.ref, writing.texts))
        return writing

    monkeypatch.setattr(Engine, "submit", heard)
    return found


def require_gone(refs: list[weakref.ref[Any]]) -> None:
    assert refs
    wait_until(lambda: [ref() for ref in refs] == [None] * len(refs))


@pytest.mark.parametrize("kind", ["text", "stream", "stop string"])
def test_a_text_that_has_been_read(
    server: LiveServer, texts: list[weakref.ref[Text]], kind: str
) -> None:
    path, body = REQUESTS[kind]
    assert server.http.post(path, json=body).status_code == 200
    require_gone(texts)


@pytest.mark.usefixtures("slow_model")
@pytest.mark.parametrize("kind", ["text", "stream"])
def test_a_text_that_nobody_reads_to_its_end(
    server: LiveServer, texts: list[weakref.ref[Text]], kind: str
) -> None:
    path, body = REQUESTS[kind]
    client = ask_for(server, path, body)
    wait_until(lambda: server.gauge("sequences_active") == 1)
    client.close()
    require_gone(texts)


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_model_whose_run_is_deleted(server: LiveServer, kind: str) -> None:
    path, body = REQUESTS[kind]
    server.http.post(path, json=body)
    with server.app.state.registry.lend("mine") as loaded:
        model = weakref.ref(loaded.model)
    del loaded
    shutil.rmtree(server.app.state.settings.checkpoints / "mine")
    assert server.http.get("/api/runs").json()["runs"] == []
    require_gone([model])
