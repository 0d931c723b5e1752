"""The server as its container runs it: as nobody in particular, on a disk that it cannot write to.

Where this may be done, all that is mounted is made read-only for one process and its children,
but for the two folders of the data, the runs and one for what is temporary. Docker does the same
with `read_only`, `tmpfs` and volumes.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from app.settings import ROOT
from tests.conftest import TEXT, wait_until, write_run

COMPILED = Path(os.environ.get("NUMBA_CACHE_DIR") or Path("~/.cache/sidelight").expanduser())
UID = 10001
WRITABLE = ("data", "checkpoints", "tmp")
# Special file systems keep what no program of ours is to keep out of the image.
SPECIAL = "proc|sysfs|cgroup2?|devtmpfs|devpts|mqueue"
LOCKED_DOWN = f"""
set -e
mount --make-rprivate /
for folder in "$@"; do mount --bind "$folder" "$folder"; done
while read -r _ place kind _; do
  case "$kind" in {SPECIAL}) continue;; esac
  case "$place" in /dev|/dev/*|/sys/*|/proc/*) continue;; esac
  for folder in "$@"; do [ "$place" != "$folder" ] || continue 2; done
  mount -o remount,bind,ro "$place" 2>/dev/null || [ "$place" != / ]
done < /proc/self/mounts
exec setpriv --reuid {UID} --regid {UID} --clear-groups --no-new-privs $CAPABILITIES \\
  "$PYTHON" -m app serve --port 0
"""
TINY = {
    "model": {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 8},
    "train": {"max_iters": 20, "eval_interval": 10, "eval_iters": 2},
}
ACTIVE = ("queued", "running")


def why_not() -> str | None:
    """Why this cannot be done here, if so."""
    if os.geteuid() != 0:
        return "only root can make the disk read-only for one process"
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        return "there is no unshare or no setpriv (of util-linux)"
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-o", "remount,bind,ro", "/"], capture_output=True, text=True
    )
    return f"nothing may be mounted here: {tried.stderr.strip()}" if tried.returncode else None


def capabilities() -> str:
    """None; where the interpreter lies in root's own home, the one to read what others may not."""
    readable = all(
        folder.stat().st_mode & 0o005 == 0o005 for folder in Path(sys.executable).resolve().parents
    )
    if readable:
        return "--inh-caps=-all --bounding-set=-all"
    return "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search"


@pytest.fixture
def folders() -> Iterator[Path]:
    """Not pytest's own, which no other user may look into."""
    with tempfile.TemporaryDirectory(prefix="sidelight-") as name:
        root = Path(name)
        root.chmod(0o755)
        write_run(root / "checkpoints", "baseline")
        for name in WRITABLE:
            (root / name).mkdir(exist_ok=True)
        if COMPILED.is_dir():  # else it takes a minute more
            shutil.copytree(COMPILED, root / "data" / "cache")
        for path in root.rglob("*"):
            os.chown(path, UID, UID)
        yield root


@pytest.fixture
def locked(folders: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHON": sys.executable}
    environment |= {name: value for name, value in in_image().items() if name != "PATH"}
    environment |= {
        "SIDELIGHT_HOST": "127.0.0.1",
        "SIDELIGHT_DATA": str(folders / "data"),
        "SIDELIGHT_CHECKPOINTS": str(folders / "checkpoints"),
        "SIDELIGHT_DEVICES": "cpu",
        "NUMBA_CACHE_DIR": str(folders / "data" / "cache"),
        "TMPDIR": str(folders / "tmp"),
        "CAPABILITIES": capabilities(),
    }
    writable = [str(folders / name) for name in WRITABLE]
    with (folders / "tmp" / "log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "bash", "-c", LOCKED_DOWN, "bash", *writable],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout
    words = process.stdout.readline().split()
    assert words, (folders / "tmp" / "log").read_text()
    with httpx.Client(base_url=words[3], timeout=60) as http:
        yield http, process
    process.terminate()
    process.communicate(timeout=30)


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=str(why_not()))
def test_it_writes_trains_and_imports(
    locked: tuple[httpx.Client, subprocess.Popen[str]], folders: Path
) -> None:
    http, process = locked
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(rf"^Uid:\t{UID}\t{UID}\t{UID}\t{UID}$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    mounted = Path(f"/proc/{process.pid}/mounts").read_text()
    assert re.search(r"^\S+ / \S+ ro\b", mounted, re.MULTILINE)
    for place in (ROOT / "written", Path("/written"), Path("/var/lib/written")):
        command = ["nsenter", "-t", str(process.pid), "-m", "touch", str(place)]
        told = subprocess.run(command, capture_output=True, text=True)
        assert "Read-only file system" in told.stderr, f"{place} could be written, by root"

    wait_until(lambda: http.get("/readyz").status_code == 200, 200)  # the kernels are compiled
    body = {"model": "baseline", "prompt": "To", "max_tokens": 5}
    assert http.post("/v1/completions", json=body).status_code == 200
    assert http.post("/api/corpora?name=small.txt", content=TEXT * 20).status_code == 201
    asked = {"run_id": "made", "corpus": "small", "config": TINY}
    answer = http.post("/api/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    wait_until(lambda: http.get(f"/api/jobs/{job}").json()["state"] not in ACTIVE, 120)
    assert http.get(f"/api/jobs/{job}").json()["state"] == "done", http.get(f"/api/jobs/{job}/log")
    model = http.get("/api/runs/made/export").content
    answer = http.post("/api/runs?id=copy", content=model)
    assert answer.status_code == 201, answer.text
    assert http.get("/readyz").json()["runs"] == ["baseline", "copy", "made"]

    log = (folders / "tmp" / "log").read_text()
    assert "Read-only file system" not in log and "Permission denied" not in log, log


# What the container is told


def in_image() -> dict[str, str]:
    """Environment variables of the image."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    last = text.rpartition("\nFROM ")[2]
    found = re.findall(r"^ENV (.*)$", last, re.MULTILINE)
    return dict(word.split("=", 1) for line in found for word in line.split())


def test_the_image_is_nobodys_and_pinned() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    last = text.rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    assert user and all(int(number) >= 1000 for number in user.groups())
    assert last.index("USER ") < last.index("\nCMD"), "what runs is not root's"
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    version = re.search(r"^ARG PYTHON_VERSION=(\d+\.\d+)", text, re.MULTILINE)
    assert version and all(re.fullmatch(r"python:\S+-slim-\w+", base) for base in bases)
    assert "PIP_NO_CACHE_DIR=1" in text and "-c constraints.txt" in text
    assert re.search(r"^HEALTHCHECK .*\n?.*/healthz", text, re.MULTILINE)
    assert in_image()["NUMBA_CACHE_DIR"].startswith("/sidelight/data/")
    assert "SIDELIGHT_API_KEY" not in in_image(), "a key does not belong into an image"


def test_the_image_takes_no_more_than_it_needs() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored, "all but what is named"
    taken = {line[1:] for line in ignored if line.startswith("!")}
    assert not taken & {".git", "data", ".venv", "tests", ".env"}


def test_compose_locks_the_container_down() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    assert compose["services"]
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"]), name
        assert not service.get("privileged") and "cap_add" not in service, name
        assert service["pids_limit"] > 0 and service["mem_limit"], name
        where = {volume.split(":")[1] for volume in service["volumes"]}
        assert where == {"/sidelight/checkpoints", "/sidelight/data"}
        assert not any("docker.sock" in volume for volume in service["volumes"])
        assert any(place.partition(":")[0] == "/tmp" for place in service["tmpfs"])
