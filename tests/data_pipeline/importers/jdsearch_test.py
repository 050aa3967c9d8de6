import datetime

import numpy as np
import pytest

from data_pipeline.events.splits import HISTORY, assign, boundaries
from data_pipeline.importers import jdsearch
from data_pipeline.settings import LogSettings, SplitSettings
from tests.data_pipeline.importers import importing
from tests.data_pipeline.importers.importing import (
    DATA,
    PLAIN,
    assert_adds_up,
    browses,
    documents,
    import_folder,
    quarantine,
    requests,
    write_files,
)

DAY = datetime.datetime(2022, 10, 17, tzinfo=datetime.UTC)
PRODUCTS = [
    "wid",
    "name",
    "brand_id",
    "brand_name",
    "cate_id_1",
    "cate_name_1",
    "cate_id_2",
    "shop_id",
]
USERS = [
    "query",
    "candidate_wid_list",
    "candidate_label_list",
    "history_qry_list",
    "history_wid_list",
    "history_type_list",
    "history_time_list",
]


def _terms(text: str) -> str:
    """Terms of a query or name as the files join them."""
    return text.replace(" ", "\x18")


def _user(query="5 6", shown="11 12", labels="1.0 0.0", actions=(), gap=60):
    """A row; an action is (query, product, type, gap before it)."""
    columns = [
        _terms(query),
        shown.replace(" ", "_"),
        labels.replace(" ", "_"),
        "_".join(_terms(action[0]) for action in actions),
        "_".join(str(action[1]) for action in actions),
        "_".join(action[2] for action in actions),
        "_".join(str(gap) for gap in [*(action[3] for action in actions), gap]),
    ]
    return "\t".join(columns)


def _import(tmp_path, users, products=(), settings=PLAIN):
    files = {
        "product_meta_data.txt": ["\t".join(PRODUCTS), *products],
        "user_behavior_data.txt": ["\t".join(USERS), *users],
    }
    log, read = import_folder(jdsearch, write_files(tmp_path / "in", files), settings)
    assert_adds_up(log, {name: len(lines) - 1 for name, lines in files.items()})
    return log, read


def _before(log):
    """Return for each row its history: (seconds before its own search, kind, ...)."""
    asked = requests(log, DAY)
    ends = {user: second for name, (user, second, _, _) in asked.items() if "-" not in name}
    found = {user: [] for user in ends}
    for name, (user, second, query, places) in asked.items():
        if "-" in name:
            assert all(clicked and dwell is None for _, clicked, _, dwell in places)
            clicks = [(item, ends[user] - at) for item, _, at, _ in places]
            found[user].append((ends[user] - second, query, clicks))
    for user, second, item, dwell in browses(log, DAY):
        assert dwell is None
        found[user].append((ends[user] - second, item))
    return {user: sorted(events, key=lambda event: -event[0]) for user, events in found.items()}


def test_the_rows_own_search_shows_its_candidates_in_a_drawn_order(tmp_path):
    shown = " ".join(str(100 + number) for number in range(40))
    labels = "3.0 2.0 1 " + " ".join(["0.0"] * 36) + " 0"
    log, read = _import(tmp_path, [_user("5 60 5", shown, labels)] * 2)
    asked = requests(log, DAY)
    assert list(asked) == ["j1", "j2"]
    orders = []
    for name, (user, second, query, places) in asked.items():
        assert (name, query) == (f"j{user}", "5 60 5")
        assert 0 <= second < 86_400
        clicked = {item: clicked for item, clicked, at, dwell in places}
        assert all(at is None and dwell is None for _, _, at, dwell in places)
        assert clicked == {str(100 + number): number < 3 for number in range(40)}
        orders.append(list(clicked))
    # Not as in the file, where clicked products come first, and not equal in two rows.
    assert shown.split() not in orders and orders[0] != orders[1]
    assert asked["j1"][1] != asked["j2"][1]
    assert read["user_behavior_data.txt"] == {"user": 2}


def test_the_same_file_gives_the_same_draws(tmp_path):
    listed = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        listed.append(requests(_import(tmp_path / name, [_user()] * 3)[0], DAY))
    assert listed[0] == listed[1]


