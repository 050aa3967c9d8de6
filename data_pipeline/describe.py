"""Describe a dataset in tables and figures.

    python -m data_pipeline.describe DATASET [--output=PAGE.html]

Prints Table 1 of the paper for this dataset and the lengths of its sessions and histories, and
writes them with histograms as one HTML page that needs no other file. Matplotlib is an optional
dependency: pip install '.[evidence]'.
"""

import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Sequence

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.common.paths import local_path


@dataclasses.dataclass(frozen=True)
class DescribeSettings:
    """Settings of `python -m data_pipeline.describe`."""

    output: str = setting(
        "", "HTML file to write; empty: DATASET-description.html next to the dataset.", path=True
    )


def describe(dataset: pathlib.Path, output: pathlib.Path, command: str) -> str:
    """Write the page of a dataset; return its short form as text.

    Args:
        dataset: Folder of the dataset; it is not changed.
        output: HTML file; an existing one is replaced.
        command: Command line, written into the page.

    Raises:
        FileNotFoundError, ValueError: `dataset` is no complete dataset, or an earlier version made
            it.
        ModuleNotFoundError: Matplotlib is not installed.
    """
    from data_pipeline.common.matplotlib_svg import import_matplotlib
    from data_pipeline.dataset.dataset_folder import open_dataset
    from data_pipeline.description import dataset_page

    import_matplotlib("data_pipeline.describe")
    found = dataset_page.read(open_dataset(dataset))
    text = dataset_page.to_html(found, command)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return f"{dataset_page.to_text(found)}\nPage: {output}"


def main(arguments: Sequence[str]) -> None:
    """Describe the dataset that the command line names."""
    dataset = pathlib.Path(local_path("DATASET", arguments[1]))
    path = dataset.resolve()
    default = path.with_name(f"{path.name}-description.html")
    output = flagtree.read(DescribeSettings).output
    command = f"python -m data_pipeline.describe {shlex.join(sys.argv[1:])}"
    print(describe(dataset, pathlib.Path(output) if output else default, command))


def run() -> None:
    """Define the flags and run; importing this file defines none."""
    flagtree.define(DescribeSettings)
    command_line.run(main, "DATASET")


if __name__ == "__main__":
    run()
