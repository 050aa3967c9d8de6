"""Tests of the shared templates of pages."""

import jinja2
import pytest

from data_pipeline.common.html_page import page_environment, render
from data_pipeline.common.matplotlib_svg import DARK_MODE


def _macro(call, **values):
    source = '{% from "parts.html.jinja" import table, figure %}' + call
    return page_environment("data_pipeline.common").from_string(source).render(values)


def _table(columns, rows, caption=""):
    return _macro(
        "{{ table(columns, rows, caption) }}", columns=columns, rows=rows, caption=caption
    )


def _figure(caption, svg="", numbers=""):
    call = "{% call figure(caption, svg) %}{{ numbers }}{% endcall %}"
    return _macro(call, caption=caption, svg=svg, numbers=numbers)


def _page(title="title", footer=""):
    return render("data_pipeline.common", "page.html.jinja", title=title, footer=footer)


def test_titles_captions_and_cells_are_no_markup():
    for text in (
        _page("<i>"),
        _page(footer="<i>"),
        _table(["<i>"], [["row"]]),
        _table([""], [["<i>"]]),
        _table(["", ""], [["row", "<i>"]]),
        _table(["", ""], [[{"text": "<i>"}, {"text": "cell", "note": "<i>"}]]),
        _table([""], [["row"]], "<i>"),
        _figure("<i>"),
        _figure("", numbers="<i>"),
    ):
        assert "&lt;i&gt;" in text and "<i>" not in text


def test_a_cell_without_a_note_has_none():
    rows = [[{"text": "a", "note": ""}], [{"text": "b", "note": "note"}]]
    assert _table([""], rows).count("<small>") == 1
    assert "<small>" not in _table([""], [["a"], ["b"]])


def test_a_row_of_one_cell_is_a_heading_over_all_columns():
    table = _table(["", "MAP"], [["part"], ["row", {"text": "1", "best": True}]])
    assert '<th class="part" colspan="2" scope="rowgroup">part</th>' in table
    assert '<th scope="row">row</th><td><b>1</b></td>' in table


def test_a_drawing_stays_as_it_is_and_its_numbers_are_folded():
    figure = _figure("caption", "<svg></svg>", "12")
    assert '<div class="wide"><svg></svg></div>' in figure
    assert "<details><summary>Numbers</summary>\n12\n</details>" in figure


def test_a_page_loads_nothing_and_knows_dark_mode_and_phones():
    page = _page()
    assert not any(word in page for word in ("src=", "href=", "url(", "@import", "<script"))
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page
    for color, dark in DARK_MODE.items():
        assert f'[style*="fill: {color}"] {{ fill: {dark} !important; }}' in page


def test_a_missing_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="footer"):
        render("data_pipeline.common", "page.html.jinja", title="")
