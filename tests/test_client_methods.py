"""The Python client as an editor, `help` and a type checker see it."""

import inspect
import pydoc
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidelight import client as module
from sidelight.calls import heads, listing, training, writing
from sidelight.client import AsyncSidelight, Sidelight, SidelightError
from tests.conftest import on_a_loop

ROOT = Path(__file__).resolve().parents[1]
STREAMS = {"stream", "watch"}

# What must be so, and, each on a line with WRONG, what must not.
TYPED = """
from typing import assert_type
from sidelight.client import *

def blocking(client: Sidelight) -> None:
    assert_type(client.generate("baseline", "To", 5, seed=1, stop=["a"]), str)
    assert_type(client.complete("baseline", ["To"], logprobs=1).texts, list[str])
    assert_type(client.attention(run="baseline", text="To", kind="rollout"), Attention)
    assert_type(client.runs(), list[Run])
    with client.stream("baseline", temperature=0.5) as pieces:
        assert_type(pieces, Stream[Piece])
    for event in client.watch("1"):
        if event.kind == "metric":
            assert_type(event.data["val_loss"], float)
    client.generate("baseline", "To", sed=1)  # WRONG call-arg
    client.generate(1, "To")  # WRONG arg-type
    client.attention("baseline")  # WRONG call-arg
    client.runs()[0]["titel"]  # WRONG misc

async def awaited(client: AsyncSidelight) -> None:
    assert_type(await client.importance("baseline", "To"), tuple[float, Array])
    assert_type(await client.job("1"), Job)
    assert_type(client.stream("baseline"), AsyncStream[Piece])
    async for piece in client.stream("baseline"):
        assert_type(piece, Piece)
    await client.generate("baseline", "To", kind="raw")  # WRONG call-arg
    client.job("1")["state"]  # WRONG index
"""


def calls(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_both_clients_have_the_same_calls() -> None:
    assert calls(Sidelight) == calls(AsyncSidelight) >= {"runs", "attention", *STREAMS}
    for name in calls(Sidelight):
        one, other = getattr(Sidelight, name), getattr(AsyncSidelight, name)
        assert one.__doc__ == other.__doc__ and one.__doc__, name
        ours, theirs = inspect.signature(one), inspect.signature(other)
        assert ours.parameters == theirs.parameters, name
        assert inspect.iscoroutinefunction(other) == (name not in STREAMS), name


def test_a_method_looks_like_its_call() -> None:
    for call in (heads.attention, writing.generate, listing.run, training.train):
        method = getattr(Sidelight, call.__name__)
        assert method.__name__ == call.__name__ and method.__doc__ == call.__doc__
        written = inspect.signature(call).parameters
        assert list(inspect.signature(method).parameters) == ["self", *written]
        assert inspect.signature(method.__get__(Sidelight())).parameters == written
    assert inspect.signature(Sidelight.generate).return_annotation is str
    assert inspect.signature(Sidelight.stream).return_annotation == module.Stream[module.Piece]
    shown = pydoc.plain(pydoc.render_doc(Sidelight))
    assert "generate(self, run: str, prompt: str, max_tokens: int = 100, **sampling" in shown
    assert "The maps of all heads, exact" in shown


def test_all_that_it_names_is_there_and_explained() -> None:
    for name in module.__all__:
        named = getattr(module, name)
        assert not inspect.isclass(named) or named.__doc__, name


def test_a_type_checker_sees_it_from_outside(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", str(tmp_path / "use.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = {
        (int(line.split(":")[1]), line.rsplit("[")[-1].rstrip("]"))
        for line in done.stdout.splitlines()
        if ": error:" in line
    }
    wanted = {
        (number, line.split("WRONG ")[1])
        for number, line in enumerate(TYPED.splitlines(), 1)
        if "WRONG" in line
    }
    assert found == wanted, done.stdout + done.stderr


# What goes over the wire


def recorded(**fields: Any) -> tuple[Sidelight, list[httpx.Request]]:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"runs": []})

    http = httpx.Client(base_url="http://any", transport=httpx.MockTransport(answer), timeout=7)
    return Sidelight(client=http, **fields), sent


def test_a_key_and_a_time_are_sent_along() -> None:
    client, sent = recorded(api_key="secret", timeout=3)
    client.runs()
    assert sent[0].headers["authorization"] == "Bearer secret"
    assert sent[0].extensions["timeout"]["read"] == 3
    client, sent = recorded()
    client.runs()
    assert "authorization" not in sent[0].headers
    assert sent[0].extensions["timeout"]["read"] == 7, "a client of one's own has its own times"


def test_an_id_is_never_a_path() -> None:
    client, sent = recorded()
    client.run("../jobs?x=1#y")
    assert sent[0].url.raw_path == b"/api/runs/..%2Fjobs%3Fx%3D1%23y"


@pytest.mark.parametrize(
    ("answer", "message", "param", "retry_after"),
    [
        (httpx.Response(502, text="<h1>Bad Gateway</h1>"), "the server answered 502", None, None),
        (httpx.Response(503, json=["busy"]), "the server answered 503", None, None),
        (
            httpx.Response(
                429,
                json={"error": {"message": "slowly", "param": "run", "code": None}},
                headers={"Retry-After": "12"},
            ),
            "slowly",
            "run",
            12,
        ),
    ],
)
def test_a_refusal_is_read_whoever_it_is_from(
    answer: httpx.Response, message: str, param: str | None, retry_after: float | None
) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    client = Sidelight(client=httpx.Client(base_url="http://any", transport=transport))
    with pytest.raises(SidelightError) as refused:
        client.runs()
    error = refused.value
    assert (error.message, error.param, error.retry_after) == (message, param, retry_after)
    assert error.status == answer.status_code


def test_a_client_is_closed_with_its_block() -> None:
    with Sidelight() as client:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        client.runs()

    async def ask() -> None:
        async with AsyncSidelight() as client:
            pass
        await client.runs()

    with pytest.raises(RuntimeError, match="closed"):
        on_a_loop(ask())
