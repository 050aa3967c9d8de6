"""Tables of the studies of `benchmarks.studies`."""

from typing import Any

from user_tf.reporting.number_format import spread

METRICS = {"map": "MAP", "mrr": "MRR", "p_at_1": "P@1", "ndcg_at_10": "NDCG@10"}


def study(content: dict[str, Any], origin: str) -> list[str]:
    """Return a study's tables, one a task and dataset: heuristics, then the systems."""
    seeds = ", ".join(map(str, content["seeds"]))
    lines = [
        f"{content['question']} {content['split'].capitalize()} targets, complete lists; mean ± "
        f"standard deviation over seeds {seeds}. {origin}",
        "",
    ]
    for task in ("search", "recommendation"):
        for datasets, entries in _by_targets(content, task):
            lines += _task_table(task, datasets, entries)
    return lines


def _by_targets(content: dict[str, Any], task: str) -> list[tuple[list[str], dict[str, Any]]]:
    """Return the entries of a task by table, with their datasets: one table for the same targets."""
    groups: list[tuple[list[str], dict[str, Any]]] = []
    for dataset in content["commands"]:
        entries = {
            name: system["tasks"][task]
            for name, system in content["systems"].items()
            if system["dataset"] == dataset and task in system["tasks"]
        }
        if not entries:
            continue
        for datasets, others in groups:
            if _targets(next(iter(others.values()))) == _targets(next(iter(entries.values()))):
                datasets.append(dataset)
                others |= entries
                break
        else:
            groups.append(([dataset], entries))
    return groups


def _targets(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of the heuristics, which are equal for the same targets."""
    return {name: m for name, m in entry["rankings"].items() if name != entry["model"]}


def _task_table(task: str, datasets: list[str], entries: dict[str, Any]) -> list[str]:
    first = next(iter(entries.values()))
    gain = bool(first["fraction_of_oracle_gain"])
    headings = [*METRICS.values(), *(["fraction of oracle MAP gain"] if gain else [])]
    lines = [
        f"**{task.capitalize()}, {', '.join(datasets)}**: {first['queries']:,} queries of "
        f"{first['users']:,} users",
        "",
        f"| ranking | {' | '.join(headings)} |",
        "|---|" + "---:|" * len(headings),
    ]
    rows: dict[str, list[str]] = {
        name: [spread(metrics[key]) for key in METRICS] + ([""] if gain else [])
        for name, metrics in _targets(first).items()
    }
    for name, entry in entries.items():
        values = [spread(entry["rankings"][entry["model"]][key]) for key in METRICS]
        if gain:
            values.append(spread(entry["fraction_of_oracle_gain"]["map"]))
        rows[f"**{name}**"] = values
    return [*lines, *(f"| {name} | {' | '.join(values)} |" for name, values in rows.items()), ""]
