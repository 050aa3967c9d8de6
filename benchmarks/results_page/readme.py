"""Write the results in README.md, RESULTS.md and the flagfiles from benchmarks/results.

    python -m benchmarks.results_page.readme           # rewrite the files
    python -m benchmarks.results_page.readme --check   # fail if a file disagrees with the JSON files

README.md has two tables between two markers, RESULTS.md all tables, and each flagfile of configs
its expected result on line 2. Text about results: benchmarks/results/notes.
"""

import dataclasses
import json
import pathlib
import sys
from typing import Any

from absl import app

from benchmarks.results_page import (
    data_tables,
    flagfile_headers,
    known_answers,
    paper,
    plus_tables,
    serving_tables,
    speed_tables,
)
from benchmarks.results_page.grid_results import PLUS, RESULTS, ROOT, WORLDS, Grid, read_grids
from benchmarks.results_page.grid_tables import headline, world_lines
from benchmarks.results_page.notes import NOTES, fill_notes
from benchmarks.results_page.study_tables import study
from benchmarks.results_page.tuning_tables import read_tunings, tuning_lines
from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.reporting.document import to_lines
from user_tf.reporting.number_format import BETTER, LEVEL, WORSE
from user_tf.reporting.report_tables import LEGEND

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
PAGE = "RESULTS.md"
_NOT_YET = "not measured yet."
# Worlds of README's table, and the note with its reading.
_MAIN, _HEADLINE = ("linked", "trivago"), "headline"
_MARKS = (
    f"Trained systems: {BETTER} significantly better than USER, {WORSE} significantly worse (paired "
    f"t-test over queries, p < {LEVEL} after Holm's correction). Mean ± standard deviation over seeds, where a "
    "system has several. linked: simulated services with shared interests; trivago: sessions of the "
    "RecSys Challenge 2019."
)
_WORLD_TITLES = {
    "linked": "Simulated, linked services",
    "trivago": "Real rows: trivago sessions (RecSys Challenge 2019)",
    "independent": "Simulated, independent services",
    "session_only": "Simulated, sessions alone",
    "refinding": "Simulated, re-finding",
}
_STUDIES = {
    "simulated": "Study: does unified data help?",
    "trivago": "Study: trivago with F and without",
    "quickstart": "Study: the quickstart",
    "user": "Study: the settings of the paper",
    "layout_speed": "Speed against the layout of the released code",
    "train_throughput": "Speed of training",
    "start_up": "Start-up, input, evaluation",
    "serving_user": "Latency of the served USER",
    "serving_user_plus": "Latency of the served USER+",
    "gpu": "One device under JAX, and a plan",
    "preparation_cost": "Preparation by size of the log",
    "negative_search_cost": "Search for pseudo-negatives",
    "sharing": "Quality with several targets a window",
    "faster": "Quality with bfloat16 and lazy Adam",
}
_SPEED = {
    "layout_speed": speed_tables.layout_details,
    "train_throughput": speed_tables.throughput,
    "start_up": speed_tables.start_up,
    "serving_user": serving_tables.latency,
    "serving_user_plus": serving_tables.latency,
    "gpu": speed_tables.gpu,
    "preparation_cost": data_tables.prepare,
    "negative_search_cost": data_tables.negatives,
}
_PLOTS = {"train_throughput": speed_tables.draw, "preparation_cost": data_tables.draw}


@dataclasses.dataclass(frozen=True)
class ReadmeSettings:
    """Settings of `python -m benchmarks.results_page.readme`."""

    check: bool = setting(False, "Compare instead of writing.")


def origin(content: dict[str, Any]) -> str:
    """Return the origin of the numbers: command, machine, version, date."""
    machine, versions = content["machine"], content["versions"]
    engine = "tensorflow" if "tensorflow" in versions else "jax"
    return (
        f"`{content['command']}` on {machine['cpu']}, {machine['cores']} cores, {engine} "
        f"{versions[engine]}, {content['date'][:10]}."
    )


