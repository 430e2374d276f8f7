"""The example notebooks run from top to bottom, and hold no outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.stem))
def test_a_notebook_is_kept_without_what_differs_from_run_to_run(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.stem))
def test_a_notebook_runs_and_shows_frames_and_figures(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    preprocessors = pytest.importorskip("nbconvert.preprocessors")
    notebook = nbformat.read(path, as_version=4)
    preprocessors.ExecutePreprocessor(timeout=600).preprocess(notebook, {"metadata": {"path": "."}})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output["data"] for output in outputs if "data" in output]
    assert sum("<iframe srcdoc" in data.get("text/html", "") for data in shown) == 2
    assert sum("image/png" in data for data in shown) >= 2
    assert any("<table" in data.get("text/html", "") for data in shown)
    assert not [output for output in outputs if output["output_type"] == "error"]
