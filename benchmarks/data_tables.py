"""Tables of what the data side costs: preparation by size of the log, the search for negatives."""

from typing import Any


def prepare(content: dict[str, Any], origin: str) -> list[str]:
    """Lines about the costs of `data_pipeline.prepare`.

    Args:
        content: prepare.json.
        origin: Where the numbers come from.
    """
    sizes = content["sizes"]
    lines = [
        "| behaviors | targets | candidates | seconds | behaviors/s | largest memory | slowest steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        steps = sorted(size["steps"].items(), key=lambda step: -step[1]["seconds"])[:3]
        told = ", ".join(f"{name} {cost['seconds']:.0f} s" for name, cost in steps)
        lines.append(
            f"| {size['behaviors']:,} | {size['targets']:,} | {size['candidates']:,} "
            f"| {size['seconds']:.0f} | {size['behaviors'] / size['seconds']:,.0f} "
            f"| {size['peak_gib']:.1f} GiB | {told} |"
        )
    lines += [""]
    if "pandas" in content:
        pandas = content["pandas"]
        lines += [
            f"The relational steps of {pandas['behaviors']:,} behaviors took {pandas['seconds']:.0f} "
            f"s and {pandas['peak_gib']:.1f} GiB in straightforward pandas, {pandas['times']:.1f} "
            "times as long as here.",
            "",
        ]
    return [*lines, origin, ""]


def negatives(content: dict[str, Any], origin: str) -> list[str]:
    """Lines about the search for pseudo-negatives.

    Args:
        content: negatives.json.
        origin: Where the numbers come from.
    """
    lines = [
        f"The best 100 documents of {content['targets']} targets; seeds "
        f"{', '.join(content['seeds'])}, mean ± standard deviation. The index's seconds contain "
        "building it.",
        "",
        "| documents | weight of popularity | recall of the index | exact, s | by the index, s |",
        "|---|---|---|---|---|",
    ]
    for size in content["sizes"]:
        exact, index = (f"{size[n]:.1f} ± {size[f'{n}_std']:.1f}" for n in ("exact", "index"))
        recall = f"{size['recall']:.3f} ± {size['recall_std']:.3f}"
        lines.append(
            f"| {size['documents']:,} | {size['popularity_weight']:g} | {recall} | {exact} | {index} |"
        )
    return [*lines, "", origin, ""]
