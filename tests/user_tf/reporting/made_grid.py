"""A folder of results as `user_tf.experiment` leaves it, with known strengths of the systems."""

import json
import pathlib

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.user_tf.evaluation.conftest import table_of
from user_tf import config as configuration
from user_tf.evaluation import evaluated_targets, evaluator, heuristics, metrics_table

BOTH = ("search", "recommendation")
# Name, label, scenario, model, noise of its scores, seeds.
SYSTEMS = (
    ("hrnn", "HRNN", "search", "hrnn", 1.5, 1),
    ("user_s", "USER-S", "search", "user", 0.8, 2),
    ("nrms", "NRMS", "recommendation", "nrms", 1.5, 1),
    ("user", "USER", "unified", "user", 0.5, 2),
    ("user_no_session", "USER | no session", "unified", "user", 0.7, 1),
)
PARAMETERS = 12


def collect_tasks(scenario: str) -> tuple[str, ...]:
    return BOTH if scenario == "unified" else (scenario,)


def write(folder: pathlib.Path, queries: int = 160, systems=SYSTEMS) -> pathlib.Path:
    """Writes a grid whose last run of USER is not finished."""
    rows = evaluated_targets.from_table(table_of(queries))
    entries = []
    for number, (name, label, scenario, model, noise, seeds) in enumerate(systems):
        for seed in range(1, seeds + 1):
            run = folder / name / f"seed{seed}"
            write_run(run, rows, scenario, model, noise, 10 * number + seed)
        entries.append(
            {
                "system": name,
                "label": label,
                "scenario": scenario,
                "tasks": list(collect_tasks(scenario)),
                "flags": [f"--model.name={model}"],
                "runs": [f"{name}/seed{seed}" for seed in range(1, seeds + 1)],
            }
        )
    (user,) = (entry for entry in entries if entry["system"] == "user")
    user["runs"].append("user/seed3")
    grid = {
        "title": "Systems & noise",
        "split": "test",
        "truth": True,
        "dataset": "dataset",
        "common_flags": ["--model.width=8"],
        **metrics_table.provenance("python -m user_tf.experiment", 0),
        "systems": entries,
    }
    (folder / "grid.json").write_text(json.dumps(grid), encoding="utf-8")
    return folder


def write_run(run, rows, scenario, model, noise, seed):
    (run / "evaluation").mkdir(parents=True)
    phases = ("pretrain", *BOTH) if scenario == "unified" else (scenario,)
    config = configuration.Config(
        run=str(run),
        data=configuration.DataConfig(dataset="dataset", scenario=scenario),
        model=configuration.ModelConfig(name=model),
        train=configuration.TrainConfig(phases=phases),
    )
    config.save(run)
    for phase in phases:
        (run / phase).mkdir()
        done = {"phase": phase, "groups": 1000, "seconds": 20.0, "best_map": 0.5, "best_step": 20}
        (run / phase / "done.json").write_text(json.dumps(done))
        lines = [
            {"step": step, "groups_per_second": 100.0, "validation": {"map": 0.4 + step / 200}}
            for step in (10, 20)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (run / phase / "metrics.jsonl").write_text(text)
        with h5py.File(run / phase / "best.weights.h5", "w") as file:
            file["layers/embedding/vars/0"] = np.zeros((4, 3))
            file["layers/dropout/seed_generator/vars/0"] = np.zeros(2)
    cost = {"user_tf.train": {"seconds": 20, "peak_gib": 1.5}}
    (run / "cost.json").write_text(json.dumps(cost))
    draw = np.random.default_rng(seed)
    tables = []
    for task in collect_tasks(scenario):
        of_task = rows.select_task(task)
        scores = heuristics.rankings(of_task, seed)
        scores["best known"] = of_task.labels.astype(float)
        scores[model] = of_task.labels + draw.normal(0, noise, of_task.mask.shape)
        evaluations = {
            name: evaluator.evaluate(of_task, of_task.target_id, s) for name, s in scores.items()
        }
        tables.append(metrics_table.query_table(evaluations, model))
    pq.write_table(pa.concat_tables(tables), run / "evaluation" / "test-queries.parquet")
    (run / "evaluation" / "test.json").write_text("{}")
