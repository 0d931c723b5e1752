"""Keys in a terminal, what a server needs before others may reach it, and where no key goes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import cli
from app.exposure import listen, require_protection
from app.jobs.processes import Processes
from app.keys.ring import FILE
from app.security.binding import is_of_this_machine
from app.settings import Settings
from app.starting import CannotStart
from sidelight.client import AsyncSidelight, Sidelight, SidelightError
from tests.conftest import LiveServer, on_a_loop, wait_until
from tests.keyed import bearer, make_keys

ROOT = Path(__file__).resolve().parents[1]
OWN = "a-key-of-the-server-itself"


def keys(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments], env={"SIDELIGHT_DATA": str(data)})


@contextmanager
def serving(data: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"SIDELIGHT_DATA": str(data)}
    environment |= {f"SIDELIGHT_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "app", "serve", "--port=0", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as server:
        try:
            yield server
        finally:
            server.kill()


def refusal(data: Path, *arguments: str, **settings: str) -> str:
    """The one line that a server which does not start leaves."""
    environment = {f"SIDELIGHT_{name}": value for name, value in settings.items()}
    environment["SIDELIGHT_DATA"] = str(data)
    result = CliRunner().invoke(cli, ["serve", "--port=0", *arguments], env=environment)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line


# The command


def test_keys_are_made_listed_and_removed(tmp_path: Path) -> None:
    made = keys(tmp_path, "add", "Ada L.", "--rights", "train,read")
    assert made.exit_code == 0
    secret = made.stdout.strip()
    assert secret.startswith("sk-sidelight-") and "shown this one time" in made.stderr
    assert keys(tmp_path, "add", "bo").exit_code == 0
    listed = keys(tmp_path, "list").stdout
    first, second = listed.splitlines()
    assert re.fullmatch(r"Ada L\. +read,train +\d{4}-\d\d-\d\d \d\d:\d\d UTC", first)
    assert second.split()[:2] == ["bo", "read,generate"]
    hashes = re.findall(r"[0-9a-f]{64}", (tmp_path / FILE).read_text("utf-8"))
    assert len(hashes) == 4 and not any(each[:12] in listed for each in hashes)
    assert secret not in listed
    assert "removed" in keys(tmp_path, "remove", "Ada L.").stdout
    assert [line.split()[0] for line in keys(tmp_path, "list").stdout.splitlines()] == ["bo"]


def test_without_keys_the_list_says_how_to_make_one(tmp_path: Path) -> None:
    listed = keys(tmp_path, "list")
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert "sidelight keys add NAME" in listed.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "ada"), "there is a key 'ada' already"),
        (("add", "a/b"), "the name must be 1 to 64 letters"),
        (("add", ""), "the name must be 1 to 64 letters"),
        (("add", "bo", "--rights", "read,all"), "there is no right 'all', only read, generate"),
        (("add", "bo", "--rights", ""), "name at least one of read, generate, train"),
        (("remove", "bo"), "there is no key 'bo'"),
    ],
)
def test_what_goes_wrong_is_one_line(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    keys(tmp_path, "add", "ada")
    kept = (tmp_path / FILE).read_bytes()
    result = keys(tmp_path, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("sidelight: ") and says in line
    assert (tmp_path / FILE).read_bytes() == kept


def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    for arguments in (("list",), ("add", "ada"), ("remove", "ada")):
        result = keys(tmp_path, *arguments)
        assert result.exit_code == 1
        assert "is not a file of keys" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert (tmp_path / FILE).read_text() == "{"


# Before others may reach it


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("::ffff:0.0.0.0", False),
        ("::ffff:192.168.0.1", False),
        ("192.168.0.1", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(address: str, own: bool) -> None:
    assert is_of_this_machine(address) == own


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::ffff:0.0.0.0", ""])
def test_a_server_that_others_reach_wants_a_key_or_a_word(tmp_path: Path, host: str) -> None:
    line = refusal(tmp_path, HOST=host)
    for way_out in ("sidelight keys add", "SIDELIGHT_API_KEY", "--open-to-all"):
        assert way_out in line


@pytest.mark.parametrize("way", ["key", "own key", "setting"])
def test_with_one_of_them_it_may_start(tmp_path: Path, way: str) -> None:
    given = {"own key": {"api_key": OWN}, "setting": {"open_to_all": True}}.get(way, {})
    if way == "key":
        keys(tmp_path, "add", "ada")
    with listen("0.0.0.0", 0) as listener:
        require_protection(listener, Settings(data=tmp_path, **given))
    with listen("0.0.0.0", 0) as listener, pytest.raises(CannotStart):
        require_protection(listener, Settings(data=tmp_path / "empty"))
    with listen("127.0.0.1", 0) as listener:
        require_protection(listener, Settings(data=tmp_path / "empty"))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["nothing", "flag"])
def test_a_real_server_refuses_or_starts(tmp_path: Path, way: str) -> None:
    arguments = ("--open-to-all",) if way == "flag" else ()
    with serving(tmp_path, "--host=0.0.0.0", *arguments) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        if way == "nothing":
            _, complaint = server.communicate(timeout=60)
            assert (line, server.returncode, len(complaint.splitlines())) == ("", 1, 1)
            return
        port = int(line.split(":")[-1].split()[0])
        assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


def test_what_is_set_wrong_is_one_line_that_tells_no_secret(tmp_path: Path) -> None:
    short = refusal(tmp_path, API_KEY="sh0rt-s3cret")
    assert "SIDELIGHT_API_KEY" in short and "at least 16" in short and "sh0rt" not in short
    spaced = refusal(tmp_path, API_KEY="a-s3cret-with spaces-in-it")
    assert "SIDELIGHT_API_KEY" in spaced and "s3cret" not in spaced
    assert "SIDELIGHT_DEVICES: there is no 'abacus'" in refusal(tmp_path, DEVICES="abacus")
    assert "SIDELIGHT_CORS_ORIGINS: '*'" in refusal(tmp_path, CORS_ORIGINS="*")
    (tmp_path / FILE).write_text('{"keys": 1}')
    assert "is not a file of keys; delete it" in refusal(tmp_path)


# Where no key goes


def test_a_job_does_not_get_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the process itself: it runs what prints its environment in place of a job."""
    monkeypatch.setenv("SIDELIGHT_API_KEY", OWN)
    monkeypatch.setenv("SIDELIGHT_OTHER", "goes along")
    popen = subprocess.Popen

    def spy(command: list[str], **options: object) -> "subprocess.Popen[bytes]":
        said = "import os, json; print(json.dumps(dict(os.environ)))"
        return popen([sys.executable, "-c", said], **options)  # type: ignore[call-overload]

    monkeypatch.setattr("app.jobs.processes.subprocess.Popen", spy)
    launcher = Processes("cpu")
    handle = launcher.start(tmp_path, "cpu")
    wait_until(lambda: launcher.status(tmp_path, handle).state != "running")
    environment = json.loads((tmp_path / "log.txt").read_text())
    assert environment["SIDELIGHT_OTHER"] == "goes along"
    assert OWN not in str(environment)


