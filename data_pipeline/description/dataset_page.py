"""The description of a dataset: as a few lines and as one HTML page."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.common.codes import SECOND, Task
from data_pipeline.common.html_page import render
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.description import dataset_figures
from data_pipeline.description.histograms import (
    KINDS,
    Histogram,
    Transitions,
    doubling,
    names_of_bins,
)
from data_pipeline.description.table_1 import PERIODS, STATISTICS, Row, number_text, table_text
from data_pipeline.events.as_of import NEVER
from data_pipeline.targets.eligible_targets import LEFT_OUT

LONGEST_BAR = 16
"""All longer sessions share one bar with those of this length."""

BEFORE_NAMES = {
    "begin": "first of a session",
    "search": "after a search",
    "browse": "after a browse",
}
AFTER_NAMES = {"search": "a search", "browse": "a browse", "end": "end of the session"}


@dataclasses.dataclass(frozen=True)
class Description:
    """Facts of a dataset that its page shows.

    Attributes:
        name: Name of the dataset's folder.
        manifest: The dataset's manifest.
        statistics: Result of `data_pipeline.description.table_1.table_1`.
        sessions: Lengths of sessions by kind (`KINDS`).
        lengths: Lengths of all sessions.
        transitions: Result of `data_pipeline.description.histograms.transitions`.
        histories: Behaviors known before each target, by task; tasks without targets are missing.
    """

    name: str
    manifest: Mapping[str, Any]
    statistics: dict[str, Row]
    sessions: dict[str, Histogram]
    lengths: Histogram
    transitions: Transitions
    histories: dict[str, Histogram]


def read(dataset: Dataset) -> Description:
    """Read the facts from a dataset.

    Raises:
        ValueError: The dataset has no histograms; an earlier version prepared it.
    """
    manifest = dataset.manifest
    if "histograms" not in manifest:
        raise ValueError(
            "The manifest of `dataset` must hold `histograms`. Got that of an earlier version in "
            f"{str(dataset.path)!r}. Fix: run `python -m data_pipeline.prepare` again with a new "
            "--output."
        )
    counted = manifest["histograms"]["session_lengths"]
    lengths = np.array(counted["behaviors"], np.int64)
    by_kind = {kind: np.array(counted[kind], np.int64) for kind in KINDS}
    targets = dataset.targets(["task", "past_behaviors"])
    task, past = targets["task"].to_numpy(), targets["past_behaviors"].to_numpy()
    histories = {code.label: Histogram.of(past[task == code]) for code in Task if code in task}
    return Description(
        dataset.path.resolve().name,
        manifest,
        manifest["statistics"],
        {kind: Histogram(lengths, counts) for kind, counts in by_kind.items()},
        Histogram(lengths, sum(by_kind.values(), np.zeros_like(lengths))),
        manifest["histograms"]["transitions"],
        histories,
    )


def to_text(description: Description) -> str:
    """Return a few lines for a terminal."""
    lines = [
        f"{description.name}: {', '.join(f'{name} {value}' for name, value in _facts(description))}",
        "",
        table_text(description.statistics),
        "",
        f"{'session length':<36}{_spread(description.lengths)}",
    ]
    for before, shares in _shares(description.transitions).items():
        parts = ", ".join(f"{after} {share:.1%}" for after, share in shares.items() if share)
        lines.append(f"{before:<36}{parts}")
    for task, lengths in description.histories.items():
        lines.append(f"{f'history of {task} targets':<36}{_spread(lengths)}")
    return "\n".join(lines)


def _spread(lengths: Histogram) -> str:
    """Return mean and quantiles as a text."""
    none = int(lengths.counts[lengths.values == 0].sum()) / lengths.total
    text = (
        f"mean {lengths.mean:,.1f}, median {lengths.quantile(0.5):,}, nine in ten have at "
        f"most {lengths.quantile(0.9):,}, longest {lengths.longest:,}"
    )
    return f"{text}, none {none:.1%}" if none else text


def _shares(counts: Transitions) -> dict[str, dict[str, float]]:
    """Return shares of what follows, by predecessor; predecessors that never occur are missing."""
    totals = {before: sum(counts[before].values()) for before in BEFORE_NAMES}
    return {
        BEFORE_NAMES[before]: {
            name: counts[before].get(after, 0) / total for after, name in AFTER_NAMES.items()
        }
        for before, total in totals.items()
        if total
    }


def _facts(description: Description) -> list[tuple[str, str]]:
    """Return names and values of the dataset's origin and size."""
    logs, counts = description.manifest["logs"], description.manifest["counts"]
    names = dict.fromkeys(str(log["source"].get("name", "unnamed")) for log in logs)
    return [
        ("source", ", ".join(names)),
        ("from", logs[0]["report"]["first_time"]),
        ("to", logs[-1]["report"]["last_time"]),
        ("user ids", "masked" if all(log["masked"] for log in logs) else "as they came"),
        ("documents", f"{counts['documents'] - 1:,}"),
        ("vocabulary", f"{description.manifest['vocabulary_size'] - 1:,}"),
    ]


