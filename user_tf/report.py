"""Write the results of a grid of systems as one page and as Markdown.

    python -m user_tf.report RUNS [--output=FOLDER] [--slice=known_user,past_behaviors:1:10:30]

RUNS is a folder made by user_tf.experiment. Systems are compared query by query with the reference
system. Writes FOLDER/report.html, a page that needs no other file, report.md, and report.json with
all numbers. Matplotlib is an optional dependency: pip install '.[evidence]'.
"""

import pathlib
import shlex
import sys

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.paths import local_path
from user_tf.reporting.grid_report import ReportSettings, write_report


def main(arguments: list[str]) -> None:
    """Run the command line."""
    settings = flagtree.read(ReportSettings)
    command = "python -m user_tf.report " + shlex.join(sys.argv[1:])
    written = write_report(pathlib.Path(local_path("RUNS", arguments[1])), settings, command)
    print("Written: " + ", ".join(map(str, written)), flush=True)


def run() -> None:
    """Define the flags and run `main`; importing this file defines none."""
    flagtree.define(ReportSettings)
    command_line.run(main, "RUNS")


if __name__ == "__main__":
    run()
