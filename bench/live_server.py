"""The app in a process of its own, and its clients in another, for `serving.py`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
PROMPT, TEMPERATURE = "ROMEO:", 0.8


class Server:
    """The app in a process of its own on a free port, and how long it took to be there."""

    def __init__(
        self, root: Path, kernels: Path | None = None, log: Path | None = None, **settings: object
    ) -> None:
        """What it logs goes to `log`, or to the screen."""
        environment = os.environ | ({"NUMBA_CACHE_DIR": str(kernels)} if kernels else {})
        environment |= {
            "SIDELIGHT_CHECKPOINTS": str(root / "checkpoints"),
            "SIDELIGHT_DATA": str(root / "data"),
            "SIDELIGHT_CLIENT_SEQUENCES": "0",
            "SIDELIGHT_MAX_ACTIVE": "64",
        }
        environment |= {f"SIDELIGHT_{name.upper()}": str(it) for name, it in settings.items()}
        command = [sys.executable, "-m", "app", "serve", "--port", "0"]
        self._began = time.perf_counter()
        with Path(log or os.devnull).open("wb") as file:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=file if log else None,
                text=True,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise

    def _wait(self) -> None:
        assert self._process.stdout
        self.url = self._process.stdout.readline().split()[3]
        with httpx.Client(base_url=self.url, timeout=300) as http:
            while http.get("/readyz").status_code != 200:
                time.sleep(0.005)
            self.ready_s = time.perf_counter() - self._began
            self.ready_mb = self.memory_mb()
            http.post("/v1/completions", json=body("baseline", 1)).raise_for_status()
            self.first_token_s = time.perf_counter() - self._began

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit status; None while it lives."""
        return self._process.poll()

    def processor_s(self) -> float:
        """What it has had of the processor."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        return float(psutil.Process(self._process.pid).memory_info().rss / 1e6)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


class Clients:
    """`streams.py`, or another script, which takes one plan after another."""

    def __init__(self, url: str, script: str = "streams.py") -> None:
        self._url = url
        command = [sys.executable, str(ROOT / "bench" / script)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, kind: str, **plan: Any) -> Any:
        """Raises RuntimeError where the clients broke; what they say is on the screen."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"kind": kind, "url": self._url, **plan}), file=self._process.stdin)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the clients could not do {kind}")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def body(run: str, tokens: int, seed: int = 0) -> dict[str, Any]:
    return {
        "model": run,
        "prompt": PROMPT,
        "max_tokens": tokens,
        "temperature": TEMPERATURE,
        "seed": seed,
    }
