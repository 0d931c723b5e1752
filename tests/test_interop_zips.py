"""Of a zip only what a model needs is unpacked, and nothing lands outside of where it may."""

import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from model.interop.files import find_files
from tests.foreign_models import (
    IDS,
    LETTERS,
    bring,
    characters,
    nanogpt,
    nanogpt_checkpoint,
    plainly_read,
    refusal,
    require_same,
    save_huggingface,
    save_nanogpt,
    zipped,
)

Entry = tuple[str | zipfile.ZipInfo, bytes]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """Of a model that comes in."""
    folder = save_nanogpt(tmp_path_factory.mktemp("files"), nanogpt_checkpoint(nanogpt()))
    return [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]


def archive(tmp_path: Path, entries: list[Entry]) -> Path:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in entries:
            out.writestr(name, content)
    return path


def require_in(source: Path) -> None:
    run = bring(source)
    require_same(run, *plainly_read(nanogpt(), IDS))
    assert characters(run) == LETTERS


@pytest.mark.parametrize("around", ["", "out/", "out-letters 2/"])
def test_a_zip_with_or_without_a_folder_around(
    tmp_path: Path, files: list[Entry], around: str
) -> None:
    require_in(archive(tmp_path, [(f"{around}{name}", content) for name, content in files]))


def test_what_macos_adds_and_what_nobody_needs_is_left_alone(
    tmp_path: Path, files: list[Entry]
) -> None:
    added: list[Entry] = [
        (".DS_Store", b"x"),
        ("__MACOSX/out/._ckpt.pt", b"x"),
        ("__MACOSX/ckpt.pt", b"x"),
        ("out/.DS_Store", b"x"),
        ("out/._ckpt.pt", b"x"),
        ("out/", b""),
        ("out/README.md", b"x"),
        ("out/wandb/log.txt", b"x"),
        ("out/nested/ckpt.pt", b"x"),
    ]
    path = archive(tmp_path, added + [(f"out/{name}", content) for name, content in files])
    scratch = tmp_path / "scratch"
    found = find_files(path, "model.zip", scratch, 10**6)
    assert set(found.paths) == {"ckpt.pt", "meta.pkl"}
    assert sorted(os.listdir(scratch)) == ["0", "1"], "names from the zip are not used"
    require_in(path)


def test_a_comment_as_github_writes_it(tmp_path: Path, files: list[Entry]) -> None:
    path = archive(tmp_path, files)
    with zipfile.ZipFile(path, "a") as out:
        out.comment = b"45af7fc"
    require_in(path)


@pytest.mark.parametrize(
    "name",
    [
        "../ckpt.pt",
        "out/../../ckpt.pt",
        "..",
        "out/..",
        "/etc/ckpt.pt",
        "//host/ckpt.pt",
        "..\\ckpt.pt",
        "C:\\ckpt.pt",
        "C:ckpt.pt",
        "out\\ckpt.pt",
        "./README.md",
        "out//README.md",
        "out/./README.md",
        "a\nb",
        "/",
    ],
)
def test_a_name_that_leads_elsewhere_refuses_all(
    tmp_path: Path, files: list[Entry], name: str
) -> None:
    for entries in ([*files, (name, b"x")], [(name, b"x"), *files]):
        refused = refusal(archive(tmp_path, entries))
        assert refused.param == "file" and "model.zip" in str(refused)
        (tmp_path / ".into-model.zip").rmdir()


def test_a_name_that_is_shorter_than_it_looks(tmp_path: Path, files: list[Entry]) -> None:
    path = archive(tmp_path, [*files, ("meta_old", b"x")])
    path.write_bytes(path.read_bytes().replace(b"meta_old", b"meta\x00old"))
    assert "meta" in str(refusal(path))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_refuse_all(tmp_path: Path, files: list[Entry], kind: int) -> None:
    link = zipfile.ZipInfo("README.md")
    link.create_system = 3
    link.external_attr = (kind | 0o777) << 16
    assert "link" in str(refusal(archive(tmp_path, [*files, (link, b"/etc/passwd")])))


