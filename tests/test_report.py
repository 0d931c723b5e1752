"""The tuning report: its numbers by hand, and its files as other programs read them."""

import json
import re
import threading
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from app.cli import cli
from app.main import create_app
from app.registry import Registry
from app.report import html, markdown
from app.report.axes import Axis
from app.report.contents import build
from app.report.labels import LINE, spread
from app.report.schemas import Report
from app.report.selection import choose
from app.settings import ROOT, Settings
from bench.report import SHIPPED, pages
from tests.varied_runs import NASTY, NASTY_TEXT, varied_runs

CHECKPOINTS = ROOT / "checkpoints"
IDS = ["case-2", "case-1", "bigram", "ngram", "modern"]


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return varied_runs(tmp_path_factory.mktemp("varied"))


@pytest.fixture(scope="module")
def api(varied: Path, tmp_path_factory: pytest.TempPathFactory):
    settings = Settings(checkpoints=varied, data=tmp_path_factory.mktemp("data"))
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def lines(run: str, name: str) -> list[dict[str, Any]]:
    text = (CHECKPOINTS / run / f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_shipped_runs_numbers_are_those_of_their_files() -> None:
    report = build(*choose(Registry(CHECKPOINTS, 0), IDS, None))
    assert [row.id for row in report.runs] == ["baseline", *IDS]
    base = lines("baseline", "metrics")[-1]
    for row in report.runs:
        metrics = lines(row.id, "metrics")
        last = metrics[-1]
        change = 100 * (last["val_loss"] - base["val_loss"]) / base["val_loss"]
        assert (row.steps, row.train_loss, row.val_loss, row.wall_time_s) == tuple(
            last[name] for name in ("step", "train_loss", "val_loss", "elapsed_s")
        )
        assert row.gap == last["val_loss"] - last["train_loss"]
        assert row.change_percent == pytest.approx(change)
        assert row.cost.times == pytest.approx(last["elapsed_s"] / base["elapsed_s"])
        assert row.cost.percent_per_minute == pytest.approx(-60 * change / last["elapsed_s"])
        assert [(p.step, p.train_loss, p.val_loss) for p in row.curve] == [
            (each["step"], each["train_loss"], each["val_loss"]) for each in metrics
        ]
        assert row.sample and row.sample.text == lines(row.id, "samples")[-1]["text"]
    changed = {row.id: [(c.name, c.value, c.reference) for c in row.changes] for row in report.runs}
    assert changed["baseline"] == []
    assert changed["case-1"] == [("max_iters", "10000", "5000")]
    assert changed["case-2"] == [("block_size", "64", "32")]
    assert changed["ngram"] == [("kind", "ngram", "gpt")]
    assert {("rope_base", "1000", "10000"), ("learning_rate", "0.01", "0.001")} <= {
        *changed["modern"]
    }
    assert report.conclusion[0].startswith("Lowest validation loss: Modern recipe, 1.5835, 11.8 %")


def test_what_does_not_compare_is_said(varied: Path) -> None:
    chosen = ["brought", *(path.name for path in varied.iterdir() if path.name != "brought")]
    report = build(*choose(Registry(varied, 0), chosen, None), {"worse"})
    rows = {row.id: row for row in report.runs}
    assert rows["tokens"].change_percent == pytest.approx(100 * (5.0 * 0.4 / 2.6 - 1))
    assert (report.compare_bits, report.unit) == (True, "nats per token")
    assert {id: rows[id].cost.incomparable for id in rows if rows[id].change_percent is None} == {
        "brought": "no validation loss yet",
        "other-text": "another text",
        "unknown-text": "a text nobody knows",
    }
    assert (rows["brought"].steps, rows["brought"].wall_time_s, rows["brought"].curve) == (
        700,
        None,
        [],
    )
    assert rows["brought"].changes == []  # what nobody knows is no difference
    assert rows["worse"].sample is None
    assert rows["better"].sample and rows["better"].sample.text == NASTY_TEXT
    shown = markdown.whole(report)
    row = next(line for line in shown.splitlines() if line.startswith("| Brought"))
    assert row.count("not known") == 5
    assert "| Worse, so far (`worse`)" in shown
    notes = " ".join(report.notes)
    for said in (
        "per token",
        "so far: Worse",
        "losses: Brought",
        "Other-Text, Unknown-Text",
        "GPU",
    ):
        assert said in notes


class Reader(HTMLParser):
    """The tags of a page, their attributes, and the text in each kind."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.tags[-1] if self.tags else "", []).append(data)


def test_the_html_file_needs_nothing_and_runs_nothing(api: TestClient) -> None:
    answer = api.get("/api/report?format=html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert 'filename="tuning-report-baseline.html"' in answer.headers["content-disposition"]
    read = Reader(answer.text)
    assert not {"script", "link", "img", "iframe", "b", "base", "form"} & {*read.tags}
    assert not {"src", "href", "style", "action"} & {name for name, _ in read.attributes}
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    style = "".join(read.texts["style"])
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme" in style
    unfilled = set(re.findall(r"var\((--[\w-]+)\)", style)) - set(re.findall(r"(--[\w-]+):", style))
    assert not unfilled
    assert NASTY in " ".join(read.texts["th"]), "what was written reads as it was written"
    sample = next(text for text in read.texts["pre"] if "no heading" in text)
    assert sample.strip() == NASTY_TEXT.replace("\x00", "␀").replace("\x1b", "␛")
    for address in re.findall(r"https?://[^\s\"<]+", answer.text):
        assert address == "http://www.w3.org/2000/svg"


def test_markdown_reads_as_it_was_written(api: TestClient) -> None:
    source = api.get("/api/report?format=markdown").text
    parser = MarkdownIt("commonmark").enable("table")
    parser.validateLink = lambda url: True  # type: ignore[method-assign] # drawings are data too
    tokens = parser.parse(source)
    read = Reader(parser.render(source))
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert "no heading" not in headings
    assert {"script", "b", "em", "strong"} & {*read.tags} == {"strong"}
    assert {value for name, value in read.attributes if name == "href"} == set()
    sources = [value for name, value in read.attributes if name == "src"]
    assert [each.partition(",")[0] for each in sources] == ["data:image/svg+xml;base64"] * 2
    fences = [token.content for token in tokens if token.type == "fence"]
    assert NASTY_TEXT.replace("\x00", "␀").replace("\x1b", "␛") + "\n" in fences
    assert any(NASTY in "".join(read.texts[tag]) for tag in ("h3", "td"))
    widths = [len(re.findall("<t[hd][ >]", row)) for row in parser.render(source).split("<tr>")[1:]]
    assert widths == [10] * 7 + [5] * 7


def test_markdown_takes_no_longer_for_much_space() -> None:
    """It would take minutes if each space were looked at from every other."""
    space = " " * 300_000
    assert markdown.text(f" a{space}b \n\t\n{space}c ") == f"a{space}b<br>c"


def test_figures_are_svg_with_every_run(varied: Path) -> None:
    report = build(*choose(Registry(varied, 0), ["better", "worse", "tokens"], "better"))
    for name, svg in markdown.figure_files(report).items():
        root = ET.fromstring(svg)
        space = "{http://www.w3.org/2000/svg}"
        assert root.get("role") == "img" and root.find(f"{space}title") is not None
        names = {text.text for text in root.iter(f"{space}text") if "name" in text.get("class", "")}
        assert {"Worse", "Tokens"} <= names and len(names) == 3, name
        assert "var(" not in svg and "prefers-color-scheme: dark" in svg
        numbers = " ".join(each.get("points", "") for each in root.iter(f"{space}polyline"))
        assert "nan" not in numbers and "inf" not in numbers


def test_ticks_are_round_and_names_keep_apart() -> None:
    assert Axis(1.21, 2.83, 300, 0).ticks() == [1.5, 2.0, 2.5]
    assert Axis(80, 10_000, 0, 1, logarithmic=True).ticks() == [
        *(100, 200, 500, 1000, 2000, 5000, 10_000)
    ]
    assert Axis(100, 10_000, 0, 50, logarithmic=True).at(1000) == pytest.approx(25)
    places = spread([100, 101, 300, 102, 299], 0, 302)
    assert places[0] < places[1] < places[3] < places[4] < places[2] <= 302
    ordered = sorted(places)
    assert all(b - a >= LINE - 1e-9 for a, b in pairwise(ordered))


def test_the_command_writes_files(varied: Path, api: TestClient, tmp_path: Path) -> None:
    def sidelight(*arguments: str) -> str:
        at = ["report", *arguments, "--checkpoints", str(varied)]
        result = CliRunner().invoke(cli, at)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    out = tmp_path / "new" / "tuned.md"
    said = sidelight("better", "worse", "--reference", "baseline", "--out", str(out))
    assert [line.split()[0] for line in said.splitlines()] == [
        str(out),
        str(out.with_name("tuned-curves.svg")),
        str(out.with_name("tuned-cost.svg")),
    ]
    for address in re.findall(r"!\[[^]]*\]\((.*)\)", out.read_text("utf-8")):
        assert ET.parse(out.parent / address).getroot().tag.endswith("svg")
    query = "/api/report?runs=better,worse&reference=baseline"
    assert json.loads(sidelight("better", "worse", "--format", "json")) == api.get(query).json()
    assert sidelight("better", "worse") == api.get(f"{query}&format=markdown").text
    page = tmp_path / "page.html"
    sidelight("--out", str(page))
    assert page.read_text("utf-8") == api.get("/api/report?format=html").text


@pytest.mark.parametrize(
    ("query", "status", "param", "says"),
    [
        ("runs=baseline,nope", 404, "runs", "there is no run 'nope'; there are baseline"),
        ("reference=nope", 404, "reference", "there is no run 'nope'"),
        ("format=pdf", 422, "format", "'json', 'html' or 'markdown'"),
    ],
)
def test_a_wrong_request_is_told(
    api: TestClient, query: str, status: int, param: str, says: str
) -> None:
    answer = api.get(f"/api/report?{query}")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert says in error["message"]


def test_few_are_made_at_once(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would have all threads and the interpreter, and nothing else would be answered."""
    working, at_once, enter = 0, [0], threading.Lock()

    def slowly(*arguments: Any) -> Report:
        nonlocal working
        with enter:
            working += 1
            at_once.append(working)
        time.sleep(0.05)
        with enter:
            working -= 1
        return build(*arguments)

    monkeypatch.setattr("app.routes.report.build", slowly)
    with ThreadPoolExecutor(8) as threads:
        paths = ["/api/report", "/api/report?format=html", "/runs/report", "/api/report"] * 2
        assert {answer.status_code for answer in threads.map(api.get, paths)} == {200}
    assert max(at_once) == 2


def test_without_runs_there_is_no_report(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(checkpoints=tmp_path, data=tmp_path / "data"))) as client:
        assert client.get("/api/report").json()["error"]["code"] == "no_runs"
        assert "There are no runs yet" in client.get("/runs/report").text


def test_the_document_is_what_the_shipped_runs_say() -> None:
    """`python bench/report.py` writes it."""
    for path, text in pages().items():
        assert path.read_text("utf-8") == text, path.name
    there = [id for id in SHIPPED if (CHECKPOINTS / id).is_dir()]
    report = build(*choose(Registry(CHECKPOINTS, 0), there, None))
    assert Reader(html.document(report)).texts["h3"][: len(there)]
