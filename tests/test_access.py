"""Who gets in: keys as they are kept, and what each lets its holder do."""

import hmac
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from app.errors import Conflict
from app.keys import ring as key_ring
from app.keys.ring import FILE, KeyRing, UnreadableKeys, cookie_of
from app.security.access import COOKIE, local_address
from app.security.hosts import KnownHosts
from app.security.rights import needed_right
from app.settings import Settings
from tests.keyed import another, bearer, keyed_client, make_keys

TEXT = {"model": "baseline", "prompt": "To", "max_tokens": 1}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keys(data: Path) -> dict[str, str]:
    return make_keys(data)


@pytest.fixture
def guarded(shared_checkpoints: Path, data: Path, keys: dict[str, str]) -> Iterator[TestClient]:
    with keyed_client(shared_checkpoints, data) as client:
        yield client


# How keys are kept


def test_a_key_is_told_once_and_kept_as_a_hash(data: Path) -> None:
    ring = KeyRing(data)
    secret = ring.add("Ada", ["read", "generate"])
    kept = (data / FILE).read_text("utf-8")
    assert secret.startswith("sk-sidelight-") and len(secret) > 50
    assert secret not in kept and secret[13:] not in kept and cookie_of(secret) not in kept
    assert stat.S_IMODE((data / FILE).stat().st_mode) == 0o600
    (found,) = ring.listed()
    assert (found.name, found.rights) == ("Ada", {"read", "generate"})
    assert secret not in repr(found)
    assert ring.add("Bo", ["read"]) != secret
    assert stat.S_IMODE((data / FILE).stat().st_mode) == 0o600, "also when it is written anew"


def test_a_name_is_taken_once(data: Path) -> None:
    ring = KeyRing(data)
    ring.add("Ada", ["read"])
    with pytest.raises(Conflict, match="there is a key 'Ada' already"):
        ring.add("Ada", ["read"])
    with pytest.raises(LookupError, match="there is no key 'Bo'"):
        ring.remove("Bo")


def test_neither_the_cookie_nor_a_hash_of_it_is_a_key(data: Path) -> None:
    ring = KeyRing(data)
    secret = ring.add("Ada", ["read"])
    kept = json.loads((data / FILE).read_text("utf-8"))["keys"][0]
    for wrong in (
        cookie_of(secret),
        kept["key_sha256"],
        kept["cookie_sha256"],
        "",
        "sk-sidelight-",
    ):
        assert ring.of_bearer(wrong) is None
    for wrong in (secret, kept["key_sha256"], kept["cookie_sha256"], ""):
        assert ring.of_cookie(wrong) is None
    assert ring.of_bearer(secret) and ring.of_cookie(cookie_of(secret))


def test_the_last_key_may_go_before_anybody_has_asked(shared_checkpoints: Path, data: Path) -> None:
    """The server was started with one: it may be reached by others, and nobody let them in."""
    KeyRing(data).add("Ada", ["read"])
    with keyed_client(shared_checkpoints, data) as client:
        KeyRing(data).remove("Ada")
        assert client.get("/api/runs").status_code == 401


