"""The summary of a log: counts of the written tables, and their text for a terminal."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import duckdb

KEYS = {
    "documents": ("doc_id",),
    "requests": ("request_id",),
    "browses": ("user_id", "time", "doc_id"),
    "unlabeled": ("request_id",),
    "splits": ("request_id",),
}
"""Columns that identify a row of each table."""


@dataclasses.dataclass(frozen=True)
class TableReport:
    """Rows of a table: read = kept + quarantined; quarantined rows by rule."""

    read: int
    kept: int
    quarantined: int
    rules: dict[str, int]


@dataclasses.dataclass(frozen=True)
class LogReport:
    """Counts of a log.

    Attributes:
        tables: Rows by table: the canonical tables, `unlabeled` requests, and raw files of an
            importer.
        users: Distinct users with a request or browse.
        first_time: Earliest request or browse, ISO 8601 in UTC.
        last_time: Latest one.
        searches: Requests with a query.
        recommendations: Requests without a query.
        results: Results of all lists.
        clicks: Clicked results.
        clicks_without_time: Clicks without a time, which are known from the user's next session on.
        clicks_without_dwell: Clicks without a dwell, which count as satisfied.
        lists_without_click: Requests without a clicked result.
        browses_without_dwell: Browses without a dwell, which count as satisfied.
    """

    tables: dict[str, TableReport]
    users: int
    first_time: str
    last_time: str
    searches: int
    recommendations: int
    results: int
    clicks: int
    clicks_without_time: int
    clicks_without_dwell: int
    lists_without_click: int
    browses_without_dwell: int

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "LogReport":
        """Make a report from the dictionary of `to_dict`."""
        tables = {name: TableReport(**counts) for name, counts in plain["tables"].items()}
        return cls(**{**plain, "tables": tables})

    def summary(self) -> str:
        """Return a few lines to read in a terminal."""
        lines = [f"{'table':<12}{'read':>12}{'kept':>12}{'quarantined':>13}"]
        for name, counts in self.tables.items():
            lines.append(f"{name:<12}{counts.read:>12,}{counts.kept:>12,}{counts.quarantined:>13,}")
            lines += [f"    {rule}: {count:,}" for rule, count in counts.rules.items()]
        clicked = self.clicks or 1
        lines += [
            f"{self.users:,} users, {self.first_time} to {self.last_time}",
            f"{self.searches:,} searches, {self.recommendations:,} recommendations; "
            f"{self.lists_without_click:,} lists without a click",
            f"{self.results:,} results, {self.clicks:,} clicks: "
            f"{self.clicks_without_time / clicked:.1%} without time, "
            f"{self.clicks_without_dwell / clicked:.1%} without dwell",
        ]
        return "\n".join(lines)


def find_repeated_rows(
    path: pathlib.Path, table: str, others: pathlib.Path | None = None
) -> list[tuple[int, str]]:
    """Return the rows that share their key with an earlier row, in the order of the file.

    Args:
        path: File of the table.
        table: Its name.
        others: File of a table whose rows count as earlier ones. Default: none.

    Returns:
        (0-based position, key without the user) of each row.
    """
    keys = ", ".join(KEYS[table])
    shown = [name for name in KEYS[table] if name != "user_id"]
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(
            f"CREATE VIEW rows AS SELECT * FROM read_parquet($${path}$$, file_row_number = true)"
        )
        known = "false"
        if others:
            known = f"({keys}) IN (SELECT ({keys}) FROM read_parquet($${others}$$))"
        # Counting hashes is cheap; the exact search runs only if two hashes are equal.
        total, distinct = engine.sql(
            f"SELECT count(*), count(DISTINCT hash({keys})) FROM rows"
        ).fetchall()[0]
        if total == distinct and not others:
            return []
        return engine.sql(
            f"""
            SELECT file_row_number, concat_ws(' ', {", ".join(shown)})
            FROM (
                SELECT *, row_number() OVER (
                    PARTITION BY {keys} ORDER BY file_row_number
                ) AS nth
                FROM rows
            )
            WHERE nth > 1 OR {known}
            ORDER BY 1
            """
        ).fetchall()


def summarize_log(folder: pathlib.Path, tables: dict[str, TableReport]) -> LogReport:
    """Count the content of the written tables of a log.

    Args:
        folder: Folder with requests.parquet and browses.parquet.
        tables: Rows read, kept and quarantined, as counted by the writer.
    """
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for name in ("requests", "browses"):
            engine.execute(
                f"CREATE VIEW {name} AS FROM read_parquet($${folder / f'{name}.parquet'}$$)"
            )
        users, first, last = engine.sql(
            """
            SELECT count(DISTINCT user_id), strftime(min(time), '%Y-%m-%dT%H:%M:%SZ'),
                strftime(max(time), '%Y-%m-%dT%H:%M:%SZ')
            FROM (SELECT user_id, time FROM requests UNION ALL SELECT user_id, time FROM browses)
            """
        ).fetchall()[0]
        searches, requests, results, clickless = engine.sql(
            """
            SELECT count(*) FILTER (query <> ''), count(*), coalesce(sum(len(results)), 0)::BIGINT,
                count(*) FILTER (
                    NOT list_contains(list_transform(results, lambda item: item.clicked), true)
                )
            FROM requests
            """
        ).fetchall()[0]
        clicks, without_time, without_dwell = engine.sql(
            """
            SELECT count(*), count(*) FILTER (item.click_time IS NULL),
                count(*) FILTER (item.dwell_seconds IS NULL)
            FROM (SELECT unnest(results) AS item FROM requests)
            WHERE item.clicked
            """
        ).fetchall()[0]
        (browses_without_dwell,) = engine.sql(
            "SELECT count(*) FROM browses WHERE dwell_seconds IS NULL"
        ).fetchall()[0]
    return LogReport(
        tables=tables,
        users=users,
        first_time=first or "",
        last_time=last or "",
        searches=searches,
        recommendations=requests - searches,
        results=results,
        clicks=clicks,
        clicks_without_time=without_time,
        clicks_without_dwell=without_dwell,
        lists_without_click=clickless,
        browses_without_dwell=browses_without_dwell,
    )
