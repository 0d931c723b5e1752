"""The form that trains, in a real browser: from a preset to a job that runs."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from app.settings import Settings
from model.config import GPTConfig, NGramConfig, TrainConfig
from tests.conftest import LiveServer, wait_until, write_run

TEXT = "To be, or not to be: that is the question.\n" * 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("train")
    write_run(root / "checkpoints", "baseline", steps=(10, 50))
    with LiveServer(Settings(checkpoints=root / "checkpoints", data=root / "data")) as server:
        yield server


@pytest.fixture
def opened(page: Page, server: LiveServer) -> Page:
    page.goto(f"{server.url}/train")
    expect(page.locator("#job-check")).to_have_attribute("data-state", "fine")
    return page


def field(page: Page, path: str) -> Locator:
    return page.locator(f'[data-param="config.{path}"]')


def control(page: Page, path: str) -> Locator:
    return page.locator(f'[id="field-{path}"]')


def shown(control: Locator):
    if control.get_attribute("type") == "checkbox":
        return control.is_checked()
    value = control.input_value()
    return float(value) if control.get_attribute("type") == "number" and value else value or None


def checked(page: Page) -> None:
    expect(page.locator("#job-check")).to_have_attribute("data-state", "fine")


def number(page: Page, name: str) -> str:
    return page.locator("#job-check dt", has_text=re.compile(f"^{name}$")).evaluate(
        "(term) => term.nextElementSibling.textContent"
    )


def test_every_hyperparameter_is_there_with_its_default(opened: Page) -> None:
    for part, config in (("model", GPTConfig()), ("train", TrainConfig())):
        for name, value in config.model_dump(exclude={"kind", "vocab_size"}).items():
            assert shown(control(opened, f"{part}.{name}")) == value, name
            label = opened.locator(f'label[for="field-{part}.{name}"]')
            assert label.text_content() == name
            about = control(opened, f"{part}.{name}").get_attribute("aria-describedby")
            assert opened.locator(f'[id="{about}"]').text_content()


def test_a_preset_fills_the_form(opened: Page) -> None:
    opened.get_by_label("Twice the context").check()
    expect(control(opened, "model.block_size")).to_have_value("64")
    expect(opened.get_by_label("Hypothesis")).to_have_value(re.compile("longer dependencies"))
    expect(opened.locator(".is-changed")).to_have_count(0)
    expect(opened).to_have_url(re.compile("preset=case-2"))
    checked(opened)
    assert number(opened, "Parameters") == "211,777"
    assert number(opened, "Tokens per step") == "1,024"


def test_only_what_a_kind_of_model_has_is_shown(opened: Page) -> None:
    opened.get_by_label("5-gram counts").check()
    expect(control(opened, "model.order")).to_have_value(str(NGramConfig().order))
    expect(control(opened, "model.n_layer")).to_have_count(0)
    expect(control(opened, "train.learning_rate")).to_have_count(0)
    checked(opened)
    opened.get_by_label("Bigram").check()
    expect(control(opened, "train.learning_rate")).to_have_value("0.01")
    expect(control(opened, "train.optimizer")).to_have_count(0)
    checked(opened)


def test_what_was_changed_is_marked_and_can_be_taken_back(opened: Page) -> None:
    control(opened, "train.learning_rate").fill("0.003")
    control(opened, "model.n_layer").fill("2")
    expect(opened.locator(".is-changed")).to_have_count(2)
    expect(opened.get_by_text("2 changed")).to_be_visible()
    opened.get_by_role("button", name="Set learning_rate back to 0.001").click()
    expect(control(opened, "train.learning_rate")).to_have_value("0.001")
    expect(opened.locator(".is-changed")).to_have_count(1)
    opened.get_by_role("button", name="Reset all").click()
    expect(control(opened, "model.n_layer")).to_have_value("4")
    expect(opened.get_by_text("as in Baseline")).to_be_visible()


def test_a_hypothesis_of_ones_own_outlives_another_preset(opened: Page) -> None:
    opened.get_by_label("Hypothesis").fill("Mine.")
    opened.get_by_label("Twice the heads").check()
    expect(opened.get_by_label("Hypothesis")).to_have_value("Mine.")


def test_another_preset_can_be_gone_back_from(opened: Page) -> None:
    control(opened, "model.n_layer").fill("2")
    opened.get_by_label("Twice the heads").check()
    expect(control(opened, "model.n_layer")).to_have_value("4")
    opened.go_back()
    expect(control(opened, "model.n_layer")).to_have_value("2")
    expect(opened.get_by_role("radio", name="Baseline")).to_be_checked()


def test_what_has_no_effect_says_what_it_needs(opened: Page) -> None:
    peak = field(opened, "train.muon_learning_rate")
    expect(peak).to_contain_text("Needs optimizer muon.")
    control(opened, "train.optimizer").select_option("muon")
    expect(peak).not_to_contain_text("Needs")


def test_an_optional_number_can_be_switched_on(opened: Page) -> None:
    opened.locator("summary", has_text="Gradients").click()
    opened.get_by_label("Use grad_clip").check()
    expect(control(opened, "train.grad_clip")).to_have_value("1")
    expect(field(opened, "train.grad_clip").locator(".field-problem")).to_have_count(0)
    expect(opened).to_have_url(re.compile("grad_clip"))
    opened.get_by_label("Use grad_clip").uncheck()
    expect(opened.locator(".is-changed")).to_have_count(0)


def test_a_value_out_of_bounds_is_told_at_its_field(opened: Page) -> None:
    group = opened.locator("details", has=control(opened, "model.dropout"))
    group.locator("summary").click()
    control(opened, "model.dropout").fill("1")
    expect(field(opened, "model.dropout")).to_contain_text("Must be below 1")
    group.locator("summary").click()
    expect(control(opened, "model.dropout")).to_be_hidden()
    opened.get_by_role("button", name="Start training").click()
    expect(control(opened, "model.dropout")).to_be_focused()
    expect(opened).to_have_url(re.compile("/train"))


def test_values_that_disagree_are_told_at_the_field(opened: Page) -> None:
    control(opened, "model.n_head").fill("7")
    width = control(opened, "model.n_embd")
    expect(width).to_have_attribute("aria-invalid", "true")
    expect(width).to_have_accessible_description(re.compile(r"64 is not divisible by n_head \(7\)"))
    opened.get_by_role("button", name="Start training").click()
    expect(width).to_be_focused()
    control(opened, "model.n_head").fill("8")
    expect(width).not_to_have_attribute("aria-invalid", "true")
    checked(opened)


def test_a_run_id_in_use_is_told_at_its_field(opened: Page) -> None:
    opened.get_by_label("Run id").fill("baseline")
    expect(opened.get_by_label("Run id")).to_have_attribute("aria-invalid", "true")


def test_the_address_reopens_the_form(opened: Page) -> None:
    opened.get_by_label("Twice the heads").check()
    control(opened, "train.learning_rate").fill("0.004")
    control(opened, "train.schedule").select_option("cosine")
    opened.get_by_label("Title").fill("Heads, faster")
    opened.get_by_label("Hypothesis").fill("")
    checked(opened)
    opened.reload()
    checked(opened)
    expect(opened.get_by_label("Twice the heads")).to_be_checked()
    expect(control(opened, "train.learning_rate")).to_have_value("0.004")
    expect(control(opened, "train.schedule")).to_have_value("cosine")
    expect(control(opened, "model.n_head")).to_have_value("8")
    expect(opened.get_by_label("Title")).to_have_value("Heads, faster")
    expect(opened.get_by_label("Hypothesis")).to_have_value("")
    expect(opened.locator(".is-changed")).to_have_count(2)


def test_a_runs_configuration_and_weights_can_be_gone_on_from(
    page: Page, server: LiveServer
) -> None:
    page.goto(f"{server.url}/train?from=baseline")
    checked(page)
    expect(control(page, "model.n_embd")).to_have_value("8")
    expect(page.get_by_label("Title")).to_have_value("Baseline")
    page.get_by_label("Go on from its weights").check()
    page.get_by_label("Weights of this training step").select_option("50")
    checked(page)
    with page.expect_request("**/api/jobs/check") as request:
        control(page, "train.max_iters").fill("20")
    assert request.value.post_data_json["init_from"] == {"run": "baseline", "step": 50}
    control(page, "model.n_layer").fill("3")
    expect(control(page, "model.n_layer")).to_have_attribute("aria-invalid", "true")


def test_byte_pairs_ask_for_the_size_of_their_vocabulary(opened: Page) -> None:
    expect(control(opened, "model.vocab_size")).to_be_hidden()
    opened.get_by_label("Byte pairs").check()
    expect(control(opened, "model.vocab_size")).to_have_value("512")
    checked(opened)
    control(opened, "model.vocab_size").fill("100")
    expect(control(opened, "model.vocab_size")).to_have_attribute("aria-invalid", "true")


def test_enter_in_a_field_starts_nothing(opened: Page) -> None:
    requests: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    control(opened, "model.n_layer").press("Enter")
    opened.get_by_label("Title").press("Enter")
    opened.wait_for_timeout(300)
    assert not [url for url in requests if url.endswith("/api/jobs")]


def test_the_keyboard_alone_chooses_changes_and_starts(opened: Page) -> None:
    sent: list[dict[str, object]] = []

    def refuse(route: Route) -> None:
        sent.append(route.request.post_data_json)
        error = {"message": "title: too plain", "type": "x", "param": "title", "code": "x"}
        route.fulfill(status=422, json={"error": error})

    opened.route(
        "**/api/jobs", lambda r: refuse(r) if r.request.method == "POST" else r.continue_()
    )
    opened.get_by_role("radio", name="Twice the context").focus()
    opened.keyboard.press("ArrowRight")
    expect(opened.get_by_role("radio", name="Twice the heads")).to_be_checked()
    opened.locator("summary", has_text="Attention").focus()
    opened.keyboard.press("Enter")
    opened.keyboard.press("Tab")
    expect(control(opened, "model.position")).to_be_focused()
    opened.keyboard.press("r")
    expect(control(opened, "model.position")).to_have_value("rotary")
    opened.keyboard.press("Control+Enter")
    expect(opened.get_by_label("Title")).to_be_focused()
    expect(opened.get_by_label("Title")).to_have_accessible_description("Too plain")
    assert sent[0]["config"]["model"]["position"] == "rotary"
    assert sent[0]["config"]["model"]["n_head"] == 8


def test_it_fits_a_phone(opened: Page) -> None:
    opened.set_viewport_size({"width": 360, "height": 800})
    opened.locator("summary").evaluate_all("(all) => all.forEach((one) => one.click())")
    wait_until(lambda: opened.evaluate("document.documentElement.scrollWidth <= innerWidth"))