def test_times_go_back_from_the_rows_own_search_by_the_gaps(tmp_path):
    users = [
        _user(
            actions=[("-1", 11, "ORD", 0), ("-1", 12, "FLW", 7), ("-1", 11, "CLICK", 100)], gap=3
        ),
        _user(gap=0),
    ]
    log, read = _import(tmp_path, users)
    assert _before(log) == {"1": [(110.0, "11"), (103.0, "12"), (3.0, "11")], "2": []}
    assert read["action ORD"] == read["action FLW"] == read["action CLICK"] == {"browse": 1}


def test_consecutive_actions_under_one_query_are_one_search_of_their_products(tmp_path):
    actions = [
        ("7 8", 11, "CLICK", 0),
        ("7 8", 12, "CLICK", 10),
        ("7 8", 11, "CART", 5),
        # More than half an hour later, and after another query, it is asked anew.
        ("7 8", 11, "ORD", 1801),
        ("9", 13, "CLICK", 4),
        ("7 8", 14, "CLICK", 1),
        ("-1", 14, "CART", 2),
        ("7 8", 15, "CLICK", 3),
        ("7 8", 16, "CLICK", 1800),
    ]
    log, read = _import(tmp_path, [_user(actions=actions, gap=50)])
    assert _before(log) == {
        "1": [
            (3676.0, "7 8", [("11", 3676.0), ("12", 3666.0)]),
            (1860.0, "7 8", [("11", 1860.0)]),
            (1856.0, "9", [("13", 1856.0)]),
            (1855.0, "7 8", [("14", 1855.0)]),
            (1853.0, "14"),
            (1850.0, "7 8", [("15", 1850.0), ("16", 50.0)]),
        ]
    }
    assert list(requests(log, DAY)) == ["j1-1", "j1-4", "j1-5", "j1-6", "j1-8", "j1"]
    assert read["action CART"] == {"again in its search": 1, "browse": 1}
    assert read["action CLICK"] == {"click of an earlier search": 6}


def test_actions_on_one_product_at_one_time_are_one_browse_and_none_is_quarantined(tmp_path):
    actions = [
        ("-1", 11, "ORD", 0),
        ("-1", 12, "ORD", 0),
        ("-1", 11, "CART", 0),
        ("-1", 11, "ORD", 1),
    ]
    strict = LogSettings(mask_users=False, quarantine_share=0.0)
    log, read = _import(tmp_path, [_user(actions=actions)], settings=strict)
    assert _before(log)["1"] == [(61.0, "11"), (61.0, "12"), (60.0, "11")]
    assert read["action CART"] == {"at one time with another browse of it": 1}


def test_titles_are_the_hashed_terms_and_products_without_metadata_have_none(tmp_path):
    products = [f"11\t{_terms('5 600 5')}\t1\t2\t35\t7\t8\t9", "99\t7\t1\t\t\t\t\t"]
    log, read = _import(tmp_path, [_user(actions=[("-1", 13, "CLICK", 0)])], products)
    assert documents(log) == {
        "11": ("5 600 5", "35", None),
        "99": ("7", None, None),
        "12": ("", None, None),
        "13": ("", None, None),
    }
    assert read["(products without a row)"] == {"document with an empty title": 2}
    assert read["product_meta_data.txt"] == {"document": 2}


def test_a_row_without_a_click_is_kept_and_counted(tmp_path):
    log, read = _import(tmp_path, [_user(labels="0.0 0"), _user(labels="0.0 2.0")])
    assert log.report.lists_without_click == 1
    assert read["user_behavior_data.txt"] == {
        "user": 1,
        "user without a click in the last search": 1,
    }


