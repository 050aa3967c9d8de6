"""The page and the plot of the cost of preparation."""

from benchmarks.results_page import data_tables


def size(millions, workers, seconds):
    steps = {"log": {"seconds": seconds, "peak_gib": 0.5}}
    return {
        "workers": workers,
        "behaviors": millions * 10**6,
        "candidates": 7,
        "seconds": seconds,
        "peak_gib": 0.5,
        "steps": steps,
    }


CONTENT = {
    "sizes": [size(1, 1, 30.0), size(1, 2, 20.0), size(10, 1, 300.0), size(10, 2, 160.0)],
    "pandas": {
        "behaviors": 250_000,
        "seconds": 35.0,
        "peak_gib": 6.0,
        "ours_seconds": 7.0,
        "times": 5.0,
    },
}


def test_each_number_of_workers_is_compared_with_its_own_first_size():
    lines = data_tables.prepare(CONTENT, "here")
    rows = [line.split(" | ") for line in lines if line.startswith(("| 1,000", "| 10,000"))]
    assert [row[1] for row in rows] == ["1", "2", "1", "2"]
    assert [row[4] for row in rows] == ["1.0", "1.0", "10.0", "8.0"]
    assert "5.0 times as long as here" in "\n".join(lines)


def test_steps_are_those_with_most_workers():
    lines = data_tables.prepare(CONTENT, "here")
    assert "| log | 20.0 | 0.5 | 160.0 | 0.5 |" in lines
    assert any(line.startswith("With 2 workers") for line in lines)


def test_the_plot_has_a_line_for_each_number_of_workers_and_is_the_same_every_time(tmp_path):
    plot = tmp_path / data_tables.PLOT
    data_tables.draw(CONTENT, tmp_path)
    drawn = plot.read_bytes()
    data_tables.draw(CONTENT, tmp_path)
    assert plot.read_bytes() == drawn
    assert all(f"<!-- {label}" in drawn.decode() for label in ("1 worker ", "2 workers", "pandas"))
    assert f"benchmarks/results/{data_tables.PLOT})" in "\n".join(data_tables.prepare(CONTENT, ""))
