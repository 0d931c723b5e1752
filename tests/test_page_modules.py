"""The page asks at once for the modules that it needs, and its server answers at once."""

import re
import socket

import pytest
from fastapi.testclient import TestClient

from app.serving import Server, serve
from app.settings import ROOT

IMPORTED = re.compile(r'^(?:import .*|\}) from "\./([\w-]+\.js)";$', re.MULTILINE)


def test_the_attention_page_asks_ahead_for_what_it_imports(client: TestClient) -> None:
    page = client.get("/attention").text
    ahead = set(re.findall(r'rel="modulepreload" href="/static/js/([\w-]+\.js)"', page))
    assert {"attention.js", "attention_page.js", "heatmap.js"} <= ahead
    assert "attention_panels.js" not in ahead, "it is only wanted once the maps are shown"
    for module in ahead:
        text = (ROOT / "static" / "js" / module).read_text("utf-8")
        assert (
            set(re.findall(r'^(?:import .*|\}) from "\./([\w-]+\.js)";$', text, re.MULTILINE))
            <= ahead
        )


def test_no_answer_waits_for_an_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections send what they have: the listener's option is theirs too."""
    options: list[int] = []

    def run(self: Server, sockets: list[socket.socket]) -> None:
        with socket.create_connection(sockets[0].getsockname()), sockets[0].accept()[0] as accepted:
            options.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Server, "run", run)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve(listener, shutdown_seconds=1)
    assert options and all(options)
