"""Malformed raw rows and files: the file is refused, or every row is counted once.

`make fuzz` makes 5,000 rows for every importer, `make test` a few; USER_TF_FUZZ_ROWS sets how many.
"""

import gzip
import importlib
import shutil

import hypothesis
import pytest
from hypothesis import strategies as st

from data_pipeline.import_log import ImportSettings
from data_pipeline.importers import qilin_sql
from data_pipeline.importers.formats.delimited_text import COLUMNS
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
from tests.data_pipeline.importers.importing import assert_adds_up
from tests.data_pipeline.importers.raw_files import parquet_bytes, text_bytes, xml_bytes
from tests.data_pipeline.importers.raw_rows import RAW

ROWS_A_FILE = 20
HANDED_OVER = {
    "documents": ("document", "document with an empty title"),
    "requests": ("request", "search", "page of a category", "unlabeled request"),
    "browses": ("browse", "browse at a synthetic time"),
}
"""Outcomes of which each is one row handed over to the log."""
NOT_TOLD = {("kuaisar", "requests"), ("jdsearch", "requests"), ("trivago", "documents")}
"""Outcomes of rows made from several raw rows, or of several rows made from one."""

# In addition to values odd in any source: values nearly right in one of the sources.
NEARLY = st.sampled_from(
    [
        *("NA", "unknown", "TRUE", "-1", "007", "1.0", "1e3", "+5", " 11", "１１", "0x1f", "1_000"),
        *("[20", "[]", "[a]", "11,,12", "11,11", ",", "11|", "11|11", "11_", "_", "\x18", "5\x18"),
        *("N1-1 N1-0", "N1-2", "N1", "N1-1  N2-0", " N3-1", "N77-0", "N2 N1", "-1", "CLICK_CLICK"),
        *("631151999", "631152000", "4102444799", "4102444800", "4102444799999", "99999999999"),
        *("9" * 18, "9" * 19, "-" + "9" * 18, "31622400000", "31622400001", "999999999_999999999"),
        *("13/12/2019 1:00:00 PM", "11/12/0001 1:00:00 AM", "11/12/9999 1:00:00 PM", "0001-01-01"),
        *("1990-01-01", "2100-01-01", "5877642-06-25", "290309-12-22 (BC)", "clickout item"),
    ]
)
VALUES = ANY | NEARLY | NUMBERS | TIMES
FIELDS = ["note_idx", "position", "click", "page_time", qilin_sql.SEARCHES.time, "extra"]
FIELDS += ["rank", "doc_id", "title", "starttime", "endtime"]


def _cell_changes(names):
    """Draw (column, how, value): a change of one cell of a row."""
    how = st.one_of(
        st.tuples(st.just("put"), VALUES),
        st.tuples(st.just("take"), st.integers(0, len(names) - 1)),
        st.tuples(st.sampled_from(["append", "prepend"]), NEARLY | TEXTS),
        st.tuples(st.just("inside"), st.tuples(st.sampled_from(FIELDS), PLAIN | NEARLY)),
        st.tuples(st.sampled_from(["repeat", "no item"]), st.none()),
    )
    return st.tuples(st.integers(0, len(names) - 1), how).map(lambda pair: (pair[0], *pair[1]))


def _changes(names):
    """Draw the changes of each row: cells changed, left out or added, or the row removed."""
    # One bad row can spoil many others, so many stay as they are.
    kinds = [
        st.just(()),
        st.lists(_cell_changes(names), min_size=1, max_size=2).map(tuple),
        st.sampled_from([(), (), (), "again", "swap", "more"]),
        st.integers(0, len(names) - 1),
    ]
    # How many rows a CSV file with junk has is not certain, so many have none.
    return st.sampled_from([kinds, [*kinds, JUNK]]).flatmap(
        lambda some: st.lists(st.one_of(some), min_size=ROWS_A_FILE, max_size=ROWS_A_FILE)
    )


def _changed(row, changes):
    row = list(row)
    for place, how, what in changes:
        old = row[place]
        if how == "put":
            row[place] = what
        elif how == "take":
            row[place] = row[what]
        elif how in ("append", "prepend") and not isinstance(old, list):
            row[place] = f"{old}{what}" if how == "append" else f"{what}{old}"
        elif isinstance(old, list) and old:
            first = dict([what]) if how == "inside" else {}
            row[place] = {
                "inside": [{**old[-1], **first} if isinstance(old[-1], dict) else what, *old[1:]],
                "repeat": old * 2,
            }.get(how, [*old, None])
    return row


def _rows(raw, changes):
    """Rows as lists of cells, and lines of bytes among them."""
    rows = []
    for number, change in enumerate(changes):
        row = raw.row(number)
        if change == "again" and rows:
            row = rows[-1]
        elif change == "swap" and rows:
            rows[-1], row = row, rows[-1]
        elif change == "more":
            row = [*row, "more"]
        elif isinstance(change, bytes):
            row = change
        elif isinstance(change, int):
            row = row[:change] + row[change + 1 :]
        elif isinstance(change, tuple):
            row = _changed(row, change)
        rows.append(row)
    return rows


