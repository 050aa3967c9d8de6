"""Tests of the progress of a phase."""

import io
import re

from user_tf.training.records import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_plain_lines_show_rates_remaining_time_and_memory(monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", -1.0)
    stream = io.StringIO()
    shown = progress.Progress("search", total=100, done=40, stream=stream)
    shown.add(groups=10, seconds=60.0, input_seconds=50.0)
    shown.add(groups=20, seconds=2.0, input_seconds=0.5)
    shown.say("search: step 42, validation map 0.5")
    shown.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4 and lines[2] == "search: step 42, validation map 0.5"
    for line in (lines[1], lines[3]):
        # The first step, which builds the graph, is left out of the rates.
        rates = "10 groups/s, 25 % waiting for input, [0-9.]+ GiB"
        assert re.fullmatch(rf"search: step 42/100, \d\d:\d\d left, {rates}", line)
    assert "\r" not in stream.getvalue()


def test_in_a_terminal_a_bar_shows_the_same_rates():
    stream = Terminal()
    shown = progress.Progress("search", total=100, done=40, stream=stream)
    shown.add(groups=10, seconds=60.0, input_seconds=50.0)
    shown.add(groups=20, seconds=2.0, input_seconds=0.5)
    shown.say("search: step 42, validation map 0.5")
    shown.close()
    last = stream.getvalue().split("\r")[-1]
    assert "42/100" in last and "10 groups/s, 25 % waiting for input, " in last
    assert "search: step 42, validation map 0.5\n" in stream.getvalue()
