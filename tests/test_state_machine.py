"""Notes, texts and jobs in any order: the live app against a model of what should be there."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.jobs.launcher import Status
from app.main import create_app
from app.settings import Settings
from tests.conftest import wait_until, write_run
from tests.fake_launcher import FakeLauncher

NOTES = ("hypothesis", "outcome", "verdict")
TEXTS = {name: f"{name} and the others. " * 40 for name in ("one", "two", "three")}
CONFIG = {
    "model": {"n_layer": 1, "n_head": 1, "n_embd": 4, "block_size": 8},
    "train": {"max_iters": 10, "batch_size": 2},
}
RUN_IDS = ("first", "second", "case-1")  # of the last there is a run already

words = st.sampled_from(["", "It learns.", "<b>No.</b>", "Ja \U0001f600"])
edits = st.fixed_dictionaries(
    {},
    optional={
        "hypothesis": words,
        "outcome": words,
        "verdict": st.sampled_from(["confirmed", "refuted", None]),
    },
)


@dataclass
class Job:
    run_id: str
    corpus: str
    state: str = "queued"


@dataclass
class Expected:
    """What should be there."""

    notes: dict[str, Any]
    corpora: set[str] = field(default_factory=set)
    jobs: dict[str, Job] = field(default_factory=dict)  # in the order of the queue

    def active(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.state in ("queued", "running")]

    def go_on(self) -> None:
        """There is one device, for the first in the queue that has its text."""
        for job in self.active():
            if job.state == "running":
                return
            if job.corpus in self.corpora:
                job.state = "running"
                return
            job.state = "failed"

    def makes(self, run_id: str) -> bool:
        return any(job.run_id == run_id for job in self.active())


class Anything(RuleBasedStateMachine):
    """Each rule is a request; it tells what must be answered, and what must be there then."""

    jobs = Bundle("jobs")
    described: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        root = Path(self._stack.enter_context(TemporaryDirectory()))
        write_run(root / "checkpoints", "baseline")
        write_run(root / "checkpoints", "case-1")
        self.launcher = FakeLauncher()
        self._stack.enter_context(patch("app.main.launcher_for", lambda _: self.launcher))
        self._stack.enter_context(patch("app.jobs.queue.LOOK_S", 0.01))
        app = create_app(Settings(checkpoints=root / "checkpoints", data=root / "data"))
        self.client = self._stack.enter_context(TestClient(app, raise_server_exceptions=False))
        self.described = app.openapi()["paths"]
        self.expected = Expected({"hypothesis": "It learns.", "outcome": "", "verdict": None})

    def teardown(self) -> None:
        self._stack.close()

    def ask(self, method: str, template: str, status: int, **request: Any) -> Any:
        """The answer, which must have that status, of those that are described."""
        path = template.format(id=request.pop("id", ""))
        answer = self.client.request(method, path, **request)
        assert answer.status_code == status, answer.text
        assert str(status) in self.described[template][method.lower()]["responses"]
        return answer.json() if answer.content else None

    # Notes

    @rule(edit=edits, read=st.none() | edits)
    def edit_notes(self, edit: dict[str, Any], read: dict[str, Any] | None) -> None:
        notes = self.expected.notes
        body = edit | ({} if read is None else {"if_unchanged": read})
        stale = any(notes[name] != value for name, value in (read or {}).items())
        status = 422 if not edit else 409 if stale else 200
        answer = self.ask("PATCH", "/api/runs/{id}", status, id="baseline", json=body)
        if status == 200:
            notes |= edit
            assert {name: answer[name] for name in NOTES} == notes

    # Texts

    @rule(name=st.sampled_from(sorted(TEXTS)))
    def upload(self, name: str) -> None:
        is_new = name not in self.expected.corpora
        answer = self.ask(
            "POST",
            "/api/corpora",
            201 if is_new else 200,
            params={"name": f"{name}.txt"},
            content=TEXTS[name],
        )
        assert (answer["id"], answer["characters"]) == (name, len(TEXTS[name]))
        self.expected.corpora.add(name)

    @rule(name=st.sampled_from([*sorted(TEXTS), "tinyshakespeare"]))
    def delete_text(self, name: str) -> None:
        needed = any(job.corpus == name for job in self.expected.active())
        missing = name not in {*self.expected.corpora, "tinyshakespeare"}
        status = 404 if missing else 409 if needed or name == "tinyshakespeare" else 204
        self.ask("DELETE", "/api/corpora/{id}", status, id=name)
        if status == 204:
            self.expected.corpora.remove(name)

    # Jobs

    @rule(target=jobs, run_id=st.sampled_from(RUN_IDS), corpus=st.sampled_from(sorted(TEXTS)))
    def submit(self, run_id: str, corpus: str) -> str:
        missing = corpus not in self.expected.corpora
        taken = run_id == "case-1" or self.expected.makes(run_id)
        status = 404 if missing else 409 if taken else 202
        body = {"config": CONFIG, "run_id": run_id, "corpus": corpus}
        answer = self.ask("POST", "/api/jobs", status, json=body)
        if status != 202:
            return "none"
        self.expected.jobs[answer["id"]] = Job(run_id, corpus)
        self.expected.go_on()
        return answer["id"]

    @rule(id=jobs)
    def cancel(self, id: str) -> None:
        job = self.expected.jobs.get(id)
        over = job and job.state not in ("queued", "running")
        self.ask("POST", "/api/jobs/{id}/cancel", 404 if not job else 409 if over else 202, id=id)
        if job and not over:
            job.state = "cancelled"
            self.expected.go_on()

    @rule(id=jobs, state=st.sampled_from(["failed", "done"]))
    def end(self, id: str, state: str) -> None:
        """Not a request: what becomes of it where it runs."""
        job = self.expected.jobs.get(id)
        if job and job.state == "running":
            self.launcher.end(id, Status(state, "so it goes"))
            job.state = state
            self.expected.go_on()

    @rule(id=jobs)
    def resume(self, id: str) -> None:
        job = self.expected.jobs.get(id)
        resumable = job and job.state in ("failed", "cancelled")
        possible = resumable and not self.expected.makes(job.run_id)
        self.ask(
            "POST", "/api/jobs/{id}/resume", 404 if not job else 202 if possible else 409, id=id
        )
        if possible:
            self.expected.jobs[id] = self.expected.jobs.pop(id)
            job.state = "queued"
            self.expected.go_on()

    @rule(id=consumes(jobs))
    def delete_job(self, id: str) -> None:
        job = self.expected.jobs.get(id)
        active = job in self.expected.active()
        self.ask("DELETE", "/api/jobs/{id}", 404 if not job else 409 if active else 204, id=id)
        if job and not active:
            del self.expected.jobs[id]

    # What must be there at all times

    @invariant()
    def jobs_are_as_expected(self) -> None:
        expected = {id: job.state for id, job in self.expected.jobs.items()}

        def states() -> dict[str, str]:
            listed = self.ask("GET", "/api/jobs", 200)["jobs"]
            return {job["id"]: job["state"] for job in listed}

        wait_until(lambda: states() == expected)

    @invariant()
    def the_rest_is_as_expected(self) -> None:
        listed = self.ask("GET", "/api/corpora", 200)["corpora"]
        assert {text["id"] for text in listed} == {*self.expected.corpora, "tinyshakespeare"}
        run = self.ask("GET", "/api/runs/{id}", 200, id="baseline")
        assert {name: run[name] for name in NOTES} == self.expected.notes


@pytest.mark.slow
def test_whatever_is_asked_in_whatever_order_leaves_what_it_should() -> None:
    few = settings(
        max_examples=8,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Anything, settings=few)