@pytest.mark.slow
def test_a_server_keeps_its_key_to_itself(tmp_path: Path) -> None:
    """No page, answer or line of the log has it, whoever asks and however wrong."""
    with serving(tmp_path, API_KEY=OWN, LOG_LEVEL="debug") as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().split("at ")[1].split()[0]
        said: list[str] = []
        with httpx.Client(base_url=url, headers={"Accept": "text/html,*/*"}) as http:
            for shown in ({}, bearer(OWN), bearer(OWN + "x")):
                for path in (
                    "/",
                    "/openapi.json",
                    "/metrics",
                    "/nowhere",
                    "/api/runs/x",
                    "/sign-in",
                ):
                    answer = http.get(path, headers=shown)
                    said.append(f"{answer.text} {answer.headers}")
                said.append(http.post("/sign-in", data={"key": OWN + "y"}).text)
                said.append(http.post("/v1/completions", content=b"{", headers=shown).text)
            signed_in = http.post("/sign-in", data={"key": OWN})
            assert signed_in.status_code == 303
            said.append(f"{signed_in.headers} {http.get('/').text}")
        server.send_signal(signal.SIGINT)
        said += server.communicate(timeout=20)
    assert len("".join(said)) > 10_000
    assert not [part for part in said if OWN in part]


# Programs


@pytest.fixture(scope="module")
def guarded(
    shared_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings(checkpoints=shared_checkpoints, data=data, wrong_keys_per_minute=3)
    with LiveServer(settings) as server:
        server.keys = make_keys(data)  # type: ignore[attr-defined]
        yield server


def test_the_client_shows_its_key(guarded: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, str] = guarded.keys  # type: ignore[attr-defined]
    monkeypatch.delenv("SIDELIGHT_API_KEY", raising=False)
    with Sidelight(guarded.url) as nobody, pytest.raises(SidelightError) as refused:
        nobody.runs()
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")
    with Sidelight(guarded.url, api_key=known["reader"]) as reader:
        assert len(reader.runs()) == 4
        with pytest.raises(SidelightError, match="needs the right to generate") as refused:
            list(reader.stream("baseline", "To", 5))
    assert (refused.value.status, refused.value.code) == (403, "missing_right")
    monkeypatch.setenv("SIDELIGHT_API_KEY", known["writer"])
    with Sidelight(guarded.url) as writer:
        assert writer.generate("baseline", "To", 5)
    own = httpx.Client(base_url=guarded.url, headers=bearer(known["reader"]))
    with Sidelight(client=own) as reader, pytest.raises(SidelightError, match="'reader'"):
        reader.generate("baseline", "To", 5)


def test_the_async_client_does_so_too(guarded: LiveServer) -> None:
    known: dict[str, str] = guarded.keys  # type: ignore[attr-defined]

    async def ask() -> None:
        async with AsyncSidelight(guarded.url, api_key=known["writer"]) as writer:
            assert await writer.generate("baseline", "To", 5)
            await writer.train("bigram")

    with pytest.raises(SidelightError) as refused:
        on_a_loop(ask())
    assert refused.value.status == 403


def test_openais_client_knows_the_refusals(guarded: LiveServer) -> None:
    known: dict[str, str] = guarded.keys  # type: ignore[attr-defined]

    def client(key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=key, max_retries=0)

    def ask(key: str) -> str:
        asked = client(key).completions.create(model="baseline", prompt="To", max_tokens=5)
        return asked.choices[0].text

    assert len(ask(known["writer"])) == 5
    with pytest.raises(openai.PermissionDeniedError, match="needs the right to generate"):
        ask(known["reader"])
    assert len(client(known["reader"]).models.list().data) == 4
    for _ in range(3):
        with pytest.raises(openai.AuthenticationError, match="no such API key") as error:
            ask("sk-sidelight-guess")
        assert error.value.code == "invalid_api_key"
    with pytest.raises(openai.RateLimitError, match="too many wrong API keys"):
        ask("sk-sidelight-guess")
    with (
        Sidelight(guarded.url, api_key="guess") as guesser,
        pytest.raises(SidelightError) as refused,
    ):
        guesser.runs()
    assert refused.value.status == 429 and (refused.value.retry_after or 0) >= 1
