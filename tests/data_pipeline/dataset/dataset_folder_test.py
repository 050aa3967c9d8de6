import json

import pytest

from data_pipeline.common.checksums import checksum
from data_pipeline.dataset.dataset_folder import MANIFEST, open_dataset
from data_pipeline.dataset.dataset_writer import DatasetWriter
from data_pipeline.text.word_rule import TEXT_RULE

MANIFEST_CONTENT = {"settings": {"scenarios": ["unified"]}}


@pytest.fixture
def dataset(tmp_path):
    """A dataset folder with one file."""
    with DatasetWriter(tmp_path / "dataset") as writer:
        (writer.folder / "windows").mkdir()
        (writer.folder / "windows" / "a.bin").write_bytes(b"abc")
        writer.finish(MANIFEST_CONTENT)
    return tmp_path / "dataset"


def test_a_finished_dataset_opens_with_its_checksums(dataset):
    opened = open_dataset(dataset, verify=True)
    entry = opened.manifest["files"]["windows/a.bin"]
    assert entry == {"bytes": 3, "sha256": checksum(dataset / "windows" / "a.bin")}
    assert entry["sha256"].startswith("ba7816bf8f01cfea")
    assert not dataset.with_name("dataset.tmp").exists()


def test_a_run_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), DatasetWriter(tmp_path / "dataset") as writer:
        (writer.folder / "a.bin").write_bytes(b"abc")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_run_is_resumed_or_cleared(tmp_path):
    (tmp_path / "dataset.tmp").mkdir()
    (tmp_path / "dataset.tmp" / "old.bin").write_bytes(b"old")
    with DatasetWriter(tmp_path / "dataset") as writer:
        assert writer.resumed and (writer.folder / "old.bin").exists()
        writer.clear()
        writer.finish(MANIFEST_CONTENT)
    assert open_dataset(tmp_path / "dataset").manifest["files"] == {}
    with DatasetWriter(tmp_path / "other") as writer:
        assert not writer.resumed


def test_an_existing_folder_is_not_overwritten(dataset):
    with pytest.raises(FileExistsError, match=r"must not exist.*--output"), DatasetWriter(dataset):
        pass
    assert open_dataset(dataset)


def test_an_incomplete_dataset_is_refused(dataset):
    (dataset / MANIFEST).unlink()
    with pytest.raises(FileNotFoundError, match=r"Got an incomplete dataset.*Fix: .*prepare"):
        open_dataset(dataset)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder"):
        open_dataset(tmp_path / "nowhere")


def test_another_schema_version_is_refused_with_the_fix(dataset):
    manifest = json.loads((dataset / MANIFEST).read_text())
    manifest["schema_version"] = 0
    (dataset / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(
        ValueError, match=r"schema version .* must be 3\. Got 0.*data_pipeline.prepare"
    ):
        open_dataset(dataset)


def test_a_dataset_of_an_older_text_rule_is_refused_with_the_fix(dataset):
    manifest = json.loads((dataset / MANIFEST).read_text())
    assert manifest.pop("text_rule") == TEXT_RULE
    (dataset / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"text rule .* must be 2.*Got 1.*data_pipeline.prepare"):
        open_dataset(dataset)


def test_a_file_of_another_size_is_refused(dataset):
    (dataset / "windows" / "a.bin").write_bytes(b"abcd")
    with pytest.raises(ValueError, match=r"a.bin: .* unchanged, 3 bytes. Got 4"):
        open_dataset(dataset)


def test_a_missing_file_is_refused(dataset):
    (dataset / "windows" / "a.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"a.bin"):
        open_dataset(dataset)


def test_an_altered_file_is_refused_when_checksums_are_compared(dataset):
    (dataset / "windows" / "a.bin").write_bytes(b"abd")
    with pytest.raises(ValueError, match=r"SHA-256"):
        open_dataset(dataset, verify=True)


def test_an_unknown_scenario_is_refused(dataset):
    with pytest.raises(ValueError, match=r"Got 'search', 'train'.*--scenarios"):
        open_dataset(dataset).window_files("search", "train")
