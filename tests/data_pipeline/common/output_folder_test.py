"""A folder is complete or does not exist."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from data_pipeline.common.output_folder import FolderInUse, FolderLock, UnfinishedFolder

HOLD = """
import sys, time
from data_pipeline.common.output_folder import UnfinishedFolder

with UnfinishedFolder(sys.argv[1]) as unfinished:
    (unfinished.folder / "half.bin").write_bytes(b"half")
    print("written", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that is in the middle of writing tmp_path/new."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "new"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


def test_a_renamed_folder_stays_with_its_content(tmp_path):
    with UnfinishedFolder(tmp_path / "deep" / "new") as unfinished:
        assert unfinished.folder == tmp_path / "deep" / "new.tmp"
        (unfinished.folder / "a.bin").write_bytes(b"abc")
        assert not unfinished.path.exists()
        unfinished.rename()
    assert (tmp_path / "deep" / "new" / "a.bin").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["new"]


def test_a_folder_may_be_written_under_a_name_of_its_own(tmp_path):
    with UnfinishedFolder(tmp_path / "7", name=".7.unfinished") as unfinished:
        assert sorted(os.listdir(tmp_path)) == [".7.unfinished", ".7.unfinished.lock"]
        unfinished.rename()
    assert [path.name for path in tmp_path.iterdir()] == ["7"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_passes_on_and_leaves_nothing(tmp_path, error):
    with pytest.raises(error), UnfinishedFolder(tmp_path / "new") as unfinished:
        (unfinished.folder / "a.bin").write_bytes(b"abc")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_not_renamed_is_removed(tmp_path):
    with UnfinishedFolder(tmp_path / "new") as unfinished:
        (unfinished.folder / "a.bin").write_bytes(b"abc")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_run_is_replaced(tmp_path):
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


def test_a_second_run_is_refused_while_another_process_writes(tmp_path, holder):
    with pytest.raises(
        FolderInUse, match=r"new: .*Got another run that holds new\.lock\. Fix: wait"
    ):
        UnfinishedFolder(tmp_path / "new").__enter__()
    assert (tmp_path / "new.tmp" / "half.bin").read_bytes() == b"half"
    with UnfinishedFolder(tmp_path / "other") as beside:
        beside.rename()
    assert sorted(os.listdir(tmp_path)) == ["new.lock", "new.tmp", "other"]


def test_the_lock_of_a_killed_run_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert sorted(os.listdir(tmp_path)) == ["new.lock", "new.tmp"]
    with UnfinishedFolder(tmp_path / "new") as unfinished:
        assert list(unfinished.folder.iterdir()) == []
        unfinished.rename()
    assert os.listdir(tmp_path) == ["new"]


def test_a_second_part_of_one_process_is_refused_until_the_first_is_done(tmp_path):
    with UnfinishedFolder(tmp_path / "new") as first:
        with pytest.raises(FolderInUse), UnfinishedFolder(tmp_path / "new"):
            pass
        first.rename()
    with UnfinishedFolder(tmp_path / "new"):
        pass


def test_a_lock_file_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    lock, real, calls = tmp_path / "new.lock", fcntl.flock, []

    def flock(file, operation):
        if not calls:
            # Its holder finishes after our opening of the file and before our lock.
            lock.unlink()
        calls.append(operation)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with UnfinishedFolder(tmp_path / "new"):
        assert lock.exists() and len(calls) == 2
        with pytest.raises(FolderInUse), UnfinishedFolder(tmp_path / "new"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_kept_folder_stays_under_its_temporary_name(tmp_path):
    with UnfinishedFolder(tmp_path / "new") as unfinished:
        (unfinished.folder / "a.bin").write_bytes(b"abc")
        unfinished.keep = True
    assert [path.name for path in tmp_path.iterdir()] == ["new.tmp"]
    assert (tmp_path / "new.tmp" / "a.bin").exists()


def test_an_error_at_the_beginning_leaves_nothing_and_frees_the_lock(tmp_path):
    class Failing(UnfinishedFolder):
        def begin(self):
            super().begin()
            raise RuntimeError

    with pytest.raises(RuntimeError), Failing(tmp_path / "new"):
        pass
    assert list(tmp_path.iterdir()) == []
    with UnfinishedFolder(tmp_path / "new"):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "run"
    code = (
        "import sys, time\n"
        "from data_pipeline.common.output_folder import FolderLock\n"
        "with FolderLock(sys.argv[1], 'run'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match=r"holds run\.lock\. Fix: .* set --run to"):
            FolderLock(path, "run").__enter__()
        process.kill()
        process.wait()
    with FolderLock(path, "run"):
        assert [file.name for file in tmp_path.iterdir()] == ["run.lock"]
    assert list(tmp_path.iterdir()) == []