def test_rows_that_cannot_be_mapped_are_quarantined(tmp_path):
    fine = ("-1", 11, "CLICK", 0)
    users = [
        _user(query="-1"),
        _user(labels="1.0"),
        _user(labels="1.0 4.0"),
        _user(shown="11 x"),
        _user(actions=[fine, ("shoes", 11, "CLICK", 1)]),
        _user(actions=[fine, ("-1", 11, "LIKE", 1)]),
        _user(actions=[fine, ("-1", "", "CLICK", 1)]),
        _user(actions=[fine, fine]).replace("-1_-1", "-1"),
        _user(actions=[fine, fine]).replace("CLICK_CLICK", "CLICK"),
        _user(actions=[fine, ("-1", 11, "CLICK", -1)]),
        _user(actions=[fine], gap="9_9"),
        _user(actions=[fine, ("-1", 11, "CLICK", 999_999_999)]),
        _user(shown="11 11"),
        "5\t11",
        _user(actions=[fine]),
    ]
    log, read = _import(tmp_path, users, ["x\t5\t1\t2\t35\t7\t8\t9"])
    file = "user_behavior_data.txt"
    assert quarantine(log) == [
        ("product_meta_data.txt", 1, "item-id", "1 character"),
        (file, 1, "query", "2 characters"),
        (file, 2, "candidates", "3 characters"),
        (file, 3, "candidates", "7 characters"),
        (file, 4, "candidates", "7 characters"),
        (file, 5, "history", "11 characters"),
        (file, 6, "history", "10 characters"),
        (file, 7, "history", "11 characters"),
        (file, 8, "history", "11 characters"),
        (file, 9, "history", "5 characters"),
        (file, 10, "gaps", "7 characters"),
        (file, 11, "gaps", "5 characters"),
        (file, 12, "gaps", "14 characters"),
        (file, 13, "result-twice", "2 digits"),
        (file, 14, "columns", ""),
    ]
    assert list(requests(log, DAY)) == ["j15"]
    assert read[file] == {"user": 2, "quarantined": 12, "unreadable line": 1}


def test_the_history_share_leaves_the_day_of_the_last_searches_for_targets(tmp_path):
    year = 365 * 86_400
    users = [_user(actions=[("-1", 11, "CLICK", 0)], gap=gap) for gap in (year, 90_000, 5)]
    log, _ = _import(tmp_path, users)
    times = [second for _, second, _, _ in requests(log, DAY).values()]
    times += [second for _, second, _, _ in browses(log, DAY)]
    starts = np.array([(DAY.timestamp() + second) * 1e6 for second in times]).astype(np.int64)
    share = SplitSettings(history_share=log.source["history_share"])
    limits = boundaries(starts, starts.min(), starts.max(), share)
    midnight = DAY.timestamp() * 1e6
    assert midnight <= limits.train < midnight + 60e6
    on_the_day = assign(starts, limits) != HISTORY
    assert on_the_day.tolist() == [second >= 0 for second in times]
    assert 3 <= on_the_day.sum() < len(times)


SAMPLE = DATA / "jdsearch_sample"
needs_real_rows = importing.needs_real_rows(SAMPLE)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jdsearch") / "in"
    folder.symlink_to(SAMPLE)
    return import_folder(jdsearch, folder)


@needs_real_rows
def test_every_real_row_and_action_is_accounted_for(sample):
    log, read = sample
    products, users = log.source["files"]
    assert_adds_up(log, {products: 409, users: 3})
    lines = (SAMPLE / users).read_text(encoding="utf-8").splitlines()[1:]
    actions = [kind for line in lines for kind in line.split("\t")[5].split("_")]
    listed = {kind: sum(read[f"action {kind}"].values()) for kind in set(actions)}
    assert listed == {kind: actions.count(kind) for kind in set(actions)}
    opened = sum(row.get("browse", 0) for row in read.values())
    assert opened == log.report.tables["browses"].kept
    assert quarantine(log) == []


@needs_real_rows
def test_the_real_lists_and_their_clicks_are_those_of_the_file(sample):
    log, _ = sample
    asked = requests(log, DAY)
    path = SAMPLE / log.source["files"][1]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=1):
        query, shown, labels, *_, gaps = line.split("\t")
        _, second, words, places = asked[f"j{number}"]
        assert words.split() == query.split("\x18")
        assert {item: clicked for item, clicked, _, _ in places} == {
            item: label != "0.0"
            for item, label in zip(shown.split("_"), labels.split("_"), strict=True)
        }
        mine = [event for event in browses(log, DAY) if event[0] == str(number)]
        mine += [event for name, event in asked.items() if name.startswith(f"j{number}-")]
        earliest = second - min(event[1] for event in mine)
        assert earliest == sum(int(gap) for gap in gaps.split("_")[1:])
