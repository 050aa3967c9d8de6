"""The tables of an evaluation as text, its rows by query, and its provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from user_tf.evaluation import metrics
from user_tf.evaluation.evaluator import Evaluation
from user_tf.evaluation.provenance import provenance as describe_machine

HEADINGS = {
    "map": "MAP",
    "mrr": "MRR",
    "p_at_1": "P@1",
    "average_click_position": "Avg.C",
    "ndcg_at_5": "NDCG@5",
    "ndcg_at_10": "NDCG@10",
    "auc_grouped": "AUC",
    "auc_pooled": "AUC all",
}
_PACKAGES = (
    "tensorflow",
    "keras",
    "tensorflow-ranking",
    "numpy",
    "scipy",
    "pyarrow",
    "lightgbm",
)
_NAME_WIDTH, _CELL_WIDTH = 24, 8
_SIGNIFICANT = 0.05


def text_table(title: str, comparison: Mapping[str, Any]) -> str:
    """Return the rankings of a task as text with the improvement to the original order.

    Args:
        title: First words of the heading, such as the task.
        comparison: Result of `comparison.compare`.

    Returns:
        Lines without a trailing newline. A star marks p < 0.05 of the paired t-test.
    """
    lines = [
        f"{title}: {comparison['queries']:,} queries of {comparison['users']:,} users; "
        f"{comparison['left_out']:,} left out (all or none relevant)",
        _row("", list(HEADINGS.values())),
    ]
    for name, entry in comparison["rankings"].items():
        lines.append(_row(name, [_number(entry["metrics"][key]) for key in HEADINGS]))
        if "improvement" in entry:
            cells = [
                _change(entry["improvement"][key], entry["p_value"].get(key)) for key in HEADINGS
            ]
            lines.append(_row("  to the original, %", cells))
        if "fraction_of_oracle_gain" in entry:
            shares = [_number(entry["fraction_of_oracle_gain"][key], 2) for key in HEADINGS]
            lines.append(_row("  of the oracle gain", shares))
    return "\n".join(lines)


def slice_table(comparison: Mapping[str, Any], names: Sequence[str], metric: str = "map") -> str:
    """Return one metric of the named rankings on every slice of a task; rows are slices."""
    rankings = comparison["rankings"]
    width = max(_CELL_WIDTH, *(len(name) + 2 for name in names))
    lines = [f"{HEADINGS[metric] + ' on slices':<32}{'queries':>10}"]
    lines[0] += "".join(f"{name:>{width}}" for name in names)
    for part, summary in rankings[names[0]]["slices"].items():
        line = f"  {part:<30}{summary['queries']:>10,}"
        for name in names:
            line += f"{_number(rankings[name]['slices'][part][metric]):>{width}}"
        lines.append(line)
    return "\n".join(lines)


def query_table(evaluations: Mapping[str, Evaluation], model: str) -> pa.Table:
    """Return one row a query: the model's `Evaluation.table` and columns `<ranking>: <metric>`."""
    table = evaluations[model].table()
    for name, evaluation in evaluations.items():
        if name != model:
            for key in metrics.METRICS:
                column = pa.array(evaluation.values[key], pa.float64(), from_pandas=True)
                table = table.append_column(f"{name}: {key}", column)
    return table


def provenance(command: str, seed: int) -> dict[str, Any]:
    """Return the origin of numbers: command, seed, UTC date, machine and versions.

    Example:
        >>> sorted(provenance("python -m user_tf.evaluate", 1))
        ['command', 'date', 'machine', 'seed', 'versions']
    """
    return {"command": command, "seed": seed, **describe_machine(_PACKAGES)}


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<{_NAME_WIDTH}}" + "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)


def _number(value: float | None, digits: int = 4) -> str:
    if value is None:
        return "-"
    # Mean positions in long lists would fill their cells.
    return f"{value:.{digits if abs(value) < 100 else 2}f}"


def _change(value: float | None, p_value: float | None) -> str:
    if value is None:
        return "-"
    digits = 1 if abs(value) < 1000 else 0
    return f"{value:+.{digits}f}" + ("*" if p_value is not None and p_value < _SIGNIFICANT else " ")
