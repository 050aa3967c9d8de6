"""Blocks of users: their events alone, numbered as if there were no others.

Events are in the order of users, so a block is a slice of every table. What is computed of users one
by one is computed block by block, with the memory of one.
"""

from collections.abc import Iterator

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.mapped_arrays import release_pages
from data_pipeline.common.sorted_arrays import sorted_unique
from data_pipeline.events.user_events import UserEvents

ACTIVITIES = 1_000_000
"""Activities of the users of a block; a user is never cut."""

# Columns that hold the number of a row of a table, and tables whose rows belong to those of another.
_NUMBERS = {
    "activity": "activities",
    "session": "sessions",
    "request": "requests",
    "behavior": "behaviors",
}
_OWNED = {"clicks": "request", "satisfied_search_clicks": "behavior"}


def cut_users(users: Integers) -> Iterator[tuple[int, int]]:
    """Yield the first and the last user of each block.

    Args:
        users: int64 [n], ascending: the user of each activity.

    Example:
        >>> list(cut_users(np.array([1, 1, 4])))
        [(1, 4)]
    """
    first = 1
    for last in sorted_unique(np.append(users[ACTIVITIES - 1 :: ACTIVITIES], users[-1:])).tolist():
        yield first, last
        first = last + 1


def cut_events(events: UserEvents) -> Iterator[tuple[UserEvents, dict[str, int]]]:
    """Yield what `select_users` returns for each block of users; a block's memory is given back.

    Args:
        events: Events of all users.
    """
    for first, last in cut_users(events.activities["user"]):
        yield select_users(events, first, last)
        release_pages(events)


def cut_behaviors(behaviors: Columns) -> Iterator[Columns]:
    """Yield the behaviors of each block of users; a block's memory is given back.

    Args:
        behaviors: Columns of behaviors of all users; user is ascending.
    """
    for first, last in cut_users(behaviors["user"]):
        yield slice_users(behaviors, first, last)
        release_pages(behaviors)


def slice_users(columns: Columns, first: int, last: int, name: str = "user") -> Columns:
    """Return the rows with `first` <= column `name` <= `last`; the column is ascending."""
    begin, end = np.searchsorted(columns[name], [first, last + 1])
    return {key: column[begin:end] for key, column in columns.items()}


def shift_numbers(columns: Columns, rows: dict[str, int]) -> Columns:
    """Return columns whose numbers of rows are raised by the rows of other users.

    Args:
        columns: Columns of a table.
        rows: Rows of other users in each table of events; negative to count them no longer.
    """
    return {
        name: values + rows[_NUMBERS[name]] if name in _NUMBERS else values
        for name, values in columns.items()
    }


def select_users(events: UserEvents, first: int, last: int) -> tuple[UserEvents, dict[str, int]]:
    """Return the events of users `first` ... `last`, and the rows before them in each table.

    Args:
        events: Events of all users.
        first, last: Numbers of users.
    """
    tables: dict[str, Columns] = vars(events)
    bounds = {
        name: np.searchsorted(columns["user"], [first, last + 1])
        for name, columns in tables.items()
        if name not in _OWNED
    }
    for name, number in _OWNED.items():
        # Rows of other tables are numbered from 1 on.
        bounds[name] = np.searchsorted(tables[name][number], bounds[_NUMBERS[number]] + 1)
    before = {name: int(begin) for name, (begin, _) in bounds.items()}
    shift = {name: -rows for name, rows in before.items()}
    selected = {}
    for name, (begin, end) in bounds.items():
        rows = {key: column[begin:end] for key, column in tables[name].items()}
        selected[name] = shift_numbers(rows, shift)
    return UserEvents(**selected), before