@pytest.mark.parametrize("name", ["meta.pkl", "META.pkl"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_refuses_all(tmp_path: Path, files: list[Entry], name: str) -> None:
    assert "twice" in str(refusal(archive(tmp_path, [*files, (name, b"x")])))


def test_encrypted_entries_refuse_all(tmp_path: Path, files: list[Entry]) -> None:
    path = archive(tmp_path, files)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "encrypted" in str(refusal(path))


def test_other_compressions_refuse_all(tmp_path: Path, files: list[Entry]) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as out:
        out.writestr(*files[0])
    assert "compressed" in str(refusal(path))


class TestBombs:
    def test_what_says_how_large_it_is(self, tmp_path: Path) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        (folder / "model.safetensors").write_bytes(bytes(20_000_000))
        path = zipped(folder, tmp_path / "gpt2.zip")
        assert path.stat().st_size < 100_000
        assert "20,000," in str(refusal(path, most_bytes=10**7))
        assert not list((tmp_path / ".into-gpt2.zip").rglob("?*")), "nothing was unpacked"

    def test_three_gigabytes_where_one_is_allowed(self, tmp_path: Path) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        with (folder / "model.safetensors").open("wb") as file:
            file.truncate(3 * 10**9)
        assert "3,000,000," in str(refusal(folder, most_bytes=10**9))

    @pytest.mark.parametrize("size", [10, 0])
    def test_what_says_that_it_is_small(self, tmp_path: Path, size: int) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        (folder / "model.safetensors").write_bytes(bytes(2_000_000))
        path = zipped(folder, tmp_path / "gpt2.zip")
        content, true = path.read_bytes(), struct.pack("<L", 2_000_000)
        assert content.count(true) == 2
        path.write_bytes(content.replace(true, struct.pack("<L", size)))
        refusal(path, most_bytes=10**6)
        unpacked = list((tmp_path / ".into-gpt2.zip").rglob("?*"))
        assert sum(p.stat().st_size for p in unpacked if p.is_file()) < 10**6

    def test_entries_that_share_their_bytes(self, tmp_path: Path) -> None:
        """They are counted once for each name."""
        path = tmp_path / "model.zip"
        names = ["model.safetensors", *(f"snapshots/step-{i:06d}.safetensors" for i in range(50))]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("config.json", b"{}")
            out.writestr(names[0], bytes(300_000))
            whole = out.infolist()[-1]
            for name in names[1:]:
                entry = zipfile.ZipInfo(name)
                for field in ("header_offset", "compress_size", "file_size", "CRC"):
                    setattr(entry, field, getattr(whole, field))
                entry.compress_type = whole.compress_type
                out.filelist.append(entry)
        assert "15,300,002 bytes" in str(refusal(path, most_bytes=10**6))

    def test_a_million_entries(self, tmp_path: Path) -> None:
        path = tmp_path / "model.zip"
        entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"a"
        count = 200_000
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, count * len(entry), 0, 0)
        path.write_bytes(entry * count + end)
        assert "too many" in str(refusal(path))


class TestTwoReaders:
    """Programs that look for a zip's list in other places must not find another one."""

    def test_something_before_it(self, tmp_path: Path, files: list[Entry]) -> None:
        path = archive(tmp_path, files)
        path.write_bytes(path.read_bytes() * 2)
        assert "damaged" in str(refusal(path))

    def test_something_behind_it(self, tmp_path: Path, files: list[Entry]) -> None:
        path = archive(tmp_path, files)
        path.write_bytes(path.read_bytes() + b"more")
        assert "damaged" in str(refusal(path))

    @pytest.mark.parametrize(
        "place",
        [-98 + 40, -98 + 48, -42 + 8, -22 + 12, -22 + 16],
        ids=["length", "offset", "where that is told", "old length", "old offset"],
    )
    def test_two_ends(self, tmp_path: Path, files: list[Entry], place: int) -> None:
        """That for large zips and the old one have to say the same."""
        path = tmp_path / "ckpt.pt"
        content = bytearray(files[0][1])
        assert files[0][0] == "ckpt.pt" and content[-42:-38] == b"PK\x06\x07"
        content[place] ^= 1
        path.write_bytes(content)
        assert "damaged" in str(refusal(path))


class TestFolders:
    def test_hidden_files_and_folders_are_ignored(self, tmp_path: Path) -> None:
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
        (folder / ".ckpt.pt").write_bytes(b"x")
        (folder / "old.pt").mkdir()
        require_in(folder)

    def test_the_one_checkpoint_whatever_it_is_called(self, tmp_path: Path) -> None:
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
        (folder / "ckpt.pt").rename(folder / "best.pth")
        require_in(folder)
        (folder / "last.pt").write_bytes(b"x")
        (tmp_path / ".into-out").rename(tmp_path / "elsewhere")
        assert "best.pth, last.pt" in str(refusal(folder))

    def test_a_link_to_a_file_is_fine(self, tmp_path: Path) -> None:
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
        (folder / "ckpt.pt").rename(tmp_path / "blob")
        (folder / "ckpt.pt").symlink_to(tmp_path / "blob")
        require_in(folder)

    def test_what_is_no_file_is_not_read(self, tmp_path: Path) -> None:
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
        (folder / "ckpt.pt").unlink()
        os.mkfifo(folder / "ckpt.pt")
        assert "no model is in it" in str(refusal(folder))
        assert "neither" in str(refusal(folder / "ckpt.pt"))

    def test_one_folder_inside_is_the_model(self, tmp_path: Path) -> None:
        save_nanogpt(tmp_path / "export" / "out", nanogpt_checkpoint(nanogpt()))
        require_in(tmp_path / "export")
        (tmp_path / "link").mkdir()
        (tmp_path / "link" / "out").symlink_to(tmp_path / "export" / "out")
        assert "no model is in it" in str(refusal(tmp_path / "link"))

    @pytest.mark.parametrize(
        ("name", "words"), [("README.md", "no model is in it"), ("model.safetensors", "no config")]
    )
    def test_without_a_model(self, tmp_path: Path, name: str, words: str) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        (folder / name).write_bytes(b"x")
        assert words in str(refusal(folder))
        assert words in str(refusal(zipped(folder, tmp_path / "out.zip")))


def test_the_bytes_of_an_entry_are_compared_with_its_checksum(
    tmp_path: Path, files: list[Entry]
) -> None:
    path = tmp_path / "model.zip"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for name, content in files:
            out.writestr(name, content)
    content = bytearray(packed.getvalue())
    content[content.index(files[1][1]) + 20] ^= 1
    path.write_bytes(content)
    assert "CRC" in str(refusal(path))
