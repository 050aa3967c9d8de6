"""Tests of a simulated log on disk."""

import hashlib
import pathlib

import pyarrow.parquet as pq
import pytest

from data_pipeline.log.log_folder import open_log
from data_pipeline.log.schema import SCHEMAS, LogError
from data_pipeline.log.user_ids import mask_user
from data_pipeline.simulator.click_probabilities import Truth
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SimulateSettings


def _write(folder, **changes):
    return write_simulated_log(SimulateSettings(output=str(folder), users=20, **changes))


def _bytes(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("shape", ["lists", "browses"])
def test_a_simulated_log_is_a_canonical_log_without_a_rejected_row(tmp_path, shape):
    report = _write(tmp_path / "log", shape=shape)
    log = open_log(tmp_path / "log")
    assert log.report == report and log.source["name"] == "simulation"
    assert all(table.quarantined == 0 for table in report.tables.values())
    assert (report.tables["browses"].kept > 0) == (shape == "browses")
    for name, schema in SCHEMAS.items():
        assert pq.read_schema(log.folder / f"{name}.parquet").equals(schema)


def test_the_same_seed_gives_the_same_bytes_in_any_folder(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        _write(folder)
    first, second = map(_bytes, folders)
    assert len(first) == 8
    assert first == second
    _write(tmp_path / "c", seed=2)
    assert _bytes(tmp_path / "c")["requests.parquet"] != first["requests.parquet"]


# Of 20 users; the settings in log.json and model.json change more often than the data.
GOLDEN = {
    "lists": {
        "browses.parquet": "dcf6d31143c522588cc735da6d71a014423c863fafc9da61b0ec9cd99a70079c",
        "documents.parquet": "cf08768749c788457dba011a797d9d1ecec0048c8d6bfa0298839c37164a3035",
        "requests.parquet": "725cfe1f25559334c55e133279af8beb01365f31e472c1c782566806bcd2bf4c",
        "truth/states.parquet": "151710b2bf8bad6052bd4670fa0ebfd267efd32800ab3c2a9fe37d7d9ac23b6d",
    },
    "browses": {
        "browses.parquet": "d571537fc8675c1bb1ddc91dac6a837bea046152023467341524fa18f25b069b",
        "documents.parquet": "cf08768749c788457dba011a797d9d1ecec0048c8d6bfa0298839c37164a3035",
        "requests.parquet": "c224594605d2a97e7a16eedf73802c84640661fd06fa14055f44f6de5e58077b",
        "truth/states.parquet": "bfdbd8a09ad5c115037d61f730aa84f5b14823dfdca4ef979408a3976e538e7f",
    },
}


@pytest.mark.parametrize("shape", GOLDEN)
def test_published_worlds_keep_their_bytes(tmp_path, shape):
    _write(tmp_path / "log", shape=shape)
    contents = _bytes(tmp_path / "log")
    found = {name: hashlib.sha256(contents[name]).hexdigest() for name in GOLDEN[shape]}
    assert found == GOLDEN[shape]


def test_masked_logs_and_their_truth_carry_the_same_masked_ids(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key")
    _write(tmp_path / "plain")
    _write(tmp_path / "masked", mask_users=True)
    raw = pq.read_table(tmp_path / "plain" / "requests.parquet")["user_id"].to_pylist()
    masked = pq.read_table(tmp_path / "masked" / "requests.parquet")["user_id"].to_pylist()
    assert masked == [mask_user(b"a key", user) for user in raw]
    states = pq.read_table(tmp_path / "masked" / "truth" / "states.parquet")
    assert states["user_id"].to_pylist() == masked
    contents = _bytes(tmp_path / "masked")
    assert not [name for name, data in contents.items() if b"user0000" in data]
    Truth(tmp_path / "masked")


def test_masking_without_a_key_stops_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("USER_TF_USER_KEY", raising=False)
    with pytest.raises(ValueError, match="must hold a masking key"):
        _write(tmp_path / "log", mask_users=True)
    assert not list(pathlib.Path(tmp_path).iterdir())


def test_a_log_is_never_written_over_another(tmp_path):
    _write(tmp_path / "log")
    before = _bytes(tmp_path / "log")
    with pytest.raises(LogError, match="must not exist"):
        _write(tmp_path / "log", seed=2)
    assert _bytes(tmp_path / "log") == before
