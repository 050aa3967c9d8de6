"""Flags of the command; `export_test` updates the counts of a model."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "`model` must name a folder"),
        (["--model=x"], "`log` must name a folder"),
        (["--model=x", "y"], "`arguments` must be flags"),
    ],
)
def test_wrong_flags_end_at_once(flags, message):
    command = [sys.executable, "-m", "user_tf.update_counts", *flags]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0 and message in result.stderr + result.stdout
