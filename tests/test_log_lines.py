"""One event is one line, whatever is in it, and no line gives a secret away."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import cli
from app.logs.context import Asked, current, fields, note
from app.logs.lines import OURS, JsonLines, TextLines
from app.logs.route_names import OTHER, RouteNames
from app.main import create_app
from app.settings import ROOT, Settings
from app.starting import CannotStart
from tests.conftest import wait_until, write_run

PLANTED = "planted-secret-000000000000"
NASTY = st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\x1b\x00\x7f\x85\u2028\u202e"))
Tell = Callable[..., str]


def said(formatter: logging.Formatter, message: str, **extra: object) -> str:
    """What a logger writes for it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("sidelight.test")  # noqa: LOG001 (one of its own)
    logger.addHandler(handler)
    logger.warning("%s", message, **extra)
    return stream.getvalue()


@given(NASTY, NASTY)
def test_json_is_one_line_and_loses_nothing(message: str, path: str) -> None:
    line = said(JsonLines(), message, extra=fields(path=path, status=200))
    assert line.endswith("\n")
    assert line[:-1].isascii() and line[:-1].isprintable()
    told = json.loads(line)
    assert (told["message"], told["path"], told["status"]) == (message, path, 200)
    assert (told["level"], told["logger"]) == ("warning", "sidelight.test")


@given(NASTY, NASTY)
def test_text_is_one_line_that_moves_nothing(message: str, path: str) -> None:
    line = said(TextLines(), message, extra=fields(run=path))
    assert line.endswith("\n") and line[:-1].isprintable()


def test_a_trace_is_a_field_or_indented() -> None:
    try:
        raise ValueError("first\n12:00:00 error not one of ours\x1b[2J")
    except ValueError:
        told = json.loads(said(JsonLines(), "failed", exc_info=True))
        text = said(TextLines(), "failed", exc_info=True).splitlines()
    assert told["trace"].startswith("Traceback") and "not one of ours" in told["trace"]
    assert len(text) > 3 and all(line.startswith("    ") for line in text[1:])
    assert "\x1b" not in "".join(text)


@pytest.mark.parametrize("form", [JsonLines, TextLines])
def test_what_looks_like_a_secret_is_hidden(form: type[JsonLines | TextLines]) -> None:
    made = "sk-sidelight-" + "Ab1_-" * 8
    for secret, sent in (
        (PLANTED, f"in the middle{PLANTED}of it"),
        (made, f"key {made}, and more"),
        ("abc.def", "Authorization: Bearer abc.def"),
        ("0123abcd", "Cookie: a=b; sidelight=0123abcd; c=d"),
    ):
        try:
            raise ValueError(sent)
        except ValueError:
            line = said(form(PLANTED), sent, extra=fields(run=sent), exc_info=True)
        assert secret not in line and "[hidden]" in line


def test_notes_belong_to_their_request() -> None:
    note(lost=1)  # outside of any
    asked = Asked("one")
    token = current.set(asked)
    note(tokens=3)
    line = json.loads(said(JsonLines(), "hello"))
    current.reset(token)
    assert (asked.facts, line["request_id"]) == ({"tokens": 3}, "one")
    assert "request_id" not in json.loads(said(JsonLines(), "hello"))


def test_paths_are_named_by_their_route() -> None:
    names = RouteNames(["/", "/api/runs", "/api/runs/{id}", "/api/runs/{id}/log", "/s/{p:path}"])
    for path, name in (
        ("/", "/"),
        ("/api/runs", "/api/runs"),
        ("/api/runs/x", "/api/runs/{id}"),
        ("/api/runs/x/log", "/api/runs/{id}/log"),
        ("/api/runs/x/y", OTHER),
        ("/api/runs/", OTHER),
        ("/s/a/b", "/s/{p:path}"),
        ("/apixruns", OTHER),
    ):
        assert names.name(path) == name


def test_every_route_has_a_name(tmp_path: Path) -> None:
    app = create_app(Settings(data=tmp_path))
    names = next(
        m.kwargs["names"]
        for m in app.user_middleware
        if "names" in m.kwargs and isinstance(m.kwargs["names"], RouteNames)
    )
    for path in app.openapi()["paths"]:
        assert names.name(path.replace("{id}", "some-id")) == path
    for path in ("/", "/runs", "/train", "/learn", "/docs", "/openapi.json"):
        assert names.name(path) == path
    assert names.name("/static/js/api.js") == "/static/{path:path}"


