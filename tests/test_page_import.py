"""Bringing a model in on the page of runs, and taking one out, in a real browser."""

import io
import re
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Locator, Page, Route, expect

from app.hidden_folder import HIDDEN
from app.incoming_model import IncomingModel
from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run
from tests.foreign_models import (
    nanogpt,
    nanogpt_checkpoint,
    save_huggingface,
    save_nanogpt,
    zipped,
)
from tests.test_page_accessibility import judged

MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("import")
    write_run(root / "checkpoints", "baseline", steps=(10, 50))
    settings = Settings(
        checkpoints=root / "checkpoints", data=root / "data", max_import_bytes=MOST_BYTES
    )
    with LiveServer(settings) as server:
        yield server


@pytest.fixture
def checkpoint(tmp_path: Path) -> list[Path]:
    folder = save_nanogpt(tmp_path / "out-letters", nanogpt_checkpoint(nanogpt()))
    return [folder / "ckpt.pt", folder / "meta.pkl"]


def opened(page: Page, server: LiveServer) -> Locator:
    """The part of the page where a model is brought in."""
    page.goto(f"{server.url}/runs")
    page.wait_for_selector("#runs tr[data-run], #no-runs:not([hidden])", timeout=20_000)
    page.locator("#bring-in").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#import-panel [data-part=choose-files]")).to_be_focused()
    return page.locator("#import-panel")


def choose(panel: Locator, files: list[Path]) -> None:
    panel.locator("[data-part=choose-files]").set_input_files(files)


def send(panel: Locator) -> None:
    panel.get_by_role("button", name="Bring it in").click()


def row(page: Page, run: str) -> Locator:
    return page.locator(f"#runs tr[data-run={run}]")


def require_arrived(page: Page, run: str) -> None:
    """Ticked, open, and where the focus is; the form is closed."""
    expect(row(page, run).locator("summary")).to_be_focused()
    expect(row(page, run).locator("summary")).to_be_in_viewport()
    expect(row(page, run).locator("details")).to_have_attribute("open", "")
    expect(row(page, run).get_by_role("checkbox")).to_be_checked()
    for words in ("Prompt it", "Look inside"):
        expect(row(page, run).get_by_role("link", name=words)).to_be_visible()
    expect(page.locator("#import-panel")).to_be_hidden()


def test_a_checkpoint_comes_in_with_the_keyboard_alone(
    page: Page, server: LiveServer, checkpoint: list[Path]
) -> None:
    panel = opened(page, server)
    row(page, "baseline").locator("summary").click()
    panel.get_by_label("Title").press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#bring-in")).to_be_focused()
    page.keyboard.press("Enter")
    choose(panel, checkpoint)
    files = panel.locator(".import-file").all_inner_texts()
    assert [words.split("\n")[:2] for words in files] == [
        ["ckpt.pt", "nanoGPT's checkpoint"],
        ["meta.pkl", "nanoGPT's vocabulary"],
    ]
    expect(panel.get_by_label("Run id")).to_have_value("ckpt")
    assert judged(page, "chosen", "#import-panel") == []
    panel.get_by_label("Run id").fill("letters")
    page.keyboard.press("Enter")
    require_arrived(page, "letters")
    expect(row(page, "letters")).to_contain_text(
        "Imported from nanoGPT's ckpt.pt, 250 steps, validation loss 1.4697 as its own trainer "
        "estimated."
    )
    numbers = row(page, "letters").locator("td.number").all_inner_texts()
    assert numbers[1:] == ["250", "", "", "", "", ""]
    expect(page.locator("#curves-note")).to_have_text(
        "Brought in without losses, so no curve: ckpt."
    )
    expect(row(page, "baseline").locator("details")).to_have_attribute("open", "")  # as it was
    assert "letters" in page.url
    training = page.locator("[data-setting=batch_size] td")
    assert training.all_inner_texts() == ["16", "not known"]
    assert page.locator("[data-setting=batch_size] mark").count() == 0
    assert judged(page, "arrived", "#runs") == []
    page.goto(f"{server.url}/train?from=letters")
    expect(page.locator("#job-check")).to_have_attribute("data-state", "fine")
    expect(page.locator("#starting-point")).to_contain_text("on which text, is not known")
    expect(page.locator('[id="field-model.n_embd"]')).to_have_value("8")


