"""The notebooks, executed on a tiny simulated log."""

import ast
import os
import pathlib
import shutil

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart.ipynb"
COLAB = ROOT / "notebooks" / "user_colab.ipynb"


def assigned(source):
    """Return the names that the statements of a cell assign."""
    return [node.targets[0].id for node in ast.parse(source).body]


def execute(path, values):
    """Return a notebook executed with other values in its cell of parameters."""
    notebook = nbformat.read(path, as_version=4)
    [parameters] = [
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    ]
    assert list(values) == assigned(parameters.source)
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env=environment)
    return notebook


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return the executed notebook of the quickstart, and the folder it worked in."""
    work = tmp_path_factory.mktemp("work")
    tiny = {"USERS": 40, "WIDTH": 8, "EPOCHS": 1, "PHASES": ("pretrain",)}
    return execute(QUICKSTART, {"WORK": str(work), **tiny}), work


def outputs(notebook, kind):
    """Return the data of one MIME type of all cells, in order."""
    return [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if kind in output.get("data", {})
    ]


@pytest.mark.parametrize("path", [QUICKSTART, COLAB], ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
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


@pytest.mark.slow
def test_the_colab_notebook_trains_and_a_new_machine_resumes_under_jax(tmp_path):
    values = {
        "SOURCE": "",
        "WORK": str(tmp_path / "first"),
        "DRIVE": str(tmp_path / "drive"),
        "LOG": "",
        "USERS": 40,
        "WIDTH": 8,
        "EPOCHS": 1,
        "BACKEND": "tensorflow",
    }
    execute(COLAB, values)
    drive = tmp_path / "drive"
    assert (drive / "model" / "1" / "saved_model.pb").exists()
    # As if the first machine had been taken back during the last phase.
    shutil.rmtree(drive / "run" / "recommendation")
    (drive / "run" / "search" / "done.json").unlink()
    again = execute(COLAB, {**values, "WORK": str(tmp_path / "second"), "BACKEND": "jax"})
    printed = "".join(
        output.get("text", "") for cell in again.cells for output in cell.get("outputs", [])
    )
    assert "CPU, trained with jax" in printed
    assert "pretrain: done before" in printed and "search: resumed after step" in printed
    assert (tmp_path / "second" / "run" / "recommendation" / "done.json").exists()
    assert len(outputs(again, "image/png")) == 1 and len(outputs(again, "image/svg+xml")) == 1
    assert outputs(again, "text/plain")[-1].count("RankedCandidate") > 2