def logging_now() -> list[object]:
    """Where log lines go, and which."""
    loggers = [logging.getLogger(name) for name in ("", *OURS)]
    ways = [(logger.level, list(logger.handlers)) for logger in loggers]
    return [ways, threading.excepthook, warnings.showwarning]


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_server_in_this_process_leaves_logging_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ends_well: bool
) -> None:
    told = []

    def run(*_: object, **__: object) -> None:
        logging.getLogger("sidelight").info("it runs")
        told.append(logging_now())
        if not ends_well:
            raise CannotStart("on purpose")

    monkeypatch.setattr("app.serving.Server.run", run)
    monkeypatch.setattr("app.serving.leave", lambda: told.append(logging_now()))
    before = logging_now()
    with monkeypatch.context() as patch:
        patch.setenv("SIDELIGHT_DATA", str(tmp_path))
        result = CliRunner().invoke(cli, ["serve", "--port=0"])
    assert result.exit_code == (0 if ends_well else 1), result.output
    assert '"message": "it runs"' in result.stderr
    assert told[0] != before and told[1:] == ([told[0]] if ends_well else [])
    assert logging_now() == before


# A server in a process of its own


class Process:
    """`sidelight serve`, with what it says."""

    def __init__(self, folder: Path, stderr: int | None = None, **settings: str) -> None:
        self.log = folder / "log"
        write_run(folder / "checkpoints", "baseline")
        own = {f"SIDELIGHT_{name}": value for name, value in settings.items()}
        own |= {"SIDELIGHT_DATA": str(folder / "data")}
        own |= {"SIDELIGHT_CHECKPOINTS": str(folder / "checkpoints"), "SIDELIGHT_PORT": "0"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve"],
                cwd=ROOT,
                env=os.environ | own,
                stdout=subprocess.PIPE,
                stderr=log if stderr is None else stderr,
                text=True,
            )

    def __enter__(self) -> httpx.Client:
        assert self.process.stdout
        url = self.process.stdout.readline().split()[3]
        self.http = httpx.Client(base_url=url, timeout=30)
        return self.http

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.process.terminate()
        self.process.communicate(timeout=30)


@pytest.mark.slow
def test_no_secret_and_no_prompt_is_logged(tmp_path: Path) -> None:
    prompt, header = "a-prompt-of-mine", {"Authorization": f"Bearer {PLANTED}"}
    wrong = "wrong-key-111111111"
    with Process(tmp_path, API_KEY=PLANTED, LOG_LEVEL="debug") as http:
        wait_until(lambda: http.get("/readyz", headers=header).status_code == 200, 30)
        body = {"model": "baseline", "prompt": prompt, "max_tokens": 3}
        for path, sent in (
            ("/v1/completions", body),
            ("/v1/completions", body | {"stream": True}),
            ("/v1/completions", body | {"no_such_field": prompt}),
            ("/v1/completions", body | {"model": "nope"}),
            ("/api/attention", {"run": "baseline", "text": prompt}),
            ("/api/jobs", {"preset": prompt}),
            ("/api/nothing", body),
        ):
            http.post(path, json=sent, headers=header)
            http.post(f"{path}?key={PLANTED}&api_key={wrong}", json=sent)
            http.post(path, content=f"{{{prompt}", headers=header)
        http.post("/api/corpora", content=prompt * 100, headers=header)
        http.post("/api/runs", content=prompt * 100, headers=header)
        for path in ("/", "/v1/models", f"/?next={wrong}", f"/api/runs/{PLANTED}"):
            http.get(path, headers={"Authorization": f"Bearer {wrong}"})
            http.get(path, headers={"Authorization": f"Basic {wrong}"})
            http.get(path, headers={"Cookie": f"sidelight={wrong}; other={wrong}"})
            answer = http.get(path, headers=header)
            assert PLANTED not in answer.text or PLANTED in path
        for fields in ({"key": PLANTED}, {"key": wrong}, {"key": PLANTED, "next": "//x"}):
            answer = http.post("/sign-in", data=fields)
            assert PLANTED not in answer.text and wrong not in answer.text
            cookie = answer.headers.get("set-cookie", "").partition("=")[2].partition(";")[0]
            if cookie:
                http.get("/runs", headers={"Cookie": f"sidelight={cookie}"})
                made = cookie
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert len(lines) > 40 and {"debug", "info", "warning"} <= {line["level"] for line in lines}
    assert any(line.get("key") == "SIDELIGHT_API_KEY" for line in lines)
    for secret in (PLANTED, wrong, prompt, made):
        assert secret not in log, [line for line in lines if secret in json.dumps(line)][:1]


@pytest.mark.slow
def test_a_terminal_stays_quiet_until_something_is_wrong(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    told = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                told.extend(part)
        except OSError:  # how a terminal says that all have left it
            return

    reading = threading.Thread(target=read)
    with Process(tmp_path, stderr=theirs, LOG_SLOW_SECONDS="0.000001") as http:
        os.close(theirs)
        reading.start()
        http.get("/healthz", headers={"Host": "evil.example"})
    reading.join(10)
    os.close(ours)
    text = told.decode()
    assert "warning GET /healthz status=421" in text
    assert "code=unknown_host" in text and "{" not in text
    assert "Started server process" not in text