def block(folder: pathlib.Path = RESULTS) -> str:
    """Return README's results: a table of MAP with its reading, a table of speed.

    Args:
        folder: Folder of the JSON files and notes.
    """
    grids = {world: grid for world, grid in read_grids(folder).items() if world in _MAIN}
    lines = []
    if grids:
        lines += [*to_lines(headline(grids)), "", _MARKS, ""]
        if set(grids) == set(_MAIN):
            lines += [*fill_notes(_HEADLINE, grids, folder / NOTES.name), ""]
    if plus := plus_tables.describe(read_grids(folder, PLUS)):
        lines += [f"[USER+](docs/user_plus.md), a ranker beyond the paper: {plus}", ""]
    lines += [f"All tables, with their costs and tuning: [{PAGE}]({PAGE}).", ""]
    measured = _read(folder / "layout_speed.json")
    if measured:
        lines += speed_tables.layouts(measured, origin(measured))
    return "\n".join(lines).rstrip() + "\n"


def page(folder: pathlib.Path = RESULTS, notes: pathlib.Path | None = None) -> str:
    """Return RESULTS.md: every table.

    Args:
        folder: Folder of the JSON files.
        notes: Folder of the notes about the worlds. Default: `notes` in that folder.
    """
    notes = notes or folder / NOTES.name
    grids, tunings = read_grids(folder), read_tunings(folder)
    lines = [
        "# Results",
        "",
        "Made by `make results` from the JSON files in `benchmarks/results`; do not edit.",
        "",
        *([_legend(grids), ""] if grids else []),
        "## Where the answer is known",
        "",
        *to_lines(known_answers.table(grids), "---"),
        "",
        "## Comparison with the paper",
        "",
        *to_lines(paper.table(grids)),
        "",
    ]
    for world in WORLDS:
        lines += [f"## {_WORLD_TITLES[world]}", ""]
        if world in grids:
            lines += world_lines(grids[world], fill_notes(world, grids, notes))
            lines += _figure_5(folder, world)
        else:
            lines += [f"`configs/datasets/{world}.flags`: {_NOT_YET}", ""]
    lines += ["## USER+ in every world", "", *(plus_tables.section(folder) or [_NOT_YET, ""])]
    lines += ["## Tuning", ""]
    for name, content in tunings.items():
        lines += [f"### {name}", "", *tuning_lines(content, origin(content))]
    lines += [] if tunings else [_NOT_YET, ""]
    for name, title in _STUDIES.items():
        content = _read(folder / f"{name}.json")
        if content:
            lines += [f"## {title}", "", *_SPEED.get(name, study)(content, origin(content))]
    return "\n".join(lines).rstrip() + "\n"


def _figure_5(folder: pathlib.Path, world: str) -> list[str]:
    """Return lines about the attention that user_tf.explain wrote to figure5_<world>."""
    name = f"figure5_{world}"
    content = _read(folder / name / "attention.json")
    if not content:
        return []
    place = (RESULTS / name / "attention.svg").relative_to(ROOT).as_posix()
    what = f"attention of a {content['target']['task']} over the user's earlier behaviors"
    return [
        f"**Figure 5**: {what}. `{content['command']}`",
        "",
        f"![Figure 5: {what}]({place})",
        "",
    ]


def _legend(grids: dict[str, Grid]) -> str:
    grid = next(iter(grids.values()))
    return LEGEND.format(reference=grid.systems[grid.reference].label)


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def contents(root: pathlib.Path = ROOT, folder: pathlib.Path = RESULTS) -> dict[pathlib.Path, str]:
    """Return the expected text of README.md, RESULTS.md and the flagfiles by path.

    Args:
        root: Folder of README.md and configs.
        folder: Folder of the JSON files and notes.
    """
    readme = root / "README.md"
    head, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    found = {
        readme: f"{head}{BEGIN}\n{block(folder)}{END}{rest.split(END)[1]}",
        root / PAGE: page(folder),
    }
    for name, result in flagfile_headers.expected_results(folder).items():
        path = root / "configs" / f"{name}.flags"
        found[path] = flagfile_headers.with_result(path.read_text(encoding="utf-8"), result)
    return found


def main(arguments: list[str]) -> None:
    """Rewrite or compare the files."""
    del arguments
    changed = {
        path: text
        for path, text in contents().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if flagtree.read(ReadmeSettings).check:
        if changed:
            names = ", ".join(str(path.relative_to(ROOT)) for path in changed)
            sys.exit(f"{names}: disagree with benchmarks/results. Run `make results`.")
        return
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    for name, draw in _PLOTS.items():
        if measured := _read(RESULTS / f"{name}.json"):
            draw(measured, RESULTS)


if __name__ == "__main__":
    flagtree.define(ReadmeSettings)
    app.run(main)