def _date(time: int) -> str:
    """Return a boundary as a date; a dash if no session reaches it."""
    if time >= NEVER:
        return "–"
    date = datetime.datetime.fromtimestamp(time / SECOND, datetime.UTC)
    return date.strftime("%Y-%m-%dT%H:%M:%SZ")


def to_html(description: Description, command: str) -> str:
    """Return the page: Table 1, requests left out, histograms, settings.

    Args:
        description: Facts of the dataset.
        command: Command line, written into the page.
    """
    manifest = description.manifest
    begins = [(f"{split} begins", _date(manifest["boundaries"][split])) for split in PERIODS[1:-1]]
    return render(
        "data_pipeline.description",
        "dataset.html.jinja",
        title=f"The dataset {description.name}",
        facts=[*_facts(description), *begins],
        table_1=_table_1(description.statistics),
        left_out=_left_out(manifest["left_out"]),
        drawings=[
            _sessions(description),
            _transitions(description.transitions),
            _histories(description.histories),
        ],
        flags=_flags(manifest["settings"]),
        choices=manifest["choices"],
        footer=command,
    )


Cells = Sequence[Sequence[str | Mapping[str, str]]]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure with the table of its numbers."""

    heading: str
    caption: str
    svg: str
    columns: Sequence[str]
    rows: Cells


def _table_1(statistics: dict[str, Row]) -> tuple[list[str], Cells]:
    rows: Cells = [
        [
            {"text": name.replace("_", " "), "note": note},
            *(number_text(statistics[period][name]) for period in PERIODS),
        ]
        for name, note in STATISTICS.items()
    ]
    return ["", *PERIODS], rows


def _left_out(counts: Mapping[str, Mapping[str, int]]) -> tuple[list[str], Cells]:
    rows = [
        [reason.replace("_", " "), *(f"{counts[task.label][reason]:,}" for task in Task)]
        for reason in LEFT_OUT
    ]
    return ["the first reason that holds", *(task.label for task in Task)], rows


def _sessions(description: Description) -> Drawing:
    longest = description.lengths.longest
    firsts = range(1, min(LONGEST_BAR, longest) + 1)
    bins = names_of_bins(firsts, longest)
    counts = {kind: lengths.binned(firsts) for kind, lengths in description.sessions.items()}
    kept = description.manifest["settings"]["sequence"]["session_behaviors"]
    return Drawing(
        "Sessions",
        f"Sessions by their number of behaviors: {_spread(description.lengths)}. "
        f"A model sees the last {kept} of a session.",
        dataset_figures.session_lengths(bins, counts),
        ["behaviors", *KINDS],
        [[name, *(f"{counts[kind][n]:,}" for kind in KINDS)] for n, name in enumerate(bins)],
    )


def _transitions(counts: Transitions) -> Drawing:
    return Drawing(
        "Behaviors after a search or a browse",
        "The next behavior within a session.",
        dataset_figures.transitions(_shares(counts)),
        ["", *AFTER_NAMES.values()],
        [
            [name, *(f"{counts[before].get(after, 0):,}" for after in AFTER_NAMES)]
            for before, name in BEFORE_NAMES.items()
        ],
    )


def _histories(histories: Mapping[str, Histogram]) -> Drawing:
    longest = max(lengths.longest for lengths in histories.values())
    firsts = doubling(longest)
    bins = names_of_bins(firsts, longest)
    counts = {task: lengths.binned(firsts) for task, lengths in histories.items()}
    shares = {task: [count / histories[task].total for count in counts[task]] for task in histories}
    spread = "; ".join(f"{task}: {_spread(lengths)}" for task, lengths in histories.items())
    return Drawing(
        "Histories",
        f"Targets by the behaviors of their user known before them. {spread}.",
        dataset_figures.history_lengths(bins, shares),
        ["behaviors", *histories],
        [
            [name, *(f"{counts[task][n]:,} ({shares[task][n]:.1%})" for task in histories)]
            for n, name in enumerate(bins)
        ],
    )


def _flags(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return settings as flags.

    Example:
        >>> _flags({"seed": 1, "text": {"width": 8}, "split": {}, "scenarios": ["unified"]})
        ['--seed=1', '--text.width=8', '--scenarios=unified']
    """
    lines = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            lines += _flags(value, f"{prefix}{name}.")
        else:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append(f"--{prefix}{name}={text}")
    return lines
