"""Malformed rows and files of the canonical tables: refused as a whole, or kept and quarantined.

`make fuzz` makes 5,000 rows of every table in every kind of file, `make test` a few of each;
USER_TF_FUZZ_ROWS sets how many.
"""

import collections
import contextlib
import csv
import gzip
import io
import json
import math
import os
import shutil

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from data_pipeline.canonical import SCHEMAS, LogError
from data_pipeline.duckdb_engine import DuckDBEngine
from data_pipeline.import_log import ImportSettings, import_log
from data_pipeline.log import open_log
from data_pipeline.log_report import KEYS
from data_pipeline.settings import LogSettings, SequenceSettings
from data_pipeline.tables import read_tables
from data_pipeline.validation import EARLIEST, LATEST

ROWS = int(os.environ.get("USER_TF_FUZZ_ROWS") or 100)
ROWS_A_FILE = 25
KINDS = ("csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")
MINUTE = 60_000_000
NOON = 1_706_702_400_000_000


def _time(minute, kind):
    """A good time; in Parquet a number of microseconds, which the column's type makes a time."""
    return NOON + minute * MINUTE if kind == "parquet" else f"2024-01-31T12:{minute % 60:02}:00Z"


def _good(table, number, kind):
    if table == "documents":
        published = _time(0, kind)
        return {
            "doc_id": f"d{number}",
            "title": "A, title",
            "category": "x",
            "published": published,
        }
    row = {"user_id": f"u{number % 7}", "time": _time(number, kind)}
    if table == "browses":
        return {**row, "doc_id": f"d{number % 9}", "dwell_seconds": 40.0}
    clicked = {"click_time": _time(number, kind), "dwell_seconds": 31.5}
    results = [
        {"doc_id": "d1", "clicked": False, "click_time": None, "dwell_seconds": None},
        {"doc_id": "d2", "clicked": True, **clicked},
    ]
    return {**row, "request_id": f"r{number}", "query": "words", "results": results}


TEXTS = st.one_of(
    st.sampled_from(["", " ", "d1", "d0", "zz", "NULL", "null", "\x00", "'", '"', 'a"b', "a\nb"]),
    st.sampled_from(["\ufeff", "\u2028", "🛒", "é", "\r", "\\", "$", "a,b", "x" * 200_000]),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
TIMES = st.sampled_from(
    [
        *("1969-12-31T23:59:59Z", "1989-12-31T23:59:59.999999Z", "2100-01-01T00:00:00Z"),
        *("2024-02-30T12:00:00Z", "2024-01-31T24:00:00Z", "2024-01-31T12:00:60Z", "2024-01-31"),
        *("9999-12-31T23:59:59Z", "294247-01-10T04:00:54Z", "infinity", "-infinity", "epoch"),
        *(
            "now",
            "noon",
            "2024-01-31T12:00:00+99:99",
            "2024-01-31T12:00:00 Mars/Base",
            "1706702400",
        ),
        *("2024-01-31T12:00:00.1234567890Z", "0000-00-00T00:00:00Z", "2024-01-31T12:00-12:00"),
    ]
)
NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from([math.nan, math.inf, -0.0, -1, 1e308, 10**30, 10**400, 2**63, 2**53 + 1]),
)
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, TIMES)
DEEP = [json.loads("[" * depth + "]" * depth) for depth in (2, 300)]
ANY = st.one_of(
    PLAIN,
    st.lists(PLAIN, max_size=3),
    st.dictionaries(TEXTS, PLAIN, max_size=2),
    st.sampled_from(DEEP),
)


def _items(clicks, dwells, texts):
    """Places of a list, of which little need be right."""
    right = st.fixed_dictionaries(
        {"doc_id": st.sampled_from(["d1", "d2", "d3", "zz"]) | texts, "clicked": st.booleans()},
        optional={"click_time": clicks, "dwell_seconds": dwells},
    )
    return st.lists(right | st.none(), max_size=4)


