"""Notebooks: each runs from top to bottom, is stored without outputs, and agrees with its script."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

import celluler_sim

FOLDER = Path(__file__).parents[1] / "notebooks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
TICKS = "96"  # a day in quarters of an hour


def test_there_are_notebooks():
    """Without one, the tests below would pass by having nothing to do."""
    assert SCRIPTS
    assert {f.stem for f in FOLDER.glob("*.ipynb")} == {f.stem for f in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)
def test_notebook_and_script_say_the_same(script):
    """Cell by cell, text and code; `jupytext --to ipynb SCRIPT` makes the notebook anew."""
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert cells == [(cell.cell_type, cell.source) for cell in jupytext.read(script).cells]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)
def test_notebook_is_stored_without_outputs(script):
    """Outputs and counters would change with every run and hide what changed."""
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(celluler_sim, "simulate"), reason="celluler_sim.simulate cannot be imported")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)
def test_notebook_runs(script, tmp_path, monkeypatch):
    """Every cell runs without an error, in a folder of its own; pictures and sentences come out."""
    monkeypatch.setenv("CELLULER_NOTEBOOK_TICKS", TICKS)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")  # Mesa asks for a widget that is not needed
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"image/png", "text/markdown"} <= kinds
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
