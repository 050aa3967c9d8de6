"""Malformed rows and files of the canonical tables: the file is refused, or rows are kept and quarantined.

`make fuzz` makes 5,000 rows of every table in every kind of file, `make test` a few of each;
USER_TF_FUZZ_ROWS sets how many.
"""

import contextlib
import csv
import gzip
import io
import json
import shutil

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from data_pipeline.import_log import ImportSettings
from data_pipeline.log.row_rules import EARLIEST, LATEST
from data_pipeline.log.schema import SCHEMAS
from tests.data_pipeline.importers.fuzzing import (
    ANY,
    JUNK,
    NUMBERS,
    OTHER_TYPES,
    PLAIN,
    TEXTS,
    TIMES,
    Fates,
    damage,
    examples,
    harm,
)

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
WHEN = st.none() | st.sampled_from([NOON, 0, EARLIEST - 1, LATEST, -(2**63), 2**63 - 1])
DWELL = st.none() | st.floats()
TYPED = {
    **dict.fromkeys(("doc_id", "title", "category", "request_id", "user_id", "query"), TEXTS),
    **dict.fromkeys(("time", "published"), WHEN),
    "dwell_seconds": DWELL,
    "results": st.none() | _items(WHEN, DWELL, TEXTS | st.none()),
}
"""Values that a Parquet column can hold."""


@st.composite
def _changes(draw, table, kind):
    """Draw the changes of each row: {field: new value}, fields left out, and "again" or a junk line."""
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


def _write_good(folder, table, kind):
    path = folder / f"{table}.{kind}"
    if kind == "parquet":
        _write_parquet(path, table, [()] * ROWS_A_FILE, {})
        return
    content = b"\n".join(_lines(table, kind, [()] * ROWS_A_FILE)[0])
    path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", SCHEMAS)
def test_every_row_is_kept_or_quarantined_or_the_file_refused(tmp_path, table, kind):
    fates = Fates()

    @examples(ROWS_A_FILE)
    @hypothesis.given(
        _changes(table, kind),
        damage(),
        st.dictionaries(
            st.sampled_from(SCHEMAS[table].names), st.sampled_from(OTHER_TYPES), max_size=1
        )
        if kind == "parquet"
        else st.just({}),
    )
    def run(changes, done, types):
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
        path.write_bytes(harm(content, done))
        settings = ImportSettings(input=str(folder), output=str(tmp_path / "log"))
        log = fates.import_or_refuse(settings, path, len(changes))
        if log:
            counts = log.report.tables[table]
            if count is not None and done[0] == "none":
                assert counts.read == count
            fates.add(counts)

    run()
    fates.close(f"{table}.{kind}")
