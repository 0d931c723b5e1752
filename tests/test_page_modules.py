"""The page asks at once for the modules that it needs, and its server answers at once."""

import re
import socket
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount

from app.routes.static import OwnFiles
from app.serving import Server, serve
from app.settings import ROOT, Settings
from app.site_files import SiteFiles
from tests.conftest import wait_until

IMPORTED = re.compile(r'^(?:import .*|\}) from "(\.[^"]+)";$', re.MULTILINE)
SCRIPTS = ROOT / "static" / "js"


def test_the_attention_page_asks_ahead_for_what_it_imports(client: TestClient) -> None:
    page = client.get("/attention").text
    ahead = set(re.findall(r'rel="modulepreload" href="/static/v/\w+/js/([\w/-]+\.js)"', page))
    assert {"attention.js", "attention/attention_page.js", "attention/heatmap.js"} <= ahead
    assert "attention/attention_panels.js" not in ahead, "it is wanted once the maps are shown"
    for module in ahead:
        file = SCRIPTS / module
        for other in IMPORTED.findall(file.read_text("utf-8")):
            imported = (file.parent / other).resolve().relative_to(SCRIPTS)
            assert imported.as_posix() in ahead, f"{module} imports {other}"


def test_a_file_is_kept_for_good_as_long_as_no_file_changes(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "page.js").write_text("1;")
    site = SiteFiles(tmp_path)
    files = OwnFiles(site, directory=tmp_path)
    app = Starlette(routes=[Mount("/static", files)])
    with TestClient(app) as client:
        address = f"{site.root}/js/page.js"
        kept = client.get(address)
        assert (kept.text, "immutable" in kept.headers["cache-control"]) == ("1;", True)
        (tmp_path / "js" / "other.js").write_text("2;")
        wait_until(lambda: site.root not in address)
        assert client.get(address).headers["cache-control"] == "no-cache"
        assert "immutable" in client.get(f"{site.root}/js/page.js").headers["cache-control"]
        assert client.get("/static/js/page.js").headers["cache-control"] == "no-cache"
        for missing in ("/static/v/js/page.js", f"{site.root}/../js/none.js", "/static/v"):
            assert client.get(missing).status_code == 404


def test_no_answer_waits_for_an_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections send what they have: the listener's option is theirs too."""
    options: list[int] = []

    def run(self: Server, sockets: list[socket.socket]) -> None:
        with socket.create_connection(sockets[0].getsockname()), sockets[0].accept()[0] as accepted:
            options.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Server, "run", run)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve(listener, Settings(shutdown_seconds=1))
    assert options and all(options)