ODD_ITEM = st.dictionaries(
    st.sampled_from(["doc_id", "clicked", "click_time", "dwell_seconds", "rank", ""]), PLAIN
)
TEXT_VALUES = ANY | _items(TIMES | st.none(), NUMBERS | st.none(), TEXTS) | st.lists(ODD_ITEM)
JUNK = st.one_of(
    st.sampled_from([b'"', b'""a"b,"', b",,,,,,,,,", b"{", b"[]", b"null", b"1", b"\\", b"\x00"]),
    st.sampled_from([b"{}{}", b'{"user_id"', b'{"a": 1, "a": 2}', b"\r", b"NaN", b"\t", b"a\rb"]),
    st.text(st.characters(codec="utf-8"), max_size=20).map(str.encode),
)
WHEN = st.none() | st.sampled_from([NOON, 0, EARLIEST - 1, LATEST, -(2**63), 2**63 - 1])
DWELL = st.none() | st.floats()
TYPED = {
    **dict.fromkeys(("doc_id", "title", "category", "request_id", "user_id", "query"), TEXTS),
    **dict.fromkeys(("time", "published"), WHEN),
    "dwell_seconds": DWELL,
    "results": st.none() | _items(WHEN, DWELL, TEXTS | st.none()),
}
"""Values that a Parquet column can hold."""
OTHER_TYPES = [
    *(pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()),
    *(pa.int64(), pa.float32(), pa.bool_(), pa.null(), pa.date32()),
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "ns") for zone in (None, "Asia/Tokyo")),
]


@st.composite
def _changes(draw, table, kind):
    """What is done to each row: {field: new value}, fields left out, and "again" or a junk line."""
    names = SCHEMAS[table].names
    if kind == "parquet":
        values = {name: TYPED[name] | st.none() for name in names}
    else:
        values = dict.fromkeys([*names, "extra"], TEXT_VALUES)
    change = st.sampled_from(sorted(values)).flatmap(
        lambda name: st.tuples(st.just(name), values[name])
    )
    kinds = [st.just(()), st.lists(change, max_size=2).map(tuple), st.just("again")]
    if kind != "parquet":
        kinds += [JUNK, st.sampled_from(names).map(lambda name: {name})]
    return draw(st.lists(st.one_of(kinds), min_size=ROWS_A_FILE, max_size=ROWS_A_FILE))


@st.composite
def _damage(draw):
    """What is done to a whole file; mostly nothing."""
    what = draw(st.sampled_from(["none"] * 24 + ["cut", "flip", "append", "empty", "latin", "bom"]))
    return what, draw(st.floats(0, 1)), draw(st.integers(1, 255))


def _lines(table, kind, changes):
    """Lines of a text file, header included, and how many rows it has if that is certain."""
    names = SCHEMAS[table].names
    lines = [",".join(names).encode()] if kind.startswith("csv") else []
    header, row = len(lines), _good(table, 0, kind)
    certain = True
    for number, change in enumerate(changes):
        if isinstance(change, bytes):
            # What a quote or a line end amounts to in CSV depends on the lines around it.
            certain &= not kind.startswith("csv") and b"\n" not in change and bool(change.strip())
            lines.append(change)
            continue
        if change != "again":
            row = _good(table, number, kind)
        if isinstance(change, tuple):
            row.update(change)
        elif isinstance(change, set):
            row = {name: value for name, value in row.items() if name not in change}
        if kind.startswith("jsonl"):
            # Escapes, NaN and numbers without end included.
            lines.append(json.dumps(row, ensure_ascii=number % 2 == 0).encode())
            continue
        text = io.StringIO(newline="")
        cells = [row[name] for name in [*names, *set(row).difference(names)] if name in row]
        nested = (json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in cells)
        csv.writer(text, lineterminator="").writerow(nested)
        lines.append(text.getvalue().encode())
        certain &= "\x00" not in text.getvalue()
    return lines, len(lines) - header if certain else None


def _write_parquet(path, table, changes, types):
    rows, row = [], None
    for number, change in enumerate(changes):
        if change != "again" or row is None:
            row = _good(table, number, "parquet")
        row = {**row, **dict(change)} if isinstance(change, tuple) else row
        rows.append(row)
    columns = {}
    for field in SCHEMAS[table]:
        column = pa.array([row[field.name] for row in rows], field.type)
        wanted = types.get(field.name)
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
            column = column.cast(wanted, safe=False) if wanted else column
        columns[field.name] = column
    pq.write_table(pa.table(columns), path)
    return len(rows)


def _harm(content, damage):
    what, share, number = damage
    at = round(share * len(content))
    if what == "flip":
        at = min(at, len(content) - 1)
        return content[:at] + bytes([content[at] ^ number]) + content[at + 1 :]
    return {
        "none": content,
        "cut": content[:at],
        "append": content + bytes([number]) * number,
        "empty": b"",
        "latin": b"\xe9" + content,
        "bom": b"\xef\xbb\xbf" + content,
    }[what]


