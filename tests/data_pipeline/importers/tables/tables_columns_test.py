import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import tables
from data_pipeline.log.schema import SCHEMAS, LogError
from tests.data_pipeline.importers.tables.canonical_files import (
    BROWSES,
    DOCUMENTS,
    ROWS,
    WRITERS,
    import_folder,
    parse_value,
    read_quarantine,
    write_csv,
    write_jsonl,
    write_parquet,
)

COLUMNS = (
    "requests.request_id=query id",
    "requests.user_id=it's",
    "requests.time=a/b~c.d",
    "requests.results=results/list",
    "browses.dwell_seconds=dwell",
)


RENAMED = {
    "requests": {
        "request_id": "query id",
        "user_id": "it's",
        "time": "a/b~c.d",
        "results": "results/list",
    },
    "browses": {"dwell_seconds": "dwell"},
}


@pytest.mark.parametrize("ending", WRITERS)
def test_files_with_other_column_names_give_the_same_log(folder, ending):
    for table, rows in ROWS.items():
        path = folder / f"{table}.{ending}"
        names = RENAMED.get(table, {})
        if ending == "parquet":
            write_parquet(path, table, rows)
            wanted = pq.read_table(path)
            renamed = [names.get(name, name) for name in wanted.column_names]
            extra = wanted.rename_columns(renamed)
            if names:
                extra = extra.append_column("extra", pa.array(["x"] * len(rows)))
            pq.write_table(extra, path)
            continue
        extra = {"extra": "x"} if names else {}
        renamed = [{**{names.get(k, k): v for k, v in row.items()}, **extra} for row in rows]
        if "jsonl" in ending:
            write_jsonl(path, table, renamed)
            continue
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "wt", newline="", encoding="utf-8") as file:
            header = [*(names.get(name, name) for name in SCHEMAS[table].names), *extra]
            writer = csv.DictWriter(file, header)
            writer.writeheader()
            at = names.get("results", "results")
            for row in renamed:
                lists = {at: json.dumps(row[at])} if at in row else {}
                writer.writerow({**row, **lists})
    log = import_folder(folder, columns=COLUMNS)
    for table, rows in ROWS.items():
        wanted = pa.Table.from_pylist(parse_value(rows), schema=SCHEMAS[table])
        assert pq.read_table(getattr(log, table)).equals(wanted)
    assert read_quarantine(log) == []
    left_out = [f"{table}.{ending}" for table in RENAMED]
    assert log.source["left_out"] == {name: ["extra"] for name in left_out}
    assert log.source["columns"] == RENAMED


def test_rejected_rows_of_mapped_files_show_no_user_id(folder):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    good = {"uid": "anna", "ts": "2024-01-31T12:00:00Z", "doc_id": "a", "page": 1}
    lines = [
        "[]",
        json.dumps(good),
        json.dumps({**good, "uid": 9363.5}),
        json.dumps({**good, "ts": 5}),
        json.dumps({**good, "user_id": "carl-9363"}),
        json.dumps({**good, "ts": "soon"}),
    ]
    (folder / "browses.jsonl").write_text("\n".join(lines))
    log = import_folder(folder, columns=("browses.user_id=uid", "browses.time=ts"))
    assert [listed[1:] for listed in read_quarantine(log)] == [
        (1, "line-unreadable", ""),
        (3, "text-expected", "6 characters"),
        (4, "text-expected", "1 digit"),
        # A key that the first object lacks is an error: it would be left out without a message.
        (5, "line-columns", ""),
        (6, "time-unreadable", "4 characters"),
    ]
    assert log.source["left_out"] == {"browses.jsonl": ["page"]}
    assert log.report.tables["browses"].read == 6


def test_a_mapping_that_does_not_fit_the_folder_is_an_error(folder):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    write_csv(folder / "browses.csv", "browses", BROWSES)
    with pytest.raises(LogError, match="must hold requests, whose columns --columns names"):
        tables.read(folder, ["requests.user_id=uid"])
    with pytest.raises(ValueError, match="`columns` must name canonical columns"):
        tables.read(folder, ["browses.user=uid"])
    with pytest.raises(LogError, match=r"browses\.csv: .* `uid`, which --columns names for `user_"):
        import_folder(folder, columns=["browses.user_id=uid"])
    assert not list(folder.parent.glob("in-log*"))
