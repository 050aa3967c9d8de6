"""The normal form of texts: HTML entities as their characters, Unicode NFKC.

`normalize` is one graph of core TensorFlow operations, because TensorFlow Serving has no others:
preparation and an exported model call the same function. It reads tables made from Python's `html`
and `unicodedata`, as constants of the graph. Texts that cannot change, such as most ASCII texts,
are only searched, not decoded.

Entities: names of HTML5 that end in a semicolon, and numbers with or without one. Names without a
semicolon ("AT&T", "a&copy=1") stay as they are: they are rarely meant as entities.
"""

import functools
from typing import Any

import tensorflow as tf

from data_pipeline.text import unicode_tables
from data_pipeline.text.unicode_tables import HANGUL, LEADS, TAILS, VOWELS

_NAME = r"#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z0-9]+;"
_REPLACED = 0xFFFD
# Zeros before it do not count; longer numbers are no characters.
_DIGITS = 8


@functools.partial(tf.function, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def normalize(texts: Any) -> Any:
    """Return texts with their entities replaced, in NFKC.

    Args:
        texts: string [X], valid UTF-8.

    Returns:
        string [X].

    Example:
        >>> [text.decode() for text in normalize(["Caf&eacute;", "ＡＢＣ", "plain"]).numpy()]
        ['Café', 'ABC', 'plain']
    """
    texts = change_where(texts, rf"(?s).*&({_NAME}).*", _unescape)
    return change_where(texts, rf"(?s).*[{unicode_tables.changing()}].*", _compose_texts)


def change_where(texts: Any, pattern: str, change: Any) -> Any:
    """Change the texts that match a pattern; the others cost one search.

    Args:
        texts: string [X].
        pattern: Of the complete text.
        change: string [m] -> string [m].

    Returns:
        string [X].
    """
    matched = tf.strings.regex_full_match(texts, pattern)

    def changed() -> Any:
        rows = tf.where(matched)
        return tf.tensor_scatter_nd_update(texts, rows, change(tf.gather_nd(texts, rows)))

    return tf.cond(tf.reduce_any(matched), changed, lambda: tf.identity(texts))


def _unescape(texts: Any) -> Any:
    """Return texts with their entities replaced, string [m]."""
    pieces = tf.strings.split(texts, "&")
    after = pieces.flat_values
    name = tf.strings.regex_replace(after, rf"(?s)^({_NAME})?.*$", r"\1")
    rest = tf.strings.substr(after, tf.strings.length(name), tf.strings.length(after))
    is_number = tf.strings.regex_full_match(name, "#.*")
    found, value = _find_names(name)
    known = (found | is_number) & tf.not_equal(name, "")
    value = tf.where(is_number, _read_numbers(name), value)
    # The first piece of a text has no & before it.
    is_first = tf.scatter_nd(
        pieces.row_starts()[:, None],
        tf.ones([pieces.nrows()], tf.int32),
        [tf.size(after, tf.int64)],
    )
    pieces = pieces.with_flat_values(
        tf.where(is_first > 0, after, tf.where(known, value + rest, "&" + after))
    )
    return tf.strings.reduce_join(pieces, axis=-1)


def _find_names(names: Any) -> tuple[Any, Any]:
    """Return which names are entities, bool [n], and their texts, string [n]."""
    with tf.init_scope():
        known = tf.constant(unicode_tables.entity_names())
        hashes = tf.strings.to_hash_bucket_fast(known, 2**62)
        order = tf.argsort(hashes)
        hashes, known = tf.gather(hashes, order).numpy(), tf.gather(known, order).numpy()
        texts = tf.gather(tf.constant(unicode_tables.entity_texts()), order).numpy()
    place = _search(tf.constant(hashes), tf.strings.to_hash_bucket_fast(names, 2**62))
    return tf.equal(tf.gather(known, place), names), tf.gather(texts, place)


def _read_numbers(names: Any) -> Any:
    """Return the characters of numbers such as "#233;" or "#xe9", string [n]; others give junk."""
    is_hex = tf.strings.regex_full_match(names, "#[xX].*")
    digits = tf.strings.regex_replace(tf.strings.lower(names), "^#x?0*|;$", "")
    digits = tf.strings.regex_replace(digits, "[^0-9a-f]", "")
    length = tf.strings.length(digits)
    codes = tf.strings.unicode_decode(digits, "UTF-8").to_tensor(0, shape=[None, _DIGITS])
    base = tf.where(is_hex, 16, 10)
    number = tf.zeros_like(base)
    for place in range(_DIGITS):
        code = codes[:, place]
        digit = tf.where(code >= ord("a"), code - ord("a") + 10, code - ord("0"))
        number = tf.where(code > 0, tf.minimum(number * base, 0x10FFFFF) + digit, number)
    is_character = (
        (length <= _DIGITS) & (number <= 0x10FFFF) & ((number < 0xD800) | (number > 0xDFFF))
    )
    number = tf.where(is_character, number, _REPLACED)
    special, texts = unicode_tables.special_numbers()
    place = _search(tf.constant(special), number)
    usual = tf.strings.unicode_encode(number[:, None], "UTF-8")
    return tf.where(tf.equal(tf.gather(special, place), number), tf.gather(texts, place), usual)


def _search(table: Any, values: Any) -> Any:
    """Return the place of each value in an ascending table, some place if it is not there."""
    return tf.minimum(tf.searchsorted(table, values), tf.size(table) - 1)


def _compose_texts(texts: Any) -> Any:
    """Return texts in NFKC, string [m]."""
    decoded = tf.strings.unicode_decode(texts, "UTF-8")
    codes, rows = _decompose(decoded.flat_values, tf.cast(decoded.value_rowids(), tf.int32))
    codes = _order_marks(codes, rows)
    spec = tf.TensorSpec([None], tf.int32)
    codes, rows, _ = tf.while_loop(
        lambda codes, rows, changed: changed,
        _compose_once,
        (codes, rows, tf.constant(True)),
        shape_invariants=(spec, spec, tf.TensorSpec([], tf.bool)),
    )
    ragged = tf.RaggedTensor.from_value_rowids(codes, tf.cast(rows, tf.int64), decoded.nrows())
    return tf.strings.unicode_encode(ragged, "UTF-8")


def _lookup(pages: Any, codes: Any) -> Any:
    """Return the value of each code point in a table of `unicode_tables.paged`."""
    index, values = (tf.constant(part) for part in pages)
    page = tf.gather(index, codes // unicode_tables.PAGE)
    return tf.gather(values, page * unicode_tables.PAGE + codes % unicode_tables.PAGE)


def _decompose(codes: Any, rows: Any) -> tuple[Any, Any]:
    """Return the code points of the complete decomposition, int32 [n], and their rows, int32 [n]."""
    flat, starts = unicode_tables.decompositions()
    entry = _lookup(unicode_tables.decomposition_pages(), codes)
    syllable = codes - HANGUL
    is_hangul = (syllable >= 0) & (syllable < LEADS.size * VOWELS.size * TAILS.size)
    tail = syllable % TAILS.size
    first, end = tf.gather(starts, entry), tf.gather(starts, entry + 1)
    length = tf.where(entry > 0, end - first, 1)
    length = tf.where(is_hangul, tf.where(tail > 0, 3, 2), length)
    source = tf.repeat(tf.range(tf.size(codes)), length)
    place = tf.range(tf.size(source)) - tf.gather(tf.cumsum(length, exclusive=True), source)
    code, entry = tf.gather(codes, source), tf.gather(entry, source)
    inside = tf.gather(flat, tf.where(entry > 0, tf.gather(starts, entry) + place, 0))
    syllable = code - HANGUL
    jamo = tf.where(
        tf.equal(place, 0),
        LEADS.first + syllable // (VOWELS.size * TAILS.size),
        tf.where(
            tf.equal(place, 1),
            VOWELS.first + syllable // TAILS.size % VOWELS.size,
            TAILS.first + syllable % TAILS.size,
        ),
    )
    code = tf.where(entry > 0, inside, tf.where(tf.gather(is_hangul, source), jamo, code))
    return code, tf.gather(rows, source)


def _order_marks(codes: Any, rows: Any) -> Any:
    """Return the code points with marks after one base in the order of their classes."""
    kind = _lookup(unicode_tables.mark_classes(), codes)
    begins = tf.equal(kind, 0) | tf.concat([[True], rows[1:] > rows[:-1]], 0)[: tf.size(rows)]
    key = tf.cumsum(tf.cast(begins, tf.int64)) * 256 + tf.cast(kind, tf.int64)
    return tf.gather(codes, tf.argsort(key, stable=True))


def _compose_once(codes: Any, rows: Any, _: Any) -> tuple[Any, Any, Any]:
    """Join each base with the first mark, vowel or tail that it composes with.

    Returns:
        Code points and rows without the joined ones; whether any was joined.
    """
    count = tf.size(codes)
    place = tf.range(count)
    kind = _lookup(unicode_tables.mark_classes(), codes)
    is_base = tf.equal(kind, 0)
    bases = tf.concat([[-1], tf.boolean_mask(place, is_base)], 0)
    base = tf.gather(bases, tf.cumsum(tf.cast(is_base, tf.int32), exclusive=True))
    before = tf.maximum(base, 0)
    previous = tf.maximum(place - 1, 0)
    near = tf.equal(base, place - 1) | (tf.gather(kind, previous) < kind)
    joins = (base >= 0) & near & tf.equal(tf.gather(rows, before), rows)
    joined = _compose_pairs(tf.gather(codes, before), codes)
    joins &= joined > 0
    # A base that may itself be joined waits for the next round, and so does all but its first mark.
    joins &= ~tf.gather(joins, before)
    taken = tf.math.unsorted_segment_min(tf.where(joins, place, count), before, count)
    joins &= tf.equal(tf.gather(taken, before), place)
    targets = tf.boolean_mask(before, joins)
    codes = tf.tensor_scatter_nd_update(codes, targets[:, None], tf.boolean_mask(joined, joins))
    return tf.boolean_mask(codes, ~joins), tf.boolean_mask(rows, ~joins), tf.reduce_any(joins)


def _compose_pairs(first: Any, second: Any) -> Any:
    """Return the code point that two code points compose to, 0 if none, int32 [n]."""
    pairs, composites = (tf.constant(part) for part in unicode_tables.compositions())
    pair = unicode_tables.pair_key(tf.cast(first, tf.int64), tf.cast(second, tf.int64))
    place = _search(pairs, pair)
    found = tf.where(tf.equal(tf.gather(pairs, place), pair), tf.gather(composites, place), 0)
    lead, vowel = first - LEADS.first, second - VOWELS.first
    is_open = (lead >= 0) & (lead < LEADS.size) & (vowel >= 0) & (vowel < VOWELS.size)
    found = tf.where(is_open, HANGUL + (lead * VOWELS.size + vowel) * TAILS.size, found)
    syllable, tail = first - HANGUL, second - TAILS.first
    is_syllable = (syllable >= 0) & (syllable < LEADS.size * VOWELS.size * TAILS.size)
    is_closed = is_syllable & tf.equal(syllable % TAILS.size, 0) & (tail > 0) & (tail < TAILS.size)
    return tf.where(is_closed, first + tail, found)
