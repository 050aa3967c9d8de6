"""Files of raw rows: text, Parquet, XML."""

import csv
import io
import json
from xml.sax import saxutils

import pyarrow as pa
import pyarrow.parquet as pq


def _text(value, number):
    if not isinstance(value, list | dict):
        return "" if value is None else str(value)
    # Lists are in files as JSON or as NumPy prints them.
    return repr(value) if number % 2 else json.dumps(value)


def text_bytes(raw, rows, header):
    """The bytes of a text file, and how many rows it has if that is certain."""
    lines, certain = [], True
    for number, row in enumerate(([header] if raw.header else []) + rows):
        if isinstance(row, bytes):
            # What a quote or a line end amounts to depends on the lines around it.
            certain &= not (raw.quoted or b"\n" in row or b"\r" in row) and bool(row.strip())
            lines.append(row)
            continue
        cells = [_text(cell, number) for cell in row]
        if raw.quoted:
            file = io.StringIO(newline="")
            csv.writer(file, delimiter=raw.delimiter, lineterminator="\r\n").writerow(cells)
            line = file.getvalue().removesuffix("\r\n")
        else:
            line = raw.delimiter.join(cells)
            certain &= not {"\n", "\r"}.intersection(line)
        certain &= "\x00" not in line and bool(line)
        lines.append(line.encode())
    return b"\n".join(lines), len(rows) if certain else None


def parquet_bytes(raw, rows, header, types):
    """A Parquet file of the rows that have a cell for every column, and their number."""
    rows = [row for row in rows if isinstance(row, list) and len(row) == len(raw.names)]
    columns = []
    for place, name in enumerate(raw.names):
        values = [row[place] for row in rows]
        kind = raw.schema.field(name).type if raw.schema else None
        try:
            column = pa.array([_fitting(value, kind) for value in values] if kind else values, kind)
        except (pa.ArrowException, TypeError, OverflowError):
            column = pa.array([_text(value, 0) for value in values])
        wanted = types.get(name)
        try:
            if wanted == "list":
                column = pa.array([[value] for value in column.to_pylist()])
            elif wanted:
                column = column.cast(wanted, safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
        columns.append(column)
    sink = io.BytesIO()
    found = dict(enumerate(columns))
    pq.write_table(
        pa.Table.from_arrays(
            [found[raw.names.index(name)] for name in header if name in raw.names],
            names=[name for name in header if name in raw.names],
        ),
        sink,
    )
    return sink.getvalue(), len(rows)


def _fitting(value, kind):
    """The value if a column of this type can hold it, otherwise null."""
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        return None


def xml_bytes(raw, rows):
    """A file of the Session Track, one session a query, and its number of queries."""
    parts = [b"<sessiontrack2013>"]
    rows = [
        dict(zip(raw.names, row, strict=False)) if isinstance(row, list) else row for row in rows
    ]
    parts += [row if isinstance(row, bytes) else _session(row).encode() for row in rows]
    return b"\n".join([*parts, b"</sessiontrack2013>"]), sum(isinstance(row, dict) for row in rows)


def _session(row):
    def attribute(name, of):
        given = of.get(name) if isinstance(of, dict) else None
        return "" if given is None else f" {name}={saxutils.quoteattr(str(given))}"

    def element(name, of, key):
        given = of.get(key) if isinstance(of, dict) else of
        return "" if given is None else f"<{name}>{saxutils.escape(str(given))}</{name}>"

    def items(name):
        found = row.get(name)
        return found if isinstance(found, list) else [found]

    results = "".join(
        f"<result{attribute('rank', item)}>{element('clueweb12id', item, 'doc_id')}"
        f"{element('title', item, 'title')}</result>"
        for item in items("results")
    )
    clicks = "".join(
        f"<click{attribute('starttime', item)}{attribute('endtime', item)}>"
        f"{element('rank', item, 'rank')}</click>"
        for item in items("clicks")
    )
    kind = "currentquery" if row.get("kind") == "currentquery" else "interaction"
    return (
        f"<session{attribute('num', row)}{attribute('userid', row)}>"
        f"<{kind}{attribute('starttime', row)}>{element('query', row, 'query')}"
        f"<results>{results}</results><clicked>{clicks}</clicked></{kind}></session>"
    )
