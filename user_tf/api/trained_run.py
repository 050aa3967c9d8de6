"""A run: the folder of a training, its results and its models."""

import dataclasses
import functools
import html
import json
import os
import pathlib
from typing import Any

from data_pipeline.common.paths import local_path
from user_tf import run_folder
from user_tf.config import Config
from user_tf.training import phases


@dataclasses.dataclass(frozen=True)
class Run:
    """The folder of a run.

    Attributes:
        path: Folder made by `user_tf.fit` or `python -m user_tf.train`.
    """

    path: pathlib.Path

    def __init__(self, path: "str | os.PathLike[str] | Run") -> None:
        folder = path.path if isinstance(path, Run) else pathlib.Path(local_path("run", path))
        object.__setattr__(self, "path", folder)

    @functools.cached_property
    def config(self) -> Config:
        """Return the settings of the run.

        Raises:
            FileNotFoundError: The folder is no run.
        """
        return Config.load(self.path)

    @property
    def phases(self) -> tuple[str, ...]:
        """Return the names of the phases, in order."""
        return self.config.train.phases

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Return the result of each finished phase: `best_map`, `best_step`, `steps`, `seconds`."""
        done = {phase: self.path / phase / run_folder.DONE for phase in self.phases}
        return {
            phase: json.loads(path.read_text(encoding="utf-8"))
            for phase, path in done.items()
            if path.exists()
        }

    @property
    def history(self) -> dict[str, list[dict[str, Any]]]:
        """Return the evaluations of each phase: `step`, `epoch`, `validation` MAP by task, `best`."""
        files = {phase: self.path / phase / run_folder.METRICS for phase in self.phases}
        return {
            phase: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for phase, path in files.items()
            if path.exists()
        }

    def load_model(self, task: str, *, dataset: str | os.PathLike[str] = "") -> Any:
        """Return the trained ranker that serves a task.

        Args:
            task: `search` or `recommendation`.
            dataset: Dataset of the run, if it was moved. Default: as recorded.

        Raises:
            FileNotFoundError: Its phase is not trained yet, or the dataset of the run is gone.
            ValueError: No phase of the run trains on the task, or the dataset is another one.
        """
        phase = phases.serving(self.config, task)
        return run_folder.load_model(self.path, phase, local_path("dataset", dataset))[0]

    def _rows(self) -> list[list[str]]:
        rows = [["phase", "steps", "best step", "validation MAP", "seconds"]]
        for phase in self.phases:
            done = self.metrics.get(phase)
            if done is None:
                rows.append([phase, "", "", "not finished", ""])
            else:
                rows.append(
                    [
                        phase,
                        str(done["steps"]),
                        str(done["best_step"]),
                        f"{done['best_map']:.4f}",
                        f"{done['seconds']:.0f}",
                    ]
                )
        return rows

    def __str__(self) -> str:
        lines = [
            f"{first:<16}" + "".join(f"{cell:>16}" for cell in row) for first, *row in self._rows()
        ]
        return "\n".join([f"Run {self.path}", *lines])

    def _repr_html_(self) -> str:
        rows = self._rows()
        return make_table(f"Run {self.path}", rows)


def make_table(title: str, rows: list[list[str]]) -> str:
    """Return an HTML table for notebooks; the first row is the heading.

    Example:
        >>> make_table("A & B", [["name", "MAP"], ["user", "0.5"]])
        '<table><caption>A &amp; B</caption><tr><th>name</th><th>MAP</th></tr><tr>...'
    """
    lines = [f"<caption>{html.escape(title)}</caption>"]
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        cells = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"
