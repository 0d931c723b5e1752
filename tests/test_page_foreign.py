"""Pages of other sites, in a real browser on the machine that the server runs on."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from app.settings import Settings
from tests.browser_fixtures import ARGUMENTS
from tests.conftest import LiveServer, write_run
from tests.keyed import bearer, make_keys

# A name that its owner has pointed at this machine, and another that may use the API.
NAMES = "--host-resolver-rules=MAP evil.example 127.0.0.1,MAP lab.example 127.0.0.1"

CONFIG = {"model": {"kind": "bigram"}, "train": {"max_iters": 1}}
# What each would do if it were let in.
CHANGES: dict[str, Any] = {
    "/api/jobs": {"config": CONFIG, "run_id": "theirs"},
    "/api/sweeps": {"title": "theirs", "config": CONFIG, "grid": {"train.seed": [1, 2]}},
    "/api/corpora?name=theirs.txt": "To be, or not to be. " * 50,
    "/api/runs?name=theirs.zip": "zip",
    "/v1/completions": {"model": "baseline", "prompt": "To", "max_tokens": 5},
    "/api/attention": {"run": "baseline", "text": "To be"},
    "/sign-in": "key=theirs",
    "/sign-out": "",
}

# Each returns what the page learns, as far as it learns anything.
WAYS = """
async ([base, path, content]) => {
  const body = typeof content === "string" ? content : JSON.stringify(content);
  const ask = async (options) => {
    try {
      const answer = await fetch(base + path, { method: "POST", body, ...options });
      return answer.type === "opaque" ? "opaque" : await answer.text();
    } catch (error) {
      return error.name;
    }
  };
  const learned = [
    await ask({ mode: "no-cors", credentials: "include" }),
    await ask({ mode: "cors" }),
    await ask({ mode: "cors", headers: { "Content-Type": "application/json" } }),
    await ask({ mode: "cors", headers: { Authorization: "Bearer guess" } }),
  ];
  navigator.sendBeacon(base + path, body);
  const frame = document.createElement("iframe");
  frame.name = "answer";
  const form = document.createElement("form");
  const field = document.createElement("input");
  const action = base + path;
  Object.assign(form, { method: "post", enctype: "text/plain", target: "answer", action });
  // as the body: {"model": …, "x=": ""}
  Object.assign(field, { name: body.replace(/}$/, ', "x'), value: '": ""}' });
  form.append(field);
  document.body.append(frame, form);
  form.submit();
  await new Promise((done) => {
    frame.addEventListener("load", done, { once: true });
    setTimeout(done, 400);  // of a page that is refused the browser says nothing
  });
  return learned;
}
"""
READ = """
async ([base, path]) => {
  const read = (options) =>
    fetch(base + path, options).then((answer) => answer.text(), (error) => error.name);
  const load = (tag) => new Promise((done) => {
    const element = document.createElement(tag);
    element.onload = () => done("loaded");
    element.onerror = () => done("refused");
    setTimeout(() => done("nothing"), 5000);
    element.src = base + path;
    document.body.append(element);
  });
  return [await read({}), await read({ credentials: "include" }), await read({ mode: "no-cors" }),
    await load("script"), await load("img")];
}
"""
CORS = """
async ([base, key]) => {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const listed = await (await fetch(`${base}/api/runs`, { headers })).json();
  const body = JSON.stringify({ model: "baseline", prompt: "To", max_tokens: 5, stream: true });
  const answer = await fetch(`${base}/v1/completions`, { method: "POST", headers, body });
  let text = "";
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) text += part;
  const removed = await fetch(`${base}/api/corpora/none`, { method: "DELETE", headers });
  const refused = await fetch(`${base}/api/runs`);
  return [listed.runs.length, text, removed.status, refused.status];
}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("foreign")
    write_run(root / "checkpoints", "baseline")
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[LiveServer]:
    """One that asks for no key: only the browser stands before it."""
    with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "open")) as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of a site with one empty page."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<!doctype html><title>elsewhere</title><body></body>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield site.server_port
        site.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def misled(browser: Browser) -> Iterator[Browser]:
    """A browser for which the names lead here."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    misled = browser.browser_type.launch(executable_path=path, args=[*ARGUMENTS, NAMES])
    yield misled
    misled.close()


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def what_there_is(server: LiveServer) -> dict[str, Any]:
    lists = ("/api/jobs", "/api/sweeps", "/api/corpora", "/api/runs")
    return {path: server.http.get(path).json() for path in lists}


@pytest.mark.slow
@pytest.mark.parametrize("site", ["evil.example", "127.0.0.1"])
def test_a_page_of_another_site_changes_and_learns_nothing(
    misled: Browser, server: LiveServer, elsewhere: int, site: str
) -> None:
    """Another port of this machine is another site as well: other people's notebooks, for one."""
    before, tokens = what_there_is(server), server.gauge("tokens_total")
    with opened(misled, f"http://{site}:{elsewhere}/") as page:
        statuses: list[int] = []
        page.on("response", lambda answer: statuses.append(answer.status))
        for path, content in CHANGES.items():
            learned = page.evaluate(WAYS, [server.url, path, content])
            assert learned == ["TypeError"] * 4, path
        assert statuses.count(403) >= len(CHANGES)
        assert set(statuses) <= {403, 200, 204}, "the others are answers to preflights"
        for path in ("/api/runs", "/", "/v1/models"):
            learned = page.evaluate(READ, [server.url, path])
            assert learned == ["TypeError"] * 3 + ["refused"] * 2, path
    assert what_there_is(server) == before
    assert server.gauge("tokens_total") == tokens, "nothing was written for it either"


