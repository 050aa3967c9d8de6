"""The documentation against the repository: links, paths, commands, flags, figures, the site."""

import ast
import functools
import inspect
import os
import pathlib
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from unittest import mock

import pytest
from absl import app

import user_tf
from data_pipeline.common import flagtree

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    *(ROOT / page for page in ("README.md", "WORKSPACE.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
# Lines of README outside of its generated block: three screens.
README_LINES = 120
# Flags of absl itself.
OF_ABSL = {"help", "helpfull", "flagfile", "undefok", "verbosity"}
# Commands that are not modules of this repository.
OTHER_TOOLS = ("pytest", "pip")
GENERATED = re.compile(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", re.DOTALL)


def name(path):
    return path.relative_to(ROOT).as_posix()


def written(path):
    """Return the text of a page without its generated blocks."""
    return GENERATED.sub("", path.read_text(encoding="utf-8"))


def code_lines(path):
    """Return every fenced or indented line of a page, and every piece of inline code."""
    text = written(path).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", text)


def commands(path):
    """Return (module, arguments) of every `python -m MODULE ...` in a page."""
    found = []
    for line in code_lines(path):
        match = re.match(r"(?:\S*python) -m ([\w.]+)(.*)", line)
        if match and match[1].split(".")[0] not in OTHER_TOOLS:
            found.append((match[1], shlex.split(match[2].replace("`", " "), comments=True)))
    return found


@functools.cache
def trees_of(module_name):
    """Return the trees of settings that a command defines when it is run."""
    trees = []
    with (
        mock.patch.object(flagtree, "define", lambda tree, *_, **__: trees.append(tree)),
        mock.patch.object(app, "run"),
        warnings.catch_warnings(action="ignore", category=RuntimeWarning),
    ):
        runpy.run_module(module_name, run_name="__main__")
    return trees


def command_files():
    """Return the files of all commands: at the top of a package, or the main file of a room."""
    found = [*ROOT.glob("data_pipeline/*.py"), *ROOT.glob("user_tf/*.py")]
    found += ROOT.glob("user_tf/*/__main__.py")
    return sorted(path for path in found if "flagtree.define(" in path.read_text(encoding="utf-8"))


def flags_of(module_name):
    """Return the types of a command's flags by name."""
    return {leaf: kind for tree in trees_of(module_name) for leaf, _, kind in flagtree.leaves(tree)}


def is_flag(argument, known):
    """Say if `--name`, `--name=value` or `--noname` is one of the known flags."""
    flag = argument.removeprefix("--").partition("=")[0]
    return flag in known.keys() | OF_ABSL or known.get(flag.removeprefix("no")) is bool


def snippet(path):
    """Return the first Python example of a page."""
    return re.search(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)[1]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_leads_to_a_file(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", path.read_text(encoding="utf-8"))
    # The results may show a drawing that a command writes again.
    missing = [link for link in links if not (path.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_path_named_in_a_page_exists(path):
    folders = "data_pipeline|user_tf|benchmarks|configs|tests|docs|examples"
    paths = re.findall(rf"(?<![\w./-])((?:{folders})/[\w./-]*\w)", written(path))
    assert [found for found in paths if not (ROOT / found).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_command_of_a_page_exists_and_knows_its_flags(path):
    wrong = []
    for module, arguments in commands(path):
        known = flags_of(module)
        wrong += [
            f"{module} {argument}"
            for argument in arguments
            if argument.startswith("--") and not is_flag(argument, known)
        ]
    assert wrong == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_flag_named_alone_is_one_of_some_command(path):
    known = {}
    for command in command_files():
        module = ".".join(command.relative_to(ROOT).with_suffix("").parts)
        known |= flags_of(module.removesuffix(".__main__"))
    alone = [
        argument
        for code in re.findall(r"`(--[^`\n]+)`", written(path))
        for argument in code.split()
        if argument.startswith("--")
    ]
    groups = {leaf.partition(".")[0] for leaf in known if "." in leaf}
    wrong = [
        argument
        for argument in alone
        if not is_flag(argument, known) and argument.removeprefix("--") not in groups
    ]
    assert wrong == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_measured_figure_is_typed_by_hand(path):
    # A metric (.6777), a rate (725 groups/s) or a ratio (134 times) belongs in a generated block.
    figures = re.findall(r"(?<![\w.])0?\.\d{3,4}\b|\d+ groups/s|\d+ times\b", written(path))
    assert figures == []


def test_readme_has_three_screens_and_its_generated_block():
    readme = ROOT / "README.md"
    assert "<!-- results: begin -->" in readme.read_text(encoding="utf-8")
    assert len(written(readme).splitlines()) <= README_LINES


def test_the_python_example_calls_the_functions_as_they_are():
    text = snippet(ROOT / "README.md")
    calls = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("user_tf.")
    ]
    assert {call.func.attr for call in calls} == {
        "load_dataset",
        "build_model",
        "fit",
        "evaluate",
        "export",
        "load_served",
    }
    for call in calls:
        function = getattr(user_tf, call.func.attr)
        named = {word.arg: None for word in call.keywords}
        inspect.signature(function).bind(*call.args, **named)
    assert snippet(ROOT / "docs" / "python_api.md") == text


def test_the_site_needs_no_other_server(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    pages = sorted(tmp_path.rglob("*.html"))
    assert tmp_path / "workspace.html" in pages and tmp_path / "all_results.html" in pages
    loaded = r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(?:https?:)?//|<link[^>]*\shref=\"(?:https?:)?//"
    assert [page.name for page in pages if re.search(loaded, page.read_text("utf-8"))] == []
    styles = [path.read_text("utf-8") for path in tmp_path.rglob("*.css")]
    assert styles and not any(re.search(r"url\(['\"]?(?:https?:)?//", text) for text in styles)
