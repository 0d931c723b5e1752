"""The page of runs in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from app.settings import ROOT, Settings
from tests.conftest import LiveServer, wait_until, write_run

TRACES = "#curves .scatterlayer .trace"
SHOWN = """() => {
  const { data, layout } = document.getElementById("curves");
  return {
    traces: data.map(({ name, x, y, opacity }) => ({ name, x, y, opacity })),
    x: layout.xaxis, y: layout.yaxis,
  };
}"""


@pytest.fixture
def opened(page: Page, live: LiveServer) -> Page:
    page.goto(f"{live.url}/runs")
    expect(page.locator(TRACES)).to_have_count(4, timeout=20_000)
    return page


@pytest.fixture(scope="module")
def read(shared_page: Page, live: LiveServer) -> Page:
    """As `opened`, for tests that need nothing else of it than to be there."""
    shared_page.goto(f"{live.url}/runs")
    expect(shared_page.locator(TRACES)).to_have_count(4, timeout=20_000)
    return shared_page


@pytest.fixture(scope="module")
def shipped() -> Iterator[LiveServer]:
    with LiveServer(Settings(checkpoints=ROOT / "checkpoints")) as server:
        yield server


def open_runs(page: Page, server: LiveServer, query: str, curves: int) -> None:
    """The page, once it has drawn the curves of so many runs."""
    page.goto(f"{server.url}/runs{query}")
    expect(page.locator(TRACES)).to_have_count(2 * curves, timeout=20_000)


def row(page: Page, run: str):
    return page.locator(f"#runs tr[data-run={run}]")


def shown(page: Page, name: str) -> list[dict]:
    """What is drawn under a name: a curve, and while it is smoothed the measured one before it."""
    return [trace for trace in page.evaluate(SHOWN)["traces"] if trace["name"] == name]


def test_the_table_has_the_runs_and_their_numbers(read: Page) -> None:
    assert read.locator("#runs tbody tr").count() == 4
    cells = row(read, "baseline").locator("td").all_inner_texts()
    assert {"100", "2.5000", "2.6000", "1.5 s", "4.2000"} <= set(cells)
    expect(row(read, "bigram").locator(".chip")).to_have_text("kind bigram")


def test_clicking_a_heading_sorts_both_ways(opened: Page) -> None:
    def order() -> list[str]:
        return opened.locator("#runs tbody summary").all_inner_texts()

    heading = opened.locator("#runs thead button").first
    heading.click()
    ascending = order()
    heading.click()
    assert order() == ascending[::-1]
    expect(opened.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    opened.reload()
    expect(opened.locator("th[aria-sort]")).to_have_text("Run")
    assert order() == ascending[::-1]


def test_ticking_a_run_draws_its_curve_and_the_address_keeps_it(opened: Page) -> None:
    opened.get_by_label("Show the curve of Bigram").check()
    expect(opened.locator(TRACES)).to_have_count(6)
    opened.reload()
    expect(opened.get_by_label("Show the curve of Bigram")).to_be_checked()


def test_all_runs_are_ticked_and_unticked_at_once(opened: Page) -> None:
    everything = opened.get_by_label("Show the curves of all runs")
    everything.check()
    expect(opened.locator(TRACES)).to_have_count(8)
    everything.uncheck()
    expect(opened.locator(TRACES)).to_have_count(0)
    expect(opened.locator("#none-ticked")).to_be_visible()
    expect(opened.locator("#prompt-them")).to_be_hidden()
    opened.reload()
    expect(opened.locator("#runs tbody input:checked")).to_have_count(0)


def test_a_run_opens_to_its_hypothesis_and_links(read: Page) -> None:
    row(read, "baseline").locator("summary").click()
    expect(row(read, "baseline")).to_contain_text("It learns.")
    expect(row(read, "baseline").get_by_text("Look inside")).to_be_visible()
    expect(row(read, "ngram").get_by_text("Look inside")).to_have_count(0)
    variation = row(read, "baseline").get_by_text("Train a variation")
    expect(variation).to_have_attribute("href", "/train?from=baseline")


def test_it_fits_a_phone(opened: Page) -> None:
    opened.set_viewport_size({"width": 360, "height": 800})
    wait_until(lambda: opened.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_more_ticked_runs_than_columns_are_not_dropped_in_silence(
    page: Page, tmp_path: Path
) -> None:
    for i in range(5):
        write_run(tmp_path, f"run-{i}")
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        page.goto(f"{server.url}/runs?runs=run-0,run-1,run-2,run-3,run-4")
        link = page.locator("#prompt-them")
        expect(link).to_have_text("Prompt the first 4 runs side by side")
        page.get_by_label("Show the curve of").nth(1).uncheck()
        expect(link).to_have_text("Prompt the ticked runs side by side")
        link.click()
        expect(page).to_have_url(f"{server.url}/?runs=run-0,run-2,run-3,run-4")


def test_a_broken_folder_is_listed_with_its_reason(page: Page, tmp_path: Path) -> None:
    write_run(tmp_path, "baseline")
    (write_run(tmp_path, "torn").path / "config.json").write_text("{")
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        page.goto(f"{server.url}/runs")
        expect(page.locator("#broken")).to_contain_text("torn")
        expect(page.locator("#broken")).to_contain_text("config.json")


def test_without_runs_it_says_how_to_get_one(page: Page, tmp_path: Path) -> None:
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        page.goto(f"{server.url}/runs")
        expect(page.locator("#no-runs")).to_contain_text("sidelight train baseline")
        expect(page.locator("#no-runs a")).to_have_attribute("href", "/train")


def test_the_newest_eight_and_the_baseline_are_ticked_at_first(page: Page, tmp_path: Path) -> None:
    names = ["baseline", *(f"run-{i}" for i in range(11))]
    for name in names:
        write_run(tmp_path, name)
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        open_runs(page, server, "", 8)
        ticked = page.locator("#runs tr[data-run]").filter(has=page.locator("input:checked"))
        found = ticked.evaluate_all("rows => rows.map((row) => row.dataset.run)")
    assert found == ["baseline", *sorted(names[-7:])]


@pytest.mark.slow
def test_a_hundred_runs_ask_only_for_what_is_ticked(page: Page, tmp_path: Path) -> None:
    for i in range(100):
        write_run(tmp_path, f"run-{i:02}")
    asked: list[str] = []

    def listen(request: Request) -> None:
        if "/api/runs/" in request.url:
            asked.append(request.url)

    page.on("request", listen)
    with LiveServer(Settings(checkpoints=tmp_path)) as server:
        open_runs(page, server, "", 8)
        assert len(set(asked)) == len(asked) == 8
        page.get_by_label("Show the curves of all runs").check()
        expect(page.locator(TRACES)).to_have_count(200, timeout=20_000)
        assert len(set(asked)) == len(asked) == 100
        expect(page.locator("#outcomes li")).to_have_count(100)


# Curves


def metrics(server: LiveServer, run: str) -> list[dict]:
    return server.http.get(f"/api/runs/{run}").json()["metrics"]


def test_curves_lie_by_step_by_tokens_or_by_time(page: Page, shipped: LiveServer) -> None:
    open_runs(page, shipped, "?runs=baseline,case-2&x=tokens", 2)
    for axis in ("Tokens", "Time", "Step"):
        page.get_by_label(axis, exact=True).check(force=True)
        for run, title, per_step in (
            ("baseline", "Baseline", 16 * 32),
            ("case-2", "Twice the context", 16 * 64),
        ):
            measured = metrics(shipped, run)
            expected = {
                "Step": [metric["step"] for metric in measured],
                "Tokens": [metric["step"] * per_step for metric in measured],
                "Time": [metric["elapsed_s"] / 60 for metric in measured],
            }[axis]
            losses = pytest.approx([metric["val_loss"] for metric in measured])
            wanted = [(pytest.approx(expected), losses)]
            wait_until(lambda n=title, w=wanted: [(t["x"], t["y"]) for t in shown(page, n)] == w)


def test_the_axis_is_chosen_with_the_keyboard(opened: Page) -> None:
    opened.get_by_label("Step", exact=True).focus()
    opened.keyboard.press("ArrowRight")
    expect(opened.get_by_label("Tokens", exact=True)).to_be_checked()
    wait_until(lambda: "x=tokens" in opened.url)
    wait_until(lambda: "tokens" in opened.evaluate(SHOWN)["x"]["title"]["text"])
    opened.reload()
    expect(opened.get_by_label("Tokens", exact=True)).to_be_checked()


def test_both_axes_can_be_logarithmic(opened: Page) -> None:
    opened.locator("[aria-labelledby=curves-title] [data-state=log]").check()
    opened.locator("[data-state=logy]").check()
    wait_until(lambda: opened.evaluate(SHOWN)["y"]["type"] == "log")
    figure = opened.evaluate(SHOWN)
    assert figure["x"]["type"] == "log"
    assert all(0 not in trace["x"] for trace in figure["traces"])
    # The same switch stands beside the other figure.
    expect(opened.locator("[aria-labelledby=cost-title] [data-state=log]")).to_be_checked()
    assert opened.evaluate("document.getElementById('cost').layout.xaxis.type") == "log"
    assert {"log=1", "logy=1"} <= set(opened.url.partition("?")[2].split("&"))


def test_a_link_that_said_time_still_means_it(page: Page, live: LiveServer) -> None:
    open_runs(page, live, "?time=1&sort=6", 2)
    expect(page.get_by_label("Time", exact=True)).to_be_checked()
    expect(page.locator("th[aria-sort]")).to_have_text("Validation loss")
    assert "x=time" in page.url


def weighted_means(values: list[float], weight: float) -> list[float]:
    """Each value and those before it, each counting `weight` times as much as its successor."""
    means = []
    for end in range(1, len(values) + 1):
        weights = [weight ** (end - 1 - i) for i in range(end)]
        pairs = zip(weights, values[:end], strict=True)
        means.append(sum(w * value for w, value in pairs) / sum(weights))
    return means


def test_smoothing_keeps_the_measured_curve_in_sight(page: Page, shipped: LiveServer) -> None:
    open_runs(page, shipped, "?runs=baseline", 1)
    page.get_by_label("Smoothing").fill("0.8")
    expect(page.locator(TRACES)).to_have_count(4)
    expect(page.locator("output[for=smooth]")).to_have_text("0.8")
    losses = [metric["val_loss"] for metric in metrics(shipped, "baseline")]
    measured, smooth = shown(page, "Baseline")
    assert measured["y"] == pytest.approx(losses)
    assert measured["opacity"] < 0.5
    assert smooth["y"] == pytest.approx([losses[0], *weighted_means(losses[1:], 0.8)])
    page.reload()
    expect(page.locator(TRACES)).to_have_count(4)
    page.get_by_label("Smoothing").fill("0")
    expect(page.locator(TRACES)).to_have_count(2)


def test_hovering_tells_the_exact_losses(page: Page, shipped: LiveServer) -> None:
    open_runs(page, shipped, "?runs=baseline", 1)
    plot = page.locator("#curves .nsewdrag")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    middle = next(metric for metric in metrics(shipped, "baseline") if metric["step"] == 2500)
    label = page.locator("#curves .hoverlayer")
    expect(label).to_contain_text("step 2,500")
    expect(label).to_contain_text(f"{middle['val_loss']:.4f}")
    expect(label).to_contain_text(f"{middle['train_loss']:.4f}")


def test_what_was_zoomed_to_stays_while_curves_come_and_go(page: Page, shipped: LiveServer) -> None:
    def ranges() -> list[list[float]]:
        figure = page.evaluate(SHOWN)
        return [figure["x"]["range"], figure["y"]["range"]]

    open_runs(page, shipped, "?runs=baseline,case-1", 2)
    page.locator("#curves").scroll_into_view_if_needed()
    whole = ranges()
    box = page.locator("#curves .nsewdrag").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"], steps=4)
    page.mouse.up()
    wait_until(lambda: ranges() != whole)
    zoomed = ranges()
    page.get_by_label("Show the curve of Bigram").check()  # whose losses lie far above
    expect(page.locator(TRACES)).to_have_count(6)
    page.get_by_label("Smoothing").fill("0.5")
    expect(page.locator(TRACES)).to_have_count(12)
    assert ranges() == zoomed
    page.get_by_label("Time", exact=True).check(force=True)  # other axes begin anew
    wait_until(lambda: ranges()[0] != zoomed[0])


GROWING = """async () => {
  const own = document.querySelector("script[src$='/runs.js']").src; // the page's own modules
  const { drawCurves } = await import(new URL("curves.js", own));
  const figure = document.createElement("div");
  figure.style.height = "300px";
  document.body.append(figure);
  const axes = { x: "step", logX: false, logY: false, smoothing: 0 };
  const config = { model: { kind: "gpt", block_size: 8 }, train: { batch_size: 4 } };
  const metrics = [];
  let drawn = 0;
  const react = Plotly.react;
  Plotly.react = (...all) => { drawn += 1; return react(...all); };
  const all = [];
  for (let step = 0; step < 200; step++) {
    metrics.push({ step, train_loss: 4, val_loss: 4 - step / 100, elapsed_s: step });
    const curve = { run: { id: "growing", title: "Growing", metrics: [...metrics], config } };
    all.push(drawCurves(figure, [{ ...curve, number: 0 }], axes));
  }
  await Promise.all(all);
  Plotly.react = react;
  return { drawn, points: figure.data[1].x.length };
}"""


def test_a_growing_run_is_drawn_once_for_many_changes(read: Page) -> None:
    assert read.evaluate(GROWING) == {"drawn": 1, "points": 200}


def test_a_run_that_cannot_be_read_leaves_the_other_curves(page: Page, live: LiveServer) -> None:
    refusal = {"error": {"message": "The folder is torn.", "type": "", "param": None, "code": None}}
    page.route("**/api/runs/case-1", lambda route: route.fulfill(status=503, json=refusal))
    open_runs(page, live, "", 1)
    expect(page.locator("#curves-alert")).to_have_text("The folder is torn.")
