"""Imports that cannot end: a clear error, nothing under the log's name, and a second run succeeds."""

import errno
import gzip
import json
import os
import resource
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from data_pipeline.common.output_folder import FolderInUse, UnfinishedFolder
from data_pipeline.import_log import ImportSettings, import_log
from data_pipeline.importers.formats import delimited_text
from data_pipeline.log.log_folder import open_log
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings

PLAIN = LogSettings(mask_users=False)


def _write(path, columns):
    rows = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(rows, path)
        return
    if ".jsonl" in path.suffixes:
        lines = "".join(f"{json.dumps(row)}\n" for row in rows.to_pylist()).encode()
    else:
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(rows, sink)
        lines = sink.getvalue().to_pybytes()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)


def _folder(folder, browses=50, kind="csv"):
    """A source with one document and many browses of it."""
    folder.mkdir()
    (folder / "documents.csv").write_text("doc_id,title\na,A title\n")
    start = 1_706_702_400
    seconds = pa.array(range(start, start + browses), pa.int64()).cast(pa.timestamp("s"))
    times = seconds if kind == "parquet" else pa.array([f"{t}Z" for t in seconds.to_pylist()])
    users = pa.array([f"{number % 97}" for number in range(browses)])
    columns = {"user_id": users, "time": times, "doc_id": ["a"] * browses}
    _write(folder / f"browses.{kind}", columns)
    return folder


def _import(folder, output):
    return import_log(ImportSettings(input=str(folder), output=str(output)), PLAIN)


def _command(folder, output, **others):
    command = [sys.executable, "-m", "data_pipeline.import_log", "--nomask_users"]
    return subprocess.Popen(
        [*command, f"--input={folder}", f"--output={output}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **others,
    )


KINDS = ("csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_in_place_of_a_file_is_refused(tmp_path, kind):
    folder = _folder(tmp_path / "in", kind=kind)
    (folder / f"browses.{kind}").unlink()
    (folder / f"browses.{kind}").mkdir()
    with pytest.raises(
        LogError, match=rf"browses\.{kind}: the input must be a file\. Got a folder"
    ):
        _import(folder, tmp_path / "log")
    assert os.listdir(tmp_path) == ["in"]


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    folder, real = _folder(tmp_path / "in"), delimited_text.open_bytes

    def refuse(path):
        if path.name == "browses.csv":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(delimited_text, "open_bytes", refuse)
    with pytest.raises(
        LogError,
        match=r"browses\.csv: the file must be readable.*Permission denied.*Fix: check its",
    ):
        _import(folder, tmp_path / "log")
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.endswith((".gz", "parquet"))])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(tmp_path, kind, share):
    folder = _folder(tmp_path / "in", kind=kind)
    path = folder / f"browses.{kind}"
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    with pytest.raises(LogError, match=rf"browses\.{kind}: the file must be .*complete"):
        _import(folder, tmp_path / "log")
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_is_refused_or_has_no_rows(tmp_path, kind):
    folder = _folder(tmp_path / "in", kind=kind)
    (folder / f"browses.{kind}").write_bytes(b"")
    with pytest.raises(LogError, match=rf"browses\.{kind}: |must hold a request or a browse"):
        _import(folder, tmp_path / "log")
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize("method", ["write_batch", "close"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch, method):
    folder, real = _folder(tmp_path / "in"), getattr(pq.ParquetWriter, method)

    def full(writer, *given):
        if method == "close" and not writer.is_open:
            return
        real(writer, *given)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pq.ParquetWriter, method, full)
    with pytest.raises(LogError, match=r"log: .*Got No space left on device\. Fix: make room"):
        _import(folder, tmp_path / "log")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["in"]
    _import(folder, tmp_path / "log")
    assert open_log(tmp_path / "log").report.tables["browses"].kept == 50


def test_the_command_on_a_full_disk_says_so_without_a_traceback(tmp_path):
    folder = _folder(tmp_path / "in", 20_000)
    limit = (8_192, 8_192)
    with _command(
        folder,
        tmp_path / "log",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    ) as process:
        _, listed = process.communicate()
    assert process.returncode == 1 and "Traceback" not in listed
    assert f"error: {tmp_path / 'log'}: the log must be written to its end. Got " in listed
    assert os.listdir(tmp_path) == ["in"]


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_import_leaves_no_log_and_the_same_command_then_makes_the_same_bytes(tmp_path):
    folder = _folder(tmp_path / "in", 100_000)
    _import(folder, tmp_path / "complete")
    out = tmp_path / "out"
    killed = 0
    for delay in (0, 0.03, 0.1, 0.3):
        with _command(folder, out / "log") as process:
            while process.poll() is None and not (out / "log.tmp").exists():
                time.sleep(0.001)
            time.sleep(delay)
            process.kill()
        killed += process.returncode == -9
        if process.returncode == -9:
            # Killed after the rename: the folder is complete and has its name.
            assert not (out / "log").exists() or _bytes(out / "log") == _bytes(
                tmp_path / "complete"
            )
        if (out / "log").exists():
            break
    assert killed
    if not (out / "log").exists():
        with _command(folder, out / "log") as process:
            _, listed = process.communicate()
        assert process.returncode == 0, listed
    assert _bytes(out / "log") == _bytes(tmp_path / "complete")
    assert not (out / "log.tmp").exists()


def test_of_two_imports_at_one_time_one_writes_the_log(tmp_path):
    folder = _folder(tmp_path / "in", 20_000)
    runs = [_command(folder, tmp_path / "out" / "log") for _ in range(2)]
    listed = [run.communicate()[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 1]
    [refused] = [text for run, text in zip(runs, listed, strict=True) if run.returncode]
    assert "by one run at a time" in refused or "must not exist" in refused
    assert "Traceback" not in refused
    assert os.listdir(tmp_path / "out") == ["log"]
    assert open_log(tmp_path / "out" / "log").report.tables["browses"].kept == 20_000


def test_an_import_into_a_folder_that_is_being_written_is_refused(tmp_path):
    folder = _folder(tmp_path / "in")
    with UnfinishedFolder(tmp_path / "log") as other:
        (other.folder / "half.bin").write_bytes(b"half")
        with pytest.raises(FolderInUse, match=r"log: .* by one run at a time"):
            _import(folder, tmp_path / "log")
        assert (other.folder / "half.bin").exists()
