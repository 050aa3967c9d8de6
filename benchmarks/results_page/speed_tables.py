"""Tables and plot of the speed measurements."""

import pathlib
from collections.abc import Sequence
from typing import Any

PAPER_USERS, PAPER_GROUPS_A_USER, PAPER_EPOCHS = 100_000, 50, 5
"""The paper's users; groups a user and epochs are assumed."""

PEAKS = {"one H200": 989, "eight H200": 8 * 989, "TPU v5e-1": 197, "TPU v5e-8": 8 * 197}
"""Dense bfloat16 peak of their data sheets, 1e12 operations/s."""

PLOT = "cost_by_history.svg"
_COMPARISONS = {
    "history": "Histories of 10, 30 and 100 behaviors; windows of 32 targets, or each target alone "
    "(nothing shared between targets, no work on padding either)",
    "shortcuts": "Work left out at the reference history of 30: co-attention for searches with "
    "clicks only, KNRM for searches only, texts grouped by length",
    "precision": "Precision, padding and XLA",
    "targets a window": "Targets a window, 256 targets a batch each",
    "windows a batch": "Windows a batch",
    "users": "Rows of the user table; `table` is Adam on every row, `touched` lazy Adam on the "
    "batch's rows",
    "trivago": "trivago's log (titles of 2 to 4 tokens, short histories)",
}


def span(value: dict[str, float], digits: int = 0) -> str:
    """Write median and range of a measurement.

    Example:
        >>> span({"median": 3.0, "least": 2.0, "most": 4.0}, 1)
        '3.0 (2.0 to 4.0)'
    """
    median, least, most = (f"{value[k]:,.{digits}f}" for k in ("median", "least", "most"))
    return f"{median} ({least} to {most})"


