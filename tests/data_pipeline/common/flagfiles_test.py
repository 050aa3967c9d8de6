"""Flagfiles that the project ships, by name."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from data_pipeline.common import flagfiles

ROOT = pathlib.Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("name", "file"),
    [("quickstart", "train/quickstart"), ("systems/nrms", "systems/nrms")],
)
def test_a_shipped_flagfile_is_found_from_any_folder(name, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = flagfiles.expand([f"--flagfile=user_tf:{name}", "--run=r"])
    assert flags == flagfiles.expand([f"--flagfile={ROOT}/configs/{file}.flags", "--run=r"])
    assert len(flags) > 1


def test_a_name_that_is_not_shipped_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"Got 'user_tf:quick'. Fix: .* train/quickstart"):
        flagfiles.expand(["--flagfile=user_tf:quick"])


@pytest.mark.slow
def test_a_wheel_holds_the_flagfiles_and_every_data_file(tmp_path):
    source = tmp_path / "source"
    for name in ("user_tf", "data_pipeline", "configs"):
        unread = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=unread)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    [wheel] = source.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    packages = {
        str(path.relative_to(source))
        for name in ("user_tf", "data_pipeline")
        for path in (source / name).rglob("*.*")
        if path.is_file()
    }
    configs = {
        f"user_tf/{path.relative_to(source)}"
        for path in (source / "configs").rglob("*")
        if path.is_file()
    }
    assert len(configs) > 40
    assert packages | configs <= held
