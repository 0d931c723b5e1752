"""The script that says what got slower between two runs of the benchmarks."""

import json
from pathlib import Path

import pytest

from bench.compare import compare, main, report


def a_row(name: str = "rate", value: float = 100.0, unit: str = "/s", **more: object) -> dict:
    return {"name": name, "value": value, "unit": unit, "peer": None, "ratio": None} | {
        "noise": 0.01,
        **more,
    }


def verdict(old: dict, new: dict) -> str:
    found = compare([old], [new])
    (said,) = [
        word
        for word in ("slower", "faster", "same", "left_alone", "broken")
        if getattr(found, word)
    ]
    return said


@pytest.mark.parametrize(
    ("unit", "larger"),
    [
        ("/s", "faster"),
        ("GB/s", "faster"),
        ("share", "faster"),
        ("s", "slower"),
        ("ms", "slower"),
        ("MB", "slower"),
        ("bytes", "slower"),
        ("nats", "slower"),
        ("tokens", "left_alone"),
    ],
)
def test_the_unit_says_which_way_is_better(unit: str, larger: str) -> None:
    smaller = {"faster": "slower", "slower": "faster"}.get(larger, larger)
    assert verdict(a_row(unit=unit), a_row(unit=unit, value=150)) == larger
    assert verdict(a_row(unit=unit), a_row(unit=unit, value=60)) == smaller


def test_a_small_change_is_noise_whatever_the_spread_says() -> None:
    assert verdict(a_row(noise=0.0), a_row(value=96.0, noise=0.0)) == "same"
    assert verdict(a_row(noise=0.0), a_row(value=94.0, noise=0.0)) == "slower"


def test_the_noise_of_both_sides_is_allowed_three_times() -> None:
    """0.03 and 0.04 are 0.05 together, so 15 % are allowed."""
    assert verdict(a_row(noise=0.03), a_row(value=88.0, noise=0.04)) == "same"
    assert verdict(a_row(noise=0.03), a_row(value=86.0, noise=0.04)) == "slower"


def test_a_row_that_does_not_tell_its_noise_may_move_by_a_fifth() -> None:
    assert verdict(a_row(noise=None), a_row(value=85.0)) == "same"
    assert verdict(a_row(noise=None), a_row(value=80.0)) == "slower"


def test_a_busy_host_that_slows_the_peer_as_well_says_nothing() -> None:
    old = a_row(peer=50, ratio=2.0, ratio_noise=0.01)
    busy = a_row(value=50, peer=25, ratio=2.0, ratio_noise=0.01)
    assert verdict(old, busy) == "same"


def test_a_quicker_host_does_not_hide_that_ours_fell_behind_its_peer() -> None:
    old = a_row(peer=50, ratio=2.0, ratio_noise=0.01)
    assert verdict(old, a_row(peer=100, ratio=1.0, ratio_noise=0.01)) == "slower"


def test_a_peer_that_is_ours_and_got_better_is_no_regression() -> None:
    old = a_row(peer=50, ratio=2.0, own_peer=True)
    assert verdict(old, a_row(peer=100, ratio=1.0, own_peer=True)) == "same"


def test_without_a_peer_the_speed_of_the_host_counts() -> None:
    assert verdict(a_row(host=500), a_row(value=50, host=250)) == "same"
    assert verdict(a_row(unit="ms", host=500), a_row(unit="ms", value=200, host=250)) == "same"
    assert verdict(a_row(host=500), a_row(host=1000)) == "slower"


def test_a_size_has_nothing_to_do_with_the_speed_of_the_host() -> None:
    assert verdict(a_row(unit="MB", host=500), a_row(unit="MB", host=250)) == "same"


def test_what_the_machine_reaches_is_told_and_is_no_regression() -> None:
    old, new = a_row(of_machine=True), a_row(value=50, of_machine=True)
    found = compare([old], [new])
    assert not found.fails
    assert any("the machine itself: rate -50%" in warning for warning in found.warnings)


def test_rows_that_are_new_or_gone_are_named() -> None:
    found = compare([a_row("old"), a_row("both")], [a_row("both"), a_row("new")])
    assert (found.gone, found.new, found.same) == (["old"], ["new"], ["both"])
    assert "gone: old" in report("", found)


def test_another_machine_is_warned_of() -> None:
    old, new = a_row(machine="AMD EPYC, 2 cores"), a_row(machine="Apple M4, 10 cores")
    found = compare([old], [new])
    assert found.warnings == ["another machine: AMD EPYC, 2 cores -> Apple M4, 10 cores"]
    assert not compare([old], [old]).warnings


def test_a_check_that_no_longer_holds_fails() -> None:
    found = compare([a_row(holds=True)], [a_row(holds=False)])
    assert found.broken == ["rate"]
    assert found.fails


def test_from_files_and_folders_with_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, value in (("old", 100), ("new", 50)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").write_text(json.dumps([a_row(value=value)]))
    (tmp_path / "old" / "b.json").write_text("[]")
    old, new = tmp_path / "old", tmp_path / "new"
    assert main([str(old), str(new)]) == 1
    printed = capsys.readouterr().out
    assert "SLOWER: rate x 0.50 (100 -> 50 /s" in printed
    assert "b.json is not there" in printed
    assert main([str(new / "a.json"), str(old / "a.json")]) == 0
    assert "faster: rate x 2.00" in capsys.readouterr().out
    assert main([str(old)]) == 2
    assert main([str(tmp_path), str(new)]) == 0
