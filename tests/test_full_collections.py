"""What a server has gathered is set aside after its full collections, ever more seldom."""

import gc

from app.full_collections import FullCollections


def test_full_collections_set_aside_what_there_is_ever_more_seldom() -> None:
    now, frozen = 100.0, []
    with FullCollections(lambda: now, lambda: frozen.append(now - 100)):
        for second in range(5, 101, 5):
            now = 100.0 + second
            gc.collect()
    assert frozen == [10, 20, 40, 80]
    now = 1000.0
    gc.collect()
    assert len(frozen) == 4, "it no longer listens"


def test_only_full_collections_do() -> None:
    now, frozen = 0.0, []
    before = gc.get_threshold()
    with FullCollections(lambda: now, lambda: frozen.append(now)):
        gc.disable()  # so that none comes by itself
        try:
            now = 60.0
            gc.collect(1)
            assert frozen == []
            gc.collect()
            assert frozen == [60]
            assert gc.get_threshold() == (*before[:2], 60)
        finally:
            gc.enable()
