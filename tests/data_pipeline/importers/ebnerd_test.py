import datetime
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import ebnerd
from data_pipeline.log.log_folder import write_log
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers.importing import (
    PLAIN,
    assert_adds_up,
    assert_holds_no_raw_user,
    browses,
    documents,
    import_folder,
    quarantine,
    requests,
)

START = datetime.datetime(2023, 5, 18, 7, tzinfo=datetime.UTC)
"""9 o'clock in Copenhagen in summer."""
SHOWN = {
    "impression_id": pa.uint32(),
    "impression_time": pa.timestamp("us"),
    "article_ids_inview": pa.list_(pa.int32()),
    "article_ids_clicked": pa.list_(pa.int32()),
    "user_id": pa.uint32(),
    "next_read_time": pa.float32(),
    "device_type": pa.int8(),
}
READ = {
    "user_id": pa.uint32(),
    "impression_time_fixed": pa.list_(pa.timestamp("us")),
    "article_id_fixed": pa.list_(pa.int32()),
    "read_time_fixed": pa.list_(pa.float32()),
}
ARTICLES = {
    "article_id": pa.int32(),
    "title": pa.string(),
    "category_str": pa.string(),
    "published_time": pa.timestamp("us"),
}


def _local(second):
    return datetime.datetime(2023, 5, 18, 9) + datetime.timedelta(seconds=second)


def _shown(number, second, user, inview, clicked, dwell=None):
    at = None if second is None else _local(second)
    return (number, at, inview, clicked, user, dwell, 1)


def _read(user, *opens):
    """Opens are (article, second, dwell)."""
    docs, times, dwells = zip(*opens, strict=True) if opens else ((), (), ())
    return (user, [_local(second) for second in times], list(docs), list(dwells))


def _article(number, title="A title", published=None):
    return (number, title, "nyheder", published)


def _write(tmp_path, **rows):
    """Write a folder; return it and {file: rows}."""
    folder, counts = tmp_path / "in", {}
    for part in ("train", "validation"):
        (folder / part).mkdir(parents=True)
    given = {name: rows[name.replace("/", "_")] for name in TEST if name.replace("/", "_") in rows}
    if given:
        (folder / "test").mkdir()
    for name, columns in (FILES | {name: TEST[name] for name in given}).items():
        listed = rows.get(name.replace("/", "_"), [])
        fields = list(zip(*listed, strict=True)) or [()] * len(columns)
        arrays = [pa.array(f, kind) for f, kind in zip(fields, columns.values(), strict=True)]
        pq.write_table(pa.table(arrays, names=list(columns)), folder / f"{name}.parquet")
        counts[f"{name}.parquet"] = len(listed)
    return folder, counts


FILES = {
    "articles": ARTICLES,
    "train/behaviors": SHOWN,
    "train/history": READ,
    "validation/behaviors": SHOWN,
    "validation/history": READ,
}
UNLABELED = {
    name: kind
    for name, kind in SHOWN.items()
    if name not in ("article_ids_clicked", "next_read_time")
}
TEST = {"test/behaviors": UNLABELED, "test/history": READ}
NEWS = [_article(number) for number in range(1, 8)]


def _import(tmp_path, settings=PLAIN, **rows):
    folder, counts = _write(tmp_path, articles=rows.pop("articles", NEWS), **rows)
    log, read = import_folder(ebnerd, folder, settings)
    assert_adds_up(log, counts)
    return log, read


def test_an_impression_is_a_recommendation_and_a_single_click_has_its_dwell(tmp_path):
    log, read = _import(
        tmp_path,
        articles=[_article(1, "Første", _local(60)), _article(2), _article(3, None)],
        train_behaviors=[
            _shown(5, 0, 70, [1, 2, 3], [2], 41.5),
            _shown(6, 10, 70, [3, 1], [3, 1], 41.5),
        ],
        validation_behaviors=[_shown(5, 20, 71, [1, 2], [], math.nan)],
    )
    unclicked = (False, None, None)
    assert requests(log, START) == {
        "t5": ("70", 0.0, "", [("1", *unclicked), ("2", True, None, 41.5), ("3", *unclicked)]),
        "t6": ("70", 10.0, "", [("3", True, None, None), ("1", True, None, None)]),
        "v5": ("71", 20.0, "", [("1", *unclicked), ("2", *unclicked)]),
    }
    published = START + datetime.timedelta(seconds=60)
    assert documents(log) == {
        "1": ("Første", "nyheder", published),
        "2": ("A title", "nyheder", None),
        "3": ("", "nyheder", None),
    }
    assert read["train/behaviors.parquet"] == {"request": 2}
    assert read["validation/behaviors.parquet"] == {"request": 1}


