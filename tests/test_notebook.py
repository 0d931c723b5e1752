"""The example notebook runs from its first cell to its last against a live server."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import LiveServer

ROOT = Path(__file__).resolve().parents[1]


def test_the_notebook_runs(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDELIGHT_URL", live.url)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "attention.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "kept without its output"
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in shown)
    assert "(2, 2, 13, 13) float32" in text
    assert "most of a previous-token head" in text
    assert "bigram: " in text and "nats per token" in text
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in shown)
