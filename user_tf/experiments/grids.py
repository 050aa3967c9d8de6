"""A grid of systems and seeds on one dataset, and the content of its grid.json."""

import dataclasses
import json
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

from data_pipeline.common.checksums import checksum
from data_pipeline.common.flagtree import setting
from user_tf.experiments.systems import (
    System,
    make_flags,
    read_system,
    read_variants,
    resolve,
)
from user_tf.training import phases

GRID = "grid.json"


@dataclasses.dataclass(frozen=True)
class GridSettings:
    """Settings of `python -m user_tf.experiment`."""

    title: str = setting("", "Title of the results.")
    dataset: str = setting("", "Folder of the prepared dataset.", path=True)
    truth: str = setting(
        "", "Parquet of the simulator's truth (target_id, probability); empty: unknown.", path=True
    )
    common: str = setting(
        "configs/train/user.flags",
        "Flagfile of the settings all systems share; a system's come after.",
        path=True,
    )
    tuned: str = setting(
        "",
        "Folder of flagfiles of user_tf.tune, one a ranker; empty: all have the common settings.",
        path=True,
    )
    folder: str = setting("configs/systems", "Folder of the systems' flagfiles.", path=True)
    variants: str = setting(
        "",
        "TOML table of variants of a system, such as configs/experiments/departures.toml.",
        path=True,
    )
    systems: tuple[str, ...] = dataclasses.field(
        default=("user",),
        metadata={"help": "Systems: NAME with seed 1, or NAME:N with the seeds 1 to N."},
    )
    runs: str = setting("", "Folder of the runs and results.", path=True)
    split: str = setting("test", "Targets to evaluate.", choices=("train", "validation", "test"))
    parallel: int = setting(2, "Runs at a time, each on its share of the cores.")


def check(settings: GridSettings) -> None:
    """Refuse impossible settings before any work starts.

    Raises:
        ValueError: The error names the setting, the rule, the value and the fix.
    """
    rules = [
        (settings.runs != "", "`runs` must name a folder", settings.runs, "set --runs."),
        (
            (pathlib.Path(settings.dataset) / "manifest.json").exists(),
            "`dataset` must be a prepared dataset, which has a manifest.json",
            settings.dataset,
            "run `python -m data_pipeline.prepare` to its end, or set --dataset.",
        ),
        (
            not settings.truth or pathlib.Path(settings.truth).exists(),
            "`truth` must be a Parquet file",
            settings.truth,
            "make it with `python -m data_pipeline.truth`, or set --truth.",
        ),
        (
            not settings.tuned or pathlib.Path(settings.tuned).is_dir(),
            "`tuned` must be a folder of flagfiles",
            settings.tuned,
            "make it with `python -m user_tf.tune`, or set --tuned.",
        ),
        (
            settings.parallel >= 1,
            "`parallel` must be at least 1",
            settings.parallel,
            "set --parallel.",
        ),
        (
            len(settings.systems) > 0,
            "`systems` must name at least one",
            settings.systems,
            "set --systems.",
        ),
    ]
    for holds, rule, value, fix in rules:
        if not holds:
            raise ValueError(f"{rule}. Got {value!r}. Fix: {fix}")


def parse_system(entry: str) -> tuple[str, int]:
    """Return name and number of seeds of an entry of --systems.

    Raises:
        ValueError: The entry is neither NAME nor NAME:N with N at least 1.

    Example:
        >>> parse_system("htps"), parse_system("user:3")
        (('htps', 1), ('user', 3))
    """
    name, colon, number = entry.partition(":")
    if not name or (colon and not (number.isdecimal() and int(number) >= 1)):
        raise ValueError(
            f"`systems` must hold NAME or NAME:N, with N seeds. Got {entry!r}. Fix: set --systems, "
            "for example to user:3,hrnn."
        )
    return name, int(number or 1)


def read_systems(settings: GridSettings) -> list[tuple[System, int]]:
    """Read the systems of a grid, each with its number of seeds.

    Raises:
        ValueError: An entry, a flagfile or the table of variants is impossible.
    """
    folder = pathlib.Path(settings.folder)
    variants = read_variants(settings.variants, folder)
    return [
        (read_system(name, folder, settings.common, settings.tuned, variants), seeds)
        for name, seeds in map(parse_system, settings.systems)
    ]


def describe(
    settings: GridSettings, systems: Sequence[tuple[System, int]], command: str
) -> dict[str, Any]:
    """Return the content of grid.json: these systems after those of earlier grids of the folder.

    Args:
        settings: Of this call.
        systems: `read_systems` of them.
        command: Command line.

    Returns:
        `title`, `split`, `truth` (whether it is known), `dataset`, the checksum of its manifest and its `counts`, `common` and
        `common_flags`, `parallel`, provenance, and `systems`: for each its name (`system`), `label`,
        `scenario`, `tasks`, `flags` beside the common ones, and `runs`, folders inside --runs.

    Raises:
        ValueError: The folder's runs were made with another dataset or with other settings.
    """
    from user_tf.evaluation import metrics_table

    folder = pathlib.Path(settings.runs)
    path, manifest = folder / GRID, pathlib.Path(settings.dataset) / "manifest.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"systems": []}
    common = resolve([f"--flagfile={settings.common}"]).config
    grid = {
        "title": settings.title,
        "split": settings.split,
        "truth": settings.truth != "",
        "dataset": settings.dataset,
        "dataset_manifest_sha256": checksum(manifest),
        "counts": json.loads(manifest.read_text(encoding="utf-8")).get("counts"),
        "common": settings.common,
        "tuned": settings.tuned,
        "common_flags": make_flags(common),
        "parallel": settings.parallel,
        **metrics_table.provenance(command, 0),
    }
    del grid["seed"]  # a run's, not a grid's
    # The dataset by its checksum: it may have moved, or been prepared again at its path.
    for name in ("truth", "dataset_manifest_sha256", "common_flags"):
        if before.get(name, grid[name]) != grid[name]:
            raise ValueError(
                f"`{name.partition('_manifest')[0]}` must be that of the runs in {folder}, {before[name]!r}. Got "
                f"{grid[name]!r}. Fix: set it back, or set --runs to another folder."
            )
    entries = {entry["system"]: entry for entry in before["systems"]}
    for system, seeds in systems:
        flags, earlier = make_flags(system.config, common), entries.get(system.name)
        if earlier and (folder / system.name).exists():
            if earlier["flags"] != flags:
                raise ValueError(
                    f"`{system.name}` must have the flags of its runs in {folder}, "
                    f"{shlex.join(earlier['flags'])}. Got {shlex.join(flags)}. Fix: set --runs to "
                    f"another folder, or delete {folder / system.name}."
                )
            seeds = max(seeds, len(earlier["runs"]))
        entries[system.name] = {
            "system": system.name,
            "label": system.label,
            "scenario": system.config.data.scenario,
            "tasks": list(phases.by_task(system.config)),
            "flags": flags,
            "runs": [f"{system.name}/seed{seed}" for seed in range(1, seeds + 1)],
        }
    return {**grid, "systems": list(entries.values())}
