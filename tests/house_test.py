"""The rules of the house: the order of rooms, the size of files and folders, names, the map."""

import ast
import collections
import pathlib
import re
from collections.abc import Iterable

import pytest

from tests.house import (
    MAY_IMPORT,
    ORDER,
    PACKAGES,
    ROOT,
    circles,
    describe_house,
    imported_names,
    line_count,
    module_graph,
    modules,
    room_graph,
    room_of,
    source_files,
)

MAX_LINES = 300
MAX_FILES = 16
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# A docstring says with a verb what the code does, not with a question word.
QUESTION_WORDS = ("What", "Where", "How", "Which", "Whether")


def _short(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _expect_none(wrong: Iterable[str]) -> None:
    """Fail with one line for each violation."""
    lines = sorted(wrong)
    assert not lines, "\n" + "\n".join(lines)


def test_every_folder_has_a_place_in_the_order():
    rooms = {room_of(module, path) for module, path in modules(ROOT).items()}
    named = [room for order in ORDER.values() for room in order]
    assert sorted(rooms) == sorted(named)


def test_no_import_goes_against_the_order_of_rooms():
    files = modules(ROOT)
    wrong = []
    for module, imported in module_graph(ROOT).items():
        package = module.partition(".")[0]
        here = room_of(module, files[module])
        for name in imported:
            other = name.partition(".")[0]
            there = room_of(name, files[name])
            if other != package:
                allowed = other in MAY_IMPORT[package]
            else:
                order = ORDER[package]
                allowed = there == here or order.index(there) < order.index(here)
            if not allowed:
                wrong.append(f"{module} imports {name}")
    _expect_none(wrong)


def test_rooms_and_files_form_no_circle():
    groups = circles(room_graph(ROOT)) + circles(module_graph(ROOT))
    _expect_none(", ".join(group) for group in groups)


def test_a_circle_and_an_import_against_the_order_are_found(tmp_path):
    for name, text in {
        "data_pipeline/common/ground.py": "from data_pipeline.log import table\n",
        "data_pipeline/log/table.py": "def read():\n    import data_pipeline.common.ground\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert circles(room_graph(tmp_path)) == [["data_pipeline.common", "data_pipeline.log"]]
    assert module_graph(tmp_path)["data_pipeline.log.table"] == {"data_pipeline.common.ground"}
    assert "circles of rooms 1" in describe_house(tmp_path)[-1]


@pytest.mark.parametrize("folder", [*PACKAGES, "tests"])
def test_no_file_is_longer_than_300_lines(folder):
    sizes = {_short(path): line_count(path) for path in source_files(ROOT, folder)}
    _expect_none(f"{name}: {size} lines" for name, size in sizes.items() if size > MAX_LINES)


def test_no_folder_holds_more_than_16_files():
    counts = collections.Counter(
        _short(path.parent) for path in source_files(ROOT, *PACKAGES, "tests")
    )
    _expect_none(f"{name}: {count} files" for name, count in counts.items() if count > MAX_FILES)


def test_no_two_source_files_have_one_name():
    paths = collections.defaultdict(list)
    for path in source_files(ROOT, *PACKAGES):
        paths[path.name].append(_short(path))
    del paths["__init__.py"]
    _expect_none(" and ".join(found) for found in paths.values() if len(found) > 1)


def test_the_map_names_every_source_file_under_its_folder_and_no_other():
    """Compare WORKSPACE.md: a heading "### `folder`", below it rows that begin "| `file.py`"."""
    mapped: dict[str, list[str]] = collections.defaultdict(list)
    folder = ""
    for line in (ROOT / "WORKSPACE.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = re.match(r"### `([\w/]+)`", line)
            folder = heading[1] if heading else ""
        elif folder and (row := re.match(r"\| `(\w+\.py)`", line)):
            mapped[folder].append(f"{folder}/{row[1]}")
    files = [_short(path) for path in source_files(ROOT, *PACKAGES) if path.name != "__init__.py"]
    named = [name for names in mapped.values() for name in names]
    missing, gone = sorted(set(files) - set(named)), sorted(set(named) - set(files))
    _expect_none(f"{name}: not on the map" for name in missing)
    _expect_none(f"{name}: on the map, but there is no such file" for name in gone)
    assert len(named) == len(set(named))


def test_no_docstring_begins_with_a_question_word():
    wrong = []
    for path in source_files(ROOT, *PACKAGES, "tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if re.match(rf"({'|'.join(QUESTION_WORDS)})\b", text):
                    wrong.append(f"{_short(path)}: {text.splitlines()[0]}")
    _expect_none(wrong)


def test_nothing_unpickles():
    wrong = []
    for path in source_files(ROOT, *PACKAGES):
        text = path.read_text(encoding="utf-8")
        names = {name.partition(".")[0] for name in imported_names(path)}
        if names & UNPICKLERS or "allow_pickle=True" in text or "read_pickle" in text:
            wrong.append(_short(path))
    _expect_none(wrong)
