"""A run's training on the attention page: stepped through, played, followed while it goes on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect
from starlette.requests import Request as ServerRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.settings import Settings
from model.families import build_model
from model.run_folder import RunFolder
from tests.attention_page import TEXT, figure, shows, side, weights_of
from tests.conftest import GPT, LiveServer, write_run
from tests.fake_jobs import END, FakeJobs, job, snapshot, torn


class Asked:
    """The steps whose maps the page has asked for, in their order."""

    def __init__(self, page: Page) -> None:
        self.steps: list[int | None] = []
        page.on("request", self._on)

    def _on(self, request: Request) -> None:
        if request.url.endswith("/api/attention") and "layers" not in request.post_data_json:
            self.steps.append(request.post_data_json["step"])


def test_training_is_stepped_through_and_played(page: Page, live: LiveServer) -> None:
    asked = Asked(page)
    page.goto(f"{live.url}/attention?text={TEXT}&run=baseline&layer=1&head=1")
    shows(page, "baseline final 1 1")
    assert asked.steps == [None]
    slider = side(page).get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", "trained to the end")
    page.locator("body").press(",")
    shows(page, "baseline 50 1 1")
    expect(page).to_have_url(re.compile("step=50"))
    z = figure(side(page).locator("[data-part=heatmap]"))["z"]
    assert z == pytest.approx(weights_of(live, step=50)[1, 1], abs=1e-6)
    slider.press("ArrowLeft")
    shows(page, "baseline 10 1 1")
    expect(slider).to_have_attribute("aria-valuetext", "step 10")
    assert asked.steps == [None, 50, 10]  # the neighbour was there before it was wanted

    side(page).get_by_role("button", name="Play through training").click()
    expect(side(page).get_by_role("button", name="Pause")).to_be_visible()
    shows(page, "baseline 50 1 1")
    shows(page, "baseline final 1 1")
    expect(side(page).get_by_role("button", name="Play through training")).to_be_visible()
    assert asked.steps == [None, 50, 10]  # nothing is asked for twice
    expect(page).to_have_url(re.compile(r"^((?!step=).)*$"))
    page.get_by_label("Text", exact=True).press(",")
    shows(page, "baseline final 1 1")


@pytest.fixture
def growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple]:
    """A server with a run that a job is training, the job's events, and the run's folder."""
    folder = write_run(tmp_path / "checkpoints", "growing", steps=(10,))
    fake = FakeJobs()
    settings = Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data")
    with LiveServer(settings) as server:
        training = {"growing"}
        monkeypatch.setattr(server.app.state.queue, "run_ids", lambda: training)

        async def jobs(request: ServerRequest) -> JSONResponse:
            return JSONResponse({"jobs": [job(run_id="growing")], "devices": []})

        server.app.router.routes[:0] = [Route("/api/jobs", jobs), *fake.routes()]
        yield server, fake, folder, training


def test_new_snapshots_are_followed_while_a_job_trains(page: Page, growing: tuple) -> None:
    server, fake, folder, training = growing
    state = ("state", job(run_id="growing"))
    fake.streams = [[state, snapshot(10), torn(100)]]
    page.goto(f"{server.url}/attention?run=growing&text={TEXT}")
    slider = side(page).get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", "step 10, the newest")
    shows(page, "growing final 0 0")
    heatmap = side(page).locator("[data-part=heatmap]")
    before = figure(heatmap)["z"]

    add_snapshot(folder, 20)
    fake.streams = [[state, snapshot(10), snapshot(20), torn(100)]]
    expect(slider).to_have_attribute("aria-valuetext", "step 20, the newest")
    expected = weights_of(server, run="growing", step=20)[0, 0]
    expect(side(page).locator("[data-part=facts]")).to_contain_text(f"largest {expected.max():.4f}")
    page.wait_for_timeout(50)
    assert figure(heatmap)["z"] == pytest.approx(expected, abs=1e-6)
    assert before != pytest.approx(expected, abs=1e-3)

    slider.press("ArrowLeft")
    shows(page, "growing 10 0 0")
    add_snapshot(folder, 30)
    training.clear()
    done = ("state", job("done", run_id="growing", step=1000))
    fake.streams = [[state, snapshot(10), snapshot(20), snapshot(30), done, END]]
    expect(slider).to_have_attribute("max", "3")
    expect(slider).to_have_attribute("aria-valuetext", "step 10")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "trained to the end")
    shows(page, "growing final 0 0")


def add_snapshot(folder: RunFolder, step: int) -> None:
    folder.write_snapshot(step, build_model(GPT))
