"""Describe a Batch: the one table of its fields.

A Batch is a flat dictionary of tensors: four tables that point at each other, so that each distinct
text, behavior and past session is encoded once. Row 0 of texts, behaviors and sessions is the empty
one; a pointer of 0 means none. Lists are filled from slot 0, oldest first.

`FIELDS` lists the fields, `ROW_SUBSETS` further ones that save work and change no result: a model
may ignore them. A served Batch has them where they save more than they cost, and `query_length`, the
tokens of its longest query. Parsing, packing, padding, the models' input shapes,
the served graph and the documentation (`markdown_table`) are derived from these two tables.

Position ids are not stored: within a session they count from 1 at slot 0, and over the history they
number the real behaviors (`user_tf.models.batch_ops` computes both).

Training: C = 1 + K, the positive of a group and its negatives, drawn anew each epoch, in original
order. Evaluation: C = the longest list, complete lists in original order.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Shape = tuple[int | None, ...]

AXES = {
    "X": "distinct texts",
    "L": "tokens of the longest text",
    "N": "behaviors",
    "W": "clicked titles kept of a search",
    "S": "past sessions, distinct ones",
    "M": "behaviors kept of a session",
    "T": "targets",
    "P": "past sessions kept of a target",
    "C": "candidates of a target",
    "n": "relevance features",
}
"""Axis letters of the fields."""

TABLES = {"X": "texts", "N": "behaviors", "S": "sessions", "T": "targets"}
"""Table of each first axis."""

_FIXED = {
    "W": "clicked_titles",
    "M": "session_behaviors",
    "P": "past_sessions",
    "n": "features",
}


class Widths(Protocol):
    """Axis sizes that are fixed by a dataset: W, M, P and n."""

    @property
    def clicked_titles(self) -> int: ...
    @property
    def session_behaviors(self) -> int: ...
    @property
    def past_sessions(self) -> int: ...
    @property
    def features(self) -> int: ...


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a Batch.

    Attributes:
        name: Key in the Batch.
        axes: Axis letters separated by blanks; the first one names the table.
        meaning: One line for readers.
        dtype: Type of its values.
        points_at: Table whose rows its values number; empty: its values are no pointers.
        padding: Value of rows that hold nothing.
        record: Name of the field in window records it is read from; empty: computed.
    """

    name: str
    axes: str
    meaning: str
    dtype: str = "int32"
    points_at: str = ""
    padding: int = 0
    record: str = ""

    @property
    def letters(self) -> list[str]:
        """Return the axis letters, the table's first."""
        return self.axes.split()

    @property
    def table(self) -> str:
        """Return the table the field is a column of."""
        return TABLES[self.letters[0]]


FIELDS = (
    Field("text_tokens", "X L", "token ids, 0 beyond the end of a text"),
    Field("behavior_type", "N", "1 browse, 2 search", record="behavior_type"),
    Field(
        "behavior_text",
        "N",
        "title of the browsed document, or the query",
        points_at="texts",
        record="behavior_text",
    ),
    Field(
        "behavior_clicked",
        "N W",
        "titles of a search's visible satisfied clicks, earliest first",
        points_at="texts",
    ),
    Field("behavior_doc", "N", "document browsed, 0 for a search", record="behavior_doc"),
    Field(
        "behavior_clicked_docs",
        "N W",
        "documents clicked, earliest first",
        record="behavior_clicked_docs",
    ),
    Field(
        "session_behaviors",
        "S M",
        "one complete past session",
        points_at="behaviors",
        record="session_behaviors",
    ),
    Field("target_id", "T", "id of the target", dtype="int64", padding=-1, record="target_id"),
    Field("target_weight", "T", "1 for a real group, 0 for padding", dtype="float32"),
    Field("task", "T", "1 recommendation, 2 search", record="target_task"),
    Field("user", "T", "row of the user table, 0 the unknown user", record="user"),
    Field("query_text", "T", "query of a search", points_at="texts", record="query_text"),
    Field(
        "current_behaviors",
        "T M",
        "current session before the target",
        points_at="behaviors",
        record="current_behaviors",
    ),
    Field("past_sessions", "T P", "past sessions", points_at="sessions", record="past_sessions"),
    Field("candidate_text", "T C", "titles of the candidates", points_at="texts"),
    Field("candidate_doc", "T C", "documents", record="candidate_doc"),
    Field("candidate_rank", "T C", "original rank, from 1"),
    Field("candidate_mask", "T C", "real candidates", dtype="bool"),
    Field("labels", "T C", "1 relevant, 0 not", dtype="float32", record="candidate_label"),
    Field(
        "next_query_text",
        "T",
        "the user's next query in the session (a label)",
        points_at="texts",
        record="next_query_text",
    ),
    Field(
        "features",
        "T C n",
        "F, standardised; 0 for recommendations (setting)",
        dtype="float32",
        record="candidate_features",
    ),
)

