"""Targets among requests and browses, and their lists, on logs made by hand."""

import pytest

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.events import sessions
from data_pipeline.preparation.prepare_folder import prepare


@pytest.fixture
def made(tmp_path, small_settings, resolve):
    """`made(builder, **settings)`: (rows of targets.parquet, manifest, unified inputs)."""

    def make(builder, **changes):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        # A handful of targets, all of them for training unless a test says otherwise.
        changes = {"split": {"validation_parts": 0, "test_parts": 0}} | changes
        prepare(small_settings(builder.write(folder / "log"), folder / "dataset", **changes))
        dataset = open_dataset(folder / "dataset")
        return dataset.targets().to_pylist(), dataset.manifest, resolve(dataset, "unified")

    return make


def documents(builder, count=12):
    for number in range(count):
        builder.document(f"d{number:02d}")
    return builder


def test_labels_are_satisfied_clicks_and_short_clicks_are_negatives(builder, made):
    documents(builder)
    builder.request(
        "r1", "u", 0, "red", ("d03", 5, 31.0), ("d01", 6, 30.0), "d02", ("d00", 9, None)
    )
    rows, _, _ = made(builder)
    assert rows[0]["candidates"] == ["d03", "d01", "d02", "d00"]
    assert rows[0]["labels"] == [1, 0, 0, 1]
    assert (rows[0]["request_id"], rows[0]["query"], rows[0]["task"]) == ("r1", "red", 2)


def test_requests_that_are_no_target_are_counted_by_reason(builder, made):
    documents(builder)
    builder.request("good", "u", 0, "red", ("d00", 5, None), "d01")
    builder.request("nothing relevant", "u", 60, "red", "d00", ("d01", 61, 3.0))
    builder.request("no negative", "u", 120, "red", ("d00", 121, None))
    builder.request("no candidates", "u", 180, "red")
    builder.request("recommendation", "u", 240, "", ("d00", 245, None), "d01")
    builder.browse("u", 300, "d05", 90.0)
    rows, manifest, _ = made(builder)
    assert [row["request_id"] for row in rows] == ["good", "recommendation"]
    left = {name: count for name, count in manifest["left_out"]["search"].items() if count}
    assert left == {"nothing_relevant": 1, "no_negative": 1, "no_candidates": 1}
    assert not any(manifest["left_out"]["recommendation"].values())


def test_sessions_of_the_history_period_give_input_but_no_targets(builder, made):
    documents(builder)
    for number in range(4):
        at = number * 10_000
        builder.request(f"r{number}", "u", at, "red", ("d00", at + 5, None), "d01")
    rows, manifest, inputs = made(
        builder, split={"history_share": 0.5, "validation_parts": 0, "test_parts": 0}
    )
    assert [row["request_id"] for row in rows] == ["r2", "r3"]
    assert manifest["left_out"]["search"]["history_period"] == 2
    assert manifest["statistics"]["history"]["searches"] == 2
    first = next(value for key, value in inputs.items() if key[2] == "r2")
    assert [session[0][0] for session in first["past"]] == ["search", "search"]
    assert [row["past_behaviors"] for row in rows] == [2, 3]


def test_sessions_outside_the_filter_give_no_targets(builder, made, monkeypatch):
    monkeypatch.setattr(sessions, "FILTER_NEIGHBORS", 1)
    documents(builder)
    for number in range(3):
        at = number * 10_000
        builder.request(f"r{number}", "u", at, "red", ("d00", at + 5, None), "d01")
    builder.browse("u", 20, "d03", 5.0)
    rows, manifest, _ = made(builder, sequence={"filter_sessions": True})
    assert [row["request_id"] for row in rows] == ["r0", "r1"]
    assert manifest["left_out"]["search"]["filtered_session"] == 1


def test_browses_of_a_log_without_lists_are_targets_with_pseudo_negatives(builder, made):
    documents(builder, 30)
    for number in range(30):
        builder.browse("others", number, f"d{number:02d}", 90.0)
    builder.browse("u", 50_000, "d04", 90.0).browse("u", 50_100, "d05", 30.0)
    builder.browse("u", 50_200, "d06", None)
    rows, manifest, _ = made(builder)
    mine = [row for row in rows if row["user_id"] == "u"]
    assert len(mine) == 2
    for row, doc in zip(mine, ("d04", "d06"), strict=True):
        assert row["pseudo"] and row["request_id"] is None and row["task"] == 1
        assert len(row["candidates"]) == len(set(row["candidates"])) == 10
        assert [d for d, y in zip(row["candidates"], row["labels"], strict=True) if y] == [doc]
        # The other document the user found relevant is no negative.
        assert not ({"d04", "d06"} - {doc}) & set(row["candidates"])
    assert manifest["left_out"]["recommendation"]["not_satisfied"] == 1
    # At second 0 no other document has been seen: nothing to draw.
    assert manifest["left_out"]["recommendation"]["no_pseudo_negative"] >= 1


