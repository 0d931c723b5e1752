"""The lesson on tuning: two runs side by side, the exercise again, and one own change."""

import re
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.conftest import LiveServer
from tests.fake_jobs import job


def written(live: LiveServer, run: str, seed: int, step: int | None = None) -> str:
    body = {"model": run, "prompt": "ROMEO:", "max_tokens": 12, "temperature": 0.8}
    answer = live.http.post("/v1/completions", json=body | {"seed": seed, "step": step})
    text: str = answer.json()["choices"][0]["text"]
    return text


def test_both_write_from_one_seed_and_are_compared(page: Page, live: LiveServer) -> None:
    page.goto(f"{live.url}/learn/tuning?b_step=10&b=baseline&a=case-1&length=12")
    pane_a, pane_b = (page.locator(f'#sample-{side} [data-part="written"]') for side in "ab")
    expect(pane_a).to_have_text(written(live, "case-1", 1))
    expect(pane_b).to_have_text(written(live, "baseline", 1, step=10))
    expect(page.locator("#sample-b")).to_contain_text("Baseline at step 10")
    page.get_by_role("button", name="Another seed").click()
    expect(pane_a).to_have_text(written(live, "case-1", 2))
    expect(page).to_have_url(re.compile("seed=2"))
    verdict = page.locator('#comparison-figure [data-part="verdict"]')
    expect(verdict).to_contain_text("no validation loss for both")
    page.locator("#b-step").select_option("")
    expect(verdict).to_contain_text("alike: 2.6000 for Case-1 and 2.6000 for Baseline")
    page.locator("#prompt").fill("5€")
    for side in "ab":
        alert = page.locator(f"#sample-{side} [role=alert]")
        expect(alert).to_contain_text("characters outside the vocabulary")


def test_the_exercise_is_started_once_and_followed(page: Page, live: LiveServer) -> None:
    bodies: list[Any] = []
    presets = ["baseline", "case-1", "case-2", "case-3"]
    states = dict.fromkeys(presets, "running")

    def sweep(route: Route) -> None:
        if route.request.method == "POST":
            bodies.append(route.request.post_data_json)
        jobs = [
            {"job": job(state, id=preset, run_id=f"{preset}-2", title=preset)}
            for preset, state in states.items()
        ]
        route.fulfill(status=202, json={"id": "abc", "jobs": jobs})

    page.route(re.compile(r"/api/sweeps(/abc)?$"), sweep)
    page.goto(f"{live.url}/learn/tuning?length=1")
    figure = page.locator("#exercise-figure")
    expect(figure).to_contain_text("Four runs, 25,000 steps in all")
    expect(figure.locator("tbody td:nth-child(2)").first).to_have_text("baseline-2")
    start = figure.get_by_role("button", name="Start the four runs")
    start.dblclick()
    rows = figure.locator("li")
    expect(rows).to_have_count(4)
    expect(start).to_be_disabled()
    assert bodies == [{"presets": presets, "device": "auto"}]
    expect(rows.first.get_by_role("link")).to_have_attribute("href", "/train?job=baseline")
    expect(rows.first).to_contain_text("25 %, step 250 of 1,000")
    states.update(dict.fromkeys(presets, "done"))
    page.reload()
    expect(figure).to_contain_text("4 of 4 have ended")
    report = figure.locator('[data-part="job-words"]').get_by_role("link", name="report")
    expect(report).to_have_attribute(
        "href", "/runs/report?runs=" + "%2C".join(f"{preset}-2" for preset in presets)
    )
    expect(start).to_be_enabled()


def test_one_change_needs_a_hypothesis_first(page: Page, live: LiveServer) -> None:
    bodies: list[Any] = []

    def jobs(route: Route) -> None:
        if route.request.method == "POST":
            bodies.append(route.request.post_data_json)
            route.fulfill(status=202, json=job("queued", id="j1"))
        else:
            done = job("done", id="j1", run_id="more-heads", title="More heads")
            route.fulfill(json={"jobs": [done, job("running", id="other")], "devices": []})

    page.route("**/api/jobs", jobs)
    page.goto(f"{live.url}/learn/tuning?length=1&setting=model.n_head")
    figure = page.locator("#change-figure")
    start = figure.get_by_role("button", name="Start this run")
    expect(figure).to_contain_text("Baseline has 4.")
    start.click()
    expect(figure.get_by_label("To", exact=True)).to_be_focused()
    expect(figure.locator("#value-field")).to_contain_text("A value is missing")
    figure.get_by_label("To", exact=True).fill("5")
    expect(figure.locator("#value-field")).to_contain_text("64 is not divisible by n_head (5)")
    figure.get_by_label("To", exact=True).fill("8")
    expect(figure.locator('[data-part="check"]')).to_contain_text("5,000 steps of 512 tokens")
    start.click()
    hypothesis = figure.get_by_label("Hypothesis")
    expect(hypothesis).to_be_focused()
    expect(figure.locator("#hypothesis-field")).to_contain_text("what you expect, and why")
    assert not bodies
    hypothesis.fill("Less room for each head: it gets worse.")
    start.dblclick()
    row = figure.locator("li")
    expect(row).to_have_count(1)
    expect(start).to_be_disabled()
    (body,) = bodies
    assert body["config"]["model"]["n_head"] == 8
    assert body["config"]["train"]["max_iters"] == 5000
    assert (body["title"], body["hypothesis"]) == (
        "Baseline, n_head 8",
        "Less room for each head: it gets worse.",
    )
    expect(row.get_by_role("link", name="More heads")).to_have_attribute("href", "/train?job=j1")
    expect(row.get_by_role("link", name="report")).to_have_attribute(
        "href", "/runs/report?runs=baseline%2Cmore-heads"
    )
    figure.get_by_label("Change").select_option("model.norm")
    expect(figure.get_by_label("To", exact=True)).to_have_value("")
    expect(start).to_be_enabled()
