"""Copies of URLs: what is elsewhere comes here, what changes here goes there."""

import os
import pathlib

import fsspec
import pytest

from data_pipeline.common import remote_folders


@pytest.fixture(name="store")
def _store():
    """Return an empty store in memory."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


def read(folder):
    """Return the content of the files below a folder, by name."""
    files = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def write(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_folder_is_fetched_and_its_changes_are_sent(store, machine):
    store.pipe({"/bucket/run/a": b"1", "/bucket/run/deep/b": b"2", "/bucket/other": b"3"})
    folder = remote_folders.fetch("run", "memory://bucket/run")
    assert folder.endswith("one/memory/bucket/run")
    assert read(folder) == {"a": "1", "deep/b": "2"}
    write(f"{folder}/a", "changed")
    os.remove(f"{folder}/deep/b")
    write(f"{folder}/new", "new")
    remote_folders.send_changes()
    assert {name: store.cat(name) for name in store.find("/bucket")} == {
        "/bucket/other": b"3",
        "/bucket/run/a": b"changed",
        "/bucket/run/new": b"new",
    }


def test_a_second_machine_sees_what_the_first_sent(store, machine):
    folder = remote_folders.fetch("output", "memory://bucket/new/run")
    assert not os.path.exists(folder)
    write(f"{folder}/phase/a", "1")
    remote_folders.send_changes()
    machine("two")
    other = remote_folders.fetch("run", "memory://bucket/new/run")
    assert "two" in other and read(other) == {"phase/a": "1"}


def test_only_changed_files_travel(store, machine, monkeypatch):
    store.pipe({"/bucket/run/a": b"1", "/bucket/run/b": b"2"})
    folder = remote_folders.fetch("run", "memory://bucket/run")
    write(f"{folder}/c", "3")
    remote_folders.send_changes()
    moved = []
    for name in ("get_file", "put_file"):
        before = getattr(type(store), name)

        def spy(self, one, other, before=before, name=name, **rest):
            moved.append((name, os.path.basename(one)))
            return before(self, one, other, **rest)

        monkeypatch.setattr(type(store), name, spy)
    remote_folders.send_changes()
    machine("one")
    store.pipe({"/bucket/run/b": b"two"})
    remote_folders.fetch("run", "memory://bucket/run")
    assert moved == [("get_file", "b")] and read(folder) == {"a": "1", "b": "two", "c": "3"}


def test_what_a_killed_process_did_not_send_is_gone(store, machine):
    folder = remote_folders.fetch("run", "memory://bucket/run")
    write(f"{folder}/half", "1")
    machine("one")
    assert remote_folders.fetch("run", "memory://bucket/run") == folder
    assert not os.path.exists(folder)
    store.pipe({"/bucket/run/a": b"1"})
    write(f"{folder}/half", "1")
    machine("one")
    assert read(remote_folders.fetch("run", "memory://bucket/run")) == {"a": "1"}


def test_a_file_is_fetched_and_sent(store, machine):
    store.pipe({"/bucket/requests.jsonl": b"1"})
    path = remote_folders.fetch("requests", "memory://bucket/requests.jsonl")
    assert pathlib.Path(path).read_text() == "1"
    answers = remote_folders.fetch("output", "memory://bucket/answers.jsonl")
    write(answers, "2")
    remote_folders.send_changes()
    assert store.cat("/bucket/answers.jsonl") == b"2"


@pytest.mark.parametrize("url", ["memory://", "memory://a/../b", "no_such_store://a"])
def test_a_url_that_is_no_place_is_refused(machine, url):
    with pytest.raises(ValueError, match=r"`run` must be a path of this machine or a URL.* Fix: "):
        remote_folders.fetch("run", url)


def test_a_store_that_fails_while_sending_is_named(store, machine, monkeypatch):
    folder = remote_folders.fetch("run", "memory://bucket/run")
    write(f"{folder}/a", "1")

    def fail(*_, **__):
        raise PermissionError("no rights")

    monkeypatch.setattr(type(store), "put_file", fail)
    with pytest.raises(ValueError, match=r"'memory://bucket/run': no rights\. Fix: "):
        remote_folders.send_changes()
