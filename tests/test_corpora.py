"""The store of texts on the disk: what counts, what is left out, and what a crash leaves."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.corpora import Corpora
from app.errors import InvalidRequest, UnknownCorpus
from app.hidden_folder import remove_leftovers
from app.incoming_text import IncomingText
from model.text_statistics import TextStatistics

ROOT = Path(__file__).resolve().parents[1]
TEXT = "Čtyři řádky, 4 × €.\nA další 🙂\n" * 20


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0")), cuts=st.data())
def test_where_a_text_is_cut_on_its_way_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, text: str, cuts: st.DataObject
) -> None:
    content = ("\ufeff" + text + "a sentence of words").encode()
    places = sorted(cuts.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    ends = [0, *places, len(content)]
    with IncomingText(tmp_path_factory.getbasetemp(), "text") as incoming:
        for start, end in pairwise(ends):
            incoming.write(content[start:end])
        incoming.finish()
        kept = (incoming.path / "text.txt").read_bytes()
        expected = content.decode().lstrip("\ufeff")
        assert kept.decode() == expected
        assert incoming.sha256 == hashlib.sha256(kept).hexdigest()
        assert (incoming.bytes, incoming.preview) == (len(kept), expected[:500])
        statistics: TextStatistics = incoming.statistics
        assert dict(statistics.most_frequent()) == Counter(expected)
        assert statistics.lines == expected.count("\n") + 1
    assert not incoming.path.exists()


def test_what_does_not_belong_there_is_left_out(tmp_path: Path) -> None:
    corpora = Corpora(tmp_path / "corpora")
    elsewhere = tmp_path / "elsewhere"
    for name in ("linked", "linked-text", "cut", "renamed", "torn", "whole"):
        with corpora.receive(name) as incoming:
            incoming.write((TEXT + name).encode())
            corpora.keep(incoming)
    (corpora.folder / "linked").rename(elsewhere)
    (corpora.folder / "linked").symlink_to(elsewhere)
    (tmp_path / "secret").write_text(TEXT + "linked-text")
    (corpora.folder / "linked-text" / "text.txt").unlink()
    (corpora.folder / "linked-text" / "text.txt").symlink_to(tmp_path / "secret")
    os.truncate(corpora.folder / "cut" / "text.txt", 10)
    (corpora.folder / "renamed").rename(corpora.folder / "other")
    os.truncate(corpora.folder / "torn" / "about.json", 30)
    (corpora.folder / "empty").mkdir()
    (corpora.folder / "file").write_text("no folder")
    assert corpora.ids() == ["tinyshakespeare", "whole"]
    for id in (
        "linked",
        "cut",
        "../elsewhere",
        "..",
        ".",
        "",
        "/etc",
        "whole/",
        "whole\n",
        "Whole",
    ):
        for question in (corpora.get, corpora.path, corpora.source, corpora.load, corpora.delete):
            with pytest.raises(UnknownCorpus, match="there are tinyshakespeare, whole") as caught:
                question(id)
            assert caught.value.param == "corpus"
    assert (elsewhere / "text.txt").exists()
    changed = (corpora.folder / "whole" / "text.txt").read_bytes().replace(b"4", b"5")
    (corpora.folder / "whole" / "text.txt").write_bytes(changed)
    with pytest.raises(InvalidRequest, match="was changed on the disk"):
        corpora.load("whole")


HANGING = """
import sys, time
from pathlib import Path
from app.incoming_text import IncomingText
incoming = IncomingText(Path(sys.argv[1]), "text")
incoming.write(b"some words" * 1000)
print(incoming.path.name, flush=True)
time.sleep(60)
"""


def test_what_a_killed_server_leaves_goes_and_what_is_arriving_stays(tmp_path: Path) -> None:
    corpora = Corpora(tmp_path)
    uploading = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert uploading.stdout
    name = uploading.stdout.readline().strip()
    remove_leftovers(corpora.folder)
    assert os.listdir(tmp_path) == [name]
    uploading.kill()
    uploading.wait()
    assert corpora.ids() == ["tinyshakespeare"]
    remove_leftovers(corpora.folder)
    assert os.listdir(tmp_path) == []
