"""Nothing in the packages reads or writes pickles: whoever can write a file must not run code."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    path for room in ("data_pipeline", "user_tf") for path in (ROOT / room).rglob("*.py")
)
FORBIDDEN = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def find_uses(source: str) -> list[str]:
    """Names of pickle modules imported, and calls that allow pickles."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [name for name in names if name.split(".")[0] in FORBIDDEN]
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            allowed = not isinstance(node.value, ast.Constant) or node.value.value is not False
            found += ["allow_pickle"] * allowed
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_of_the_packages_uses_pickles(path):
    assert find_uses(path.read_text("utf-8")) == []


def test_the_search_finds_every_form_of_use():
    source = """
import os, pickle as p
from joblib.numpy_pickle import load
np.load(path, allow_pickle=True)
np.load(path, allow_pickle=wanted)
np.load(path, allow_pickle=False)
"""
    uses = ["pickle", "joblib.numpy_pickle", "allow_pickle", "allow_pickle"]
    assert sorted(find_uses(source)) == sorted(uses)
