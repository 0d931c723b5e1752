"""A list of jobs whose file somebody, or a crash, has done something to."""

import json
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from app.jobs import progress, store
from app.jobs.store import Job, JobStore, now
from tests.training_fixtures import plan_of


def job(id: str) -> Job:
    return Job(id, plan_of(id), "text", 1, created=now())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite3"


@pytest.fixture
def crashed(tmp_path: Path, path: Path) -> Path:
    """As a process leaves it that is killed: what came last is in the log beside the file."""
    (tmp_path / "alive").mkdir()
    alive = JobStore(tmp_path / "alive" / path.name)
    alive.add([job("first")])
    alive._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    alive.add([job("second")])
    alive.add([job("third")])
    for each in (tmp_path / "alive").iterdir():
        shutil.copy(each, tmp_path)
    alive.close()
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    return path


def ids(opened: JobStore) -> list[str]:
    return [each.id for each in opened.jobs()]


def test_what_was_said_to_be_kept_is_there_after_a_crash(crashed: Path) -> None:
    assert ids(JobStore(crashed)) == ["first", "second", "third"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_torn_log_costs_no_more_than_what_was_being_said(crashed: Path, share: float) -> None:
    log = crashed.with_name(crashed.name + "-wal")
    whole = log.read_bytes()
    log.write_bytes(whole[: int(share * len(whole))])
    opened = JobStore(crashed)
    assert ids(opened) == ["first", "second", "third"][: len(ids(opened))] and ids(opened)
    assert opened.put_aside() == []
    opened.add([job("fourth")])


def test_garbage_beside_the_file_is_no_trouble(crashed: Path) -> None:
    crashed.with_name(crashed.name + "-wal").write_bytes(b"garbage" * 1000)
    crashed.with_name(crashed.name + "-shm").write_bytes(b"garbage" * 5000)
    assert ids(JobStore(crashed)) == ["first"]


def overwritten(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 1000)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def scribbled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 3] = b"\xff" * 4096 * 2
    path.write_bytes(content)


def of_something_else(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE jobs (title TEXT)")


@pytest.mark.parametrize("damage", [overwritten, cut, scribbled, of_something_else])
def test_an_unreadable_file_is_put_aside_and_never_deleted(path: Path, damage) -> None:
    before = JobStore(path)
    before.add([job("lost")])
    before.close()
    damage(path)
    content = path.read_bytes()
    opened = JobStore(path)
    assert ids(opened) == []
    (aside,) = opened.put_aside()
    if damage is not of_something_else:  # that one is a database, which opening may touch
        assert (path.parent / aside).read_bytes() == content
    opened.add([job("new")])
    opened.close()
    again = JobStore(path)
    assert ids(again) == ["new"] and again.put_aside() == [aside]


def test_one_unreadable_job_hides_no_other(path: Path) -> None:
    opened = JobStore(path)
    opened.add([job("first"), job("second"), job("third")])
    with sqlite3.connect(path) as connection:
        for id, document in (("first", "{"), ("second", json.dumps({"id": "second"}))):
            given = (document, id)
            connection.execute(
                "UPDATE jobs SET document = ?, state = 'running' WHERE id = ?", given
            )
    assert ids(opened) == ["third"] and opened.job("first") is None
    claimed = opened.claim("third", "cpu", 1)
    assert claimed is not None and claimed.state == "running"


def test_the_order_is_that_of_the_asking_whatever_the_clock_says(path: Path, monkeypatch) -> None:
    opened = JobStore(path)
    for id, moment in (("first", "2030-01-01"), ("second", "1999-01-01"), ("third", "2026-01-01")):
        monkeypatch.setattr(store, "now", lambda m=moment: m)
        opened.add([Job(id, plan_of(id), "text", 1, created=store.now())])
    assert ids(opened) == ["first", "second", "third"]


def test_a_store_that_another_has_locked_is_not_put_aside(path: Path) -> None:
    opened = JobStore(path)
    opened.add([job("kept")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    opened._connection.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        opened.add([job("late")])
    assert time.monotonic() - began < 5 and opened.put_aside() == []
    other.execute("ROLLBACK")
    assert ids(opened) == ["kept"]


@pytest.mark.parametrize(
    "noted",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"step": "many", "max_iters": 2, "elapsed_s": 1}',
        b'{"step": 1, "max_iters": 0, "elapsed_s": 1}',
        b'{"step": 1, "max_iters": 2, "elapsed_s": Infinity}',
        b'{"step": -1, "max_iters": 2, "elapsed_s": 1}',
        b'{"step": 1, "max_iters": 2, "elapsed_s": 1, "loss": "low"}',
        b"[" * 100_000,
    ],
)
def test_progress_that_makes_no_sense_is_none(tmp_path: Path, noted: bytes) -> None:
    (tmp_path / "progress.json").write_bytes(noted)
    assert progress.read_progress(tmp_path) is None


def test_a_loss_that_is_no_number_is_not_known(tmp_path: Path) -> None:
    noted = b'{"step": 3, "max_iters": 4, "elapsed_s": 6.0, "loss": NaN, "tokens_per_s": 5.0}'
    (tmp_path / "progress.json").write_bytes(noted)
    found = progress.read_progress(tmp_path)
    assert found is not None
    assert (found["loss"], found["progress"], found["remaining_s"]) == (None, 0.75, 2.0)
