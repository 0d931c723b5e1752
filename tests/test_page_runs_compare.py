"""The page of runs: cost against gain, settings, samples; and a run that is still training."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from app.settings import ROOT, Settings
from model.run_folder import RunFolder, Sample
from tests.conftest import LiveServer, wait_until, write_run

TRACES = "#curves .scatterlayer .trace"
PAGE_DATA = re.compile(
    r'(<script type="application/json" id="page-data">)(.*?)(</script>)', re.DOTALL
)


@pytest.fixture(scope="module")
def shipped() -> Iterator[LiveServer]:
    with LiveServer(Settings(checkpoints=ROOT / "checkpoints")) as server:
        yield server


def open_runs(page: Page, server: LiveServer, query: str = "") -> None:
    page.goto(f"{server.url}/runs{query}")
    expect(page.locator("#cost .scatterlayer .trace")).to_have_count(1, timeout=20_000)


def change_runs(page: Page, change: Callable[[dict[str, dict]], None]) -> None:
    """Let the page find its runs, by id, as `change` leaves them."""

    def rewrite(route: Route) -> None:
        answer = route.fetch()
        found = PAGE_DATA.search(answer.text())
        assert found
        data = json.loads(found[2])
        change({run["id"]: run for run in data["runs"]})
        body = PAGE_DATA.sub(lambda match: match[1] + json.dumps(data) + match[3], answer.text())
        route.fulfill(response=answer, body=body)

    page.route(re.compile(r"/runs(\?.*)?$"), rewrite)


# Cost against gain


def outcomes(page: Page) -> list[str]:
    return page.locator("#outcomes li").all_inner_texts()


def expected_order(runs: list[dict], chosen: list[str]) -> list[str]:
    base = next(run for run in runs if run["id"] == "baseline")

    def gain(run: dict) -> float:
        return (1 - run["val_loss"] / base["val_loss"]) / (run["wall_time_s"] / 60)

    ordered = sorted((run for run in runs if run["id"] in chosen), key=gain, reverse=True)
    return [run["title"] for run in ordered]


def test_each_run_gets_a_sentence_and_the_best_bargain_comes_first(
    page: Page, shipped: LiveServer
) -> None:
    runs = shipped.http.get("/api/runs").json()["runs"]
    base, twice = (
        next(run for run in runs if run["id"] == name) for name in ("baseline", "case-1")
    )
    times = twice["wall_time_s"] / base["wall_time_s"]
    lower = 100 * (1 - twice["val_loss"] / base["val_loss"])
    open_runs(page, shipped, "?runs=case-1,case-3,modern")
    said = outcomes(page)
    ids = ["baseline", "case-1", "case-3", "modern"]
    assert [words.partition(":")[0] for words in said] == expected_order(runs, ids)
    sentence = next(words for words in said if words.startswith(twice["title"]))
    assert f"{times:.1f} times baseline's minutes, validation loss {lower:.1f} % lower" in sentence
    page.locator("[data-state=cost]").check()
    expect(page.locator("#outcomes li")).to_have_count(len(runs))
    everything = [run["id"] for run in runs]
    assert [words.partition(":")[0] for words in outcomes(page)] == expected_order(runs, everything)
    assert "cost=1" in page.url


FIGURE = """() => {
  const { data: [{ x, y, text, marker }] } = document.getElementById("cost");
  return { x, y, text, symbols: marker.symbol };
}"""


def test_the_figure_has_minutes_against_loss_and_marks_the_reference(
    page: Page, shipped: LiveServer
) -> None:
    runs = shipped.http.get("/api/runs").json()["runs"]
    open_runs(page, shipped, "?runs=case-1,case-2")
    figure = page.evaluate(FIGURE)
    chosen = {run["title"]: run for run in runs if run["id"] in {"baseline", "case-1", "case-2"}}
    assert sorted(figure["text"]) == sorted(chosen)
    for title, x, y, symbol in zip(
        *(figure[k] for k in ("text", "x", "y", "symbols")), strict=True
    ):
        assert x == pytest.approx(chosen[title]["wall_time_s"] / 60)
        assert y == pytest.approx(chosen[title]["val_loss"])
        assert symbol == ("diamond" if title == "Baseline" else "circle")


BOXES = """() => [...document.querySelectorAll("#cost .textpoint text")]
  .filter((label) => label.textContent)
  .map((label) => label.getBoundingClientRect())
  .map(({ left, right, top, bottom }) => [left, right, top, bottom])"""


@pytest.mark.parametrize("width", [360, 1280])
def test_no_label_lies_over_another(page: Page, shipped: LiveServer, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_runs(page, shipped, "?cost=1&log=1")

    def boxes() -> list[list[float]]:
        return page.evaluate(BOXES)

    wait_until(lambda: len(boxes()) >= 4)
    found = boxes()
    for i, (left, right, top, bottom) in enumerate(found):
        for other in found[:i]:
            across = min(right, other[1]) - max(left, other[0])
            down = min(bottom, other[3]) - max(top, other[2])
            assert min(across, down) < 3, (i, found)


def test_times_from_different_devices_are_not_compared_in_silence(
    page: Page, live: LiveServer
) -> None:
    def change(runs: dict[str, dict]) -> None:
        runs["baseline"]["device"] = "cpu"
        runs["case-1"]["device"] = "cuda:0"

    open_runs(page, live)
    expect(page.locator("#device-warning")).to_be_hidden()
    change_runs(page, change)
    page.reload()
    expect(page.locator("#device-warning")).to_contain_text("cpu (1 run), cuda:0 (1 run)")
    expect(page.locator("#outcomes [data-run=case-1]")).to_contain_text("on cuda:0")


def test_losses_of_other_tokens_are_compared_by_bits_per_character(
    page: Page, live: LiveServer
) -> None:
    def change(runs: dict[str, dict]) -> None:
        runs["baseline"] |= {"tokenizer": "character", "val_bits_per_character": 4.0}
        runs["case-1"] |= {"tokenizer": "bpe", "val_bits_per_character": 3.0}

    open_runs(page, live)
    expect(page.get_by_role("columnheader", name="Bits per character")).to_have_count(0)
    change_runs(page, change)
    page.reload()
    expect(page.get_by_role("columnheader", name="Bits per character")).to_be_visible()
    cells = page.locator("#runs tr[data-run=case-1] td")
    expect(cells.last).to_have_text("3.0000")
    expect(cells.filter(has_text="−25.0 %")).to_have_count(1)
    expect(page.locator("#tokens-note")).to_contain_text("Case-1")
    expect(page.locator("#curves-note")).to_contain_text("Case-1")
    said = page.locator("#outcomes [data-run=case-1]")
    expect(said).to_contain_text("bits per character 25.0 % lower")
    wait_until(lambda: sorted(page.evaluate(FIGURE)["y"]) == [3.0, 4.0])


def test_another_text_is_not_compared(page: Page, live: LiveServer) -> None:
    change_runs(page, lambda runs: runs["case-1"]["corpus"].update(sha256="1" * 64))
    open_runs(page, live)
    said = page.locator("#outcomes [data-run=case-1]")
    expect(said).to_contain_text("another text, so its loss does not compare")


# Settings


def flat(run: dict) -> dict[str, str]:
    """Settings by name, as the page writes them."""

    def written(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return "none" if value is None else str(value)

    return {name: written(v) for part in run["config"].values() for name, v in part.items()}


def table(page: Page) -> dict[str, list[str]]:
    lines = page.locator("#settings tr[data-setting]")
    return {
        line.get_attribute("data-setting"): line.locator("td").all_inner_texts()
        for line in lines.all()
    }


def test_settings_that_differ_stand_side_by_side(page: Page, shipped: LiveServer) -> None:
    runs = {run["id"]: run for run in shipped.http.get("/api/runs").json()["runs"]}
    chosen = ["baseline", "case-2", "modern"]
    open_runs(page, shipped, f"?runs={','.join(chosen)}")
    each = [flat(runs[name]) for name in chosen]
    expected = {
        name: [one[name] for one in each]
        for name in each[0]
        if len({one[name] for one in each}) > 1
    }
    found = table(page)
    assert found.pop("parameters") == ["209,729", "211,777", "207,248"]
    assert found == expected
    block_size = page.locator("[data-setting=block_size] td")
    assert [cell.locator("mark").count() for cell in block_size.all()] == [0, 1, 1]
    page.locator("[data-state=settings]").check()
    expect(page.locator("[data-setting=seed]")).to_be_visible()
    assert set(each[0]) < set(table(page))
    page.reload()
    expect(page.locator("[data-setting=seed]")).to_be_visible()


def test_settings_of_one_run_or_of_equal_ones_say_so(page: Page, live: LiveServer) -> None:
    open_runs(page, live, "?runs=baseline")
    expect(page.locator("#settings")).to_have_text("Tick at least two runs to compare them.")
    page.get_by_label("Show the curve of Case-1").check()
    expect(page.locator("#settings")).to_have_text("These runs have the same settings.")
    page.locator(".settings-section summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#settings")).to_be_hidden()


def test_settings_scroll_inside_on_a_phone(page: Page, shipped: LiveServer) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    open_runs(page, shipped, "?runs=baseline,case-1,case-2,case-3,modern")
    expect(page.locator("#settings table")).to_be_visible()
    widths = "(element) => [element.scrollWidth, element.clientWidth]"
    whole, seen = page.locator("#settings").evaluate(widths)
    assert whole > seen
    wait_until(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


# Samples


@pytest.fixture
def sampled(tmp_path: Path) -> Iterator[LiveServer]:
    for name in ("baseline", "case-1"):
        samples = [
            Sample(step=step, prompt="\n", text=f"{name} at {step}", seed=1)
            for step in (0, 50, 100)
        ]
        write_run(tmp_path, name).write_samples(samples)
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        yield server


def test_samples_stand_side_by_side_up_to_four(page: Page, sampled: LiveServer) -> None:
    open_runs(page, sampled)
    texts = page.locator("[data-sample] [data-part=text]")
    expect(texts).to_have_text(["baseline at 0", "baseline at 100"])
    add = page.get_by_role("button", name="Add a sample")
    add.click()
    expect(texts.nth(2)).to_have_text("case-1 at 100")
    page.get_by_label("Training step").nth(2).select_option("50")
    expect(texts.nth(2)).to_have_text("case-1 at 50")
    add.click()
    expect(add).to_be_disabled()
    page.reload()
    four = ["baseline at 0", "baseline at 100", "case-1 at 50", "baseline at 100"]
    expect(texts).to_have_text(four)
    remove = page.get_by_role("button", name="Remove this sample")
    remove.first.click()
    expect(texts).to_have_text(four[1:])
    remove.first.click()
    remove.first.click()
    expect(texts).to_have_text(four[3:])
    expect(remove).to_have_count(0)


def test_a_sample_of_a_run_that_is_gone_says_so(page: Page, sampled: LiveServer) -> None:
    open_runs(page, sampled, "?samples=gone:5,case-1:60")
    expect(page.locator("[data-sample]").first).to_contain_text("there is no such run")
    # There is none at step 60: the nearest one is shown.
    expect(page.locator("[data-part=text]").nth(1)).to_have_text("case-1 at 50")


def test_a_copied_link_says_all_of_it(page: Page, sampled: LiveServer) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_runs(page, sampled)
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toast")).to_have_text("The link is copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert "runs=baseline%2Ccase-1" in link
    assert "samples=baseline%3A0%2Cbaseline" in link
    assert page.url == f"{sampled.url}/runs"


# While a run is training


def shorten(folder: RunFolder, count: int) -> list[str]:
    """Keep the first evaluations only. Returns all lines."""
    path = folder.path / "metrics.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:count]), "utf-8")
    return lines


@pytest.mark.slow
def test_a_run_in_training_grows_under_the_eyes(page: Page, tmp_path: Path) -> None:
    write_run(tmp_path, "baseline")
    growing = write_run(tmp_path, "growing")
    lines = shorten(growing, 1)
    training = {"now": True}

    def answer(route: Route) -> None:
        fetched = route.fetch()
        data = fetched.json()
        for run in data["runs"]:
            run["training"] = training["now"] and run["id"] == "growing"
        route.fulfill(response=fetched, json=data)

    change_runs(page, lambda runs: runs["growing"].update(training=True))
    page.route("**/api/runs", answer)
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        open_runs(page, server)
        line = page.locator("#runs tr[data-run=growing]")
        expect(line.locator(".is-training")).to_have_text("training")
        line.locator("summary").click()
        line.get_by_text("Train a variation").focus()
        (growing.path / "metrics.jsonl").write_text("".join(lines), "utf-8")
        training["now"] = False
        expect(line.locator(".is-training")).to_have_count(0, timeout=10_000)
        expect(line.locator("td").nth(6)).to_have_text("2.6000")
        expect(line.locator("details")).to_have_attribute("open", "")
        points = "document.getElementById('curves').data.find((t) => t.name === 'Growing').x.length"
        wait_until(lambda: page.evaluate(points) == 2)
        expect(page.locator("#outcomes [data-run=growing]")).not_to_contain_text("so far")
