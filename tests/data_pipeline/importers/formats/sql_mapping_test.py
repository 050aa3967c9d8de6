import gzip
import pathlib

import pytest

from data_pipeline.importers.formats.sql_mapping import RawFile, map_files
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import RawBatch, Rejected
from data_pipeline.log.schema import LogError

PEOPLE = RawFile("people", ("people.txt", "persons.txt"), ("b", "a.c"), ";")
RULE = Rule("word", "A word is needed. Write one.")
STATEMENTS = (
    """
    CREATE TABLE documents AS
    SELECT 'people' AS source, number, b AS doc_id, "a.c" AS title FROM people WHERE b <> ''
    """,
    """
    CREATE TABLE faults AS
    SELECT 'people' AS source, number, 'word' AS fault, "a.c" AS value FROM people WHERE b = ''
    """,
    """
    CREATE TABLE outcomes AS
    SELECT 'people' AS source, 'document' AS outcome, count(*) AS rows FROM documents
    UNION ALL SELECT 'people', 'never', 0
    """,
)


def _map(folder: pathlib.Path, measures=None):
    return map_files("test", folder, [PEOPLE], STATEMENTS, [RULE], {"x": 1}, measures or {})


@pytest.mark.parametrize("name", ["people.txt", "persons.txt", "persons.txt.gz"])
def test_rows_are_mapped_with_their_numbers_and_wrong_rows_are_listed(tmp_path, name):
    text = b"extra;b;a.c\n;y;Y\nz\n;;Z\n\n;x;X\n"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    source = _map(tmp_path, {"most": "SELECT max(b) FROM people"})
    rejected, broken, batch = source.batches
    assert isinstance(rejected, Rejected) and isinstance(broken, Rejected)
    assert (rejected.table, rejected.read) == ("people", 3)
    listed = rejected.rows.to_pylist() + broken.rows.to_pylist()
    assert [(row["file"], row["row"], row["rule"], row["value"]) for row in listed] == [
        (name, 3, "word", "1 character"),
        (name, 2, "columns", ""),
    ]
    assert isinstance(batch, RawBatch) and (batch.table, batch.file) == ("documents", name)
    assert batch.rows.to_pydict() == {"doc_id": ["y", "x"], "title": ["Y", "X"]}
    assert batch.numbers is not None and batch.numbers.tolist() == [1, 4]
    assert source.description == {
        "name": "test",
        "files": [name],
        "x": 1,
        "most": "y",
        "read": {
            "rows": 4,
            "actions": {name: {"document": 2, "quarantined": 1, "unreadable line": 1}},
        },
    }


def test_the_usual_name_goes_before_the_others(tmp_path):
    for name in PEOPLE.names:
        (tmp_path / name).write_text(f"b;a.c\n{name};\n")
    assert _map(tmp_path).description["files"] == ["people.txt"]


def test_quotes_are_letters_where_values_are_not_quoted(tmp_path):
    raw = RawFile("people", ("people.txt",), ("b", "a.c"), ";", quoted=False)
    (tmp_path / "people.txt").write_text('b;a.c\n"x;5" shelf\ny;Y\n')
    source = map_files("test", tmp_path, [raw], STATEMENTS, [RULE], {}, {})
    batch = list(source.batches)[-1]
    assert isinstance(batch, RawBatch)
    assert batch.rows.to_pydict() == {"doc_id": ['"x', "y"], "title": ['5" shelf', "Y"]}


def test_a_column_that_is_read_must_stand_once_in_the_header_as_it_is(tmp_path):
    (tmp_path / "people.txt").write_text("b;a.c;extra;b;extra\ny;Y;;z;\n")
    with pytest.raises(LogError, match=r"people\.txt: a test file must have the column `b` once"):
        _map(tmp_path)
    raw = RawFile("people", ("people.txt",), ("b", "a.c"), ";", quoted=False)
    (tmp_path / "people.txt").write_text('"b";a.c\ny;Y\n')
    with pytest.raises(LogError, match=r"people\.txt: a test file must have the column `b`\."):
        map_files("test", tmp_path, [raw], STATEMENTS, [RULE], {}, {})


def test_a_folder_without_a_file_or_column_is_an_error_that_names_it(tmp_path):
    with pytest.raises(LogError, match="the input must be a folder"):
        _map(tmp_path / "none")
    with pytest.raises(LogError, match=r"a test folder must hold people\.txt.*an empty folder"):
        _map(tmp_path)
    (tmp_path / "humans.txt").write_text("")
    with pytest.raises(LogError, match=r"humans\.txt.*people\.txt or people\.txt\.gz or persons"):
        _map(tmp_path)
    (tmp_path / "people.txt").write_text("b;c\n")
    with pytest.raises(
        LogError,
        match=r"people\.txt: .* must have the column `a\.c`.*columns b and 1 other, in position 2",
    ):
        _map(tmp_path)
    (tmp_path / "people.txt").write_bytes(b"b;a.c\n\xe9;\n")
    with pytest.raises(LogError, match=r"people\.txt: the file must be UTF-8, and line 2"):
        _map(tmp_path)
