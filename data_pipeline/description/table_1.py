"""Statistics of a dataset by period, as in Table 1 of the paper."""

from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import LABELED_SPLITS, BehaviorType, Task
from data_pipeline.common.sorted_arrays import run_starts, sorted_unique
from data_pipeline.events.splits import Boundaries, assign
from data_pipeline.events.user_blocks import cut_events
from data_pipeline.events.user_events import UserEvents
from data_pipeline.targets.candidate_lists import CandidateLists

PERIODS = ("history", *LABELED_SPLITS, "all")

STATISTICS = {
    "users": "with a behavior in the period",
    "sessions": "with a behavior in the period",
    "sessions_with_both": "with a search and a browse",
    "behaviors": "searches and browses",
    "searches": "requests with a query",
    "distinct_queries": "different texts of queries",
    "browses": "documents opened outside of searches",
    "search_clicks": "satisfied clicks of searches",
    "behaviors_per_session": "",
    "sessions_per_user": "",
    "clicks_per_search": "satisfied ones",
    "search_targets": "searches to rank for",
    "recommendation_targets": "recommendations to rank for",
    "search_groups": "in training, one for each relevant document of a target",
    "recommendation_groups": "the same for recommendations",
    "candidates_per_target": "length of the list to rank",
}
"""Statistics of a period in their order, with an explanation."""

Row = dict[str, int | float]


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def table_1(
    events: UserEvents,
    texts: int,
    targets: CandidateLists,
    group_row: Integers,
    limits: Boundaries,
) -> dict[str, Row]:
    """Return the statistics of each period and of all periods together.

    Args:
        events: Events of the unified log; at least one.
        texts: Number of texts.
        targets: Targets of the dataset; unlabeled ones are in no period and not counted.
        group_row: int64 [groups], target of each group.
        limits: Begin of each period.

    Returns:
        `STATISTICS` by period of `PERIODS`.
    """
    counts: dict[str, Any] = {}
    queries = np.zeros((len(PERIODS), texts), bool)
    for block, _ in cut_events(events):
        for name, found in _count_events(block, limits, queries).items():
            counts[name] = counts.get(name, 0) + found
    queries[-1] = queries.any(axis=0)
    counts["distinct_queries"] = queries.sum(axis=1)
    target_period = targets.rows["split"] + 1
    result = {}
    for number, name in enumerate(PERIODS):
        chosen = target_period <= len(LABELED_SPLITS) if name == "all" else target_period == number
        task = targets.rows["task"][chosen]
        group_task = targets.rows["task"][group_row[chosen[group_row]]]
        lists = int(np.diff(targets.offsets)[chosen].sum())
        row: Row = {key: int(counted[number]) for key, counted in counts.items()}
        row |= {
            "behaviors_per_session": _ratio(row["behaviors"], row["sessions"]),
            "sessions_per_user": _ratio(row["sessions"], row["users"]),
            "clicks_per_search": _ratio(row["search_clicks"], row["searches"]),
            "search_targets": int((task == Task.SEARCH).sum()),
            "recommendation_targets": int((task == Task.RECOMMENDATION).sum()),
            "search_groups": int((group_task == Task.SEARCH).sum()),
            "recommendation_groups": int((group_task == Task.RECOMMENDATION).sum()),
            "candidates_per_target": _ratio(lists, int(chosen.sum())),
        }
        result[name] = {key: row[key] for key in STATISTICS}
    return result


def _count_events(
    events: UserEvents, limits: Boundaries, queries: npt.NDArray[np.bool_]
) -> Columns:
    """Return counts by period, int64 [periods]; mark `queries` searched: bool [periods, texts]."""
    behaviors, held = events.behaviors, sorted_unique(events.behaviors["session"]) - 1
    period_of_session = assign(events.sessions["start"], limits) + 1
    period = period_of_session[behaviors["session"] - 1]
    search = behaviors["type"] == BehaviorType.SEARCH
    queries[period[search], behaviors["text"][search]] = True
    both = held[events.sessions["has_both"][held] == 1]
    periods = {
        "sessions": period_of_session[held],
        "sessions_with_both": period_of_session[both],
        "behaviors": period,
        "searches": period[search],
        "browses": period[behaviors["type"] == BehaviorType.BROWSE],
        "search_clicks": period[events.satisfied_search_clicks["behavior"] - 1],
    }
    counts = {name: np.bincount(of, minlength=len(PERIODS)) for name, of in periods.items()}
    for counted in counts.values():
        counted[-1] = counted.sum()
    users = [behaviors["user"][period == number] for number in range(len(PERIODS) - 1)]
    users.append(behaviors["user"])
    return counts | {"users": np.array([len(run_starts(user)) - 1 for user in users])}


def number_text(value: int | float) -> str:
    """Format a statistic for a reader.

    Example:
        >>> number_text(12345), number_text(2.5)
        ('12,345', '2.50')
    """
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def table_text(statistics: dict[str, Row]) -> str:
    """Return the statistics as a text table, a column for each period."""
    lines = [f"{'':<24}" + "".join(f"{period:>12}" for period in PERIODS)]
    for name in STATISTICS:
        cells = (f"{number_text(statistics[period][name]):>12}" for period in PERIODS)
        lines.append(f"{name.replace('_', ' '):<24}" + "".join(cells))
    return "\n".join(lines)
