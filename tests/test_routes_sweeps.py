"""`/api/sweeps`: begun as one, or not at all; shown as one."""

from collections.abc import Iterator

import pytest

from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run
from tests.training_fixtures import TEXT

pytestmark = pytest.mark.usefixtures("jobs_begin_at_once")

SLOW = 120
TINY = {
    "model": {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 8},
    "train": {"max_iters": 20, "eval_interval": 10, "eval_iters": 2, "snapshots": 2},
}
GRID = {"config": TINY, "corpus": "small", "grid": {"train.learning_rate": [0.001, 0.01]}}
ENDLESS = GRID | {"config": {**TINY, "train": {"max_iters": 10_000_000}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("sweeps")
    write_run(root / "checkpoints", "baseline")
    settings = Settings(checkpoints=root / "checkpoints", data=root / "data", devices="cpu")
    with LiveServer(settings) as server:
        server.http.post("/api/corpora?name=small.txt", content=TEXT)
        yield server


def test_the_exercise_is_four_runs_under_free_ids(server) -> None:
    body = {"presets": ["baseline", "case-1", "case-2", "case-3"]}
    check = server.http.post("/api/sweeps/check", json=body).json()
    assert [job["run_id"] for job in check["jobs"]] == ["baseline-2", "case-1", "case-2", "case-3"]
    assert [job["differing"]["train.max_iters"] for job in check["jobs"]] == [
        5000,
        10000,
        5000,
        5000,
    ]
    assert [job["params"] for job in check["jobs"]] == [209_729, 209_729, 211_777, 209_729]
    assert server.http.get("/api/sweeps").json() == {"sweeps": []}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"grid": {"model.n_head": [1]}}, "config", "either preset or config"),
        ({"config": TINY}, "grid", "presets, grid or random"),
        ({"config": TINY, "grid": {"model.heads": [1]}}, "grid.model.heads", "closest is"),
        ({"config": TINY, "grid": {"model.n_head": [3]}}, "grid.model.n_head", "divisible"),
        ({"config": TINY, "grid": {"model.n_head": [2, 4]}, "limit": 1}, "limit", "2"),
        ({"presets": ["none"]}, "presets", "there is no 'none'"),
    ],
)
def test_what_cannot_be_trained_is_refused_whole(server, body, param, words) -> None:
    for path in ("/api/sweeps", "/api/sweeps/check"):
        answer = server.http.post(path, json={"corpus": "small"} | body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["param"] == param, answer.text
        assert words in answer.json()["error"]["message"]
    assert server.http.get("/api/jobs").json()["jobs"] == []


def test_a_window_that_the_text_is_too_short_for_is_refused_with_the_sweep(server) -> None:
    body = GRID | {"grid": {"model.block_size": [8, 2048]}}
    answer = server.http.post("/api/sweeps", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "config.model.block_size"
    assert server.http.get("/api/jobs").json()["jobs"] == [], "all or none"


def test_an_unknown_sweep_is_404(server) -> None:
    assert server.http.get("/api/sweeps/none").status_code == 404
    assert server.http.post("/api/sweeps/none/cancel").status_code == 404


@pytest.mark.slow
def test_a_sweep_is_trained_and_shown_best_first(server) -> None:
    begun = server.http.post("/api/sweeps", json=GRID | {"title": "Rates", "hypothesis": "Faster."})
    assert begun.status_code == 202, begun.text
    id = begun.json()["id"]

    def sweep() -> dict:
        return server.http.get(f"/api/sweeps/{id}").json()

    wait_until(lambda: sweep()["states"] == {"done": 2}, SLOW)
    shown = sweep()
    assert shown["fields"] == ["train.learning_rate"]
    losses = {row["job"]["run_id"]: row["val_loss"] for row in shown["jobs"]}
    assert list(losses.values()) == sorted(losses.values())
    for row in shown["jobs"]:
        run = server.http.get(f"/api/runs/{row['job']['run_id']}").json()
        assert run["val_loss"] == row["val_loss"]
        rate = run["config"]["train"]["learning_rate"]
        assert row["values"] == {"train.learning_rate": rate}
    of_sweep = server.http.get("/api/jobs", params={"sweep": id}).json()["jobs"]
    assert {job["run_id"] for job in of_sweep} == losses.keys()


@pytest.mark.slow
def test_cancelling_a_sweep_cancels_what_is_left_of_it(server) -> None:
    id = server.http.post("/api/sweeps", json=ENDLESS | {"title": "Endless"}).json()["id"]
    wait_until(
        lambda: server.http.get(f"/api/sweeps/{id}").json()["states"].get("running") == 1, SLOW
    )
    assert server.http.post(f"/api/sweeps/{id}/cancel").status_code == 202
    wait_until(
        lambda: server.http.get(f"/api/sweeps/{id}").json()["states"] == {"cancelled": 2}, SLOW
    )
    assert server.http.post(f"/api/sweeps/{id}/cancel").status_code == 202, "nothing is left to do"
