"""Tests of what a phase says on its way."""

import io

from user_tf.training import progress


def test_without_a_terminal_plain_lines_tell_rates_remaining_time_and_memory(monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", -1.0)
    stream = io.StringIO()
    shown = progress.Progress("search", total=100, done=40, stream=stream)
    shown.add(groups=10, seconds=60.0, input_seconds=50.0)
    shown.add(groups=20, seconds=2.0, input_seconds=0.5)
    last = stream.getvalue().splitlines()[-1]
    # 58 steps of 2 seconds are left; the first step, which builds the graph, is left out.
    assert last.startswith(
        "search: step 42/100, 00:01:56 left, 10 groups/s, 25 % waiting for input, "
    )
    assert "\r" not in stream.getvalue()
