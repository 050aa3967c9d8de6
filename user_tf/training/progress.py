"""How a phase is getting on: a bar on a terminal, plain lines elsewhere."""

import sys
import time

from tqdm import tqdm

_LINE_SECONDS = 15.0


class Progress:
    """Groups a second, remaining time, share of time spent waiting for input, memory.

    The first step of a call builds the graph; rates leave it out.

    Args:
        title: Name shown first.
        total: Steps of the whole phase, if it is not stopped early.
        done: Steps done in earlier calls.
        stream: Where to write. Default: standard error.

    Example:
        >>> progress = Progress("pretrain", total=10, done=4, stream=sys.stdout)
        >>> progress.add(groups=64, seconds=9.0, input_seconds=8.0)
        >>> progress.add(groups=64, seconds=0.5, input_seconds=0.1)
        >>> progress.input_share, progress.groups_per_second
        (0.2, 128.0)
    """

    def __init__(self, title, total, done=0, stream=None):
        self.title, self.total, self.done = title, total, done
        self._stream = stream or sys.stderr
        self._groups = 0
        self._steps = -1
        self._seconds = self._input_seconds = 0.0
        self._last_line = time.monotonic()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm(
                total=total, initial=done, desc=title, file=self._stream, unit="step", leave=True
            )

    @property
    def groups_per_second(self) -> float:
        """Real groups trained on a second of training, over this call."""
        return self._groups / self._seconds if self._seconds else 0.0

    @property
    def input_share(self) -> float:
        """Share of training time spent waiting for the next batch, over this call."""
        return self._input_seconds / self._seconds if self._seconds else 0.0

    def add(self, groups, seconds, input_seconds) -> None:
        """Counts a step; `seconds` holds `input_seconds`."""
        self.done += 1
        self._steps += 1
        if self._steps > 0:
            self._groups += groups
            self._seconds += seconds
            self._input_seconds += input_seconds
        if self._bar is not None:
            self._bar.set_postfix_str(self._rates(), refresh=False)
            self._bar.update()
        elif time.monotonic() - self._last_line > _LINE_SECONDS:
            self.say(self._line())

    def say(self, text) -> None:
        """Writes a line without breaking the bar."""
        self._last_line = time.monotonic()
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Ends the bar, or writes the last plain line."""
        if self._bar is not None:
            self._bar.close()
        else:
            self.say(self._line())

    def _line(self) -> str:
        left = (self.total - self.done) * self._seconds / self._steps if self._steps > 0 else 0.0
        clock = time.strftime("%H:%M:%S", time.gmtime(left))
        return f"{self.title}: step {self.done}/{self.total}, {clock} left, {self._rates()}"

    def _rates(self) -> str:
        return (
            f"{self.groups_per_second:.0f} groups/s, {100 * self.input_share:.0f} % waiting for "
            f"input, {memory_gib():.1f} GiB"
        )


def memory_gib() -> float:
    """Resident memory of this process in GiB; 0 where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 2**20
    except OSError:
        pass
    return 0.0
