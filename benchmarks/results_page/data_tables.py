"""Tables of the data side's cost: preparation by size of the log, the search for negatives."""

import pathlib
from typing import Any

from data_pipeline.settings import PseudoNegativeSettings

PLOT = "preparation_cost.svg"


def prepare(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about the cost of `data_pipeline.prepare`, step by step, with most workers.

    Args:
        content: preparation_cost.json.
        origin: Origin of the numbers.
    """
    workers = max(size["workers"] for size in content["sizes"])
    sizes = [size for size in content["sizes"] if size["workers"] == workers]
    names = [f"{size['behaviors'] / 1e6:.1f} million" for size in sizes]
    heads = [f"{name}, {unit}" for name in names for unit in ("s", "GiB")]
    lines = [f"| step | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for step in sizes[0]["steps"]:
        costs = [size["steps"][step] for size in sizes]
        cells = [f"{cost['seconds']:.1f} | {cost['peak_gib']:.1f}" for cost in costs]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    note = (
        f"With {workers} workers; largest memory up to the end of each step, mapped files included."
    )
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
        f"![Seconds and memory of a preparation against behaviors](benchmarks/results/{PLOT})",
        "",
        "| behaviors | workers | candidates | seconds | times the first | behaviors/s | memory "
        "| slowest steps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    first: dict[int, float] = {}
    for size in sizes:
        least = first.setdefault(size["workers"], size["seconds"])
        steps = sorted(size["steps"].items(), key=lambda step: -step[1]["seconds"])[:3]
        slowest = ", ".join(f"{name} {cost['seconds']:.0f} s" for name, cost in steps)
        lines.append(
            f"| {size['behaviors']:,} | {size['workers']} | {size['candidates']:,} "
            f"| {size['seconds']:.0f} | {size['seconds'] / least:.1f} "
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


def draw(content: dict[str, Any], folder: pathlib.Path) -> None:
    """Draw seconds and memory against millions of behaviors into `folder/PLOT`."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    with matplotlib.rc_context({"svg.hashsalt": "user_tf", "font.size": 10}):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        seconds, memory = figure.subplots(1, 2)
        for axes, name in ((seconds, "seconds"), (memory, "peak_gib")):
            for workers in sorted({size["workers"] for size in content["sizes"]}):
                mine = [size for size in content["sizes"] if size["workers"] == workers]
                millions = [size["behaviors"] / 1e6 for size in mine]
                axes.plot(
                    millions,
                    [size[name] for size in mine],
                    "o-",
                    label=f"{workers} worker{'s' * (workers > 1)}",
                )
            if pandas := content.get("pandas"):
                place = pandas["behaviors"] / 1e6, pandas[name]
                axes.plot(*place, "^", color="#555555", label="pandas, relational steps only")
            axes.set(xscale="log", xlabel="millions of behaviors")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.grid(alpha=0.3)
        seconds.set(yscale="log", ylabel="seconds")
        seconds.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        seconds.yaxis.set_major_formatter("{x:g}")
        memory.set(ylim=(0, None), ylabel="memory, GiB")
        lines = seconds.get_legend_handles_labels()
        figure.legend(*lines, loc="outside upper center", ncols=len(lines[0]), frameon=False)
        for axes in (seconds, memory):
            axes.minorticks_off()
        figure.savefig(folder / PLOT, metadata={"Date": None})


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
