"""Give a served model the counts of a newer log, without a training.

    python -m user_tf.update_counts --model=DIR --log=LOG --version=2

Copies the highest version in DIR to DIR/<version>/ with counts of titles and queries as of the end of
LOG. Weights, vocabulary and users stay; no user is in the counts.
"""

import dataclasses
import shlex
import sys

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class UpdateCountsSettings:
    """Settings of `python -m user_tf.update_counts`."""

    model: str = setting("", "Folder made by user_tf.export.")
    log: str = setting("", "Behavior log whose counts to take, up to its end.")
    version: int = setting(2, "Number of the new version.")
    minimum_users: int = setting(
        2, "Users that must have opened a title, or searched a query, for its counts."
    )


def main(arguments: list[str]) -> None:
    """Run the command line; TensorFlow is imported after the flags are parsed."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"`arguments` must be flags. Got {arguments[1:]!r}. Fix: write --model=FOLDER."
        )
    settings = flagtree.read(UpdateCountsSettings)
    for name in ("model", "log"):
        if not getattr(settings, name):
            raise app.UsageError(f"`{name}` must name a folder. Got ''. Fix: set --{name}.")
    from user_tf.serving.count_update import update_counts

    command = "python -m user_tf.update_counts " + shlex.join(sys.argv[1:])
    print(update_counts(**dataclasses.asdict(settings), command=command), flush=True)


def run() -> None:
    """Define the flags and run: importing this file defines none."""
    flagtree.define(UpdateCountsSettings)
    app.run(main)


if __name__ == "__main__":
    run()
