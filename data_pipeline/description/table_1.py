"""Statistics of a dataset by period, as in Table 1 of the paper."""

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import LABELED_SPLITS, BehaviorType, Task
from data_pipeline.common.sorted_arrays import sorted_unique
from data_pipeline.events.splits import Boundaries, assign
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


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def table_1(
    behaviors: Columns,
    satisfied_search_clicks: Columns,
    sessions: Columns,
    targets: CandidateLists,
    group_row: Integers,
    limits: Boundaries,
) -> dict[str, Row]:
    """Return the statistics of each period and of all periods together.

    Args:
        behaviors: type, user, text, session of the kept sessions' behaviors.
        satisfied_search_clicks: behavior (1-based), the satisfied clicks of searches.
        sessions: start, has_both of all sessions in their order.
        targets: Targets of the dataset; unlabeled ones are in no period and not counted.
        group_row: int64 [groups], target of each group.
        limits: Begin of each period.

    Returns:
        `STATISTICS` by period of `PERIODS`.
    """
    period_of_session = assign(sessions["start"], limits) + 1
    period = period_of_session[behaviors["session"] - 1]
    target_period = targets.rows["split"] + 1
    result = {}
    for number, name in enumerate(PERIODS):
        whole = name == "all"
        rows = np.full(len(period), True) if whole else period == number
        chosen = target_period <= len(LABELED_SPLITS) if whole else target_period == number
        kind, user = behaviors["type"][rows], behaviors["user"][rows]
        held = sorted_unique(behaviors["session"][rows])
        searches = int((kind == BehaviorType.SEARCH).sum())
        clicks = int(rows[satisfied_search_clicks["behavior"] - 1].sum())
        users, task = len(sorted_unique(user)), targets.rows["task"][chosen]
        group_task = targets.rows["task"][group_row[chosen[group_row]]]
        lists = int(np.diff(targets.offsets)[chosen].sum())
        result[name] = {
            "users": users,
            "sessions": len(held),
            "sessions_with_both": int(sessions["has_both"][held - 1].sum()),
            "behaviors": len(kind),
            "searches": searches,
            "distinct_queries": len(
                sorted_unique(behaviors["text"][rows][kind == BehaviorType.SEARCH])
            ),
            "browses": int((kind == BehaviorType.BROWSE).sum()),
            "search_clicks": clicks,
            "behaviors_per_session": _ratio(len(kind), len(held)),
            "sessions_per_user": _ratio(len(held), users),
            "clicks_per_search": _ratio(clicks, searches),
            "search_targets": int((task == Task.SEARCH).sum()),
            "recommendation_targets": int((task == Task.RECOMMENDATION).sum()),
            "search_groups": int((group_task == Task.SEARCH).sum()),
            "recommendation_groups": int((group_task == Task.RECOMMENDATION).sum()),
            "candidates_per_target": _ratio(lists, int(chosen.sum())),
        }
    return result


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
