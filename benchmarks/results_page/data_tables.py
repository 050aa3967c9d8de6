"""Tables of the data side's cost: preparation by size of the log, the search for negatives."""

from typing import Any

from data_pipeline.settings import PseudoNegativeSettings


def prepare(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about the cost of `data_pipeline.prepare`, step by step.

    Args:
        content: preparation_cost.json.
        origin: Origin of the numbers.
    """
    sizes = content["sizes"]
    names = [f"{size['behaviors'] / 1e6:.1f} million" for size in sizes]
    heads = [f"{name}, {unit}" for name in names for unit in ("s", "GiB")]
    lines = [f"| step | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for step in sizes[0]["steps"]:
        costs = [size["steps"][step] for size in sizes]
        cells = [f"{cost['seconds']:.1f} | {cost['peak_gib']:.1f}" for cost in costs]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    note = "Largest memory up to the end of each step, mapped files included."
    return [*headline(content, origin), note, "", *lines, ""]


def headline(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about the total cost of `data_pipeline.prepare`.

    Args:
        content: preparation_cost.json.
        origin: Origin of the numbers.
    """
    sizes = content["sizes"]
    lines = [
        "Logs with their lists, three scenarios, without word2vec.",
        "",
        "| behaviors | candidates | seconds | times the first | behaviors/s | memory | slowest steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        steps = sorted(size["steps"].items(), key=lambda step: -step[1]["seconds"])[:3]
        slowest = ", ".join(f"{name} {cost['seconds']:.0f} s" for name, cost in steps)
        lines.append(
            f"| {size['behaviors']:,} | {size['candidates']:,} | {size['seconds']:.0f} "
            f"| {size['seconds'] / sizes[0]['seconds']:.1f} "
            f"| {size['behaviors'] / size['seconds']:,.0f} "
            f"| {size['peak_gib']:.1f} GiB | {slowest} |"
        )
    lines.append("")
    if pandas := content.get("pandas"):
        lines += [
            f"The relational steps of {pandas['behaviors']:,} behaviors took {pandas['seconds']:.0f} s "
            f"and {pandas['peak_gib']:.1f} GiB in straightforward pandas, {pandas['times']:.1f} times "
            f"as long as here ({pandas['ours_seconds']:.1f} s).",
            "",
        ]
    return [*lines, origin, ""]


def negatives(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about the search for pseudo-negatives.

    Args:
        content: negative_search_cost.json.
        origin: Origin of the numbers.
    """
    lines = [
        f"The best 100 documents of some targets; seeds {', '.join(content['seeds'])}, mean ± "
        "standard deviation. The index's seconds include building and updating it.",
        "",
        "| documents | targets | weight of popularity | recall of the index | exact, s | by the "
        "index, s |",
        "|---|---|---|---|---|---|",
    ]
    for size in content["sizes"]:
        exact, index = (f"{size[n]:.1f} ± {size[f'{n}_std']:.1f}" for n in ("exact", "index"))
        recall = f"{size['recall']:.3f} ± {size['recall_std']:.3f}"
        lines.append(
            f"| {size['documents']:,} | {size['targets']:,} | {size['popularity_weight']:g} | {recall} "
            f"| {exact} | {index} |"
        )
    lines += ["", "| documents | exact, ms a further target | by the index |", "|---|---|---|"]
    cheaper = []
    for documents, few, many in _by_targets(content["sizes"]):
        exact, index = (
            1000 * (many[name] - few[name]) / (many["targets"] - few["targets"])
            for name in ("exact", "index")
        )
        lines.append(f"| {documents:,} | {exact:.2f} | {index:.2f} |")
        cheaper += [f"{documents:,}"] * (index < exact)
    lines += [
        "",
        f"Once built, the index is cheaper at {', '.join(cheaper) or 'none of these'} "
        f"documents. `--pseudo_negatives.exact_documents` is {PseudoNegativeSettings().exact_documents:,}.",
    ]
    return [*lines, "", origin, ""]


def _by_targets(sizes: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    """Return by number of documents the means over weights for the fewest and the most targets."""
    result = []
    for documents in sorted({size["documents"] for size in sizes}):
        mine = [size for size in sizes if size["documents"] == documents]
        counts = sorted({size["targets"] for size in mine})
        means = []
        for count in (counts[0], counts[-1]):
            asked = [size for size in mine if size["targets"] == count]
            names = ("targets", "exact", "index")
            means.append({n: sum(size[n] for size in asked) / len(asked) for n in names})
        result.append((documents, means[0], means[1]))
    return result
