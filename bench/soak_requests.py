"""What the clients of `soak.py` ask for: a mix of everything, drawn from a seed."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer "
PROMPTS = ("", "\n", "ROMEO:", "To be, or not to be", "KING HENRY:\nWhat", TEXT)
GPTS = ("baseline", "case-1", "case-2", "case-3", "modern", "one-head")
RUNS = (*GPTS, "bigram", "ngram")
JSON, NPY, COMPACT = "application/json", "application/x-npy", "application/octet-stream"
PARTS = ("token_embedding", "position_embedding", "embedded")

PAGES = ("/", "/attention", "/runs", "/train", "/learn", "/learn/data", "/docs", "/runs/report")
FILES = ("/static/js/api.js", "/static/js/compare.js", "/static/css/tokens.css")
READS = (
    ("/healthz", 200),
    ("/readyz", 200),
    ("/metrics", 200),
    ("/v1/models", 200),
    ("/v1/models/modern", 200),
    ("/api/runs", 200),
    ("/api/runs/case-2", 200),
    ("/api/runs/none", 404),
    ("/api/presets", 200),
    ("/api/corpora", 200),
    ("/api/jobs", 200),
    ("/api/jobs/none", 404),
    ("/api/report", 200),
    ("/api/report?format=html", 200),
    ("/api/report?format=markdown", 200),
    ("/api/learn/parts?run=modern", 200),
    ("/api/learn/orders?run=ngram", 200),
    ("/api/runs/bigram/export", 200),
    ("/openapi.json", 200),
)
# Bytes that are no HTTP, or only the beginning of it.
NOISE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
    b"\x00" * 64,
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /heal",
    b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\n{",
    b'POST /api/corpora HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90000\r\n\r\n{"half',
    b"POST /api/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\nPK\x03\x04",
)


@dataclass(frozen=True)
class Asked:
    """A request, and what may come of it."""

    kind: str
    method: str = "GET"
    path: str = "/"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    statuses: frozenset[int] = frozenset({200})
    text: int | None = None  # which of the known completions it is
    leaves_after_s: float | None = None  # hangs up so long after asking, whatever it has by then
    noise: bytes | None = None  # is sent instead of a request


def known_completions(seed: int, count: int, steps: Mapping[str, Sequence[int]]) -> list[Any]:
    """Bodies of completions whose texts are worked out beforehand; `steps` are each run's."""
    draw = random.Random(seed)
    return [_completion(draw, steps) for _ in range(count)]


