"""Run the project's own commands in parallel, each on its share of the cores."""

import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

Job = Callable[[list[int]], str]
"""A function that works on the given cores and returns a line about the result."""

_PRINT = threading.Lock()
_RUNNING: set[subprocess.Popen[bytes]] = set()


@dataclasses.dataclass(frozen=True)
class Cost:
    """Cost of a command: wall seconds, and its largest resident memory in GiB.

    A child starts as a copy of its parent, so the memory is at least that of the calling process
    when it started the command.
    """

    seconds: float
    peak_gib: float


def stop_when_killed() -> None:
    """Make a kill (SIGTERM) of this process stop its commands, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def say(text: str) -> None:
    """Print one line with the time; lines of several threads do not mix."""
    with _PRINT:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def call(module_and_flags: str, log: pathlib.Path, cores: list[int]) -> Cost:
    """Run `python -m ...` on the given cores and append its output to `log`.

    Raises:
        RuntimeError: The command failed; the error names it and the file with its output.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cost = call("platform", pathlib.Path(folder) / "log.txt", [0])
        >>> cost.seconds > 0 and cost.peak_gib > 0
        True
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(module_and_flags)],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
        )
        _RUNNING.add(process)
        # Popen.wait does not report the memory.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        _RUNNING.discard(process)
    if process.returncode:
        raise RuntimeError(f"`{module_and_flags}` failed. Its output is in {log}.")
    return Cost(time.monotonic() - started, usage.ru_maxrss / 2**20)


def run_all(jobs: Mapping[str, Job], parallel: int) -> list[str]:
    """Run jobs, some at a time, and print a line at the end of each.

    A job that fails does not stop the others. If this call is stopped, its commands are stopped and
    no further job starts.

    Args:
        jobs: By name, started in this order.
        parallel: Jobs at a time; the cores are divided among them.

    Returns:
        Names of the jobs that failed.
    """
    cores = sorted(os.sched_getaffinity(0))
    shares: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    for first in range(parallel):
        shares.put(cores[first::parallel] or cores)
    failed: list[str] = []
    ended, stopped = itertools.count(1), threading.Event()

    def run(name: str, job: Job) -> None:
        mine = shares.get()
        try:
            line = job(mine)
        except Exception as error:
            failed.append(name)
            line = f"failed: {error}"
        finally:
            shares.put(mine)
        if not stopped.is_set():
            say(f"[{next(ended)}/{len(jobs)}] {name}: {line}")

    pool = concurrent.futures.ThreadPoolExecutor(parallel)
    try:
        concurrent.futures.wait([pool.submit(run, name, job) for name, job in jobs.items()])
    except BaseException:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(_RUNNING):
            process.terminate()
        raise
    finally:
        pool.shutdown()
    return failed
