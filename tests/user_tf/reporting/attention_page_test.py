"""The drawing of Figure 5."""

import json
from xml.etree import ElementTree

import pytest

from user_tf.reporting import attention_page

CONTENT = {
    "target": {
        "target_id": 7,
        "split": "test",
        "task": "search",
        "user": "ann",
        "time": "2021-06-01T10:00:00+00:00",
        "query": "fish & <chips>",
        "opened": ["the story of mackerel"],
    },
    "runs": [{"label": "user", "folder": "runs/user"}, {"label": "nrms", "folder": "runs/nrms"}],
    "behaviors": [
        {
            "order": 1,
            "part": "past sessions",
            "type": "search",
            "text": "mackerel <raw>",
            "clicked": ["sushi & co"],
            "weights": {"user": 0.75, "nrms": None},
        },
        {
            "order": 2,
            "part": "past sessions",
            "type": "browse",
            "text": "x" * 200,
            "clicked": [],
            "weights": {"user": 0.25, "nrms": 0.4},
        },
        {
            "order": 3,
            "part": "current session",
            "type": "browse",
            "text": "",
            "clicked": [],
            "weights": {"user": 1.0, "nrms": 0.6},
        },
    ],
}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(name="drawing", scope="module")
def _drawing():
    return ElementTree.fromstring(attention_page.draw(CONTENT))


def texts(drawing):
    return ["".join(item.itertext()) for item in drawing.iter(f"{SVG}text")]


def test_cells_are_shaded_relative_to_the_largest_weight_of_their_run_and_part(drawing):
    cells = [item for item in drawing.iter(f"{SVG}rect") if item.get("fill-opacity")]
    dark = [float(cell.get("fill-opacity")) / 0.95 for cell in cells]
    # user, then user and nrms, then both in the current session.
    assert dark == pytest.approx([1, 1 / 3, 1, 1, 1], abs=1e-3)
    columns = [float(cell.get("x")) for cell in cells]
    assert columns[0] == columns[1] == columns[3] < columns[2] == columns[4]


def test_rows_show_order_type_text_and_weight_and_parts_their_sums(drawing):
    shown = texts(drawing)
    assert shown[:2] == ["user", "nrms"]
    for line in ("past sessions", "sum 100%", "sum 40%", "1", "search", "75.0 %", "–", "browse"):
        assert line in shown
    assert "mackerel <raw> → sushi & co" in shown and "(no words)" in shown
    assert max(map(len, shown)) <= 120 and any(line.endswith("x…") for line in shown)
    assert any("“fish & <chips>”" in line and "mackerel" in line for line in shown)
    titles = [item.text for item in drawing.iter(f"{SVG}title")]
    assert "x" * 200 in titles


def test_everything_lies_inside_the_drawing(drawing):
    width, height = float(drawing.get("width")), float(drawing.get("height"))
    for item in drawing.iter(f"{SVG}text"):
        assert 0 < float(item.get("x")) < width and 0 < float(item.get("y")) < height


def test_a_target_without_behaviors_is_drawn_too():
    drawing = ElementTree.fromstring(attention_page.draw({**CONTENT, "behaviors": []}))
    assert not [item for item in drawing.iter(f"{SVG}rect") if item.get("fill-opacity")]


def test_weights_of_nothing_shade_nothing():
    assert attention_page.shares([{"weights": {"user": 0.0}}], "user") == [0.0]


def test_three_files_are_written_which_need_no_other_file(tmp_path):
    written = attention_page.write(tmp_path / "out", CONTENT, "python -m user_tf.explain")
    assert [path.name for path in written] == ["attention.svg", "attention.html", "attention.json"]
    svg, page, numbers = (path.read_text(encoding="utf-8") for path in written)
    assert json.loads(numbers) == {"command": "python -m user_tf.explain", **CONTENT}
    assert svg.strip() in page and "<script" not in page
    assert page.count("http") == page.count("http://www.w3.org/2000/svg") == 1
    assert "<chips>" not in page
