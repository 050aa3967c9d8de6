"""Several logs in order of time: a later one changes no list and no feature of an earlier one."""

import dataclasses
import datetime
import itertools
import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from data_pipeline import settings as data_settings
from data_pipeline.common.checksums import checksum
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.log.log_folder import write_log
from data_pipeline.log.raw_rows import RawBatch
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import ListSettings, SimulateSettings, WorldSettings

TABLES = ("documents", "requests", "browses")
EARLY = datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC)


def write(folder, tables):
    batches = [RawBatch(name, tables[name], name) for name in TABLES]
    settings = data_settings.LogSettings(mask_users=False, quarantine_share=0)
    write_log(folder, batches, settings, {"name": "days"})
    return os.fspath(folder)


@pytest.fixture(scope="module", params=["lists", "browses"])
def days(request, tmp_path_factory):
    """Three logs that follow each other in time, cut from one in the middle of sessions.

    Each later log lists documents that no earlier one does, half of them published long ago, and
    gives those of the first log other titles.
    """
    folder = tmp_path_factory.mktemp(request.param)
    world = WorldSettings(documents=1500)
    whole = folder / "whole"
    write_simulated_log(
        SimulateSettings(
            output=os.fspath(whole),
            users=40,
            shape=request.param,
            world=world,
            list=ListSettings(results=5),
        )
    )
    tables = {name: pq.read_table(whole / f"{name}.parquet") for name in TABLES}
    times = np.sort(
        np.concatenate([tables[n]["time"].cast(pa.int64()).to_numpy() for n in TABLES[1:]])
    )
    cuts = [times[0], times[len(times) // 2], times[len(times) * 4 // 5], times[-1] + 1]
    listed = tables["documents"]
    logs = []
    for day, (first, last) in enumerate(itertools.pairwise(cuts)):
        log = {}
        for name in TABLES[1:]:
            time = tables[name]["time"].cast(pa.int64())
            log[name] = tables[name].filter(
                pc.and_(pc.greater_equal(time, first), pc.less(time, last))
            )
        used = set(log["browses"]["doc_id"].to_pylist())
        for results in log["requests"]["results"].to_pylist():
            used |= {result["doc_id"] for result in results}
        rows = [row for row in listed.to_pylist() if row["doc_id"] in used]
        for number in range(20):
            published = EARLY if number % 2 else None
            row = {"doc_id": f"{number:02d} of day {day}", "title": rows[number]["title"]}
            rows.append({"category": "", "published": published, **row})
        if day:
            for row in rows[:10]:
                row["title"] = "altered"
        log["documents"] = pa.Table.from_pylist(rows, listed.schema)
        logs.append(write(folder / f"day{day}", log))
    return logs


@pytest.fixture
def settings(small_settings):
    def make(*logs, output, **others):
        others.setdefault("split", {"history_share": 0.2})
        return small_settings(logs, os.fspath(output), **others)

    return make


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): checksum(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(dataset):
    """Candidates and features of every target by what does not depend on later logs."""
    found, at = {}, 0
    for row in dataset.targets().to_pylist():
        size = len(row["candidates"])
        read = row["candidates"][row["labels"].index(1)]
        key = (row["user_id"], row["time"], row["request_id"], read)
        found[key] = (row["candidates"], dataset.features[at : at + size].tolist())
        at += size
    return found


def test_a_log_cut_in_two_gives_the_bytes_of_the_complete_log(days, settings, tmp_path):
    """Each part lists all documents. Pseudo-negatives of a part may be relevant in a later one."""
    shape, folder = pathlib.Path(days[0]).parent.name, pathlib.Path(days[0]).parent
    tables = {name: pq.read_table(folder / "whole" / f"{name}.parquet") for name in TABLES}
    times = [tables[name]["time"].to_pylist() for name in TABLES[1:]]
    begin = sorted(itertools.chain(*times))[sum(map(len, times)) // 2]
    logs = []
    for number, keep in enumerate((pc.less, pc.greater_equal)):
        part = {n: tables[n].filter(keep(tables[n]["time"], begin)) for n in TABLES[1:]}
        logs.append(write(tmp_path / f"part{number}", part | {"documents": tables["documents"]}))
    prepare(settings(os.fspath(folder / "whole"), output=tmp_path / "one"))
    prepare(settings(*logs, output=tmp_path / "two"))
    one, two = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "two")
    assert one.keys() == two.keys()
    different = {name for name in one if one[name] != two[name]}
    if shape == "lists":
        assert different == {"manifest.json"}
    else:
        windows = {name for name in different if name.startswith("windows/")}
        assert different - windows <= {"manifest.json", "targets.parquet", "features.npy"}
    datasets = [open_dataset(tmp_path / name) for name in ("one", "two")]
    both = [rows_of(dataset) for dataset in datasets]
    later = [key for key in both[0] if key[1] >= begin.timestamp() * 1e6]
    assert len(later) > len(both[0]) / 4
    assert all(both[0][key] == both[1][key] for key in later)
    names = ("boundaries", "counts", "left_out", "settings", "choices")
    for name in names if shape == "lists" else names[:1]:
        assert datasets[0].manifest[name] == datasets[1].manifest[name]
    assert [len(dataset.manifest["logs"]) for dataset in datasets] == [1, 2]


def test_the_same_logs_give_the_same_bytes_and_take_the_vocabulary(days, settings, tmp_path):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    prepare(settings(days[0], output=first))
    prepare(settings(*days, output=second, vocabulary=os.fspath(first)))
    prepare(settings(*days, output=third, vocabulary=os.fspath(second)))
    assert bytes_of(second) == bytes_of(third)
    before, after = open_dataset(first), open_dataset(third)
    assert len(after.targets()) > len(before.targets())
    assert after.vocabulary == before.vocabulary
    assert np.array_equal(after.word_vectors, before.word_vectors)
    assert [before.manifest["vocabulary_taken"], after.manifest["vocabulary_taken"]] == [0, 1]
    titles = [after.document_ids[1:].index(f"00 of day {day}") for day in range(3)]
    assert len(set(titles)) == 3


def test_lists_and_features_of_earlier_targets_stay(days, settings, tmp_path):
    prepare(settings(days[0], output=tmp_path / "first"))
    prepare(settings(*days[:2], output=tmp_path / "both", vocabulary=os.fspath(tmp_path / "first")))
    before, after = (rows_of(open_dataset(tmp_path / name)) for name in ("first", "both"))
    met = before.keys() & after.keys()
    # The history period grows with the log, so the first targets leave.
    assert len(before) > len(met) > len(before) / 2
    assert all(before[key] == after[key] for key in met)


def test_logs_out_of_order_and_other_text_settings_are_refused(days, settings, tmp_path):
    base = os.fspath(tmp_path / "first")
    prepare(settings(days[0], output=base))
    width = data_settings.TextSettings(width=3, oov_buckets=4, minimum_count=1, word2vec_epochs=0)
    wrong = [
        (days[:2], {"vocabulary": base, "text": width}, "`text.width` must be .* 8. Got 3"),
        ([days[1], days[0]], {}, "must begin after those before it end.*beginning at"),
        ([days[0], days[0]], {}, "must begin after those before it end"),
    ]
    for logs, change, message in wrong:
        with pytest.raises(ValueError, match=message):
            made = settings(*logs, output=tmp_path / "none")
            prepare(dataclasses.replace(made, **change))
        assert not (tmp_path / "none").exists()


def test_a_request_id_of_two_logs_is_refused(log_builder, settings, tmp_path):
    logs = []
    for day in (0, 1):
        log = log_builder().document("a").document("b")
        log.request("r1", "u", day * 10_000, "red", ("a", day * 10_000 + 5, None), "b")
        logs.append(os.fspath(log.write(tmp_path / str(day))))
    with pytest.raises(ValueError, match=r"`request_id` must be in one log only\. Got 'r1'"):
        prepare(settings(*logs, output=tmp_path / "none"))
