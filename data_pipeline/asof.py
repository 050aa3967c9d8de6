"""Counting what was known: sums and maxima over the events a probe may see.

The one rule of time lives here: a probe at `time` t sees an event iff the event's `time` (the
moment it becomes known) is strictly earlier, so equal timestamps do not see each other.

Events and probes are laid together and every measure is one cumulative window over its keys,
ordered by (time, probes first): portable SQL, no join back, whatever the number of keys.
"""

import dataclasses
from collections.abc import Sequence

import ibis


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number to compute for each probe.

    Attributes:
        name: Column of the result.
        keys: Columns an event must share with the probe.
        value: Integer column of the events; null values are passed over.
        how: `sum` (0 where no event is known) or `max` (-1 where none is).
    """

    name: str
    keys: tuple[str, ...]
    value: str
    how: str = "sum"


def as_of(events: ibis.Table, probes: ibis.Table, measures: Sequence[Measure]) -> ibis.Table:
    """Measures over the events known strictly before each probe.

    Args:
        events: Columns `time` (int64 microseconds, when the event becomes known), every measure's
            keys and values.
        probes: Columns `time`, every measure's keys, and any others, which are kept.
        measures: What to compute.

    Returns:
        The probes with one int64 column a measure; rows in no particular order.

    Raises:
        ValueError: A measure's `how` is unknown.

    Example:
        >>> events = ibis.memtable({"doc": [7, 7, 8], "time": [1, 5, 1], "one": [1, 1, 1]})
        >>> probes = ibis.memtable({"doc": [7, 7], "time": [5, 6]})
        >>> table = as_of(events, probes, [Measure("clicks", ("doc",), "one")])
        >>> table.order_by("time").to_pyarrow()["clicks"].to_pylist()
        [1, 2]
    """
    for measure in measures:
        if measure.how not in ("sum", "max"):
            raise ValueError(
                f"`how` of a measure must be `sum` or `max`. Received: {measure.how!r} for "
                f"{measure.name!r}."
            )
    keys = sorted({key for measure in measures for key in measure.keys})
    values = sorted({measure.value for measure in measures})
    kept = [name for name in probes.columns if name not in (*keys, "time")]
    nothing = ibis.null("int64")

    asked = probes.select(
        *kept,
        **{name: probes[name].cast("int64") for name in (*keys, "time")},
        **{f"value_{name}": nothing for name in values},
        is_event=ibis.literal(0, "int64"),
    )
    happened = events.select(
        **{name: ibis.null(probes[name].type()) for name in kept},
        **{name: events[name].cast("int64") for name in (*keys, "time")},
        **{f"value_{name}": events[name].cast("int64") for name in values},
        is_event=ibis.literal(1, "int64"),
    )
    rows = asked.union(happened)

    computed = {}
    for measure in measures:
        window = ibis.cumulative_window(group_by=list(measure.keys), order_by=["time", "is_event"])
        value = rows[f"value_{measure.value}"]
        if measure.how == "sum":
            computed[measure.name] = value.sum().over(window).fill_null(0).cast("int64")
        else:
            computed[measure.name] = value.max().over(window).fill_null(-1).cast("int64")
    rows = rows.mutate(**computed)
    rows = rows.filter(rows.is_event == 0)
    return rows.select(*probes.columns, *[measure.name for measure in measures])
