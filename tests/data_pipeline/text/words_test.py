"""One tokenizer for preparation and the exported graph."""

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.settings import TextSettings
from data_pipeline.text.words import (
    Tokenizer,
    build_vocabulary,
    encode_texts,
    read_vocabulary,
    tokenize,
    write_vocabulary,
)

TEXTS = {
    "Ocean-view HOTEL, 2 rooms": ["ocean", "view", "hotel", "2", "rooms"],
    "": [],
    " \t\n ": [],
    "?!…—": [],
    "Ünïcode CAFÉ": ["ünïcode", "café"],
    "cafe\u0301": ["café"],
    "Caf&eacute; &amp; bar &mdash; open&nbsp;now": ["café", "bar", "open", "now"],
    "C++, C# and A+ &#35;1 #tag a+b 1+1=2": [
        *("c++", "c#", "and", "a+", "1", "tag", "a", "b", "1", "1", "2"),
    ],
    "+ # ++x+++ c### 京# +京": ["x", "c", "京", "京"],
    "ＡＢＣ ﾊﾞｽ ①": ["abc", "バ", "ス", "1"],
    "ガ ガ": ["ガ", "ガ"],
    "ไฟฟ้าBTS": ["ไ", "ฟ", "ฟ้", "า", "bts"],
    "ພາສາ": ["ພ", "າ", "ສ", "າ"],
    "ភាសាខ្មែរ": ["ភា", "សា", "ខ្", "មែ", "រ"],
    "မြန်မာ": ["မြ", "န်", "မာ"],
    "東京 hotel": ["東", "京", "hotel"],
    "東京hotel5つ星": ["東", "京", "hotel5", "つ", "星"],
    "カフェ": ["カ", "フ", "ェ"],
    "서울 호텔": ["서울", "호텔"],
    "हिन्दी में": ["हिन्दी", "में"],
    "ПРИВЕТ мир": ["привет", "мир"],
    "sea😀side ❤️ 👍🏽": ["sea", "side"],
    "a_b.c/d#e": ["a", "b", "c", "d", "e"],
    "x\u00a0y\u200bz": ["x", "y", "z"],
}


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "vocabulary.txt"
    write_vocabulary(path, ["", "hotel", "京", "café"])
    return path


def decoded(tokens):
    return [[word.decode("utf-8") for word in row] for row in tokens.to_list()]


def test_words_of_many_languages_are_split_as_documented():
    assert decoded(tokenize(list(TEXTS))) == list(TEXTS.values())


def test_a_graph_splits_as_eager_does():
    graph = tf.function(tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    assert decoded(graph(tf.constant(list(TEXTS)))) == list(TEXTS.values())


def test_bytes_that_are_not_utf8_separate_words():
    assert tokenize([b"\xffhello\xfe\xffworld\xff"]).to_list() == [[b"hello", b"world"]]


def test_the_vocabulary_is_ordered_by_count_then_alphabet_and_cut():
    counts = {"zebra": 4, "apple": 4, "most": 9, "rare": 1, "also": 3}
    settings = TextSettings(minimum_count=2, vocabulary_limit=3)
    assert build_vocabulary(counts, settings) == ["", "most", "apple", "zebra"]


def test_a_vocabulary_survives_its_file(tmp_path):
    words = ["", "hotel", "京", "cafe\u0301", "x\u2028y"]
    write_vocabulary(tmp_path / "v.txt", words)
    assert read_vocabulary(tmp_path / "v.txt") == words


def test_a_file_without_the_padding_line_is_refused(tmp_path):
    write_vocabulary(tmp_path / "v.txt", ["hotel"])
    with pytest.raises(ValueError, match="must be empty"):
        read_vocabulary(tmp_path / "v.txt")


def test_known_words_have_their_line_and_texts_are_padded_and_cut(vocabulary):
    tokenizer = Tokenizer(vocabulary, oov_buckets=7, text_length=3)
    ids = tokenizer.encode(["Hotel", "", "京 café hotel hotel"])
    assert ids.dtype == tf.int32
    assert ids.numpy().tolist() == [[1, 0, 0], [0, 0, 0], [2, 3, 1]]


def test_an_unknown_word_always_has_the_same_bucket(vocabulary, tmp_path):
    first = Tokenizer(vocabulary, oov_buckets=1000, text_length=2)
    write_vocabulary(tmp_path / "same.txt", read_vocabulary(vocabulary))
    second = Tokenizer(tmp_path / "same.txt", oov_buckets=1000, text_length=2)
    ids = first.encode(["qx7 zz9", "zz9 qx7"]).numpy()
    assert ids[0].tolist() == ids[1][::-1].tolist()
    assert ids[0, 0] != ids[0, 1]
    assert ((ids >= 4) & (ids < 1004)).all()
    np.testing.assert_array_equal(second.encode(["qx7 zz9", "zz9 qx7"]), ids)
    # TensorFlow's fingerprint of the word: the same in every process and release.
    assert ids[0].tolist() == [
        4 + int(tf.strings.to_hash_bucket_fast(word, 1000)) for word in ("qx7", "zz9")
    ]


def test_eager_graph_dataset_and_saved_model_encode_alike(vocabulary, tmp_path):
    tokenizer = Tokenizer(vocabulary, oov_buckets=5, text_length=4)
    expected = tokenizer.encode(list(TEXTS)).numpy()
    graph = tf.function(tokenizer.encode, input_signature=[tf.TensorSpec([None], tf.string)])
    np.testing.assert_array_equal(graph(tf.constant(list(TEXTS))), expected)

    data = tf.data.Dataset.from_tensor_slices(list(TEXTS)).batch(len(TEXTS))
    np.testing.assert_array_equal(next(iter(data.map(tokenizer.encode))), expected)

    tf.saved_model.save(tokenizer, tmp_path / "saved", signatures={"encode": graph})
    vocabulary.unlink()
    loaded = tf.saved_model.load(tmp_path / "saved").signatures["encode"]
    (ids,) = loaded(tf.constant(list(TEXTS))).values()
    np.testing.assert_array_equal(ids, expected)


def test_a_token_table_is_as_wide_as_its_longest_text(vocabulary, monkeypatch):
    monkeypatch.setattr("data_pipeline.text.words._CHUNK", 2)
    tokenizer = Tokenizer(vocabulary, oov_buckets=5, text_length=30)
    table = encode_texts(tokenizer.encode, ["", "hotel", "hotel 京", "", "hotel"])
    assert table.tolist() == [[0, 0], [1, 0], [1, 2], [0, 0], [1, 0]]
    assert encode_texts(tokenizer.encode, [""]).shape == (1, 1)
    assert encode_texts(tokenizer.encode, []).shape == (0, 1)


@pytest.mark.parametrize("name", ["oov_buckets", "text_length"])
def test_a_tokenizer_without_room_is_refused(vocabulary, name):
    arguments = {"oov_buckets": 5, "text_length": 5, name: 0}
    with pytest.raises(ValueError, match=f"--text.{name}"):
        Tokenizer(vocabulary, **arguments)
