"""What a dataset holds, in figures: as a few lines and as one HTML page."""

import dataclasses
import datetime
import html
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_pipeline.common.codes import SECOND, Task
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.description import dataset_figures
from data_pipeline.description.histograms import (
    KINDS,
    Histogram,
    Transitions,
    doubling,
    names_of_bins,
)
from data_pipeline.description.html_page import figure, page, table
from data_pipeline.description.table_1 import PERIODS, STATISTICS, Row, number_text, table_text
from data_pipeline.events.as_of import NEVER
from data_pipeline.targets.eligible_targets import LEFT_OUT

LONGEST_BAR = 16
"""Longer sessions share the bar of those of this length."""

BEFORE_NAMES = {
    "begin": "first of a session",
    "search": "after a search",
    "browse": "after a browse",
}
AFTER_NAMES = {"search": "a search", "browse": "a browse", "end": "end of the session"}


@dataclasses.dataclass(frozen=True)
class Description:
    """What is told of a dataset.

    Attributes:
        name: Of its folder.
        manifest: Of the dataset.
        statistics: `data_pipeline.description.table_1.table_1`.
        sessions: Lengths of sessions by kind (`KINDS`).
        lengths: Lengths of all sessions.
        transitions: `data_pipeline.description.histograms.transitions`.
        histories: Behaviors known before each target, by task; tasks without targets are left out.
    """

    name: str
    manifest: Mapping[str, Any]
    statistics: dict[str, Row]
    sessions: dict[str, Histogram]
    lengths: Histogram
    transitions: Transitions
    histories: dict[str, Histogram]