def test_histories_are_browses_once_and_without_the_clicks_of_impressions(tmp_path):
    log, read = _import(
        tmp_path,
        train_behaviors=[_shown(1, 0, 70, [1, 2], [2])],
        train_history=[_read(70, (3, -90, 5.5), (2, -60, math.nan)), _read(71)],
        validation_history=[
            _read(70, (2, -60, 7.0), (2, 3, 8.0), (4, 5, None), (4, 5, 1.0)),
            _read(72, (2, 3, 9.0)),
        ],
    )
    assert sorted(browses(log, START)) == [
        ("70", -90.0, "3", 5.5),
        ("70", -60.0, "2", None),
        ("70", 5.0, "4", None),
        ("72", 3.0, "2", 9.0),
    ]
    assert read["clicks of histories"] == {
        "at one time with another row": 2,
        "browse": 4,
        "click of an impression": 1,
    }
    assert read["train/history.parquet"] == {"history": 2}


def test_the_published_split_is_kept_and_the_test_part_is_unlabeled(tmp_path):
    log, read = _import(
        tmp_path,
        train_behaviors=[_shown(1, 0, 70, [1, 2], [2])],
        validation_behaviors=[_shown(1, 20, 70, [3, 4], [4])],
        test_behaviors=[
            (number, _local(40), [5, 6], 70 + row, 1) for row, number in enumerate((1, 0, 0))
        ],
        test_history=[_read(70, (4, 25, 1.0), (7, 30, 2.0))],
    )
    splits = pq.read_table(log.folder / "splits.parquet").to_pylist()
    assert {row["request_id"]: row["split"] for row in splits} == {
        "t1": "train",
        "v1": "validation",
    }
    unclicked = [("5", False, None, None), ("6", False, None, None)]
    assert requests(log, START, "unlabeled") == {
        "e1": ("70", 40.0, "", unclicked),
        "e0-2": ("71", 40.0, "", unclicked),
        "e0-3": ("72", 40.0, "", unclicked),
    }
    assert read["test/behaviors.parquet"] == {"unlabeled request": 3}
    # What the user clicked in an impression is no browse too.
    assert browses(log, START) == [("70", 30.0, "7", 2.0)]


def test_rows_that_cannot_be_read_are_quarantined(tmp_path):
    log, _ = _import(
        tmp_path,
        articles=[*NEWS, _article(None)],
        train_behaviors=[
            _shown(1, 0, 70, [1, 2], [2]),
            _shown(2, 0, None, [1, 2], [2]),
            _shown(3, None, 70, [1, 2], [2]),
            _shown(4, 10**10, 70, [1, 2], [2]),
            _shown(None, 0, 70, [1, 2], [2]),
            _shown(6, 0, 70, None, [2]),
            _shown(7, 0, 70, [1, None], [1]),
            # As in the test part.
            _shown(8, 0, 70, [1, 2], None),
            _shown(9, 0, 70, [1, 2], [3]),
        ],
        validation_history=[
            _read(None, (1, 0, 1.0)),
            (70, [_local(0)], [1, 2], [1.0, 2.0]),
            (70, None, [1], [1.0]),
            (70, [None], [1], [1.0]),
            (70, [_local(0)], [None], [1.0]),
        ],
    )
    assert quarantine(log) == [
        ("articles.parquet", 8, "article-id", ""),
        ("train/behaviors.parquet", 2, "user-id", ""),
        ("train/behaviors.parquet", 3, "time", ""),
        ("train/behaviors.parquet", 4, "time", ""),
        *(("train/behaviors.parquet", row, "lists", "") for row in (5, 6, 7, 8)),
        ("train/behaviors.parquet", 9, "click-item", ""),
        ("validation/history.parquet", 1, "user-id", ""),
        ("validation/history.parquet", 2, "lists", ""),
        ("validation/history.parquet", 3, "lists", ""),
        ("validation/history.parquet", 4, "time", ""),
        ("validation/history.parquet", 5, "lists", ""),
    ]
    assert list(requests(log, START)) == ["t1"] and browses(log, START) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop_columns(["user_id"]), "column `user_id`"),
        (
            lambda rows: rows.set_column(4, "user_id", pa.array([["a"]])),
            "must have the types of the published file",
        ),
        (lambda rows: None, "the file must be complete Parquet"),
    ],
)
def test_a_file_of_another_form_is_an_error(tmp_path, change, message):
    folder, _ = _write(tmp_path, articles=NEWS, train_behaviors=[_shown(1, 0, 70, [1], [1])])
    path = folder / "train" / "behaviors.parquet"
    changed = change(pq.read_table(path))
    if changed is None:
        path.write_bytes(path.read_bytes()[:100])
    else:
        pq.write_table(changed, path)
    with pytest.raises(LogError, match=rf"train/behaviors\.parquet: .*{message}"):
        source = ebnerd.read(folder)
        write_log(tmp_path / "log", source.batches, PLAIN, source.description)
    assert not (tmp_path / "log").exists()


def test_no_raw_user_id_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key of the test")
    log, _ = _import(
        tmp_path,
        LogSettings(quarantine_share=1.0),
        train_behaviors=[_shown(1, 0, 7_001_077, [1], [1]), _shown(2, 0, 7_001_077, [1], [2])],
        train_history=[_read(7_001_077, (1, -5, 1.0))],
    )
    assert len(requests(log, START)) == 1 and len(browses(log, START)) == 1
    assert_holds_no_raw_user(log, {"7001077"})
