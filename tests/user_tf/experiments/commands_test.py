"""Commands side by side, with a module of Python itself in place of the project's."""

import os
import resource
import threading
import time

import pytest

from user_tf.experiments import commands


def python(code):
    """A module call that runs `code` once."""
    return f'timeit -n 1 -r 1 "{code}"'


def test_a_command_runs_on_its_cores_and_tells_what_it_took(tmp_path):
    core = max(os.sched_getaffinity(0))
    log = tmp_path / "runs" / "one.txt"
    for _ in range(2):
        code = "import os; print(os.sched_getaffinity(0)); held = bytearray(2**26)"
        cost = commands.call(python(code), log, [core])
    assert log.read_text().count(f"{{{core}}}") == 2
    # A child begins as a copy of its parent, which here may be a worker full of TensorFlow.
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert 2**-4 < cost.peak_gib < max(1, 1.1 * held)
    assert 0 < cost.seconds < 60


def test_a_command_that_fails_is_named_with_its_output(tmp_path):
    log = tmp_path / "one.txt"
    with pytest.raises(RuntimeError, match=r"timeit -n 1 .*failed. Its output is in .*one\.txt"):
        commands.call(python("raise ValueError(5)"), log, [0])
    assert "ValueError: 5" in log.read_text()


def test_a_job_that_fails_is_told_and_the_others_finish(capsys):
    def refuse(cores):
        raise RuntimeError("no weights")

    jobs = {"first": refuse, "second": lambda cores: "7 s", "third": lambda cores: "8 s"}
    assert commands.run_all(jobs, parallel=1) == ["first"]
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["[1/3] first: failed: no weights", "[2/3] second: 7 s", "[3/3] third: 8 s"]


def test_jobs_side_by_side_share_the_cores_out():
    both, seen = threading.Barrier(2, timeout=30), []

    def job(cores):
        seen.append(cores)
        both.wait()
        return "done"

    assert commands.run_all({"one": job, "other": job}, parallel=2) == []
    cores = os.sched_getaffinity(0)
    assert set(seen[0]) | set(seen[1]) == cores
    assert len(cores) == 1 or not set(seen[0]) & set(seen[1])


def test_what_stops_the_call_stops_its_commands(tmp_path, monkeypatch):
    begun = []

    def job(cores):
        begun.append(cores)
        commands.call(python("import time; time.sleep(60)"), tmp_path / "log.txt", cores)
        return "done"

    def interrupted(futures):
        while not commands._RUNNING:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(commands.concurrent.futures, "wait", interrupted)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        commands.run_all({"one": job, "other": job}, parallel=1)
    assert len(begun) == 1 and not commands._RUNNING
    assert time.monotonic() - started < 30