def _write_good(folder, table, kind):
    path = folder / f"{table}.{kind}"
    if kind == "parquet":
        _write_parquet(path, table, [()] * ROWS_A_FILE, {})
        return
    content = b"\n".join(_lines(table, kind, [()] * ROWS_A_FILE)[0])
    path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)


def assert_whole(folder):
    """Every row read is kept or quarantined, every kept row keeps the rules."""
    log = open_log(folder)
    told = collections.Counter(pq.read_table(log.quarantine)["table"].to_pylist())
    rows = {}
    for table, schema in SCHEMAS.items():
        written = pq.read_table(getattr(log, table))
        assert written.schema.equals(schema)
        rows[table] = written.to_pylist()
        report = log.report.tables[table]
        assert report.kept == len(rows[table])
        assert report.quarantined == told[table] == sum(report.rules.values())
        assert report.read == len(rows[table]) + told[table]
        keys = [tuple(row[name] for name in KEYS[table]) for row in rows[table]]
        assert len(set(keys)) == len(keys)
        optional = {"category", "published", "dwell_seconds"}
        assert all(value is not None for row in rows[table] for value in _needed(row, optional))
        for row in rows[table]:
            assert all(row[name] for name in ("doc_id", "user_id", "request_id") if name in row)
            _assert_in_range(row.get("time"), row.get("published"), row.get("dwell_seconds"))
    known = {row["doc_id"] for row in rows["documents"]}
    assert {row["doc_id"] for row in rows["browses"]} <= known
    for row in rows["requests"]:
        shown = [item["doc_id"] for item in row["results"]]
        assert known.issuperset(shown) and len(set(shown)) == len(shown)
        assert shown or row["query"]
        for item in row["results"]:
            assert item["clicked"] in (True, False)
            assert item["clicked"] or (item["click_time"], item["dwell_seconds"]) == (None, None)
            assert item["click_time"] is None or item["click_time"] >= row["time"]
            _assert_in_range(None, item["click_time"], item["dwell_seconds"])
    with DuckDBEngine() as engine:
        read_tables(engine, folder, SequenceSettings())
    return log


def _needed(row, optional):
    return (value for name, value in row.items() if name not in optional)


def _assert_in_range(time, other, dwell):
    for moment in (time, other):
        assert moment is None or 1990 <= moment.year <= 2099
    assert dwell is None or (math.isfinite(dwell) and dwell >= 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", SCHEMAS)
def test_every_row_is_kept_or_quarantined_or_the_file_refused(tmp_path, table, kind):
    made = collections.Counter()

    @hypothesis.settings(
        max_examples=math.ceil(ROWS / ROWS_A_FILE),
        deadline=None,
        derandomize="USER_TF_FUZZ_ROWS" not in os.environ,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        _changes(table, kind),
        _damage(),
        st.dictionaries(
            st.sampled_from(SCHEMAS[table].names), st.sampled_from(OTHER_TYPES), max_size=1
        )
        if kind == "parquet"
        else st.just({}),
    )
    def run(changes, damage, types):
        shutil.rmtree(tmp_path)
        folder, path = tmp_path / "in", tmp_path / "in" / f"{table}.{kind}"
        folder.mkdir(parents=True)
        for other in SCHEMAS:
            if other != table:
                _write_good(folder, other, "parquet")
        if kind == "parquet":
            count = _write_parquet(path, table, changes, types)
            content = path.read_bytes()
        else:
            lines, count = _lines(table, kind, changes)
            content = b"\n".join(lines)
            content = gzip.compress(content) if kind.endswith(".gz") else content
        path.write_bytes(_harm(content, damage))
        made["files"] += 1
        made["rows"] += len(changes)
        try:
            import_log(
                ImportSettings(input=str(folder), output=str(tmp_path / "log")),
                LogSettings(mask_users=False, quarantine_share=1.0),
            )
        except LogError as error:
            assert os.listdir(tmp_path) == ["in"]
            assert str(error).startswith(path.name) or "must hold a request" in str(error)
            made["files refused"] += 1
            return
        assert sorted(os.listdir(tmp_path)) == ["in", "log"]
        log = assert_whole(tmp_path / "log")
        counts = log.report.tables[table]
        if count is not None and damage[0] == "none":
            assert counts.read == count
        made["rows kept"] += counts.kept
        made["rows quarantined"] += counts.quarantined

    run()
    print(f"{table}.{kind}: {', '.join(f'{what} {count:,}' for what, count in made.items())}")
    assert made["rows"] >= ROWS
    assert made["rows kept"] and made["rows quarantined"] and made["files refused"] < made["files"]
