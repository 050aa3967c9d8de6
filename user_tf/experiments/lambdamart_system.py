"""LambdaMART over F and the heuristics as a system of its own: fitted, chosen on validation, evaluated.

Gradient-boosted trees (LightGBM's `lambdarank`), one model a task, on the complete lists of the
training targets. A candidate's columns are F as in a Batch (zeros for recommendations, unless
--data.batch.recommendation_features), its original rank, its popularity, and its rank by the
user's last touch. Every pair of `GRID` is fitted; the number of trees and the pair are those of the
best validation MAP. Nothing is drawn: the seed changes the random rankings and the bootstrap alone.

Reference: Burges, "From RankNet to LambdaRank to LambdaMART: an overview", MSR-TR-2010-82.
"""

import dataclasses
import functools
import itertools
import json
import os
import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from data_pipeline.common import flagtree
from data_pipeline.common.codes import Task
from data_pipeline.common.flagtree import setting
from data_pipeline.common.output_folder import FolderLock
from user_tf import run_folder
from user_tf.config import DataConfig

NAME = "lambdamart"
GRID = {"learning_rate": (0.03, 0.1), "num_leaves": (7, 31)}
"""Settings of LightGBM that are chosen on validation; the others have its defaults."""
TREES, PATIENCE = 500, 30
LIST_COLUMNS = ("original rank", "popularity", "rank by last touch")

_TREES = NAME + "-{task}.txt"

# Settings that make a run; the others may differ from call to call.
_OF_A_RUN = ("data", "seed")


@dataclasses.dataclass(frozen=True)
class LambdaMartSettings:
    """Settings of `python -m user_tf.lambdamart`."""

    run: str = setting("", "Folder of the run: settings, chosen parameters, evaluation.", path=True)
    split: str = setting("test", "Targets to evaluate.", choices=("train", "validation", "test"))
    seed: int = setting(1, "Seed of the random rankings and of the resampling.")
    truth: str = setting(
        "", "Parquet of the simulator's truth (target_id, probability); empty: unknown.", path=True
    )
    threads: int = setting(0, "Threads of LightGBM and TensorFlow; 0: as many as there are cores.")
    samples: int = setting(1000, "Resamplings of the users for 95 % intervals.")
    data: DataConfig = dataclasses.field(default_factory=DataConfig)


def import_lightgbm() -> Any:
    """Import LightGBM.

    Raises:
        ModuleNotFoundError: It is not installed; the error names the extra to install.
    """
    try:
        import lightgbm
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"`lightgbm` must be installed for user_tf.lambdamart. Got {error}. Fix: pip install "
            "'.[evidence]'."
        ) from error
    return lightgbm


def candidate_columns(batches: Iterable[Mapping[str, Any]], targets: Any) -> np.ndarray:
    """Return the columns of every candidate.

    Args:
        batches: Evaluation batches of the targets; a repeated target has the same values.
        targets: `user_tf.evaluation.evaluated_targets.Targets`, Q of them.

    Returns:
        float32 [Q, C, features + LIST_COLUMNS], zeros at padding. The original rank is missing
        (NaN) in a list that was never shown.

    Raises:
        ValueError: A target is in no batch.
    """
    from user_tf.evaluation import heuristics

    pseudo = targets.slices["pseudo"].astype(bool)
    lists = (
        np.where(pseudo[:, None], np.nan, -heuristics.original_order(targets)),
        targets.popularity,
        -heuristics.most_recently_touched(targets),
    )
    columns = np.stack(lists, axis=-1).astype(np.float32)
    features, found = None, np.zeros(len(targets), bool)
    for batch in batches:
        ids = np.asarray(batch["target_id"])
        values = np.asarray(batch["features"])[ids >= 0][:, : columns.shape[1]]
        if features is None:
            features = np.zeros([*targets.mask.shape, values.shape[2]], np.float32)
        rows = np.searchsorted(targets.target_id, ids[ids >= 0])
        features[rows, : values.shape[1]] = values
        found[rows] = True
    if features is None or not found.all():
        raise ValueError(
            "`windows` must hold every target. Got "
            f"{int(found.sum())} of {len(targets)} targets. Fix: prepare the dataset again."
        )
    return np.where(targets.mask[..., None], np.concatenate([features, columns], axis=-1), 0)