_BUCKET = "texts_upto_"
HISTORY_SLOTS = "history_slots"

ROW_SUBSETS = (
    Field(
        f"{_BUCKET}<l>",
        "X_l",
        "texts of at most l tokens that are in no bucket of shorter texts",
        points_at="texts",
    ),
    Field("text_place", "X", "row of each text in all buckets laid end to end"),
    Field(
        "clicked_searches",
        "N_c",
        "searches with a clicked title, after a leading 0",
        points_at="behaviors",
    ),
    Field("behavior_place", "N", "row in `clicked_searches`, 0 for all other behaviors"),
    Field("search_targets", "T_s", "1 + row of each search target, after a leading 0"),
    Field("target_place", "T", "row in `search_targets`, 0 for all other targets"),
    Field(
        HISTORY_SLOTS,
        "T H",
        "real past behaviors, oldest first: slots of `session_behaviors` laid end to end",
    ),
)

BY_NAME = {field.name: field for field in FIELDS}

TEXT_POINTERS = tuple(field.name for field in FIELDS if field.points_at == "texts")
"""Fields that point at texts; the texts of a Batch are numbered in this order."""

TABLE_SIZE_FIELDS = {
    letter: next(field.name for field in FIELDS if field.letters[0] == letter) for letter in TABLES
}
"""The first field of each table, from which its number of rows is read."""


def names(table: str) -> tuple[str, ...]:
    """Return the fields of a table, in order.

    Example:
        >>> names("sessions")
        ('session_behaviors',)
    """
    return tuple(field.name for field in FIELDS if field.table == table)


def padding(name: str) -> int:
    """Return the value of a field's padding rows; 0 for row subsets.

    Example:
        >>> padding("target_id"), padding("text_place")
        (-1, 0)
    """
    return BY_NAME[name].padding if name in BY_NAME else 0


def batch_fields(widths: Widths) -> dict[str, tuple[Shape, str]]:
    """Return shape and dtype of every field; None for sizes that vary with the batch.

    Args:
        widths: Sizes fixed by the dataset, for example `user_tf.models.ranker.Sizes`.

    Example:
        >>> import types
        >>> widths = types.SimpleNamespace(
        ...     clicked_titles=3, session_behaviors=5, past_sessions=20, features=2)
        >>> batch_fields(widths)["features"]
        ((None, None, 2), 'float32')
    """
    sizes = {letter: int(getattr(widths, name)) for letter, name in _FIXED.items()}
    return {
        field.name: (tuple(sizes.get(letter) for letter in field.letters), field.dtype)
        for field in FIELDS
    }


def empty_batch(widths: Widths, rows: int = 2) -> dict[str, npt.NDArray[Any]]:
    """Return a Batch of padding only, as NumPy arrays.

    Args:
        widths: Sizes fixed by the dataset.
        rows: Size of every axis that varies.
    """
    return {
        name: np.full([rows if size is None else size for size in shape], padding(name), dtype)
        for name, (shape, dtype) in batch_fields(widths).items()
    }


def bucket_name(length: int) -> str:
    """Return the row subset of texts of at most `length` tokens.

    Example:
        >>> bucket_name(8)
        'texts_upto_8'
    """
    return f"{_BUCKET}{length}"


def bucket_lengths(fields: Iterable[str]) -> list[int]:
    """Return the lengths of the text buckets among names of fields, ascending.

    Example:
        >>> bucket_lengths(["task", "texts_upto_30", "texts_upto_8"])
        [8, 30]
    """
    return sorted(int(name.removeprefix(_BUCKET)) for name in fields if name.startswith(_BUCKET))


def markdown_table() -> str:
    """Return the two tables of fields as Markdown, for the documentation."""
    lines = ["| table | field | shape | dtype | meaning |", "|---|---|---|---|---|"]
    for field in FIELDS:
        lines.append(_row(field.table, field))
    lines += ["", "| row subset | shape | dtype | meaning |", "|---|---|---|---|"]
    for field in ROW_SUBSETS:
        lines.append(_row("", field))
    lines += ["", "| axis | size |", "|---|---|"]
    lines += [f"| {letter} | {meaning} |" for letter, meaning in AXES.items()]
    return "\n".join(lines) + "\n"


def _row(table: str, field: Field) -> str:
    pointer = f" -> {field.points_at}" if field.points_at else ""
    note = f"; padding {field.padding}" if field.padding else ""
    shape = f"[{', '.join(field.letters)}]{pointer}"
    cells = [*([table] if table else []), f"`{field.name}`", shape, field.dtype]
    return f"| {' | '.join([*cells, field.meaning + note])} |"
