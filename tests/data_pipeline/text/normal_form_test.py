"""The normal form in the graph is that of Python's `html` and `unicodedata`."""

import html
import html.entities
import unicodedata

import hypothesis
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from data_pipeline.text.normal_form import normalize
from data_pipeline.text.unicode_tables import compositions

PAIRS = compositions()[0]
EXAMPLES = 20
TEXTS_OF_AN_EXAMPLE = 40


def of_python(text: str) -> str:
    return unicodedata.normalize("NFKC", html.unescape(text))


def assert_as_python(texts) -> None:
    found = [text.decode("utf-8") for text in normalize(tf.constant(texts)).numpy()]
    wrong = [
        (ascii(text), ascii(text_found), ascii(of_python(text)))
        for text, text_found in zip(texts, found, strict=True)
        if text_found != of_python(text)
    ]
    assert wrong == []


def test_every_code_point_has_its_nfkc():
    assert_as_python([chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000])


def test_all_pairs_that_compose_do_and_all_hangul_syllables():
    pairs = [chr(pair // 0x110000) + chr(pair % 0x110000) for pair in PAIRS.tolist()]
    syllables = [unicodedata.normalize("NFD", chr(code)) for code in range(0xAC00, 0xD7A4)]
    assert_as_python(pairs + syllables)


def test_every_entity_of_html_with_a_semicolon_is_its_text():
    names = [f"a&{name}b" for name in html.entities.html5 if name.endswith(";")]
    numbers = [*range(0x300), 0xD800, 0xDFFF, 0xFDD0, 0xFFFE, 0x1FFFF, 0x10FFFF, 0x110000, 10**12]
    forms = ("&#%d;", "&#%d ", "&#x%x;", "&#X%X;", "&#000000000000%d;")
    assert_as_python(names + [f"a{form % number}b" for form in forms for number in numbers])


def test_names_without_a_semicolon_are_no_entities():
    texts = ["AT&T", "a&copy=1", "&", "&&", "&;", "&nosuchname;", "a & b;", "&#;", "&#x;"]
    expected = [text.encode() for text in texts]
    assert normalize(tf.constant(texts)).numpy().tolist() == expected


PIECES = st.one_of(
    st.characters(codec="utf-8", exclude_characters="&"),
    st.sampled_from([*map(chr, sorted({*(PAIRS % 0x110000), *(PAIRS // 0x110000)}))]),
    st.sampled_from([unicodedata.normalize("NFD", text) for text in ("한", "가", "ế", "ṩ", "ガ")]),
    st.sampled_from(["&amp;", "&amp;lt;", "&#769;", "&#x0301;", "&eacute;", "&#44033;", " & "]),
    st.characters(categories=["Mn", "Mc"]),
    st.integers(0x1100, 0x11FF).map(chr),
)


@hypothesis.settings(max_examples=EXAMPLES, deadline=None)
@hypothesis.given(
    st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=TEXTS_OF_AN_EXAMPLE)
)
def test_mixed_texts_have_the_normal_form_of_python(texts):
    assert_as_python(texts or [""])


@pytest.mark.parametrize("text", ["a" * 5, "q\u0323\u0307" * 50, "\u0301" * 40, "각" * 30])
def test_a_text_does_not_depend_on_the_texts_beside_it(text):
    beside = ["\u0301e\u0301", "", "ᆨ", "&#769;"]
    assert_as_python([*beside, text, *beside])
