"""Write the card of a served model: use, data, metrics as served, settings, limits, checksums."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.common.checksums import describe_files

CARD = "model_card.md"
SERVED = "served-test.json"
"""Metrics of the test split as served, of `user_tf.evaluate --served`."""

_USE = """This model orders given candidates for one user: documents of a result list for a query, or of a feed
without one. It reads the user's own history, the query and the titles. It finds no candidates itself, and
its scores have a meaning only relative to each other in one request.
"""
_LIMITS = """* A user without a row of the user table, and every user of a client with another masking key, is ranked by the
  request's history alone.
* A document is its title: documents of one title have one score, and nothing else of a document is read.
* Counts over all users are as old as their date above; `user_tf.update_counts` renews them.
* What users clicked depends on where it was shown. Frequent titles gain from that, and so may groups of users
  who are frequent in the log; the metrics are means over queries and show neither.
* The model keeps masked user ids and the words of the log's vocabulary. Who has the key can look for a user.
* Texts of another language or domain than the log's are mostly unknown words: watch `unknown_words`.
"""


def write_card(version: pathlib.Path, extra: pathlib.Path, manifest: Mapping[str, Any]) -> None:
    """Write model_card.md; metrics are in it once `user_tf.evaluate --served` has written them.

    Args:
        version: Folder of the version, complete but for the card.
        extra: Its folder assets.extra.
        manifest: Content of export.json.
    """
    served = extra / SERVED
    metrics = json.loads(served.read_text(encoding="utf-8")) if served.exists() else None
    sections = [
        ("Use", _USE),
        ("Data", _list(_data(manifest))),
        ("Metrics as served", _metrics(metrics)),
        ("Settings", _list(_settings(manifest))),
        ("Limits", _LIMITS),
        ("Files", _files(version)),
    ]
    text = "# Model card\n" + "".join(f"\n## {title}\n\n{body}" for title, body in sections)
    (extra / CARD).write_text(text, encoding="utf-8")


def _data(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    data = manifest["data"]
    rows: list[tuple[str, Any]] = [
        ("Dataset", f"`{manifest['dataset']}`, manifest {manifest['dataset_manifest_sha256']}"),
        *(("Log", _log(log)) for log in data["logs"]),
        *((f"Begin of {split}", _date(time)) for split, time in _by_time(data["boundaries"])),
    ]
    for split in ("train", "validation", "test"):
        figures = data["statistics"][split]
        rows.append(
            (
                f"Targets of {split}",
                f"{figures['search_targets']:,} searches, {figures['recommendation_targets']:,} "
                f"recommendations, of {figures['users']:,} users",
            )
        )
    key = manifest["key_fingerprint"]
    masked = "masked" if all(log["masked"] for log in data["logs"]) else "as they came"
    rows.append(("User ids", f"{masked}, key fingerprint {key}" if key else masked))
    return rows


def _by_time(boundaries: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(boundaries.items(), key=lambda item: item[1])


def _log(log: Mapping[str, Any]) -> str:
    report = log["report"]
    return (
        f"{log['source']}, {report['first_time']} to {report['last_time']}: {report['users']:,} users, "
        f"{report['searches']:,} searches, {report['recommendations']:,} recommendations"
    )


def _metrics(content: Mapping[str, Any] | None) -> str:
    if content is None:
        return (
            "Not measured: run `python -m user_tf.evaluate --served`, which rewrites this card.\n"
        )
    lines = ["| task | ranking | queries | MAP | MRR | NDCG@10 |", "|---|---|---|---|---|---|"]
    for task, rankings in content["tasks"].items():
        # The rankings to compare with were made on the same queries.
        queries = rankings["served"]["queries"]
        for name, values in rankings.items():
            cells = (values[metric] for metric in ("map", "mrr", "ndcg_at_10"))
            shown = " | ".join("-" if cell is None else f"{cell:.4f}" for cell in cells)
            lines.append(f"| {task} | {name} | {queries:,} | {shown} |")
    return (
        "\n".join(lines) + f"\n\nTest split, raw strings through `rank`, {content['date'][:10]}.\n"
    )


def _settings(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    counts = manifest["counts"]
    known = "none" if counts is None else f"{counts['titles']:,} titles, until {counts['until']}"
    return [
        ("Run", f"`{manifest['run']}`"),
        ("Weights", ", ".join(f"{task}: {name}" for task, name in manifest["phases"].items())),
        ("Tasks", ", ".join(manifest["tasks"])),
        ("Signatures", ", ".join(manifest["signatures"])),
        ("Behaviors read", manifest["scenario"]),
        ("History", ", ".join(f"{name} {size}" for name, size in manifest["limits"].items())),
        ("Session", f"a gap above {manifest['session_minutes']:g} minutes ends it"),
        ("Features F", ", ".join(manifest["features"]) or "none"),
        ("Counts", known),
        ("Known users", f"{manifest['known_users']:,}"),
        ("Versions", f"TensorFlow {manifest['tensorflow']}, Keras {manifest['keras']}"),
        ("Command", f"`{manifest['command']}`"),
    ]


def _files(version: pathlib.Path) -> str:
    lines = ["| file | bytes | sha256 |", "|---|---|---|"]
    for name, entry in describe_files(version).items():
        if not name.endswith(f"/{CARD}"):
            lines.append(f"| `{name}` | {entry['bytes']:,} | {entry['sha256']} |")
    return "\n".join(lines) + "\n"


def _list(rows: Sequence[tuple[str, Any]]) -> str:
    return "".join(f"* {name}: {value}\n" for name, value in rows)


def _date(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us"))[:19] + " UTC"
