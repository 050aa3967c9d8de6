from data_pipeline.description.html_page import figure, page, table


def test_titles_captions_and_cells_are_no_markup():
    for text in (
        page("<i>", ""),
        table(["<i>"], [["row"]]),
        table([""], [["<i>"]]),
        table(["", ""], [["row", "<i>"]]),
        table([""], [["row"]], ["<i>"]),
        figure("<i>", "", ""),
    ):
        assert "&lt;i&gt;" in text and "<i>" not in text


def test_a_row_without_a_note_has_none():
    assert table([""], [["a"], ["b"]], ["", "note"]).count("<small>") == 1
    assert "<small>" not in table([""], [["a"], ["b"]])


def test_the_body_stays_as_it_is_and_the_page_loads_nothing():
    text = page("title", "<p>body</p>")
    assert "<body>\n<p>body</p>\n</body>" in text
    assert not any(word in text for word in ("src=", "href=", "url(", "@import"))