def drag(devtools: CDPSession, place: Locator, kind: str, path: Path) -> None:
    box = place.bounding_box()
    assert box
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    at = {"x": box["x"] + 9, "y": box["y"] + 9}
    devtools.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def test_a_dropped_folder_is_packed_and_comes_in_as_it_was(
    page: Page, server: LiveServer, tmp_path: Path
) -> None:
    folder = tmp_path / "somebody's"
    shutil.copytree(server.app.state.settings.checkpoints / "baseline", folder)
    (folder / "notes.txt").write_text("not for the server")
    panel = opened(page, server)
    place = panel.locator(".drop-area")
    place.scroll_into_view_if_needed()
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver"):
        drag(devtools, place, kind, folder)
    expect(place).to_have_class(re.compile("is-target"))
    drag(devtools, place, "drop", folder)
    expect(place).not_to_have_class(re.compile("is-target"))
    expect(panel).to_contain_text("Not needed, so not sent: notes.txt.")
    expect(panel).to_contain_text("snapshots/step-000050.safetensors")
    expect(panel.get_by_label("Run id")).to_have_value("baseline")  # its own
    expect(panel.get_by_role("alert").first).to_contain_text("There is a run baseline already")
    panel.get_by_label("Run id").fill("copy")
    panel.get_by_label("Title").fill("A copy")
    send(panel)
    require_arrived(page, "copy")
    baseline, copy = (server.http.get(f"/api/runs/{id}").json() for id in ("baseline", "copy"))
    assert (copy["id"], copy["title"]) == ("copy", "A copy")
    assert {name for name in copy if copy[name] != baseline[name]} == {"id", "title"}
    texts = [
        server.http.post("/v1/completions", json={"model": id, "step": 10, "seed": 1}).json()
        for id in ("baseline", "copy")
    ]
    assert texts[0]["choices"] == texts[1]["choices"]


def test_files_that_were_chosen_before_the_page_knows_the_runs_are_judged_then(
    page: Page, server: LiveServer
) -> None:
    held: list[Route] = []
    page.route("**/api/corpora", lambda route: held.append(route))
    with page.expect_request("**/api/corpora"):
        panel = opened(page, server)
    config = server.app.state.settings.checkpoints / "baseline" / "config.json"
    choose(panel, [config, config.with_name("model.safetensors")])
    expect(panel.get_by_label("Run id")).to_have_value("baseline")
    held[0].continue_()
    expect(panel.get_by_role("alert").first).to_contain_text("There is a run baseline already")


def refuse(page: Page, status: int, param: str | None, message: str) -> None:
    """Send the form to a server that answers so."""

    def answer(route: Route) -> None:
        error = {"message": message, "type": "x", "param": param, "code": None}
        route.fulfill(status=status, json={"error": error})

    page.unroute_all()
    page.route("**/api/runs?*", answer)
    send(page.locator("#import-panel"))
    expect(page.locator("#import-panel [role=alert]:visible")).to_have_count(1)


