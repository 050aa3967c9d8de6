"""The report of a grid: its page, its Markdown and its numbers, written from the runs' files."""

import dataclasses
import pathlib

from data_pipeline.common.codes import TASK_LABELS
from data_pipeline.common.flagtree import setting
from data_pipeline.common.matplotlib_svg import import_matplotlib
from data_pipeline.common.output_folder import FolderLock
from user_tf.evaluation import across_systems
from user_tf.reporting import contents, figures
from user_tf.reporting.document import to_markdown
from user_tf.reporting.grid_folder import cost, read_grid
from user_tf.reporting.html import to_html
from user_tf.run_folder import write_json

# Entries of grid.json that report.json repeats.
PROVENANCE = (
    "command",
    "dataset",
    "counts",
    "common",
    "common_flags",
    "tuned",
    "parallel",
    "date",
    "machine",
    "versions",
)


@dataclasses.dataclass(frozen=True)
class ReportSettings:
    """Settings of `python -m user_tf.report`."""

    output: str = setting("", "Folder of the report; empty: the folder of results.", path=True)
    reference: str = setting("user", "System that the others are compared with.")
    slice: tuple[str, ...] = dataclasses.field(
        default=(),
        metadata={
            "help": "Columns of the per-query files to slice queries by, in addition to the default "
            "slices: COLUMN (values, or quartiles of numbers), or COLUMN:A:B:... (bins "
            "that begin at A, B, ...)."
        },
    )
    samples: int = setting(1000, "Resamplings of the users for 95 % intervals.")
    seed: int = setting(1, "Seed of the resamplings.")


def write_report(runs: pathlib.Path, settings: ReportSettings, command: str) -> list[pathlib.Path]:
    """Compare the finished runs of a grid and write the report.

    Args:
        runs: Folder made by user_tf.experiment.
        settings: Settings of the report.
        command: Command line, written into the report.

    Returns:
        The files written.

    Raises:
        FileNotFoundError: `runs` has no grid.json.
        ValueError: No run is finished, the reference is not among the systems, systems were
            evaluated on different queries, or a slice is impossible.
        ModuleNotFoundError: Matplotlib is not installed.
    """
    if settings.samples < 1:
        raise ValueError(
            f"`samples` must be at least 1. Got {settings.samples}. Fix: set --samples."
        )
    import_matplotlib(figures.COMMAND)
    grid = read_grid(runs)
    if settings.reference not in grid.labels:
        raise ValueError(
            "`reference` must be a system with a finished run. Got "
            f"{settings.reference!r}. Fix: set --reference to one of {', '.join(grid.labels)}."
        )
    tasks = {}
    for task in TASK_LABELS:
        queries = across_systems.read(grid.files, task)
        if queries is not None:
            tasks[task] = contents.compare_task(
                queries, settings.reference, settings.slice, settings.samples, settings.seed
            )
            print(
                f"{task}: {queries.queries:,} queries of {len(queries.systems)} systems, "
                f"{queries.left_out:,} left out (all or none relevant)",
                flush=True,
            )
    costs = {system.name: cost(system) for system in grid.systems}
    document = contents.to_document(grid, tasks, costs, settings.reference, command)
    numbers = {
        "title": document.title,
        "command": command,
        "split": grid.split,
        "reference": settings.reference,
        "grid": {name: grid.content.get(name) for name in PROVENANCE},
        "systems": [
            {
                "system": system.name,
                "label": system.label,
                "scenario": system.scenario,
                "runs": [str(run.relative_to(runs)) for run in system.runs],
                "unfinished": list(system.unfinished),
            }
            for system in grid.systems
        ],
        "unfinished": grid.unfinished,
        "tasks": {task: dataclasses.asdict(results) for task, results in tasks.items()},
        "costs": costs,
    }
    output = pathlib.Path(settings.output or runs)
    written = [output / f"report.{ending}" for ending in ("html", "md", "json")]
    with FolderLock(output / "report"):
        write_json(written[2], numbers)
        written[0].write_text(to_html(document), encoding="utf-8")
        written[1].write_text(to_markdown(document), encoding="utf-8")
    return written
