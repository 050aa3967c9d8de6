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

    @property
    def nothing(self) -> int:
        """The number where no event is known."""
        return 0 if self.how == "sum" else -1


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
        found = value.sum() if measure.how == "sum" else value.max()
        computed[measure.name] = found.over(window).fill_null(measure.nothing).cast("int64")
    rows = rows.mutate(**computed)
    rows = rows.filter(rows.is_event == 0)
    return rows.select(*probes.columns, *[measure.name for measure in measures])


def as_of_shared(
    events: ibis.Table, probes: ibis.Table, keys: tuple[str, ...], measures: Sequence[Measure]
) -> ibis.Table:
    """`as_of`, laying together only events and probes that share `keys`.

    Cheaper where few probes do, as most candidates were never opened by their user or under their
    query: nothing is known of the others, and no window is needed.

    Args:
        events, probes, measures: As for `as_of`; int64 probes.
        keys: Columns every measure has among its keys.

    Returns:
        As `as_of`.

    Example:
        >>> events = ibis.memtable({"doc": [7, 7, 8], "time": [1, 5, 1], "one": [1, 1, 1]})
        >>> probes = ibis.memtable({"doc": [7, 9], "time": [6, 6]})
        >>> table = as_of_shared(events, probes, ("doc",), [Measure("clicks", ("doc",), "one")])
        >>> table.order_by("doc").to_pyarrow()["clicks"].to_pylist()
        [2, 0]
    """
    there = events.select(*keys).distinct()
    near = as_of(
        events.semi_join(probes, list(keys)), probes.semi_join(there, list(keys)), measures
    )
    nothing = {m.name: ibis.literal(m.nothing, "int64") for m in measures}
    far = probes.anti_join(there, list(keys)).mutate(**nothing)
    return near.union(far.select(*near.columns))
