"""The notebooks of examples, executed on a tiny simulated log."""

import ast
import os
import pathlib

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"


def assigned(source):
    """Return the names that the statements of a cell assign."""
    return [node.targets[0].id for node in ast.parse(source).body]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return the executed notebook, and the folder it worked in."""
    work = tmp_path_factory.mktemp("work")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    [parameters] = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    ]
    tiny = f"WORK = {str(work)!r}\nUSERS = 40\nWIDTH = 8\nEPOCHS = 1\nPHASES = ('pretrain',)\n"
    assert assigned(tiny) == assigned(parameters.source)
    parameters.source = tiny
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    client.execute(env=environment)
    return notebook, work


def outputs(notebook, kind):
    """Return the data of one MIME type of all cells, in order."""
    return [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if kind in output.get("data", {})
    ]


def test_the_notebook_is_stored_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_it_shows_the_run_the_table_of_metrics_and_three_plots(executed):
    notebook, _ = executed
    run, table = outputs(notebook, "text/html")
    assert "<td>pretrain</td>" in run and "not finished" not in run
    assert "most recently touched" in table and "<td>user</td>" in table
    assert len(outputs(notebook, "image/png")) == 2
    [attention] = outputs(notebook, "image/svg+xml")
    assert "<svg" in attention


def test_it_leaves_a_trained_run_and_a_served_model(executed):
    _, work = executed
    assert (work / "notebook_run" / "pretrain" / "best.weights.h5").exists()
    assert (work / "notebook_run" / "evaluation" / "test.json").exists()
    assert (work / "notebook_model" / "1" / "saved_model.pb").exists()


def test_its_requests_are_ranked(executed):
    notebook, _ = executed
    real, own = outputs(notebook, "text/plain")[-2:]
    assert real.count("RankedCandidate") > 2
    assert own.count("RankedCandidate") == 2
