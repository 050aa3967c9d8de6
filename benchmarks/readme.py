"""Writes README's results from the JSON files in benchmarks/results.

python -m benchmarks.readme           # rewrites the block between the two markers
python -m benchmarks.readme --check   # fails if README and the JSON files disagree
"""

import dataclasses
import json
import pathlib
import sys
from typing import Any

from absl import app

from benchmarks import speed_tables
from data_pipeline import flagtree
from data_pipeline.flagtree import setting

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
METRICS = {"map": "MAP", "mrr": "MRR", "p_at_1": "P@1", "ndcg_at_10": "NDCG@10"}
_TITLES = {
    "trivago": "Real rows: trivago sessions (RecSys Challenge 2019)",
    "simulated": "Simulated: does unified data help?",
    "train_throughput": "Speed of training",
    "start_up": "Start-up, input, evaluation",
    "gpu": "On an accelerator",
    "sharing": "Windows of several targets against one target a window: quality",
    "faster": "bfloat16 and lazy Adam: quality",
}
_SPEED = {
    "train_throughput": speed_tables.throughput,
    "start_up": speed_tables.start_up,
    "gpu": speed_tables.gpu,
}


@dataclasses.dataclass(frozen=True)
class ReadmeSettings:
    """Everything `python -m benchmarks.readme` can be told."""

    check: bool = setting(False, "Compare instead of writing.")


def cell(value: dict[str, Any]) -> str:
    """Mean over seeds, with the standard deviation where seeds differ.

    Example:
        >>> cell({"mean": 0.5, "std": 0.0125}), cell({"mean": 0.5, "std": 0.0})
        ('.5000 ± .0125', '.5000')
    """

    def short(number: float) -> str:
        return f"{number:.4f}".removeprefix("0")

    return short(value["mean"]) + (f" ± {short(value['std'])}" if value["std"] else "")


def origin(content: dict[str, Any]) -> str:
    """Where the numbers come from."""
    machine, versions = content["machine"], content["versions"]
    engine = "tensorflow" if "tensorflow" in versions else "jax"
    return (
        f"`{content['command']}` on {machine['cpu']}, {machine['cores']} cores, {engine} "
        f"{versions[engine]}, {content['date'][:10]}."
    )


def study(content: dict[str, Any]) -> list[str]:
    """A study's tables, one a task and dataset: non-learned rankings, then the systems."""
    seeds = ", ".join(map(str, content["seeds"]))
    lines = [
        f"{content['question']} {content['split'].capitalize()} targets, whole lists; mean ± "
        f"standard deviation over seeds {seeds}. {origin(content)}",
        "",
    ]
    for task in ("search", "recommendation"):
        for datasets, entries in _by_targets(content, task):
            lines += _task_table(task, datasets, entries)
    return lines


def _by_targets(content: dict[str, Any], task: str) -> list[tuple[list[str], dict[str, Any]]]:
    """Entries of a task that stand in one table, with their datasets: those of the same targets."""
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
    """What rankings that learn nothing make of an entry's targets: alike for the same ones."""
    return {name: m for name, m in entry["rankings"].items() if name != entry["model"]}


def _task_table(task: str, datasets: list[str], entries: dict[str, Any]) -> list[str]:
    first = next(iter(entries.values()))
    gain = bool(first["share_of_gain"])
    headings = [*METRICS.values(), *(["share of the possible MAP gain"] if gain else [])]
    lines = [
        f"**{task.capitalize()}, {', '.join(datasets)}**: {first['queries']:,} queries of "
        f"{first['users']:,} users",
        "",
        f"| ranking | {' | '.join(headings)} |",
        "|---|" + "---:|" * len(headings),
    ]
    rows: dict[str, list[str]] = {
        name: [cell(metrics[key]) for key in METRICS] + ([""] if gain else [])
        for name, metrics in _targets(first).items()
    }
    for name, entry in entries.items():
        values = [cell(entry["rankings"][entry["model"]][key]) for key in METRICS]
        if gain:
            values.append(cell(entry["share_of_gain"]["map"]))
        rows[f"**{name}**"] = values
    return [*lines, *(f"| {name} | {' | '.join(values)} |" for name, values in rows.items()), ""]


def block() -> str:
    """The results block as Markdown."""
    lines = []
    for name, title in _TITLES.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            body = _SPEED[name](content, origin(content)) if name in _SPEED else study(content)
            lines += [f"### {title}", "", *body]
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def main(arguments: list[str]) -> None:
    """Rewrites or compares README's block."""
    del arguments
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    new = f"{head}{BEGIN}\n{block()}{END}{rest.split(END)[1]}"
    if flagtree.read(ReadmeSettings).check:
        if new != text:
            sys.exit("README.md disagrees with benchmarks/results. Run `make results`.")
        return
    path.write_text(new, encoding="utf-8")
    measured = RESULTS / "train_throughput.json"
    if measured.exists():
        speed_tables.draw(json.loads(measured.read_text(encoding="utf-8")), RESULTS)


if __name__ == "__main__":
    flagtree.define(ReadmeSettings)
    app.run(main)
