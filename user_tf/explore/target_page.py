"""The rankings of a target as columns of a page, and their attention as one table."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from user_tf.explore.ranked_list import RankedItem, average_precision, rank_items
from user_tf.explore.rankers import TargetRanker
from user_tf.explore.target_catalogue import Target
from user_tf.reporting.attention_of_target import merge
from user_tf.reporting.attention_page import PARTS, shares
from user_tf.reporting.seen_behaviors import SeenBehavior


@dataclasses.dataclass(frozen=True)
class Column:
    """One ranking of a target.

    Attributes:
        label: Name of the ranker.
        items: Candidates, best first; none where the ranker cannot rank the target.
        map: Average precision of the list; None where all or no candidates were clicked.
        attention: Past behaviors with their weights; none without attention.
        notes: Sentences about what is not shown.
        unified: Whether the ranker sees behaviors of both tasks.
        scored: Whether its scores are more than an order.
    """

    label: str
    items: tuple[RankedItem, ...] = ()
    map: float | None = None
    attention: tuple[SeenBehavior, ...] = ()
    notes: tuple[str, ...] = ()
    unified: bool = False
    scored: bool = False


def describe_rankings(
    rankers: Sequence[TargetRanker], target: Target, titles: Sequence[str]
) -> list[Column]:
    """Return one column a ranker; one that cannot rank the target says why.

    Args:
        rankers: Rankers to show.
        target: The target.
        titles: Titles of its candidates.
    """
    columns = []
    for ranker in rankers:
        try:
            found = ranker.rank(target)
        except ValueError as error:
            if " Fix: " not in str(error):
                raise
            columns.append(Column(ranker.label, notes=(str(error),)))
            continue
        reasons = found.reasons
        items = rank_items(
            titles,
            found.scores,
            target.labels,
            reasons.signals,
            reasons.contributions,
            [f"{n}. {item.text}" for n, item in enumerate(reasons.behaviors, start=1)],
            reasons.effects,
            reasons.words,
        )
        seen = tuple(item for item in reasons.behaviors if item.weight is not None)
        precision = average_precision(found.scores, target.labels)
        columns.append(
            Column(
                ranker.label,
                tuple(items),
                precision,
                seen,
                reasons.notes,
                ranker.scenario == "unified",
                bool(ranker.scenario),
            )
        )
    return columns


def merge_attention(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return the parts of the past with one row a behavior, oldest first, and every run's weight.

    Returns:
        Parts with `name`, `totals` by run, and `rows` of `order`, `type`, `text`, `clicked`, and `cells` by
        run: None where its scenario leaves the behavior out, otherwise `weight` and `share`, the
        weight in the largest of the run and part.
    """
    ordered = sorted(
        (column for column in columns if column.attention), key=lambda column: not column.unified
    )
    if not ordered:
        return []
    merged = merge(
        {
            column.label: [
                {**vars(item), "clicked": list(item.clicked)} for item in column.attention
            ]
            for column in ordered
        }
    )
    labels = [column.label for column in columns if column.attention]
    parts = []
    for name in PARTS:
        rows = [row for row in merged if row["part"] == name]
        if not rows:
            continue
        relative = {label: shares(rows, label) for label in labels}
        parts.append(
            {
                "name": name,
                "totals": [sum(row["weights"][label] or 0 for row in rows) for label in labels],
                "rows": [
                    {
                        **{key: row[key] for key in ("order", "type", "text", "clicked")},
                        "cells": [
                            None
                            if relative[label][place] is None
                            else {
                                "weight": row["weights"][label],
                                "share": relative[label][place],
                            }
                            for label in labels
                        ],
                    }
                    for place, row in enumerate(rows)
                ],
            }
        )
    return parts
