"""`python -m data_pipeline.describe`: what a dataset holds, in figures.

    python -m data_pipeline.describe DATASET [--output=PAGE.html]

prints Table 1 of the paper for this dataset and how long its sessions and histories are, and
writes them with histograms as one HTML page that needs nothing beside it. Matplotlib is an optional
dependency: pip install '.[evidence]'.
"""

import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class DescribeSettings:
    """Everything `python -m data_pipeline.describe` can be told beside the dataset."""

    output: str = setting(
        "", "HTML file to write; empty: beside the dataset, DATASET-description.html."
    )


def describe(dataset: pathlib.Path, output: pathlib.Path, command: str) -> str:
    """Writes the page of a dataset; returns the short form.

    Args:
        dataset: Folder of the dataset, which is left as it is.
        output: HTML file; one that exists is replaced.
        command: Command line, written into the page.

    Raises:
        FileNotFoundError, ValueError: `dataset` is no whole dataset, or an earlier version's.
        ModuleNotFoundError: Matplotlib is not installed.
    """
    from data_pipeline.dataset.dataset_folder import open_dataset
    from data_pipeline.description import dataset_page
    from data_pipeline.description.svg import import_matplotlib

    import_matplotlib("data_pipeline.describe")
    found = dataset_page.read(open_dataset(dataset))
    text = dataset_page.to_html(found, command)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return f"{dataset_page.to_text(found)}\nPage: {output}"


def main(arguments: Sequence[str]) -> None:
    """Describes the dataset that the command line names."""
    if len(arguments) != 2:
        raise app.UsageError(
            f"One dataset should be named. Received: {list(arguments[1:])}. Write "
            "python -m data_pipeline.describe DATASET."
        )
    dataset = pathlib.Path(arguments[1])
    whole = dataset.resolve()
    beside = whole.with_name(f"{whole.name}-description.html")
    output = flagtree.read(DescribeSettings).output
    command = f"python -m data_pipeline.describe {shlex.join(sys.argv[1:])}"
    try:
        print(describe(dataset, pathlib.Path(output) if output else beside, command))
    except (ModuleNotFoundError, FileNotFoundError, ValueError) as error:
        # A person's mistake or a package that is missing: the message says it all.
        raise SystemExit(f"error: {error}") from error


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(DescribeSettings)
    app.run(main)


if __name__ == "__main__":
    run()
