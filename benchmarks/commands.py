"""Runs the project's own commands on a share of the cores."""

import os
import pathlib
import shlex
import subprocess
import sys


def call(module_and_flags: str, log: pathlib.Path, cores: list[int]) -> None:
    """Runs `python -m ...` on the given cores, its output appended to `log`.

    Raises:
        RuntimeError: The command failed; names it and the file with its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as output:
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(module_and_flags)],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            env={"USER_TF_USER_KEY": "studies", "TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"`{module_and_flags}` failed. Its output is in {log}.")