def read(dataset: Dataset) -> Description:
    """Reads what a dataset tells of itself.

    Raises:
        ValueError: It was prepared before histograms were counted.
    """
    manifest = dataset.manifest
    if "histograms" not in manifest:
        raise ValueError(
            "The manifest of a dataset should hold `histograms`. Received: "
            f"{str(dataset.path)!r}, which an earlier version prepared. Run `python -m "
            "data_pipeline.prepare` again with a new --output."
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
    """A few lines to read in a terminal."""
    lines = [
        f"{description.name}: {', '.join(f'{name} {value}' for name, value in _facts(description))}",
        "",
        table_text(description.statistics),
        "",
        f"{'session length':<36}{_spread(description.lengths)}",
    ]
    for before, shares in _shares(description.transitions).items():
        told = ", ".join(f"{after} {share:.1%}" for after, share in shares.items() if share)
        lines.append(f"{before:<36}{told}")
    for task, lengths in description.histories.items():
        lines.append(f"{f'history of {task} targets':<36}{_spread(lengths)}")
    return "\n".join(lines)


def _spread(lengths: Histogram) -> str:
    """Mean and quantiles in words."""
    none = int(lengths.counts[lengths.values == 0].sum()) / lengths.total
    told = (
        f"mean {lengths.mean:,.1f}, median {lengths.quantile(0.5):,}, nine in ten have at "
        f"most {lengths.quantile(0.9):,}, longest {lengths.longest:,}"
    )
    return f"{told}, none {none:.1%}" if none else told


def _shares(counts: Transitions) -> dict[str, dict[str, float]]:
    """Shares of what came after by what was before, both by their names; what never was is out."""
    totals = {before: sum(counts[before].values()) for before in BEFORE_NAMES}
    return {
        BEFORE_NAMES[before]: {
            name: counts[before].get(after, 0) / total for after, name in AFTER_NAMES.items()
        }
        for before, total in totals.items()
        if total
    }


def _facts(description: Description) -> list[tuple[str, str]]:
    """Where the dataset comes from, name by name."""
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
    """A boundary as a date; one that no session reaches is none."""
    if time >= NEVER:
        return "–"
    moment = datetime.datetime.fromtimestamp(time / SECOND, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def to_html(description: Description, command: str) -> str:
    """The page: Table 1, what was left out, histograms, settings.

    Args:
        description: Of the dataset.
        command: Command line, written into the page.
    """
    title = f"The dataset {description.name}"
    manifest = description.manifest
    periods = [(f"{split} begins", _date(time)) for split, time in _boundaries(manifest)]
    body = [
        f"<h1>{html.escape(title)}</h1>",
        table(["", ""], [*_facts(description), *periods]),
        "<h2>Statistics (Table 1)</h2>",
        "<p>A period holds the sessions that begin in it. Users and queries of several periods "
        "count in each of them, and once in the last column.</p>",
        _table_1(description.statistics),
        "<h2>Requests and browses that are no targets</h2>",
        _left_out(manifest["left_out"]),
        "<h2>Sessions</h2>",
        _sessions(description),
        "<h2>What follows a search or a browse</h2>",
        _transitions(description.transitions),
        "<h2>Histories</h2>",
        _histories(description),
        "<h2>How it was prepared</h2>",
        f"<pre>{html.escape(chr(10).join(_flags(manifest['settings'])))}</pre>",
        "<ul>",
        *(f"<li>{html.escape(choice)}</li>" for choice in manifest["choices"]),
        "</ul>",
        f"<footer>{html.escape(command)}</footer>",
    ]
    return page(title, "\n".join(body))


def _boundaries(manifest: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(split, manifest["boundaries"][split]) for split in PERIODS[1:-1]]


def _table_1(statistics: dict[str, Row]) -> str:
    rows = [
        [name.replace("_", " "), *(number_text(statistics[period][name]) for period in PERIODS)]
        for name in STATISTICS
    ]
    return table(["", *PERIODS], rows, list(STATISTICS.values()))


def _left_out(counts: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        [reason.replace("_", " "), *(f"{counts[task.label][reason]:,}" for task in Task)]
        for reason in LEFT_OUT
    ]
    return table(["the first reason that holds", *(task.label for task in Task)], rows)


def _sessions(description: Description) -> str:
    longest = description.lengths.longest
    firsts = range(1, min(LONGEST_BAR, longest) + 1)
    bins = names_of_bins(firsts, longest)
    counts = {kind: held.binned(firsts) for kind, held in description.sessions.items()}
    rows = [[name, *(f"{counts[kind][n]:,}" for kind in KINDS)] for n, name in enumerate(bins)]
    kept = description.manifest["settings"]["sequence"]["session_behaviors"]
    return figure(
        f"Sessions by their number of behaviors: {_spread(description.lengths)}. "
        f"A model sees the last {kept} of a session.",
        dataset_figures.session_lengths(bins, counts),
        table(["behaviors", *KINDS], rows),
    )


def _transitions(counts: Transitions) -> str:
    rows = [
        [name, *(f"{counts[before].get(after, 0):,}" for after in AFTER_NAMES)]
        for before, name in BEFORE_NAMES.items()
    ]
    return figure(
        "What comes next within a session.",
        dataset_figures.transitions(_shares(counts)),
        table(["", *AFTER_NAMES.values()], rows),
    )


def _histories(description: Description) -> str:
    histories = description.histories
    longest = max(lengths.longest for lengths in histories.values())
    firsts = doubling(longest)
    bins = names_of_bins(firsts, longest)
    counts = {task: lengths.binned(firsts) for task, lengths in histories.items()}
    shares = {task: [count / histories[task].total for count in counts[task]] for task in histories}
    rows = [
        [name, *(f"{counts[task][n]:,} ({shares[task][n]:.1%})" for task in histories)]
        for n, name in enumerate(bins)
    ]
    told = "; ".join(f"{task}: {_spread(held)}" for task, held in histories.items())
    return figure(
        f"Targets by the behaviors of their user known before them. {told}.",
        dataset_figures.history_lengths(bins, shares),
        table(["behaviors", *histories], rows),
    )


def _flags(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings as the flags that give them.

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
