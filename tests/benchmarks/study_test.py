"""A study's runs and its JSON, around evaluations written by hand."""

import pytest

from benchmarks import study
from benchmarks.results_page import readme, study_tables
from benchmarks.studies import Study, System
from user_tf.run_folder import write_json

STUDY = Study(
    question="Which?",
    flagfile="common.flags",
    commands={
        "tiny": (
            "data_pipeline.simulate --output={work}/tiny-log",
            "data_pipeline.truth --log={work}/tiny-log --output={work}/tiny.truth.parquet",
        )
    },
    systems=(System("Wide, tiny", "tiny", ("--model.width=9", "--train.phases=pretrain")),),
)


@pytest.fixture(name="work")
def _work(tmp_path, monkeypatch):
    """The study's folder with two finished runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "common.flags").write_text("--model.width=8\n--model.num_heads=3\n")
    write_json(tmp_path / "tiny" / "manifest.json", {"counts": {"groups": 4}})
    for seed, value in (("1", 0.5), ("2", 0.7)):
        run = study.folder(STUDY.systems[0], seed, tmp_path)
        rankings = {
            name: {
                "metrics": dict.fromkeys(study_tables.METRICS, value),
                "fraction_of_oracle_gain": {"map": value - 0.25},
            }
            for name in ("original order", "user")
        }
        search = {"queries": 5, "users": 2, "rankings": rankings}
        machine = {"cpu": "a", "cores": 2}
        report = {"machine": machine, "versions": {"tensorflow": "2"}, "date": f"2026-01-0{seed}"}
        report |= {"model": "user", "tasks": {"search": search}}
        write_json(run / "evaluation" / "test.json", report)
        write_json(run / "pretrain" / "done.json", {"steps": 3})
    return tmp_path


def test_a_run_has_the_settings_of_the_study_and_of_its_system(work):
    job = study.job(STUDY, STUDY.systems[0], "2", work)
    config, split, truth = job.args
    assert (config.model.width, config.model.num_heads, config.train.phases) == (
        9,
        3,
        ("pretrain",),
    )
    assert config.runtime.seed == 2 and config.data.dataset == str(work / "tiny")
    assert config.run == str(work / "runs" / "wide--tiny-seed2")
    assert (split, truth) == ("test", str(work / "tiny.truth.parquet"))


def test_readme_is_made_of_the_json(work):
    content = study.collect(study.StudySettings(study="tiny", seeds=("1", "2")), STUDY, work)
    assert content["date"] == "2026-01-01" and content["seeds"] == [1, 2]
    system = content["systems"]["Wide, tiny"]
    assert system["flags"] == ["--model.width=9", "--train.phases=pretrain"]
    assert system["counts"] == {"groups": 4} and system["phases"] == 2 * [
        {"pretrain": {"steps": 3}}
    ]
    lines = study_tables.study(content, readme.origin(content))
    row = "| **Wide, tiny** | .6000 ± .1414 | .6000 ± .1414 | .6000 ± .1414 | .6000 ± .1414 |"
    assert f"{row} .3500 ± .1414 |" in lines