def test_all_keys_are_compared_in_constant_time(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is asked for: none that fits and no letter that differs ends it early."""
    ring = KeyRing(data)
    secrets = [ring.add(f"key {i}", ["read"]) for i in range(5)]
    compared: list[tuple[str, str]] = []
    honest = hmac.compare_digest

    def compare(a: str, b: str) -> bool:
        compared.append((a, b))
        return honest(a, b)

    monkeypatch.setattr(key_ring.hmac, "compare_digest", compare)
    for secret in (secrets[0], secrets[4], "nothing like it", "schlüssel"):
        compared.clear()
        found = ring.of_bearer(secret)
        assert (found is not None) == (secret in secrets)
        assert len(compared) == 5
        assert {len(part) for pair in compared for part in pair} == {64}, "hashes, of one length"


# Who may do what


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
        ("GET", "/static/js/api.js", None),
        ("GET", "/sign-in", None),
        ("POST", "/sign-in", None),
        ("POST", "/sign-out", None),
        ("GET", "/", "read"),
        ("GET", "/metrics", "read"),
        ("GET", "/openapi.json", "read"),
        ("HEAD", "/api/runs/baseline/export", "read"),
        ("OPTIONS", "/api/jobs", "read"),
        ("POST", "/v1/completions", "generate"),
        ("POST", "/api/attention/inside", "generate"),
        ("POST", "/api/learn/depth", "generate"),
        ("POST", "/api/jobs", "train"),
        ("POST", "/api/runs", "train"),
        ("POST", "/api/corpora", "train"),
        ("PATCH", "/api/runs/baseline", "train"),
        ("DELETE", "/api/corpora/x", "train"),
        ("PUT", "/v1/completions/x", "generate"),
        ("PROPFIND", "/nowhere", "train"),
        ("POST", "/static", "train"),
        ("GET", "/statics", "read"),
        ("GET", "/healthz/", "read"),
    ],
)
def test_what_a_request_needs(method: str, path: str, right: str | None) -> None:
    assert needed_right(method, path) == right


@pytest.mark.parametrize(
    ("name", "statuses"),
    [("reader", (200, 403, 403)), ("writer", (200, 200, 403)), ("trainer", (200, 200, 422))],
)
def test_a_key_has_its_rights_however_it_is_shown(
    guarded: TestClient, keys: dict[str, str], name: str, statuses: tuple[int, ...]
) -> None:
    """The 422 is the route's own answer: the request got in."""
    cookie = {"Cookie": f"other=1; {COOKIE}={cookie_of(keys[name])}"}
    for shown in (bearer(keys[name]), cookie, {"Authorization": f"bearer  {keys[name]} "}):
        answers = [
            guarded.get("/api/runs", headers=shown),
            guarded.post("/v1/completions", json=TEXT, headers=shown),
            guarded.post("/api/jobs", json={}, headers=shown),
        ]
        assert tuple(answer.status_code for answer in answers) == statuses
        for answer in answers:
            if answer.status_code == 403:
                error = answer.json()["error"]
                assert (error["code"], error["param"]) == ("missing_right", "Authorization")
                assert name in error["message"] and keys[name] not in answer.text
            else:
                assert answer.headers["Cache-Control"] == "no-store", "nobody finds it later"


def test_without_a_key_nobody_gets_in(guarded: TestClient) -> None:
    answer = guarded.get("/api/runs")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    error = answer.json()["error"]
    assert error["code"] == "invalid_api_key" and "sidelight keys add" in error["message"]
    page = guarded.get("/train?set=a%20b", headers={"Accept": "text/html"})
    assert page.status_code == 303
    assert page.headers["Location"] == "/sign-in?next=/train%3Fset%3Da%2520b"
    assert guarded.get("/healthz").json() == {"status": "ok"}
    ready = guarded.get("/readyz").json()
    assert "baseline" not in str(ready), "whoever has no key does not learn which runs there are"


@pytest.mark.parametrize("scheme", ["Basic", "Bearer", "Bearer nope", "Digest x", "sk-sidelight-x"])
def test_a_wrong_header_does_not_fall_back_on_the_cookie(
    guarded: TestClient, keys: dict[str, str], scheme: str
) -> None:
    cookie = {"Cookie": f"{COOKIE}={cookie_of(keys['trainer'])}"}
    assert guarded.get("/api/runs", headers=cookie).status_code == 200
    answer = guarded.get("/api/runs", headers=cookie | {"Authorization": scheme})
    assert answer.status_code == 401


def test_the_bearer_decides_before_the_cookie(guarded: TestClient, keys: dict[str, str]) -> None:
    both = bearer(keys["reader"]) | {"Cookie": f"{COOKIE}={cookie_of(keys['trainer'])}"}
    assert guarded.post("/v1/completions", json=TEXT, headers=both).status_code == 403


def test_a_removed_key_is_of_no_use_at_once_and_a_new_one_of_use(
    guarded: TestClient, data: Path, keys: dict[str, str]
) -> None:
    shown = bearer(keys["reader"])
    assert guarded.get("/api/runs", headers=shown).status_code == 200
    KeyRing(data).remove("reader")  # as another process does
    refused = guarded.get("/api/runs", headers=shown)
    assert refused.status_code == 401 and "removed" in refused.json()["error"]["message"]
    new = KeyRing(data).add("reader", ["read"])
    assert guarded.get("/api/runs", headers=bearer(new)).status_code == 200
    assert guarded.get("/api/runs", headers=shown).status_code == 401


def test_a_browser_with_a_removed_key_is_told_and_forgets_it(
    guarded: TestClient, data: Path, keys: dict[str, str]
) -> None:
    KeyRing(data).remove("reader")
    answer = guarded.get("/api/jobs", headers={"Cookie": f"{COOKIE}={cookie_of(keys['reader'])}"})
    assert answer.status_code == 401 and "/sign-in" in answer.json()["error"]["message"]
    assert answer.headers["Set-Cookie"].startswith(f'{COOKIE}="";')
    assert "Max-Age=0" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("damage", ["gone", "", "{", '{"keys": [{"name": "x"}]}', "folder"])
def test_damage_to_the_file_locks_the_server_and_does_not_open_it(
    guarded: TestClient, data: Path, keys: dict[str, str], damage: str
) -> None:
    assert guarded.get("/api/runs", headers=bearer(keys["reader"])).status_code == 200
    file = data / FILE
    kept = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage != "gone":
        file.write_text(damage)
    assert guarded.get("/api/runs", headers=bearer(keys["reader"])).status_code == 401
    assert guarded.get("/api/runs").status_code == 401
    if damage == "folder":
        file.rmdir()
    file.write_bytes(kept)
    assert guarded.get("/api/runs", headers=bearer(keys["reader"])).status_code == 200


def test_a_first_key_that_is_damaged_locks_as_well(shared_checkpoints: Path, data: Path) -> None:
    with keyed_client(shared_checkpoints, data) as client:
        assert client.get("/api/runs").status_code == 200, "nobody needs a key so far"
        data.mkdir(exist_ok=True)
        (data / FILE).write_text("no keys")
        assert client.get("/api/runs").status_code == 401
        with pytest.raises(UnreadableKeys, match="is not a file of keys"):
            KeyRing(data).listed()


def test_the_first_key_closes_the_server_and_its_removal_does_not_open_it(
    shared_checkpoints: Path, data: Path
) -> None:
    with keyed_client(shared_checkpoints, data) as client:
        assert client.get("/api/runs").status_code == 200
        secret = KeyRing(data).add("Ada", ["read"])
        assert client.get("/api/runs").status_code == 401
        assert client.get("/api/runs", headers=bearer(secret)).status_code == 200
        KeyRing(data).remove("Ada")
        assert client.get("/api/runs").status_code == 401


def test_the_servers_own_key_may_do_everything(shared_checkpoints: Path, data: Path) -> None:
    own = "an-own-key-of-the-server"
    with keyed_client(shared_checkpoints, data, api_key=own) as client:
        assert client.get("/api/runs").status_code == 401
        assert client.get("/api/runs", headers=bearer(own)).status_code == 200
        assert client.post("/api/jobs", json={}, headers=bearer(own)).status_code == 422
        added = KeyRing(data).add("Ada", ["read"])
        assert client.get("/api/runs", headers=bearer(added)).status_code == 200
        assert client.get("/api/runs", headers=bearer(own)).status_code == 200


# Whoever tries


def test_who_tries_too_many_keys_has_to_wait(guarded: TestClient, keys: dict[str, str]) -> None:
    for i in range(20):
        assert guarded.get("/api/runs", headers=bearer(f"guess {i}")).status_code == 401
    right = {"key": keys["trainer"]}
    answers = [
        guarded.get("/api/runs", headers=bearer("guess")),
        guarded.get("/api/runs", headers={"Cookie": f"{COOKIE}=guess"}),
        guarded.post("/sign-in", data=right),
        guarded.get("/api/runs", headers=bearer(right["key"])),
    ]
    for answer in answers:  # the right one among them: nothing tells it from a wrong one
        assert answer.status_code == 429, answer.text
        assert 1 <= int(answer.headers["Retry-After"]) <= 3
    assert answers[0].json()["error"]["code"] == "client_limit"
    told = guarded.get("/sign-in", headers=bearer(right["key"]))
    assert told.status_code == 200, "an address for everybody says nothing of the key either"
    assert guarded.get("/healthz", headers=bearer("guess")).status_code == 200
    elsewhere = another(guarded.app)
    assert elsewhere.get("/api/runs", headers=bearer(keys["reader"])).status_code == 200


def test_wrong_keys_in_the_form_count_too(guarded: TestClient, keys: dict[str, str]) -> None:
    for i in range(20):
        assert guarded.post("/sign-in", data={"key": f"guess {i}"}).status_code == 401
    assert guarded.post("/sign-in", data={"key": "guess"}).status_code == 429
    assert guarded.get("/api/runs", headers=bearer(keys["reader"])).status_code == 429


def test_right_keys_are_never_counted(guarded: TestClient, keys: dict[str, str]) -> None:
    for _ in range(50):
        assert guarded.get("/healthz", headers=bearer(keys["reader"])).status_code == 200


# Where one goes after the key


ELSEWHERE = ("//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)")
ODD = (
    "/\t/evil.example",
    "/\n/evil.example",
    "//[",
    "evil",
    "http:/evil",
    "/a\r\nX: 1",
    "\\\\x",
    "",
)


def test_nobody_is_led_to_another_site(guarded: TestClient, keys: dict[str, str]) -> None:
    for address in (*ELSEWHERE, *ODD):
        assert local_address(address) == "/", address
        answer = guarded.post("/sign-in", data={"key": keys["reader"], "next": address})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@given(st.text(alphabet="/\\:.@?#[]ab \t\r\n\u2028é", max_size=12))
def test_an_address_stays_or_is_the_first_page(address: str) -> None:
    there = local_address(address)
    assert there == "/" or (there == address and there[:1] == "/" and there[1:2] not in ("/", "\\"))


def test_an_own_address_is_gone_to(guarded: TestClient, keys: dict[str, str]) -> None:
    there = "/attention?run=baseline&text=To%20be#x"
    answer = guarded.post("/sign-in", data={"key": keys["reader"], "next": there})
    assert (answer.status_code, answer.headers["Location"]) == (303, there)


# No secret anywhere


def test_the_settings_do_not_say_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "a-secret-that-is-long-enough"
    settings = Settings(api_key=secret)
    assert secret not in f"{settings!r} {settings} {settings.model_dump_json()}"
    monkeypatch.setenv("SIDELIGHT_API_KEY", "too short")
    with pytest.raises(ValueError) as error:
        Settings()
    assert "too short" not in f"{error.value!r} {error.value}"


# Whom a request is meant for


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("10.1.2.3", True),
        ("LOCALHOST:1", True),
        ("localhost.", True),
        ("lab.localhost:8000", True),
        ("testserver", True),
        ("Lab.Example:8000", True),
        ("www.lab.example", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("[evil.example]:8000", False),
        ("[::1].evil.example", False),
        ("[::1]evil.example:8000", False),
        ("127.0.0.1:evil.example", False),
        ("2130706433", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_which_names_a_server_answers_to(host: str, known: bool) -> None:
    app = KnownHosts(PlainTextResponse("in"), ("lab.example", "testserver"))
    answer = TestClient(app).get("/api/runs", headers={"Host": host})
    assert (answer.status_code, answer.text == "in") == ((200, True) if known else (421, False))
