"""Write the results of a grid of systems as one page and as Markdown.

    python -m user_tf.report RUNS [--output=FOLDER] [--slice=known_user,past_behaviors:1:10:30]

RUNS is a folder made by user_tf.experiment. Systems are compared query by query with the reference
system. Writes FOLDER/report.html, a page that needs no other file, report.md, and report.json with
all numbers. Matplotlib is an optional dependency: pip install '.[evidence]'.
"""

import pathlib
import shlex
import sys

from absl import app

from data_pipeline.common import flagtree
from user_tf.reporting.grid_report import ReportSettings, write_report


def main(arguments: list[str]) -> None:
    """Run the command line."""
    if len(arguments) != 2:
        raise app.UsageError(
            f"One folder of results must be named. Got {arguments[1:]}. Fix: write "
            "python -m user_tf.report RUNS."
        )
    settings = flagtree.read(ReportSettings)
    command = "python -m user_tf.report " + shlex.join(sys.argv[1:])
    written = write_report(pathlib.Path(arguments[1]), settings, command)
    print("Written: " + ", ".join(map(str, written)), flush=True)


def run() -> None:
    """Define the flags and run `main`; importing this file defines none."""
    flagtree.define(ReportSettings)
    app.run(main)


if __name__ == "__main__":
    run()
