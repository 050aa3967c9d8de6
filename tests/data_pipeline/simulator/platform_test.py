"""Tests of the tables of a simulated platform, in both shapes."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from data_pipeline.simulator.platform import Platform
from data_pipeline.simulator.world_settings import SimulateSettings, WorldSettings

SETTINGS = SimulateSettings(output="log", users=60, block_users=25)


def _tables(settings=SETTINGS):
    blocks = list(Platform(settings).blocks())
    names = ("requests", "browses", "states")
    return {name: pa.concat_tables([getattr(b, name) for b in blocks]) for name in names}


@pytest.fixture(scope="module")
def lists():
    return _tables()


@pytest.fixture(scope="module")
def browses():
    return _tables(dataclasses.replace(SETTINGS, shape="browses"))


def test_a_seed_gives_one_log_and_another_seed_another(lists):
    assert _tables()["requests"].equals(lists["requests"])
    other = _tables(dataclasses.replace(SETTINGS, seed=2))
    assert not other["requests"].equals(lists["requests"])


def test_a_larger_log_begins_with_the_users_of_a_smaller_one(lists):
    small = _tables(dataclasses.replace(SETTINGS, users=25))["requests"]
    assert lists["requests"].slice(0, small.num_rows).equals(small)


def test_lists_log_both_kinds_and_no_browses(lists):
    queries = lists["requests"]["query"].to_pylist()
    assert 0.4 < np.mean([query == "" for query in queries]) < 0.6
    assert all(1 <= len(query.split()) <= 4 for query in queries if query)
    assert lists["browses"].num_rows == 0


def test_browses_are_the_clicks_of_the_lists_nobody_logged(lists, browses):
    assert "" not in browses["requests"]["query"].to_pylist()
    clicks = [
        (row["user_id"], result["click_time"], result["doc_id"], result["dwell_seconds"])
        for row in lists["requests"].to_pylist()
        for result in row["results"]
        if row["query"] == "" and result["clicked"]
    ]
    read = [tuple(row.values()) for row in browses["browses"].to_pylist()]
    order = ["user_id", "time", "doc_id", "dwell_seconds"]
    assert browses["browses"].column_names == order
    assert sorted(read) == sorted(clicks)


def test_clicks_have_a_time_and_a_dwell_and_others_have_none(lists):
    for row in lists["requests"].to_pylist()[:200]:
        for result in row["results"]:
            assert (result["click_time"] is not None) == result["clicked"]
            assert (result["dwell_seconds"] is not None) == result["clicked"]


@pytest.mark.parametrize("shape", ["lists", "browses"])
def test_every_possible_target_has_one_state(shape, request):
    tables = request.getfixturevalue(shape)
    kinds = [1 if query == "" else 2 for query in tables["requests"]["query"].to_pylist()]
    keys = list(
        zip(
            tables["requests"]["user_id"].to_pylist(),
            tables["requests"]["time"].to_pylist(),
            kinds,
            strict=True,
        )
    )
    read = tables["browses"]
    keys += [
        (user, time, 1)
        for user, time in zip(read["user_id"].to_pylist(), read["time"].to_pylist(), strict=True)
    ]
    states = tables["states"]
    names = ("user_id", "time", "kind")
    stated = list(zip(*(states[name].to_pylist() for name in names), strict=True))
    assert sorted(stated) == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_request_ids_are_distinct_over_blocks(lists):
    ids = lists["requests"]["request_id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_documents_without_fresh_ones_carry_no_times():
    settings = dataclasses.replace(SETTINGS, world=WorldSettings(fresh_share=0.0))
    documents = Platform(settings).documents()
    assert documents["published"].null_count == documents.num_rows
    assert Platform(SETTINGS).documents()["published"].null_count == 0
    assert all(5 <= len(title.split()) <= 20 for title in documents["title"].to_pylist())
