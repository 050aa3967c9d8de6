"""Table of the latency of a served model."""

from typing import Any


def latency(content: dict[str, Any], origin: str) -> list[str]:
    """Return lines about a served model, a row for each case.

    Args:
        content: serving_*.json.
        origin: Origin of the numbers.
    """
    before, after = (load[0] for load in content["load_average_before_and_after"])
    lines = [
        f"{origin} One core, one thread; load average of the machine {before:.1f} before and {after:.1f} "
        f"after. The model takes {content['model_bytes'] / 1e6:.0f} MB.",
        "",
        "| signature | candidates | past behaviors | requests a batch | p50, ms | p95, ms | p99, ms "
        "| processor, ms | requests/s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in (row for row in content["cases"] if row["signature"] != "sort"):
        numbers = [row["p50_ms"], row["p95_ms"], row["p99_ms"], row["processor_ms"]["median"]]
        lines.append(
            f"| `{row['signature']}` | {row['candidates']} | {row['history']} | {row['batch']} | "
            f"{' | '.join(f'{number:.1f}' for number in numbers)} | {row['requests_per_second']:.0f} |"
        )
    first = [
        f"`{row['signature']}` {row['cold_ms'] / 1e3:.1f} s, {row['after_warm_up_ms']:.0f} ms"
        for row in content["first_request"]
    ]
    sorts = next(row for row in content["cases"] if row["signature"] == "sort")
    return [
        *lines,
        "",
        f"The machine's own spread: sorting an array in the same turns took {sorts['p50_ms']:.1f} ms (p50), "
        f"{sorts['p99_ms']:.1f} ms (p99).",
        "",
        f"First request after loading, without and with a warm-up: {'; '.join(first)}.",
        "",
    ]
