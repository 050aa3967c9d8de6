"""A later log appended: same bytes as preparing all logs at once with the same vocabulary."""

import dataclasses
import datetime
import itertools
import os

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
from data_pipeline.prepare import prepare
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import ListSettings, SimulateSettings, WorldSettings
from data_pipeline.targets import pseudo_negatives as negatives_module

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
        base = small_settings(logs[-1], os.fspath(output), **others)
        return dataclasses.replace(base, earlier_logs=tuple(logs[:-1]))

    return make


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): checksum(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_extended_dataset_has_the_bytes_of_one_prepared_at_once(
    days, settings, tmp_path, monkeypatch
):
    """Two days one after another; and what an earlier day told is not drawn for again."""
    first, second, third, once = (tmp_path / name for name in ("first", "second", "third", "once"))
    prepare(settings(days[0], output=first))
    asked = []
    draw = negatives_module.draw_negatives

    def counted(targets, *others, **more):
        asked.append(len(targets.time))
        return draw(targets, *others, **more)

    monkeypatch.setattr("data_pipeline.targets.pseudo_lists.draw_negatives", counted)
    prepare(settings(*days[:2], output=second, extend=os.fspath(first)))
    prepare(settings(*days, output=third, extend=os.fspath(second)))
    extended, asked[:] = sum(asked), []
    prepare(settings(*days, output=once, vocabulary=os.fspath(first)))
    assert bytes_of(third) == bytes_of(once)
    drawn = sum(asked)
    assert extended < drawn or not drawn
    before, after = open_dataset(first), open_dataset(third)
    assert len(after.targets()) > len(before.targets())
    assert after.vocabulary == before.vocabulary
    titles = [after.document_ids[1:].index(f"00 of day {day}") for day in range(3)]
    assert len(set(titles)) == 3


def test_lists_and_features_of_earlier_targets_stay(days, settings, tmp_path):
    prepare(settings(days[0], output=tmp_path / "first"))
    prepare(settings(*days[:2], output=tmp_path / "both", extend=os.fspath(tmp_path / "first")))
    first, both = (open_dataset(tmp_path / name) for name in ("first", "both"))

    def rows(dataset):
        found, at = {}, 0
        for row in dataset.targets().to_pylist():
            size = len(row["candidates"])
            read = row["candidates"][row["labels"].index(1)]
            key = (row["user_id"], row["time"], row["request_id"], read)
            found[key] = (row["candidates"], dataset.features[at : at + size].tolist())
            at += size
        return found

    before, after = rows(first), rows(both)
    met = before.keys() & after.keys()
    # The history period grows with the log, so the first targets leave.
    assert len(before) > len(met) > len(before) / 2
    assert all(before[key] == after[key] for key in met)


def test_a_dataset_goes_on_only_from_its_own_logs_and_settings(days, settings, tmp_path):
    base = os.fspath(tmp_path / "first")
    prepare(settings(days[0], output=base))
    width = data_settings.TextSettings(width=3, oov_buckets=4, minimum_count=1, word2vec_epochs=0)
    wrong = [
        (days[1:], {"extend": base}, "`earlier_logs` must be the logs.* of other content"),
        (days, {"extend": base}, "2 logs, where it was prepared from 1"),
        (days[:2], {"extend": base, "seed": 7}, "`seed` must be .* 1. Received: 7"),
        (days[:2], {"vocabulary": base, "text": width}, "`text.width` must be that of the dataset"),
        (days[:1], {"extend": base}, "`extend` needs `earlier_logs`"),
        (days[:2], {"extend": base, "vocabulary": base}, "brings its own vocabulary"),
        ([days[1], days[0]], {}, "must begin after those before it end.*beginning at"),
        ([days[0], days[0]], {}, "must begin after those before it end"),
    ]
    for logs, change, message in wrong:
        with pytest.raises(ValueError, match=message):
            made = settings(*logs, output=tmp_path / "none")
            prepare(dataclasses.replace(made, **change))
        assert not (tmp_path / "none").exists()


def test_a_protocol_of_drawn_lists_is_not_extended(days, settings, tmp_path):
    sampled = data_settings.EvalCandidateSettings(protocol="sampled", count=5)
    base = os.fspath(tmp_path / "first")
    prepare(settings(days[0], output=base, candidates=sampled))
    with pytest.raises(ValueError, match="`extend` goes on from lists as they were shown"):
        prepare(settings(*days[:2], output=tmp_path / "none", extend=base, candidates=sampled))


def test_a_request_id_of_two_logs_is_refused(log_builder, settings, tmp_path):
    logs = []
    for day in (0, 1):
        log = log_builder().document("a").document("b")
        log.request("r1", "u", day * 10_000, "red", ("a", day * 10_000 + 5, None), "b")
        logs.append(os.fspath(log.write(tmp_path / str(day))))
    with pytest.raises(ValueError, match=r"must stand in one log only\. Received: 'r1'"):
        prepare(settings(*logs, output=tmp_path / "none"))
