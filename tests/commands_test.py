"""Every command with mistakes of users: one paragraph, exit code 2, nothing left behind."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from data_pipeline.common import flagtree
from tests.docs_test import command_files, trees_of

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for path in command_files()
)
# Strings that are no paths: names, addresses, lists of names.
NO_PATHS = {
    "columns",
    "data.batch.fixed_sizes",
    "host",
    "model.name",
    "reference",
    "runtime.tpu",
    "scenarios",
    "session.start",
    "slice",
    "spark_master",
    "split.test_begins",
    "split.validation_begins",
    "systems",
    "title",
    "train.phases",
    "model.parts",
}
# Mistakes found by the command itself, after its flags are parsed.
MISTAKES = {
    "data_pipeline.describe": ["absent"],
    "data_pipeline.import_log": ["--input=absent.csv", "--output=new"],
    "data_pipeline.mask": ["--key_file=absent"],
    "data_pipeline.prepare": ["--log=absent", "--output=new"],
    "data_pipeline.simulate": ["--output=new", "--world.senses=5"],
    "data_pipeline.truth": ["--log=absent", "--dataset=absent", "--output=new"],
    "user_tf.debug_batch": ["--run=absent"],
    "user_tf.evaluate": ["--run=absent"],
    "user_tf.experiment": ["--dataset=absent", "--runs=new"],
    "user_tf.explain": ["--run=absent", "--output=new"],
    "user_tf.explore": ["--run=absent"],
    "user_tf.export": ["--run=absent", "--output=new"],
    "user_tf.lambdamart": ["--data.dataset=absent", "--run=new"],
    "user_tf.make_requests": ["--dataset=absent", "--log=absent", "--output=new"],
    "user_tf.predict": ["--model=absent", "--requests=absent", "--output=new"],
    "user_tf.rank": ["--run=absent", "--output=new"],
    "user_tf.report": ["absent"],
    "user_tf.train": ["--data.dataset=absent", "--run=new"],
    "user_tf.update_counts": ["--model=absent", "--log=absent"],
    "user_tf.tune": ["--dataset=absent", "--runs=new", "--output=new2", "--trials=0"],
}
POSITIONAL = ("data_pipeline.describe", "user_tf.report")

# Runs command lines one after the other in one process, since most of their time is imports.
CHILD = """
import contextlib, io, json, runpy, sys
from absl import app, flags

# The first command defines the flags of absl itself.
with contextlib.suppress(SystemExit):
    app.run(lambda _: None, argv=["none"])

def call(module, arguments):
    before, sys.argv = set(flags.FLAGS), [module, *arguments]
    output = io.StringIO()
    with contextlib.redirect_stderr(output):
        try:
            runpy.run_module(module, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = f"Traceback: {error!r}"
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    return code, output.getvalue()

print(json.dumps([call(*line) for line in json.load(sys.stdin)]))
"""


def call_all(lines, folder):
    """Run (module, arguments) in a folder; return exit code and standard error of each."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "USER_TF_USER_KEY": "0" * 64},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


def path_settings(module):
    """Return the settings of a command that are declared as paths."""
    return [name for name, field in fields_of(module) if field.metadata.get("path")]


def fields_of(module):
    """Return (name, field) of every string setting of a command."""
    leaves = [leaf for tree in trees_of(module) for leaf in flagtree.leaves(tree)]
    strings = (str, tuple[str, ...])
    return [(name, field) for name, field, kind in leaves if kind in strings]


def assert_one_paragraph(code, text):
    assert code == 2, text
    line, *others = text.strip().splitlines()[-1:]
    assert line.startswith("error: ") and not others
    assert "Traceback" not in text


def test_every_command_has_a_mistake_here():
    assert sorted(MISTAKES) == COMMANDS


@pytest.mark.parametrize("module", COMMANDS)
def test_every_string_setting_is_a_path_or_known_to_be_none(module):
    unknown = [
        name
        for name, field in fields_of(module)
        if not field.metadata.get("path")
        and not field.metadata.get("choices")
        and name not in NO_PATHS
    ]
    assert unknown == []


@pytest.fixture(name="mistakes", scope="module")
def _mistakes(tmp_path_factory):
    """Run every command with every kind of mistake; return its results, and the folder."""
    folder = tmp_path_factory.mktemp("mistakes")
    lines = {}
    for module in COMMANDS:
        extra = ["absent"] if module in POSITIONAL else []
        lines[module, "own"] = [module, MISTAKES[module]]
        lines[module, "unknown flag"] = [module, [*extra, "--no_such_flag=1"]]
        lines[module, "flagfile"] = [module, [*extra, "--flagfile=absent.flags"]]
        lines[module, "argument"] = [module, [*extra, "stray"]]
        for name in path_settings(module):
            url = f"--{name}=nowhere://bucket/x"
            lines[module, f"url: {name}"] = [module, [*extra, url]]
        if module in POSITIONAL:
            lines[module, "url: argument"] = [module, ["nowhere://bucket/x"]]
    results = call_all(list(lines.values()), folder)
    return dict(zip(lines, results, strict=True)), folder


@pytest.mark.parametrize("module", COMMANDS)
def test_a_mistake_is_one_paragraph_with_a_fix_and_leaves_nothing(mistakes, module):
    results, folder = mistakes
    mine = {kind: result for (name, kind), result in results.items() if name == module}
    assert len(mine) >= 5
    for kind, (code, text) in mine.items():
        assert_one_paragraph(code, text)
        assert " Fix: " in text, (kind, text)
        if kind.startswith("url: "):
            assert (
                "a URL that can be read" in text and kind.removeprefix("url: ")[:3] in text
            ) or "argument" in kind
    assert list(folder.iterdir()) == []


def test_a_mistake_ends_a_real_process_with_2_and_shows_its_trace_when_asked(tmp_path):
    command = [sys.executable, "-m", "user_tf.evaluate", "--run=absent"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for flags, trace in (([], False), (["--verbosity=1"], True)):
        ran = subprocess.run(
            [*command, *flags], capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert ran.returncode == 2
        assert ("Traceback" in ran.stderr) == trace
        assert ran.stderr.splitlines()[-1].startswith(
            "error: `run` must be a folder made by user_tf"
        )
