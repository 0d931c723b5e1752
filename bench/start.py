"""How long a server takes to be ready, with one run folder and with a hundred, and its memory.

    python bench/start.py --json FILE

The folders are the shipped runs' over and over, each under an id of its own.

- `start_…`: from the process's beginning until `/readyz` says yes. The peer of many is one.
- `start_work_…`: the processor's seconds until then, which other processes disturb less.
- `first_list_…`: the first answer of `/api/runs` after that.
- `memory_…`: what is resident of the server's process when it is ready, and after each shipped run
  in turn has written a token.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
from measuring import Row, finish, row, seconds

from model.run_folder import RunFolder, run_folders

ROOT = Path(__file__).resolve().parents[1]
MANY = 100
ROUNDS = 3


class Server:
    """The app in a process of its own, from before it starts until it is ready."""

    def __init__(self, checkpoints: Path, data: Path) -> None:
        settings = {"SIDELIGHT_CHECKPOINTS": str(checkpoints), "SIDELIGHT_DATA": str(data)}
        command = [sys.executable, "-m", "app", "serve", "--port", "0"]
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command, env=os.environ | settings, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        url = self._process.stdout.readline().split()[3]
        self._http = httpx.Client(base_url=url, timeout=300)
        while self._http.get("/readyz").status_code != 200:
            time.sleep(0.02)
        self.ready_s = time.perf_counter() - began

    def list_runs(self) -> None:
        self._http.get("/api/runs").raise_for_status()

    def write(self, run: str) -> None:
        body = {"model": run, "prompt": "ROMEO:", "max_tokens": 1}
        self._http.post("/v1/completions", json=body).raise_for_status()

    def work_s(self) -> float:
        used = psutil.Process(self._process.pid).cpu_times()
        return float(used.user + used.system)

    def megabytes(self) -> float:
        return float(psutil.Process(self._process.pid).memory_info().rss / 1e6)

    def stop(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait()


@contextmanager
def server(checkpoints: Path) -> Iterator[Server]:
    with TemporaryDirectory() as data:
        started = Server(checkpoints, Path(data))
        try:
            yield started
        finally:
            started.stop()


def copies(shipped: list[RunFolder], count: int, root: Path) -> Path:
    """`count` run folders in `root`, whose files but for the configuration are links."""
    for i in range(count):
        original = shipped[i % len(shipped)].path.resolve()
        copy = RunFolder(root / f"{original.name}-{i}")
        copy.create()
        for part in original.iterdir():
            (copy.path / part.name).symlink_to(part)
        (copy.path / "config.json").unlink()
        config = json.loads((original / "config.json").read_bytes()) | {"id": copy.id}
        (copy.path / "config.json").write_text(json.dumps(config))
    return root


def starts(shipped: list[RunFolder]) -> list[Row]:
    """Of one folder and of many, by turns."""
    times: dict[str, tuple[list[float], list[float]]] = {
        name: ([], []) for name in ("start", "start_work", "first_list")
    }
    with TemporaryDirectory() as one, TemporaryDirectory() as many:
        roots = copies(shipped, 1, Path(one)), copies(shipped, MANY, Path(many))
        for i in (0, 1) * ROUNDS:
            with server(roots[i]) as it:
                times["start"][i].append(it.ready_s)
                times["start_work"][i].append(it.work_s())
                times["first_list"][i].append(seconds(it.list_runs))
    rows = []
    for name, (single, hundred) in times.items():
        rows.append(row(f"{name}_1_folder", "s", single))
        rows.append(row(f"{name}_{MANY}_folders", "s", hundred, single, own_peer=True))
    return rows


def memory(shipped: list[RunFolder]) -> list[Row]:
    """Of one server, run by run; it also fills the machine's caches for those that come next."""
    with server(shipped[0].path.parent) as it:
        rows = [row("memory_ready", "MB", [it.megabytes()])]
        for folder in shipped:
            it.write(folder.id)
            rows.append(row(f"memory_and_{folder.id}", "MB", [it.megabytes()]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    shipped = run_folders(ROOT / "checkpoints")
    used = memory(shipped)
    finish([*starts(shipped), *used], options.json)


if __name__ == "__main__":
    main()