def test_browses_of_a_log_with_lists_are_history_only(builder, made):
    documents(builder)
    builder.request("r1", "u", 0, "", ("d00", 5, None), "d01")
    builder.browse("u", 100, "d05", 90.0)
    rows, manifest, _ = made(builder)
    assert [row["request_id"] for row in rows] == ["r1"]
    assert manifest["recommendation_lists_logged"]


def test_target_ids_run_by_user_and_time(builder, made):
    documents(builder)
    builder.request("z", "a", 200, "red", ("d00", 205, None), "d01")
    builder.request("y", "b", 100, "red", ("d00", 105, None), "d01")
    builder.request("x", "a", 300, "", ("d00", 305, None), "d01")
    builder.request("b", "a", 300, "red", ("d00", 305, None), "d01")
    rows, _, _ = made(builder)
    assert [row["target_id"] for row in rows] == [0, 1, 2, 3]
    assert [row["request_id"] for row in rows] == ["z", "b", "x", "y"]


def test_facts_about_the_past_of_a_target_are_strictly_earlier(builder, made):
    documents(builder)
    shown = (("d00", None, None), "d01")
    builder.request("r1", "u", 0, "red", *shown).request("r2", "u", 60, "red", *shown)
    builder.request("r3", "u", 60, "red", *shown).request("r4", "u", 90, "blue", *shown)
    builder.request("r5", "u", 90, "", *shown).request("r6", "u", 99, "", *shown)
    builder.request("r7", "v", 99, "red", *shown)
    rows, _, inputs = made(builder)
    about = {row["request_id"]: row for row in rows}
    names = ["r1", "r2", "r3", "r4", "r5", "r6", "r7"]
    assert [about[n]["query_seen"] for n in names] == [False, True, True, False, *[False] * 3]
    assert [about[n]["first_of_task"] for n in names] == [
        True,
        False,
        False,
        False,
        True,
        False,
        True,
    ]
    assert [about[n]["past_behaviors"] for n in names] == [0, 1, 1, 3, 3, 4, 0]
    following = {key[2]: value["next_query"] for key, value in inputs.items()}
    assert [following[n] for n in names] == ["red", "blue", "blue", "", "", "", ""]


def test_windows_hold_exactly_what_a_target_sees(builder, made):
    documents(builder)
    builder.browse("u", 0, "d09")
    builder.request("r1", "u", 10_000, "red", ("d02", 10_010, 90.0), ("d01", 10_005, 90.0), "d00")
    builder.request("r2", "u", 10_030, "", ("d05", 10_040, 5.0), ("d06", None, 90.0), "d00")
    builder.request("r3", "u", 10_050, "blue", ("d00", None, 90.0), "d01")
    builder.request("r4", "u", 20_000, "green", ("d00", None, 90.0), "d01")
    _, _, inputs = made(builder, split={"validation_parts": 0, "test_parts": 0})
    seen = {key[2]: (value["current"], value["past"]) for key, value in inputs.items()}
    first = ("browse", "title of d09", "d09", ())
    red = ("search", "red", "", ())
    assert seen["r1"] == ([], [[first]])
    assert seen["r2"] == ([red], [[first]])
    # At 10,050 both clicks of r1 are known (made at 5 and 10, plus 30 s), the earlier one first;
    # the short recommendation click is a browse, the untimed one not yet known.
    clicked = ("search", "red", "", ("d01", "d02"))
    short = ("browse", "title of d05", "d05", ())
    assert seen["r3"] == ([clicked, short], [[first]])
    untimed = ("browse", "title of d06", "d06", ())
    blue = ("search", "blue", "", ("d00",))
    assert seen["r4"] == ([], [[first], [clicked, untimed, short, blue]])


def test_caps_keep_the_most_recent_behaviors_and_sessions(builder, made):
    documents(builder, 13)
    for session in range(4):
        for step in range(4):
            builder.browse("u", session * 10_000 + step * 10, f"d{session * 3 + step:02d}")
    builder.request("r1", "u", 30_100, "", ("d00", None, None), "d01")
    _, _, inputs = made(builder, sequence={"session_behaviors": 2, "past_sessions": 2})
    (seen,) = inputs.values()
    assert [b[2] for b in seen["current"]] == ["d11", "d12"]
    assert [[b[2] for b in session] for session in seen["past"]] == [["d05", "d06"], ["d08", "d09"]]