@st.composite
def _files(draw, source):
    """Draw the file to change, the change, and the kind of file."""
    name = draw(st.sampled_from(sorted(RAW[source])))
    raw = RAW[source][name]
    kinds = [""] if raw.schema else ["", ".gz"]
    kinds += [".parquet"] * (source in ("qilin", "trivago"))
    types = st.dictionaries(
        st.sampled_from(raw.names), st.sampled_from([*OTHER_TYPES, "list"]), max_size=1
    )
    # A header with columns left out, twice or in another order; mostly as it should be.
    names = st.lists(st.sampled_from([*raw.names, "x", ""]), min_size=1, max_size=9)
    header = draw(st.sampled_from([raw.names] * 14 + [None, "twice"]))
    header = {"twice": [*raw.names, raw.names[0]], "None": []}.get(str(header), header)
    header = header or draw(names)
    kind = draw(st.sampled_from(kinds))
    return name, raw, kind, draw(_changes(raw.names)), header, draw(types), draw(damage())


def _content(raw, rows, header, types=None):
    """The bytes of a file of the source's own kind, and how many rows it has if that is certain."""
    if raw.schema:
        return parquet_bytes(raw, rows, header, types or {})
    return xml_bytes(raw, rows) if raw.xml else text_bytes(raw, rows, header)


def _write(folder, source, changed, raw, kind, changes, header, types, done):
    """Writes good files and the changed one; {file: rows}, None where the number is not certain."""
    counts = {}
    for name, good in RAW[source].items():
        rows = [good.row(number) for number in range(ROWS_A_FILE)]
        content, counts[name] = _content(good, rows, good.names)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / changed).unlink()
    rows = _rows(raw, changes)
    if kind == ".parquet":
        path = folder / changed.replace(".csv", kind)
        content, count = parquet_bytes(raw, rows, header, types)
    else:
        path = folder / f"{changed}{kind}"
        content, count = _content(raw, rows, header, types)
        # A text file is harmed before or after it is packed.
        if kind and done[2] % 2:
            content, done = harm(content, done), ("none", *done[1:])
            count = None
        content = gzip.compress(content) if kind else content
    path.write_bytes(harm(content, done))
    del counts[changed]
    counts[path.relative_to(folder).as_posix()] = count if done[0] == "none" else None
    return path, counts


def _assert_every_row_is_counted_once(source, log, rows):
    read = log.source["read"]
    actions = read["actions"]
    if source == "trivago":
        # It counts by action; rows that reach the mapping count to their table.
        [count] = rows.values()
        listed = sum(sum(outcomes.values()) for outcomes in actions.values())
        assert read["rows"] == listed == log.report.tables["sessions"].read
        assert count in (None, listed)
    elif source == "qilin":
        tables = {name.split(".")[0]: count for name, count in rows.items()}
        listed = {table: sum(actions.get(table, {}).values()) for table in tables}
        assert {table: count for table, count in tables.items() if count is not None}.items() <= (
            listed.items()
        )
        assert read["rows"] == sum(listed.values())
        assert log.report.tables["documents"].read == listed["notes"]
        assert log.report.tables["requests"].read == read["rows"] - listed["notes"]
    else:
        listed = {name: sum(actions[name].values()) for name in rows}
        assert_adds_up(
            log, {name: listed[name] if count is None else count for name, count in rows.items()}
        )
    importer = importlib.import_module(f"data_pipeline.importers.{source}")
    rules = [COLUMNS.name, *(rule.name for rule in importer.RULES)]
    for table, outcomes in HANDED_OVER.items():
        if (source, table) not in NOT_TOLD:
            names = (table, "unlabeled") if table == "requests" else (table,)
            counts = [log.report.tables[name] for name in names if name in log.report.tables]
            handed = sum(
                part.read - sum(part.rules.get(rule, 0) for rule in rules) for part in counts
            )
            made = sum(
                listed.get(outcome, 0) for listed in actions.values() for outcome in outcomes
            )
            assert handed == made, table


@pytest.mark.parametrize("source", RAW)
def test_every_raw_row_is_counted_once_or_the_file_refused(tmp_path, source):
    fates = Fates()

    @examples(ROWS_A_FILE)
    @hypothesis.given(_files(source))
    def run(change):
        shutil.rmtree(tmp_path)
        folder = tmp_path / "in"
        folder.mkdir(parents=True)
        path, rows = _write(folder, source, *change)
        settings = ImportSettings(
            source=source,
            input=str(path if source == "trivago" else folder),
            output=str(tmp_path / "log"),
        )
        log = fates.import_or_refuse(settings, path, ROWS_A_FILE)
        if log:
            _assert_every_row_is_counted_once(source, log, rows)
            fates.add(*log.report.tables.values())

    run()
    fates.close(source)
