import os
import subprocess
import sys

import pytest

from data_pipeline.import_log import ImportSettings, import_log
from data_pipeline.log.log_folder import open_log
from data_pipeline.settings import LogSettings


def _folder(path):
    path.mkdir()
    (path / "documents.csv").write_text("doc_id,title\na,A title\n")
    (path / "browses.csv").write_text(
        "user_id,time,doc_id\nanna,2024-01-31T12:00:00Z,a\nbert,2024-01-31T13:00:00Z,b\n"
    )
    return path


def _run(*flags, key="test"):
    environment = {name: value for name, value in os.environ.items() if name != "USER_TF_USER_KEY"}
    if key:
        environment["USER_TF_USER_KEY"] = key
    command = [sys.executable, "-m", "data_pipeline.import_log", *flags]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_command_writes_a_log_and_prints_its_counts(tmp_path):
    folder = _folder(tmp_path / "in")
    done = _run(f"--input={folder}", f"--output={tmp_path / 'log'}", "--quarantine_share=0.5")
    assert done.returncode == 0, done.stderr
    assert "doc-unknown: 1" in done.stdout and "1 users, 2024-01-31T12:00:00Z" in done.stdout
    assert open_log(tmp_path / "log").source["name"] == "tables"


def test_the_command_fails_with_the_message_of_the_error(tmp_path):
    folder = _folder(tmp_path / "in")
    where = (f"--input={folder}", f"--output={tmp_path / 'log'}")
    too_many = _run(*where)
    assert too_many.returncode == 1 and "Traceback" not in too_many.stderr
    assert "1 of 2 rows rejected" in too_many.stderr
    keyless = _run(*where, key=None)
    assert keyless.returncode == 1 and "secrets.token_hex" in keyless.stderr
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("missing", ["input", "output"])
def test_input_and_output_must_be_given(missing):
    given = {"input": "x", "output": "y", missing: ""}
    with pytest.raises(ValueError, match=f"`{missing}` must be given.*Fix: set --{missing}"):
        import_log(ImportSettings(**given), LogSettings(mask_users=False))


def test_the_summary_counts_the_outcomes_of_raw_rows(tmp_path):
    head = "user_id,session_id,timestamp,step,action_type,reference,city,impressions\n"
    rows = "u,s,1541600000,1,clickout item,11,Oslo,11|12\nu,s,1541600001,2,teleport,,,\n"
    (tmp_path / "sessions.csv").write_text(head + rows)
    settings = ImportSettings("trivago", str(tmp_path / "sessions.csv"), str(tmp_path / "log"))
    summary = import_log(settings, LogSettings(mask_users=False))
    assert "sessions.csv: 2 rows" in summary
    assert "clickout item" in summary and "unknown action type 1" in summary


def test_columns_with_other_names_are_mapped_and_columns_left_out_are_listed(tmp_path):
    folder = _folder(tmp_path / "in")
    (folder / "browses.csv").write_text("uid,ts,doc_id,page\nanna,2024-01-31T12:00:00Z,a,3\n")
    done = _run(
        f"--input={folder}",
        f"--output={tmp_path / 'log'}",
        "--columns=browses.user_id=uid,browses.time=ts",
    )
    assert done.returncode == 0, done.stderr
    assert "browses.csv: left out the columns page\n" in done.stdout
    assert open_log(tmp_path / "log").report.tables["browses"].kept == 1


def test_columns_are_mapped_in_canonical_files_only():
    settings = ImportSettings("trivago", "x", "y", columns=("requests.user_id=uid",))
    with pytest.raises(ValueError, match=r"`columns` must be empty.*'trivago'"):
        import_log(settings, LogSettings(mask_users=False))
