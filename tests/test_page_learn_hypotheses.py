"""The lesson on hypotheses in a real browser: notes are edited in place, beside the numbers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from app.settings import Settings
from model.run_folder import RunFolder
from model.run_notes import edit_notes
from tests.conftest import METRICS, LiveServer, write_run

LEAVING = "() => !dispatchEvent(new Event('beforeunload', { cancelable: true }))"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline, the same with another seed, and one without a hypothesis that takes longer."""
    root = tmp_path_factory.mktemp("noted")
    write_run(root, "baseline", steps=(50,))
    for run_id, change, loss, seconds in (("twin", {"seed": 7}, 2.64, 1.5), ("slow", {}, 2.34, 6)):
        folder = write_run(root, run_id)
        config = folder.read_config()
        train = config.train.model_copy(update=change)
        folder.write_config(config.model_copy(update={"train": train}))
        last = METRICS[-1].model_copy(update={"val_loss": loss, "elapsed_s": seconds})
        folder.write_metrics([METRICS[0], last])
    edit_notes(RunFolder(root / "slow"), {"hypothesis": ""})
    return root


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[LiveServer]:
    with LiveServer(Settings(checkpoints=runs, data=runs / ".data")) as server:
        yield server


def card(page: Page, run: str) -> Locator:
    return page.locator(f".note-card[data-run={run}]")


def test_notes_are_edited_in_place_and_never_lost(
    page: Page, server: LiveServer, runs: Path
) -> None:
    page.goto(f"{server.url}/learn/hypotheses?only=1")
    expect(card(page, "twin")).to_be_visible()
    expect(card(page, "slow")).to_have_count(0)
    page.get_by_label("With a hypothesis only").uncheck()
    card(page, "slow").get_by_role("button", name="Edit the notes of Slow").click()
    hypothesis = card(page, "slow").get_by_label("Hypothesis")
    expect(hypothesis).to_be_focused()
    expect(page).to_have_url(f"{server.url}/learn/hypotheses?run=slow")
    assert not page.evaluate(LEAVING)
    hypothesis.fill("“Longer” is better.\nBy 5 %.")
    assert page.evaluate(LEAVING), "nobody is asked whether to leave"
    hypothesis.press("Escape")
    expect(card(page, "slow")).to_contain_text("None was written.")
    card(page, "slow").get_by_text("Go on with what was typed").click()
    card(page, "slow").get_by_role("radio", name="partly").check()
    page.route("**/api/runs/slow", lambda route: route.abort())
    hypothesis.press("Control+Enter")
    expect(card(page, "slow").get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/api/runs/slow")
    hypothesis.press("Control+Enter")
    expect(card(page, "slow").get_by_role("status")).to_have_text("Saved in the run's folder.")
    expect(card(page, "slow").get_by_text("Partly confirmed")).to_be_visible()
    expect(card(page, "slow").get_by_role("button", name="Edit the notes")).to_be_focused()
    kept = RunFolder(runs / "slow").read_config()
    assert (kept.hypothesis, kept.verdict) == ("“Longer” is better.\nBy 5 %.", "partly")
    assert not page.evaluate(LEAVING)


def test_somebody_elses_words_are_shown_and_not_written_over(
    page: Page, server: LiveServer, runs: Path
) -> None:
    folder = RunFolder(runs / "twin")
    page.goto(f"{server.url}/runs")
    page.locator("#runs tr[data-run=twin] summary").click()
    page.locator("#runs tr[data-run=twin]").get_by_text("Edit its notes").click()
    outcome = card(page, "twin").get_by_label("What happened")
    outcome.fill("Mine.")
    edit_notes(folder, {"outcome": "Theirs.", "hypothesis": "Theirs too."})
    card(page, "twin").get_by_text("Save", exact=True).click()
    expect(card(page, "twin").get_by_role("alert")).to_contain_text("somebody has changed")
    expect(card(page, "twin").locator("blockquote", has_text="Theirs.")).to_be_visible()
    expect(outcome).to_have_value("Mine.")
    expect(card(page, "twin").get_by_label("Hypothesis")).to_have_value("Theirs too.")
    assert folder.read_config().outcome == "Theirs."
    outcome.fill("Both.")
    outcome.press("Control+Enter")
    expect(card(page, "twin").locator("[data-part=outcome-words]")).to_have_text("Both.")
    kept = folder.read_config()
    assert (kept.hypothesis, kept.outcome) == ("Theirs too.", "Both.")


def test_the_numbers_are_the_runs(page: Page, server: LiveServer, runs: Path) -> None:
    page.goto(f"{server.url}/learn/hypotheses?sort=gain")
    expect(page.locator(".note-card")).to_have_count(3)
    order = page.locator(".note-card").evaluate_all("cards => cards.map((c) => c.dataset.run)")
    assert order == ["slow", "baseline", "twin"]  # gains of 10, 0 and -1.5 %
    table = card(page, "slow").locator("table")
    # Losses 2.34 and 2.6 with 2.5 in training, in 6 s rather than 1.5 s.
    for cells in (["2.3400", "2.6000", "−10.0 %"], ["−0.160", "0.100", "−0.260"], ["4 times"]):
        for cell in cells:
            expect(table.get_by_text(cell, exact=True)).to_be_visible()
    expect(card(page, "slow")).to_contain_text("validation loss 10.0 % lower (100 % for each minu")
    seeds = page.locator("#seeds li")  # of 2.6 and 2.64
    expect(seeds).to_contain_text("2.6200 nats per character on average, standard deviation 0.0283")
    expect(page.locator("#cost .point")).to_have_count(3)

    run = json.loads(server.http.get("/api/runs/baseline").text)["config"]
    weights = RunFolder(runs / "baseline").load_model().state_dict()
    tables = {"wte.weight", "wpe.weight"}
    assert tables <= weights.keys()
    multiplied = sum(weight.numel() for name, weight in weights.items() if name not in tables)
    model, batch = run["model"], run["train"]["batch_size"]
    tokens = 100 * batch * model["block_size"]
    attended = model["n_layer"] * model["n_embd"] * model["block_size"]
    row = page.locator("#costs tr", has_text="Baseline")
    expect(row).to_contain_text(f"{tokens:,}")
    shown = f"{6 * (multiplied + attended) * tokens:.2e}".replace("e+08", " · 10⁸")
    expect(row.get_by_text(shown)).to_be_visible()
