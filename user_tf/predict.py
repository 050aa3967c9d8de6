"""Rank the requests of a JSON Lines file by an exported model.

    python -m user_tf.predict --model=DIR --requests=FILE.jsonl --output=FILE.jsonl

One request a line, in the format of `user_tf.serving.request_json`; one answer a line, in the order
of the requests:

    {"line": 1, "request_id": "r17", "ranking": [2, 0, 1], "scores": [0.3, -1.2, 0.9]}

`scores` are in the order of the candidates, `ranking` holds their positions (from 0), best first,
ties in the given order. Only the SavedModel is loaded: no checkpoint, dataset or model code. A single
request is also printed.

A line that cannot be ranked gets its error instead, and the others their answers; the command then
ends with their count and the exit code 2:

    {"line": 3, "file": "requests.jsonl", "error": "`candidates` must be ... Got [] ... Fix: ..."}
"""

import dataclasses

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from user_tf.serving.request import RequestError
from user_tf.serving.request_file import rank_file


@dataclasses.dataclass(frozen=True)
class PredictSettings:
    """Settings of `python -m user_tf.predict`."""

    model: str = setting("", "Folder made by user_tf.export, or one of its versions.", path=True)
    requests: str = setting("", "JSON Lines file of requests.", path=True)
    output: str = setting(
        "", "JSON Lines file of answers to write; empty: print them only.", path=True
    )
    batch_size: int = setting(32, "Requests scored at once.")


def main(arguments: list[str]) -> None:
    """Run the command line; TensorFlow is imported after the flags are parsed."""
    settings = flagtree.read(PredictSettings)
    ranked, refused = rank_file(
        settings.model, settings.requests, settings.output, settings.batch_size
    )
    if refused:
        raise RequestError(
            f"`requests` must hold requests only. Got {refused} of {ranked + refused} lines that "
            f"cannot be ranked in {settings.requests!r}. Fix: correct the lines that have an `error` "
            "in the answers, and rank them again."
        )


def run() -> None:
    """Define the flags and run: importing this file defines none."""
    flagtree.define(PredictSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
