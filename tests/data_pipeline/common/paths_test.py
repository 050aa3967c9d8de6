"""Paths and flagfiles as users write them."""

import os

import pytest

from data_pipeline.common import flagfiles
from data_pipeline.common.paths import local_path


def test_the_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    assert local_path("output", "~/log") == "/home/anna/log"
    assert local_path("output", "~") == "/home/anna"


@pytest.mark.parametrize("path", ["", "log", "./~", "a/~b", "C:/log", "/data/a:b", "x=s3://a"])
def test_other_paths_stay_as_they_are(path):
    assert local_path("output", path) == path


def test_a_url_of_an_unknown_store_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"`log` .*a URL that can be .*'no\+where://b/log'.* Fix:"):
        local_path("log", "no+where://b/log")
    assert list(tmp_path.iterdir()) == []


def test_a_url_with_one_slash_is_refused():
    with pytest.raises(ValueError, match=r"`log` .*two slashes.*'gs:/b/log'.* Fix: write gs://"):
        local_path("log", "gs:/b/log")


def test_an_unknown_user_is_refused():
    with pytest.raises(ValueError, match=r"whose user is not known[.] Fix: .*[.]/~"):
        local_path("log", "~no_such_user_here/log")


def test_a_flagfile_of_windows_is_read(tmp_path):
    path = tmp_path / "bom.flags"
    path.write_bytes(b"\xef\xbb\xbf--a=1\r\n\r\n# none\r\n// none\r\n  --b=2 3 \r\n")
    assert flagfiles.expand(["--c", "--flagfile", str(path), "x"]) == [
        "--c",
        "--a=1",
        "--b=2 3",
        "x",
    ]


def test_a_nested_flagfile_is_found_from_the_file_that_names_it(tmp_path, monkeypatch):
    for name, text in {
        "outer.flags": "--flagfile=deep/middle.flags\n--a=1\n",
        "deep/middle.flags": "--flagfile=../inner.flags\n--b=2\n",
        "inner.flags": "--c=3\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    expected = ["--c=3", "--b=2", "--a=1"]
    assert flagfiles.expand(["--flagfile=../outer.flags"]) == expected
    assert flagfiles.expand([f"--flagfile={tmp_path}/outer.flags"]) == expected
    # The same file twice is no circle.
    assert flagfiles.expand(["--flagfile=../inner.flags"] * 2) == ["--c=3"] * 2


def test_a_flagfile_that_cannot_be_read_is_named_with_the_file_that_names_it(tmp_path):
    outer = tmp_path / "outer.flags"
    outer.write_text("--flagfile=absent.flags\n")
    with pytest.raises(
        ValueError, match=r"absent\.flags', named in '.*outer\.flags': No such file"
    ):
        flagfiles.expand([f"--flagfile={outer}"])
    outer.write_text("--flagfile=outer.flags\n")
    with pytest.raises(ValueError, match="must not name itself"):
        flagfiles.expand([f"--flagfile={outer}"])
    outer.write_bytes("--a=ä".encode("latin-1"))
    with pytest.raises(ValueError, match="it is not UTF-8"):
        flagfiles.expand([f"--flagfile={outer}"])
    with pytest.raises(ValueError, match="a URL that can be read"):
        flagfiles.expand(["--flagfile=nowhere://host/a.flags"])


def test_arguments_after_two_dashes_are_left_alone():
    assert flagfiles.expand(["--", "--flagfile=absent"]) == ["--", "--flagfile=absent"]


def test_a_flagfile_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    (tmp_path / "a.flags").write_text("--a=1\n")
    assert flagfiles.expand(["--flagfile=~/a.flags"]) == ["--a=1"]
