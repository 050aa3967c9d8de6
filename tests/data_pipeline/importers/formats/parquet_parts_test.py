import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers.formats.parquet_parts import parquet_names, read_parquet, table_files
from data_pipeline.log.schema import LogError

ENDINGS = (".parquet", ".csv")


def test_a_table_is_one_file_or_the_files_of_a_folder_in_the_order_of_their_names(tmp_path):
    for name in ("notes.csv", "others.csv", "lists/2.csv", "lists/1.parquet", "lists/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert table_files(tmp_path, "notes", ENDINGS) == [tmp_path / "notes.csv"]
    lists = [path.name for path in table_files(tmp_path, "lists", ENDINGS)]
    assert lists == ["1.parquet", "2.csv"]
    assert table_files(tmp_path, "none", ENDINGS) == []


def test_a_table_that_is_there_twice_or_has_parts_of_another_kind_is_an_error(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "1.txt").write_text("x")
    with pytest.raises(LogError, match=r"must end in \.parquet, \.csv\. Got '1\.txt'"):
        table_files(tmp_path, "lists", ENDINGS)
    (tmp_path / "lists.csv").write_text("x")
    with pytest.raises(LogError, match=r"the table lists only once\. Got lists\.csv, lists\."):
        table_files(tmp_path, "lists", ENDINGS)


def test_columns_of_parquet_come_in_the_order_wanted_after_an_empty_table(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0, 0, 0]}), path)
    assert parquet_names(path, "x") == ["a", "b", "c"]
    parts = [part.to_pydict() for part in read_parquet(path, "x", ["b", "a"], rows=2)]
    assert parts == [{"b": [], "a": []}, {"b": ["x", None], "a": [1, 2]}, {"b": ["z"], "a": [3]}]
    assert list(parts[1]) == ["b", "a"]


def test_parquet_that_is_cut_short_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LogError, match=r"part 1: the file must be complete Parquet"):
        parquet_names(path, "part 1")
    with pytest.raises(LogError, match=r"part 1: the file must be complete Parquet"):
        list(read_parquet(path, "part 1", ["a"]))
