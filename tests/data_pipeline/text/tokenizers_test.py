"""Each tokenizer gives the same ids in preparation, in a tf.data graph and in a saved model."""

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.settings import TextSettings
from data_pipeline.text.corpus import count_words
from data_pipeline.text.tokenizers import KINDS, build_tokenizer
from data_pipeline.text.words import encode_texts, write_vocabulary

TEXTS = [
    "Ocean-view HOTEL, 2 rooms",
    "北京 hotel 酒店 with 游泳池",
    "東京のホテル",
    "서울 호텔 예약",
    "โรงแรมในกรุงเทพ",
    "café cafe\u0301 CAFÉ ＨＯＴＥＬ",
    "שלום עולם hotel",
    "C++ &amp; C# caf&#233; ﾎﾃﾙ 한국",
    "hotels hotel 😀👩\u200d👩\u200d👧 hotels",
    "3f-A 20 3f-a",
    "",
    "  \t ",
]
UNSEEN = [*TEXTS, "hotelsss unknownword 上海", "\ud7ff \U00010000 \u0000 x", "a" * 300]


@pytest.fixture(scope="module", params=["words", "ids", "wordpiece"])
def tokenizer(request, tmp_path_factory):
    settings = TextSettings(tokenizer=request.param, minimum_count=1, wordpiece_limit=60)
    kind = KINDS[request.param]
    counts = count_words(kind.split, TEXTS, np.ones(len(TEXTS), np.int64))
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.txt"
    write_vocabulary(path, kind.learn(counts, settings))
    return build_tokenizer(request.param, path, oov_buckets=7, text_length=12)


def test_preparation_a_graph_and_a_saved_model_agree(tokenizer, tmp_path):
    expected = tokenizer.encode(tf.constant(UNSEEN)).numpy()
    prepared = encode_texts(tokenizer.encode, UNSEEN)
    np.testing.assert_array_equal(prepared, expected[:, : prepared.shape[1]])
    assert not expected[:, prepared.shape[1] :].any()

    mapped = tf.data.Dataset.from_tensor_slices(UNSEEN).batch(3).map(tokenizer.encode).unbatch()
    np.testing.assert_array_equal(np.stack(list(mapped.as_numpy_iterator())), expected)

    serve = tf.function(tokenizer.encode, input_signature=[tf.TensorSpec([None], tf.string)])
    module = tf.Module()
    module.tokenizer, module.encode = tokenizer, serve
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=serve)
    loaded = tf.saved_model.load(str(tmp_path / "saved")).encode
    np.testing.assert_array_equal(loaded(tf.constant(UNSEEN)).numpy(), expected)


def test_bytes_that_are_no_text_are_encoded_too(tokenizer):
    ids = tokenizer.encode(tf.constant([b"\xff\xfe hotel", b"\xe4\xba", b"hotel \xc3"])).numpy()
    assert ids.shape == (3, 12) and ids.min() >= 0


def test_chinese_english_and_mixed_text_have_a_token_for_every_word():
    split = KINDS["words"].split
    assert split(["北京hotel 2室", "東京のホテル"]).to_list() == [
        [word.encode() for word in ("北", "京", "hotel", "2", "室")],
        [word.encode() for word in "東京のホテル"],
    ]


def test_ids_are_taken_as_they_are():
    assert KINDS["ids"].split(["3f-A 3f-a\tX.y"]).to_list() == [[b"3f-A", b"3f-a", b"X.y"]]


def test_wordpiece_cuts_unknown_words_into_known_pieces(tmp_path):
    settings = TextSettings(tokenizer="wordpiece", minimum_count=1, wordpiece_limit=40)
    counts = {"hotel": 50, "hotels": 20, "room": 30, "rooms": 20, "s": 5}
    path = tmp_path / "vocabulary.txt"
    vocabulary = KINDS["wordpiece"].learn(counts, settings)
    write_vocabulary(path, vocabulary)
    encode = build_tokenizer("wordpiece", path, oov_buckets=5, text_length=8).encode
    known, unknown = encode(tf.constant(["hotel rooms", "привет"])).numpy()
    pieces = [vocabulary[number] for number in known if number]
    assert "".join(pieces).replace("##", "") == "hotelrooms"
    # A word of letters never met is one hashed bucket.
    assert unknown[0] >= len(vocabulary) and not unknown[1:].any()