def layouts(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about USER's speed against the layout of the released code.

    Args:
        content: layout_speed.json.
        origin: Origin of the numbers.
    """
    lines = [
        "| past behaviors | USER, groups/s | released layout, groups/s | ratio, round by round |",
        "|---:|---:|---:|---:|",
    ]
    for row in content["layouts"]:
        rates = row["groups_per_second"]
        lines.append(
            f"| {row['history']} | {span(rates['user'])} | {span(rates['released_layout'], 1)} | "
            f"{span(row['ratio'])} |"
        )
    load = f" Meanwhile: {content['other_load']}." if content["other_load"] else ""
    return [
        *lines,
        "",
        "Training at the paper's widths, groups of a target and 4 negatives; medians and ranges over "
        "rounds that alternate steps of both layouts in one process. The released layout is "
        "`benchmarks/peers/plain_transcription.py`: the same equations in plain Keras, every target alone "
        f"with its padded history and nothing shared. {origin}{load}",
        "",
    ]


def layout_details(content: dict[str, Any], origin: str) -> list[str]:
    """Return `layouts` and the reason for the difference: the texts that a group encodes."""
    texts = [
        f"{row['texts_encoded_a_group']['user']:.1f} and "
        f"{row['texts_encoded_a_group']['released_layout']} at {row['history']} behaviors"
        for row in content["layouts"]
    ]
    return [
        *layouts(content, origin),
        f"Texts encoded for a group, USER and the released layout: {'; '.join(texts)}. Workload: "
        f"{content['workload']}.",
        "",
    ]


def throughput(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about rates of training and the time of each stage of a step.

    Args:
        content: train_throughput.json.
        origin: Origin of the numbers.
    """
    lines = [
        f"Training USER at the paper's widths (d 100, 8 heads of 50, feed-forward 256), 4 negatives a "
        f"group, exact sizes, dropout on. Medians and ranges over turns, cases in turns. Workload: "
        f"{content['workload']}. {origin}",
        "",
    ]
    if "history" in content["comparisons"]:
        lines += [
            f"![Seconds for 1,000 groups against history length](benchmarks/results/{PLOT})",
            "",
        ]
    for name, rows in content["comparisons"].items():
        lines += [
            f"**{_COMPARISONS[name]}**",
            "",
            "| | groups/s | of the first line | Gflop a group |",
            "|---|---:|---:|---:|",
        ]
        for row in rows:
            lines.append(
                f"| {row['name']} | {span(row['groups_per_second'])} | {span(row['of_first'], 2)} | "
                f"{row['operations_a_group'] / 1e9:.2f} |"
            )
        lines.append("")
    for split in content["split"]:
        lines += _split(split)
    return lines


def _split(split: dict[str, Any]) -> list[str]:
    rate = split["products_per_second_of_the_machine"]
    total = sum(split["stage_seconds"].values())
    lines = [
        f"**Where a step of {split['groups']:.0f} groups goes, {split['precision']}** "
        f"({split['step_seconds']:.2f} s; stages timed alone, forward and backward, sum {total:.2f} s; "
        f"the machine's own rate in products of 1,536 x 1,536 matrices: {rate / 1e9:.0f} Gflop/s)",
        "",
        "| stage | share of the stages' time | products, share of the machine's rate |",
        "|---|---:|---:|",
    ]
    for stage, value in split["stage_seconds"].items():
        share = split["share_of_the_machine"].get(stage)
        lines.append(
            f"| {stage} | {value / total:.0%} | {'' if share is None else format(share, '.0%')} |"
        )
    alone = split["text_products_share"]
    lines += [
        "",
        f"The text encoder's projections alone, at their shapes, forward and backward: {alone:.0%} of "
        "the machine's rate.",
        "",
    ]
    return lines


def start_up(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about start-up, input and evaluation."""
    training, alone = content["training"], content["input alone"]
    candidates = content["candidates per second"]
    rates, memory = alone["groups_per_second"], alone["resident_gib_every_five_epochs"]
    ratio = sorted(candidates["ratio"])
    return [
        origin,
        "",
        "| what | measured |",
        "|---|---:|",
        f"| `import user_tf` | {content['import user_tf, seconds']:.2f} s |",
        f"| `python -m user_tf.train --help` | {content['train --help, seconds']:.2f} s |",
        "| `user_tf.train` to its first step, checkpoint and end | "
        f"{training['first step, seconds of the whole command']:.0f} s |",
        "| of an epoch's seconds, waiting for input | "
        f"{training['waiting for input, share of the epoch']:.1%} |",
        f"| input pipeline alone, 2 cores | {min(rates):,.0f} to {max(rates):,.0f} groups/s |",
        f"| its memory every five epochs | {', '.join(f'{gib:.2f}' for gib in memory)} GiB |",
        f"| evaluation of complete lists of {candidates['targets']:,} targets, input included, candidates/s "
        f"of training's | {ratio[0]:.1f} to {ratio[-1]:.1f} times |",
        "",
    ]


def gpu(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about rates on one device, and about devices that were not at hand."""
    lines = [
        f"{content['device']['name']}. {origin}",
        "",
        "| precision | windows a batch | groups/s | share of the peak | hours for a million groups, "
        "extrapolated |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in content["measurements"]:
        share = row["share_of_peak"]
        hours = row["paper_scale_epoch"]["seconds_extrapolated"] / 3600
        lines.append(
            f"| {row['precision']} | {row['windows_per_batch']} | {span(row['groups_per_second'])} | "
            f"{'' if share is None else format(share, '.0%')} | {hours:.2f} |"
        )
    return [*lines, "", *_plan(content["measurements"]), ""]


def _plan(measurements: Sequence[dict[str, Any]]) -> list[str]:
    """Return lines about training of the paper's size on devices that were not at hand."""
    cheapest = min(row["floating_point_operations_of_a_group"] for row in measurements)
    groups = PAPER_USERS * PAPER_GROUPS_A_USER * PAPER_EPOCHS
    lines = [
        f"By arithmetic, not measured: {PAPER_USERS:,} users with {PAPER_GROUPS_A_USER} groups each, "
        f"{PAPER_EPOCHS} epochs, {cheapest / 1e6:,.0f} million operations of matrix products a group "
        "(counted from the compiled step), at a share of the device's dense bfloat16 peak:",
        "",
        "| device | peak, 1e12 operations/s | minutes at 5 % | at 20 % |",
        "|---|---:|---:|---:|",
    ]
    for name, peak in PEAKS.items():
        minutes = [groups * cheapest / (peak * 1e12 * share) / 60 for share in (0.05, 0.2)]
        lines.append(f"| {name} | {peak:,} | {minutes[0]:.2f} | {minutes[1]:.2f} |")
    return lines


def draw(content: dict[str, Any], folder: pathlib.Path) -> None:
    """Draw seconds for a thousand groups against history length into `folder/PLOT`."""
    import matplotlib
    from matplotlib.figure import Figure

    rows = content["comparisons"].get("history", [])
    if not rows:
        return
    with matplotlib.rc_context({"svg.hashsalt": "user_tf", "font.size": 10}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        forms = {"shared windows of 32 targets": True, "each target alone": False}
        for (label, shared), color in zip(forms.items(), ("#0072b2", "#d55e00"), strict=True):
            mine = [row for row in rows if row["shared"] == shared]
            histories = [row["history"] for row in mine]
            rates = [row["groups_per_second"] for row in mine]
            axes.plot(histories, [1e3 / r["median"] for r in rates], "o-", color=color, label=label)
            axes.fill_between(
                histories,
                [1e3 / r["most"] for r in rates],
                [1e3 / r["least"] for r in rates],
                color=color,
                alpha=0.2,
                linewidth=0,
            )
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="past behaviors of a target",
            ylabel="seconds for 1,000 groups",
            xticks=[10, 30, 100],
            xticklabels=["10", "30", "100"],
        )
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(folder / PLOT, metadata={"Date": None})
