"""The soak of the benchmarks, shortened: many clients ask a real server for everything at once.

How late the event loop comes also depends on what else the machine does, so only what its own
thread works is held against a bound here.
"""

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
SECONDS, CLIENTS = 8, 16


@pytest.mark.slow
def test_many_clients_at_once_are_all_answered_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])  # its modules are scripts
    from soak import broken_promises, soak

    soaked = soak(SECONDS, CLIENTS, seed=7, pause_s=0.1, known=24)
    assert broken_promises(soaked, short=True) == []
    assert soaked.clients["compared"] > 20
    kinds = soaked.clients["kinds"]
    assert {"text, streamed", "text, left", "analysis", "noise", "wrong", "upload"} <= set(kinds)