def _completion(draw: random.Random, steps: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    run = draw.choice(RUNS)
    body: dict[str, Any] = {
        "model": run,
        "prompt": draw.choice(PROMPTS),
        "max_tokens": draw.choice((1, 8, 40, 40, 120, 300)),
        "temperature": draw.choice((0, 0.8, 1.0)),
        "seed": draw.randrange(2**31),
    }
    if draw.random() < 0.3:
        body["n"] = draw.choice((2, 3, 4))
    if draw.random() < 0.3:
        body["logprobs"] = draw.choice((0, 2, 5))
    if draw.random() < 0.3:
        body["stop"] = draw.choice((["\n\n"], ["the", "and"], ["qz"]))
    if draw.random() < 0.2:
        body["prompt"] = ["ROMEO:", "JULIET:"]
    if draw.random() < 0.1:
        body["echo"] = True
    if draw.random() < 0.2 and steps.get(run):
        body["step"] = draw.choice(steps[run])
    return body


class Mix:
    """One client's requests, without an end."""

    def __init__(self, seed: int, completions: Sequence[Mapping[str, Any]], job: str) -> None:
        self._draw, self._completions, self._job = random.Random(seed), completions, job
        self._kinds: dict[Callable[[], Asked], int] = {
            self._written: 20,
            self._attention: 14,
            self._analysis: 8,
            self._learn: 8,
            self._read: 20,
            self._page: 8,
            self._events: 4,
            self._long: 2,
            self._upload: 4,
            self._import: 3,
            self._wrong: 8,
            self._noise: 4,
        }

    def next(self) -> Asked:
        (kind,) = self._draw.choices(list(self._kinds), list(self._kinds.values()))
        return kind()

    def _written(self) -> Asked:
        text = self._draw.randrange(len(self._completions))
        body: dict[str, Any] = {**self._completions[text]}
        how = self._draw.choice(("whole", "streamed", "streamed", "left", "left whole"))
        if how in {"streamed", "left"}:
            body["stream"] = True
        leaves = {"left": 0.5, "left whole": 0.05}.get(how)
        after = None if leaves is None else leaves * self._draw.random()
        return _posted(f"text, {how}", "/v1/completions", body, (200, 503), text, after)

    def _attention(self) -> Asked:
        accept = self._draw.choice((JSON, NPY, COMPACT, COMPACT))
        body = {"run": self._draw.choice(GPTS), "text": self._some_text()}
        if self._draw.random() < 0.5:
            body["kind"] = self._draw.choice(("value_weighted", "output_weighted", "rollout"))
        headers = {"Accept": accept}
        if self._draw.random() < 0.5:
            headers["Accept-Encoding"] = "gzip"
        kind = f"attention, {accept.rpartition('/')[2]}"
        after = self._draw.choice((None, None, None, 0.0))
        return _posted(kind, "/api/attention", body, (200,), None, after, headers)

    def _analysis(self) -> Asked:
        run, text = self._draw.choice(GPTS), self._some_text()
        what, more = self._draw.choice(
            (
                ("roles", {}),
                ("inside", {"layer": 0, "head": 0}),
                ("distribution", {}),
                ("ablation", {"heads": [[0, 0]], "seed": 1, "generate": 20}),
                ("importance", {}),
                ("comparison", {"a": {"run": run}, "b": {"run": "baseline"}}),
            )
        )
        body: dict[str, Any] = {"text": text, **more}
        if what != "comparison":
            body["run"] = run
        after = self._draw.choice((None, None, 0.0, 0.02))
        return _posted("analysis", f"/api/attention/{what}", body, (200, 422), None, after)

    def _learn(self) -> Asked:
        run, text = self._draw.choice(GPTS), self._some_text()
        what, body = self._draw.choice(
            (
                ("next-token", {"run": self._draw.choice(RUNS), "text": text}),
                ("encoding", {"run": run, "text": text}),
                ("batch", {"run": run, "seed": 1}),
                ("self-attention", {"run": run, "text": text}),
                ("cross-attention", {"run": run, "text": text, "source": text}),
                ("depth", {"run": run, "text": text}),
                ("dropout", {"run": run, "text": text}),
                ("activations", {"run": run, "text": text, "part": self._draw.choice(PARTS)}),
                ("head-diversity", {"run": run, "text": text}),
                ("attend", {"q": [[1, 0]], "k": [[1, 1], [0, 1]], "v": [[1], [2]]}),
            )
        )
        return _posted("learn", f"/api/learn/{what}", body, (200, 422))

    def _read(self) -> Asked:
        path, status = self._draw.choice(READS)
        zipped = {"Accept-Encoding": "gzip"} if self._draw.random() < 0.5 else {}
        return Asked("read", path=path, headers=zipped, statuses=frozenset({status}))

    def _page(self) -> Asked:
        headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
        if self._draw.random() < 0.3:
            return Asked("file", path=self._draw.choice(FILES), headers=headers)
        return Asked("page", path=self._draw.choice(PAGES), headers=headers)

    def _events(self) -> Asked:
        after = 3 * self._draw.random()
        return Asked("events", path=f"/api/jobs/{self._job}/events", leaves_after_s=after)

    def _long(self) -> Asked:
        """As long as anybody may: 100,000 characters."""
        text = (TEXT * 1200)[:100_000]
        if self._draw.random() < 0.5:
            return _posted("long", "/api/attention", {"run": "baseline", "text": text}, (200,))
        prompt = self._draw.choice((text, [1] * 100_000, [[1] * 3000] * 30))
        body = {"model": "bigram", "prompt": prompt, "max_tokens": 1}
        return _posted("long", "/v1/completions", body, (200, 503))

    def _upload(self) -> Asked:
        data, statuses, after = self._draw.choice(
            (
                (b"\xff\xfe binary", (422, 503), None),
                (b"", (422, 503), None),
                (TEXT.encode() * 1000, (200, 201, 503), None),
                (TEXT.encode() * 1000, (200, 201, 503), 0.0),
            )
        )
        return _sent("upload", "/api/corpora?name=soak", data, statuses, after)

    def _import(self) -> Asked:
        data = self._draw.choice((b"PK\x03\x04 no zip", b"\x80\x02}q\x00.", b"", b"x" * 200_000))
        after = self._draw.choice((None, 0.0))
        return _sent("import", "/api/runs?name=soak.pt", data, (422, 503), after)

    def _wrong(self) -> Asked:
        method, path, data, status = self._draw.choice(
            (
                ("POST", "/v1/completions", b"{", 400),
                ("POST", "/v1/completions", b"[]", 400),
                ("POST", "/v1/completions", b'{"model": "baseline", "nosuch": 1}', 400),
                ("POST", "/v1/completions", b'{"model": "baseline", "temperature": -1}', 400),
                ("POST", "/v1/completions", b'{"model": "none"}', 404),
                ("POST", "/v1/chat/completions", b"{}", 404),
                ("POST", "/api/attention", b'{"run": "baseline", "text": 1}', 422),
                ("POST", "/api/attention", b'{"run": "../baseline", "text": "a"}', 404),
                ("POST", "/api/attention", b'{"run": "baseline", "text": "\xff"}', 422),
                ("POST", "/api/attention", b'{"run": "bigram", "text": "a"}', 422),
                ("POST", "/api/jobs", b'{"preset": "none"}', 422),
                ("POST", "/api/jobs/none/cancel", b"", 404),
                ("DELETE", "/api/runs", b"", 405),
                ("PUT", "/v1/completions", b"", 405),
                ("GET", "/nowhere", b"", 404),
                ("GET", "/static/../app/main.py", b"", 404),
                ("POST", "/api/attention", b"x" * 2_500_000, 413),
            )
        )
        kind = "too large" if status == 413 else "wrong"
        return _sent(kind, path, data, (status,), method=method, content_type=JSON)

    def _noise(self) -> Asked:
        after = 0.5 * self._draw.random()
        return Asked("noise", noise=self._draw.choice(NOISE), leaves_after_s=after)

    def _some_text(self) -> str:
        start = self._draw.randrange(20)
        return TEXT[start : start + self._draw.choice((2, 10, 30, 64))]


def _posted(
    kind: str,
    path: str,
    body: Any,
    statuses: Sequence[int],
    text: int | None = None,
    leaves_after_s: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Asked:
    return Asked(
        kind=kind,
        method="POST",
        path=path,
        body=json.dumps(body).encode(),
        headers={"Content-Type": JSON, **(headers or {})},
        statuses=frozenset(statuses),
        text=text,
        leaves_after_s=leaves_after_s,
    )


def _sent(
    kind: str,
    path: str,
    data: bytes,
    statuses: Sequence[int],
    leaves_after_s: float | None = None,
    method: str = "POST",
    content_type: str = "application/octet-stream",
) -> Asked:
    headers = {"Content-Type": content_type}
    return Asked(
        kind=kind,
        method=method,
        path=path,
        body=data,
        headers=headers,
        statuses=frozenset(statuses),
        leaves_after_s=leaves_after_s,
    )
