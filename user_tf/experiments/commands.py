"""Runs the project's own commands side by side, each on its share of the cores."""

import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import queue
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

Job = Callable[[list[int]], str]
"""Something to do on the given cores; returns what to tell when it is done."""

_PRINT = threading.Lock()
_RUNNING: set[subprocess.Popen[bytes]] = set()


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a command took: wall seconds, and its largest resident memory in GiB.

    The system counts a child from the copy of its parent on, so that the memory is never told as
    less than what the calling process held when it began the command.
    """

    seconds: float
    peak_gib: float


def say(text: str) -> None:
    """One line with the time, whole, whatever other threads print."""
    with _PRINT:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def call(module_and_flags: str, log: pathlib.Path, cores: list[int]) -> Cost:
    """Runs `python -m ...` on the given cores, its output appended to `log`.

    Raises:
        RuntimeError: The command failed; names it and the file with its output.

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
        # Popen.wait would not tell the memory.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        _RUNNING.discard(process)
    if process.returncode:
        raise RuntimeError(f"`{module_and_flags}` failed. Its output is in {log}.")
    return Cost(time.monotonic() - started, usage.ru_maxrss / 2**20)


def run_all(jobs: Mapping[str, Job], parallel: int) -> list[str]:
    """Runs jobs, some at a time, and tells the end of each in a line.

    A job that fails does not stop the others. Where this call itself is stopped, so are the
    commands it runs, and no further job begins.

    Args:
        jobs: By name, begun in this order.
        parallel: Jobs at a time; the cores are shared out among them.

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
            told = job(mine)
        except Exception as error:
            failed.append(name)
            told = f"failed: {error}"
        finally:
            shares.put(mine)
        if not stopped.is_set():
            say(f"[{next(ended)}/{len(jobs)}] {name}: {told}")

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