def test_the_servers_own_page_may_do_the_same(misled: Browser, server: LiveServer) -> None:
    """So that the test above would see a change."""
    before = what_there_is(server)
    with opened(misled, f"{server.url}/learn") as page:
        path = "/api/corpora?name=ours.txt"
        learned = page.evaluate(WAYS, ["", path, CHANGES["/api/corpora?name=theirs.txt"]])
        assert "ours" in learned[0]
    assert what_there_is(server) != before


@pytest.mark.parametrize("path", ["/api/runs", "/", "/healthz", "/static/js/api.js", "/docs"])
def test_a_name_that_was_pointed_here_gets_nothing(
    misled: Browser, server: LiveServer, path: str
) -> None:
    """DNS rebinding: to the browser its own site, to the server a name it does not have."""
    context = misled.new_context()
    page = context.new_page()
    port = server.url.rpartition(":")[2]
    answer = page.goto(f"http://evil.example:{port}{path}")
    assert answer is not None and answer.status == 421
    assert "baseline" not in page.content()
    assert "does not answer to the name 'evil.example'" in page.locator("body").inner_text()
    asked = """async () => {
      const own = await fetch("/v1/completions", { method: "POST", body: "{}" });
      return [own.status, (await own.json()).error.code];
    }"""
    assert page.evaluate(asked) == [421, "unknown_host"]
    answer = page.goto(f"http://localhost:{port}/api/runs")
    assert answer is not None and answer.status == 200, "its address and localhost are its own"
    context.close()


def test_no_page_is_framed(misled: Browser, server: LiveServer, elsewhere: int) -> None:
    with opened(misled, f"http://evil.example:{elsewhere}/") as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        for path in ("/", "/train", "/api/runs", "/sign-in", "/nowhere"):
            said.clear()
            page.evaluate(
                """(address) => new Promise((done) => {
                  const frame = document.createElement("iframe");
                  frame.onload = done;
                  setTimeout(done, 400);
                  frame.src = address;
                  document.body.append(frame);
                })""",
                server.url + path,
            )
            assert any("frame-ancestors" in line or "X-Frame-Options" in line for line in said), (
                said
            )
        assert not any(frame.url.startswith(server.url) for frame in page.frames)


def test_a_site_that_is_named_may_use_the_api_with_a_key(
    misled: Browser, root: Path, elsewhere: int
) -> None:
    keys = make_keys(root / "keyed")
    origin = f"http://lab.example:{elsewhere}"
    settings = Settings(
        checkpoints=root / "checkpoints", data=root / "keyed", cors_origins=f"{origin}/"
    )
    with LiveServer(settings) as server:
        with opened(misled, origin) as page:
            found, text, removed, refused = page.evaluate(CORS, [server.url, keys["trainer"]])
            assert (found, removed, refused) == (1, 404, 401)
            assert text.count("data: ") >= 2 and text.endswith("data: [DONE]\n\n")
        with opened(misled, f"http://evil.example:{elsewhere}") as page:
            learned = page.evaluate(WAYS, [server.url, "/api/jobs", CHANGES["/api/jobs"]])
            assert learned == ["TypeError"] * 4
            for path in ("/api/runs", "/healthz"):
                assert page.evaluate(READ, [server.url, path])[0] == "TypeError"
        jobs = server.http.get("/api/jobs", headers=bearer(keys["reader"])).json()
        assert jobs["jobs"] == []


def test_it_learns_that_the_server_has_failed(
    misled: Browser, root: Path, elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("app.routes.runs.list_runs", fail)
    origin, other = (f"http://{name}.example:{elsewhere}" for name in ("lab", "evil"))
    settings = Settings(
        checkpoints=root / "checkpoints", data=root / "failing", cors_origins=origin
    )
    with LiveServer(settings) as server:
        with opened(misled, origin) as page:
            told = page.evaluate(READ, [server.url, "/api/runs"])[0]
            assert json.loads(told)["error"]["code"] == "internal_error"
        with opened(misled, other) as page:
            assert page.evaluate(READ, [server.url, "/api/runs"])[0] == "TypeError"
        for asks, may_read in ((origin, origin), (other, None), (None, None)):
            answer = server.http.get("/api/runs", headers={"Origin": asks} if asks else {})
            usual = server.http.get("/api/presets", headers={"Origin": asks} if asks else {})
            assert (answer.status_code, usual.status_code) == (500, 200)
            assert answer.headers.get("access-control-allow-origin") == may_read
            assert set(usual.headers) - set(answer.headers) <= {"content-encoding"}


def test_without_being_named_no_site_is_answered_in_cors(server: LiveServer) -> None:
    asked = {"Origin": "https://lab.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        server.http.options("/v1/completions", headers=asked),
        server.http.get("/api/runs", headers=asked),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