def fit(
    lightgbm: Any, train: tuple[Any, Any], validation: tuple[Any, Any], threads: int = 0
) -> tuple[Any, dict[str, Any]]:
    """Fit a model for every pair of `GRID` and keep the one of the best validation MAP.

    Args:
        lightgbm: The module.
        train, validation: (targets, `candidate_columns`); lists without a relevant or an
            irrelevant candidate are left out, as the evaluator does.
        threads: Threads. Default: all cores.

    Returns:
        The booster, and a report: `parameters`, `trees` and `validation_map` of the best, `grid`
        with those of every pair, `seconds` of all fits.
    """
    longest = validation[0].mask.shape[1]
    fixed = {
        "objective": "lambdarank",
        "metric": "map",
        "eval_at": [longest],
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    learned = _lists(lightgbm, *train)
    held_out = _lists(lightgbm, *validation, reference=learned)
    started = time.monotonic()
    boosters, grid = [], []
    for values in itertools.product(*GRID.values()):
        parameters = dict(zip(GRID, values, strict=True))
        booster = lightgbm.train(
            fixed | parameters,
            learned,
            TREES,
            valid_sets=[held_out],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        entry = {
            "parameters": parameters,
            "trees": booster.best_iteration,
            "validation_map": float(booster.best_score["valid_0"][f"map@{longest}"]),
        }
        settings = ", ".join(f"{name} {value}" for name, value in parameters.items())
        print(
            f"  {settings}: {entry['trees']} trees, MAP {entry['validation_map']:.4f}", flush=True
        )
        boosters.append(booster)
        grid.append(entry)
    seconds = round(time.monotonic() - started, 2)
    best = max(range(len(grid)), key=lambda place: grid[place]["validation_map"])
    return boosters[best], {**grid[best], "grid": grid, "seconds": seconds}


def _lists(lightgbm: Any, targets: Any, columns: np.ndarray, reference: Any = None) -> Any:
    """Return the lists with a relevant and an irrelevant candidate as a LightGBM dataset."""
    from user_tf.evaluation import metrics

    mask = targets.mask & metrics.countable(targets.labels, targets.mask)[:, None]
    sizes = mask.sum(axis=1)
    if not mask.any():
        raise ValueError(
            "`targets` of training and validation must have lists with a relevant and an irrelevant "
            f"candidate. Got none among {len(targets)} targets. Fix: prepare a longer log."
        )
    return lightgbm.Dataset(
        columns[mask], targets.labels[mask], group=sizes[sizes > 0], reference=reference
    )


def read_trees(folder: pathlib.Path) -> tuple[list[str], dict[str, Any]]:
    """Return the names of a run's columns, and by task the trees as a LightGBM booster.

    Raises:
        ModuleNotFoundError: LightGBM is not installed.
        FileNotFoundError: The run has no trees.
    """
    lightgbm = import_lightgbm()
    content = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8"))
    files = {task: folder / _TREES.format(task=task) for task in content["tasks"]}
    for path in files.values():
        if not path.exists():
            raise FileNotFoundError(
                f"`run` must hold its trees. Got none at {os.fspath(path)!r}. Fix: run "
                "user_tf.lambdamart with the same settings again."
            )
    return content["columns"], {t: lightgbm.Booster(model_file=p) for t, p in files.items()}


def open_run(settings: LambdaMartSettings) -> pathlib.Path:
    """Return the run's folder with its config.json and run.json, made at the first call.

    Raises:
        FileNotFoundError: There is no such dataset.
        ValueError: No folder is named, or it belongs to a run of other settings or on another
            dataset.
    """
    if not settings.run:
        raise ValueError("`run` must name a folder. Got ''. Fix: set --run.")
    path, plain = pathlib.Path(settings.run) / "config.json", flagtree.to_dict(settings)
    if path.exists():
        run_folder.find_dataset(path.parent, settings.data.dataset, "data.dataset")
        before = json.loads(path.read_text(encoding="utf-8"))
        # Compared by its checksum, since it may have moved.
        before["data"]["dataset"] = settings.data.dataset
        for name in _OF_A_RUN:
            if before.get(name) != plain[name]:
                raise ValueError(
                    f"`{name}` must be that of the run in {settings.run}, {before.get(name)!r}. "
                    f"Got {plain[name]!r}. Fix: choose another --run."
                )
    run_folder.record_dataset(path.parent, settings.data.dataset)
    run_folder.write_json(path, plain)
    return path.parent


def run_lambdamart(settings: LambdaMartSettings, command: str) -> dict[str, Any]:
    """Fit and evaluate every task of the scenario; write the files and return the JSON.

    Args:
        settings: Settings of the run.
        command: Command line, written into the JSON.

    Raises:
        ModuleNotFoundError: LightGBM is not installed.
        FileNotFoundError: The dataset or `truth` does not exist.
        ValueError: A setting is impossible, or a split has no targets.
        FolderInUse: Another process makes the run.
    """
    lightgbm = import_lightgbm()
    from data_pipeline.dataset.dataset_folder import open_dataset

    dataset, folder = open_dataset(settings.data.dataset), open_run(settings)
    with FolderLock(folder, "run"):
        return _fit_and_evaluate(lightgbm, settings, dataset, folder, command)


def _fit_and_evaluate(
    lightgbm: Any, settings: LambdaMartSettings, dataset: Any, folder: pathlib.Path, command: str
) -> dict[str, Any]:
    from data_pipeline.batching.batches import evaluation_batches
    from user_tf.evaluation import evaluated_targets as targets_lib
    from user_tf.evaluation import system

    scenario = settings.data.scenario
    tasks = ("search", "recommendation") if scenario == "unified" else (scenario,)
    codes = [Task.from_label(task) for task in tasks]
    names = [*(dataset.feature_names if settings.data.batch.features else ()), *LIST_COLUMNS]
    fitted: dict[str, Any] = {}

    @functools.cache
    def read(split: str) -> tuple[Any, Any]:
        of_split = targets_lib.load(dataset, split)
        of_split = of_split.take(np.isin(of_split.task, codes))
        batches = evaluation_batches(dataset, scenario, split, settings.data.batch)
        return of_split, candidate_columns(batches, of_split)

    def part(split: str, task: str) -> tuple[Any, Any]:
        of_split, columns = read(split)
        return of_split.select_task(task), columns[of_split.task == Task.from_label(task)]

    def scorer(task: str) -> system.Scorer:
        def score() -> tuple[Any, Any]:
            print(f"{task}: fitting, chosen on validation", flush=True)
            train, validation = part("train", task), part("validation", task)
            booster, fitted[task] = fit(lightgbm, train, validation, settings.threads)
            booster.save_model(folder / _TREES.format(task=task), booster.best_iteration)
            run_folder.write_json(folder / f"{NAME}.json", {"columns": names, "tasks": fitted})
            asked, columns = part(settings.split, task)
            scores = np.full(asked.mask.shape, np.nan)
            scores[asked.mask] = booster.predict(columns[asked.mask], num_threads=settings.threads)
            return asked.target_id, scores

        return score

    return system.evaluate_system(
        NAME,
        {task: (task, scorer(task)) for task in tasks},
        dataset,
        settings.split,
        folder / "evaluation" / f"{settings.split}.json",
        command,
        settings.seed,
        settings.truth,
        settings.samples,
    )
