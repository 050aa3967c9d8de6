"""The progress of a phase: a tqdm bar in a terminal, plain lines elsewhere."""

import sys
from typing import Any, TextIO

from tqdm import tqdm

_LINE_SECONDS = 15.0


class _Lines(tqdm):
    """Print the state as a line of its own, for log files and notebooks."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        print(msg or str(self), file=self.fp, flush=True)


class Progress:
    """Show steps, remaining time, groups a second, share of time waiting for input, and memory.

    The first step of a call builds the graph. Rates leave it out.

    Args:
        title: Name shown first.
        total: Steps of the complete phase.
        done: Steps of earlier calls.
        stream: Stream to write to. Default: standard error.

    Example:
        >>> progress = Progress("pretrain", total=10, done=4, stream=sys.stdout)
        >>> progress.add(groups=64, seconds=9.0, input_seconds=8.0)
        >>> progress.add(groups=64, seconds=0.5, input_seconds=0.1)
        >>> progress.input_share, progress.groups_per_second
        (0.2, 128.0)
    """

    def __init__(self, title: str, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        kind: type[tqdm] = tqdm
        settings: dict[str, Any] = {}
        if not self._stream.isatty():
            # A delay skips the line before the first step; `leave` would end in a blank line.
            kind = _Lines
            settings = {"mininterval": _LINE_SECONDS, "delay": 1e-9, "leave": False}
            settings["bar_format"] = "{desc}: step {n}/{total}, {remaining} left{postfix}"
        self._bar = kind(
            desc=title,
            total=total,
            initial=done,
            file=self._stream,
            unit="step",
            miniters=1,
            **settings,
        )
        self._steps, self._groups = -1, 0
        self._seconds = self._input_seconds = 0.0

    @property
    def groups_per_second(self) -> float:
        """Return the real groups trained on in a second of training, over this call."""
        return self._groups / self._seconds if self._seconds else 0.0

    @property
    def input_share(self) -> float:
        """Return the share of training time spent waiting for the next batch, over this call."""
        return self._input_seconds / self._seconds if self._seconds else 0.0

    def add(self, groups: int, seconds: float, input_seconds: float) -> None:
        """Count a step that took `seconds`, `input_seconds` of them waiting for its batch."""
        self._steps += 1
        if self._steps > 0:
            self._groups += groups
            self._seconds += seconds
            self._input_seconds += input_seconds
        rates = (
            f"{self.groups_per_second:.0f} groups/s, {100 * self.input_share:.0f} % waiting for "
            f"input, {memory_gib():.1f} GiB"
        )
        self._bar.set_postfix_str(rates, refresh=False)
        self._bar.update()

    def say(self, text: str) -> None:
        """Write a line of its own."""
        if isinstance(self._bar, _Lines):
            self._bar.display(text)
        else:
            self._bar.write(text, file=self._stream)

    def close(self) -> None:
        """End the bar, or write the last line."""
        self._bar.close()


def memory_gib() -> float:
    """Return the resident memory of this process in GiB; 0 where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 2**20
    except OSError:
        pass
    return 0.0
