"""A folder is whole or not there."""

import pytest

from data_pipeline.unfinished import UnfinishedFolder


def test_a_renamed_folder_stays_with_all_it_holds(tmp_path):
    with UnfinishedFolder(tmp_path / "deep" / "new") as unfinished:
        assert unfinished.folder == tmp_path / "deep" / "new.tmp"
        (unfinished.folder / "a.bin").write_bytes(b"abc")
        assert not unfinished.path.exists()
        unfinished.rename()
    assert (tmp_path / "deep" / "new" / "a.bin").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]


def test_a_folder_may_be_written_under_a_name_of_its_own(tmp_path):
    with UnfinishedFolder(tmp_path / "7", name=".7.unfinished") as unfinished:
        assert [path.name for path in tmp_path.iterdir()] == [".7.unfinished"]
        unfinished.rename()
    assert [path.name for path in tmp_path.iterdir()] == ["7"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_passes_on_and_leaves_nothing(tmp_path, error):
    with pytest.raises(error), UnfinishedFolder(tmp_path / "new") as unfinished:
        (unfinished.folder / "a.bin").write_bytes(b"abc")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_renamed_is_removed(tmp_path):
    with UnfinishedFolder(tmp_path / "new") as unfinished:
        (unfinished.folder / "a.bin").write_bytes(b"abc")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_replaced(tmp_path):
    (tmp_path / "new.tmp").mkdir()
    (tmp_path / "new.tmp" / "old.bin").write_bytes(b"old")
    with UnfinishedFolder(tmp_path / "new") as unfinished:
        unfinished.rename()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_holds_something_is_not_replaced(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "kept.bin").write_bytes(b"kept")
    with pytest.raises(OSError), UnfinishedFolder(tmp_path / "new") as unfinished:
        unfinished.rename()
    assert (tmp_path / "new" / "kept.bin").read_bytes() == b"kept"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