def test_what_is_refused_is_said_at_its_field_and_the_rest_stays(
    page: Page, server: LiveServer, checkpoint: list[Path], tmp_path: Path
) -> None:
    panel = opened(page, server)
    alerts = panel.locator("[role=alert]:visible")
    (tmp_path / "README.md").write_text("no model")
    send(panel)
    expect(alerts).to_have_text("Choose the files first")
    choose(panel, [tmp_path / "README.md"])
    expect(alerts).to_contain_text("No model is among these")
    large = tmp_path / "large.pt"
    large.write_bytes(bytes(MOST_BYTES + 1))
    choose(panel, [large])
    expect(alerts).to_have_text("large.pt has 100 kB, and at most 100 kB may come in")
    send(panel)  # it is not even sent
    expect(panel.locator("[data-part=choose-files]")).to_be_focused()
    panel.get_by_role("button", name="Leave out large.pt").click()
    choose(panel, checkpoint)
    expect(alerts).to_have_count(0)
    panel.get_by_label("Title").fill("Mine")
    panel.get_by_label("Run id").fill("No Id")
    send(panel)
    expect(panel.get_by_label("Run id")).to_be_focused()
    expect(panel.get_by_label("Run id")).to_have_accessible_description(re.compile("^An id has"))
    panel.get_by_label("Run id").fill("mine")
    for label, param in (("Run id", "id"), ("Title", "title"), ("Vocabulary", "vocabulary")):
        refuse(page, 422, param, f"{param}: ckpt.pt does not like it")
        expect(panel.get_by_label(label)).to_be_focused()
        expect(alerts).to_have_text("ckpt.pt does not like it")
        expect(panel.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    refuse(page, 422, "file", "file: it is a pickle")
    expect(panel.locator("[data-param=file] [role=alert]")).to_have_text("It is a pickle")
    assert judged(page, "refused", "#import-panel") == []
    refuse(page, 413, None, "the request body is over 100,000 bytes")
    expect(panel.locator("[data-param=file] [role=alert]")).to_contain_text("over 100,000 bytes")
    refuse(page, 507, None, "the model cannot be kept: No space left on device")
    expect(alerts).to_have_text("the model cannot be kept: No space left on device")
    expect(panel.get_by_label("Title")).to_have_value("Mine")
    expect(panel.locator(".import-file")).to_have_count(2)
    page.set_viewport_size({"width": 360, "height": 800})
    wait_until(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


LEAVES = "dispatchEvent(new Event('beforeunload', { cancelable: true }))"


def test_an_upload_is_seen_and_stopped_and_what_the_server_does_with_it_too(
    page: Page, server: LiveServer, checkpoint: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = threading.Event(), threading.Event()
    bring_in = IncomingModel.bring_in

    def slow(*arguments: Any) -> Any:
        reading.set()
        go_on.wait(20)
        return bring_in(*arguments)

    monkeypatch.setattr(IncomingModel, "bring_in", slow)
    panel = opened(page, server)
    choose(panel, checkpoint)
    panel.get_by_label("Run id").fill("slow")
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")

    def throttle(bytes_per_second: int) -> None:
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
        limits["uploadThroughput"] = bytes_per_second
        line.send("Network.emulateNetworkConditions", limits)

    throttle(4000)
    send(panel)
    expect(panel.get_by_role("button", name="Stop")).to_be_focused()
    expect(panel.locator("[data-part=upload-name]")).to_have_text(re.compile(r"Sending slow: \d"))
    assert page.evaluate(LEAVES) is False
    panel.get_by_role("button", name="Stop").press("Escape")  # it is not closed by mistake
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_role("button", name="Bring it in")).to_be_focused()
    assert page.evaluate(LEAVES) is True
    expect(panel.get_by_label("Run id")).to_have_value("slow")
    folder = server.app.state.settings.checkpoints
    wait_until(lambda: not list(folder.glob(f"{HIDDEN}*")))
    assert not reading.is_set()
    throttle(-1)
    send(panel)
    expect(panel.locator("[data-part=upload-name]")).to_have_text(
        "slow: the server reads and checks it"
    )
    wait_until(reading.is_set)
    expect(panel.get_by_role("button", name="Stop")).to_be_hidden()
    assert judged(page, "reading", "#import-panel") == []
    assert page.evaluate(LEAVES) is False
    go_on.set()
    require_arrived(page, "slow")
    assert page.evaluate(LEAVES) is True


def test_the_first_run_is_brought_in_and_taken_out_again(page: Page, tmp_path: Path) -> None:
    folder = save_huggingface(tmp_path / "tiny-gpt2")
    archive = zipped(folder, tmp_path / "tiny-gpt2.zip")
    with LiveServer(Settings(checkpoints=tmp_path / "runs", data=tmp_path / "data")) as server:
        panel = opened(page, server)
        expect(page.locator("#no-runs")).to_contain_text("bring one in")
        assert judged(page, "no runs") == []
        choose(panel, [archive])
        expect(panel.get_by_label("Run id")).to_have_attribute("placeholder", "tiny-gpt2")
        expect(panel.get_by_label("Run id")).to_have_value("")  # a run in it would keep its own
        send(panel)
        require_arrived(page, "tiny-gpt2")
        expect(page.locator("#no-runs")).to_be_hidden()
        expect(row(page, "tiny-gpt2")).to_contain_text("tiny-gpt2.zip, a Hugging Face model.")
        assert not any(row(page, "tiny-gpt2").locator("td.number").all_inner_texts()[1:])
        error = {"message": "format: it needs onnx", "type": "", "param": "format", "code": None}
        page.route("**/export?format=onnx", lambda r: r.fulfill(status=422, json={"error": error}))
        row(page, "tiny-gpt2").get_by_role("link", name="ONNX").click()
        expect(row(page, "tiny-gpt2").get_by_role("alert")).to_have_text("it needs onnx")
        with page.expect_download() as download:
            row(page, "tiny-gpt2").get_by_role("link", name="run folder").click()
        assert download.value.suggested_filename == "tiny-gpt2-run.zip"
        with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as taken_out:
            assert taken_out.testzip() is None
            files = {"config.json", "model.safetensors", "tokenizer.json"}
            assert {f"tiny-gpt2/{name}" for name in files} <= {*taken_out.namelist()}
        expect(row(page, "tiny-gpt2").get_by_role("alert")).to_be_hidden()
