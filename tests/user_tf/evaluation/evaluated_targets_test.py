"""Targets read from Parquet as padded arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.evaluation import evaluated_targets


@pytest.fixture(name="example")
def _example():
    return evaluated_targets.from_table(evaluated_targets.example_table())


def test_lists_are_padded_in_the_order_of_ids(example):
    assert example.target_id.tolist() == [3, 8]
    assert example.mask.tolist() == [[True, True, True], [True, True, False]]
    assert example.popularity.tolist() == [[2, 2, 7], [5, 9, 0]]
    assert example.last_touch.tolist() == [[-1, -1, 10], [-1, 40, -1]]
    assert example.user.to_pylist() == ["bob", "ann"]
    assert example.slices["past_behaviors"].tolist() == [4, 0]
    assert example.slices["query_tokens"].tolist() == [2, 0]


@pytest.fixture(name="make_dataset")
def _make_dataset(tmp_path):
    def make(tokenizer="words", vocabulary=("", "sea", "view"), text_length=30):
        text = "".join(f"{word}\n" for word in vocabulary)
        (tmp_path / "vocabulary.txt").write_text(text, encoding="utf-8")
        manifest = {"settings": {"text": {"tokenizer": tokenizer}}, "oov_buckets": 2}
        return Dataset(tmp_path, {**manifest, "text_length": text_length})

    return make


def test_a_split_is_read_from_a_dataset(tmp_path, make_dataset):
    table = evaluated_targets.example_table().drop_columns("query_tokens")
    table = table.set_column(1, "split", pa.array(["train", "test"]))
    pq.write_table(table, tmp_path / "targets.parquet")
    dataset = make_dataset()
    test = evaluated_targets.load(dataset, "test")
    assert test.target_id.tolist() == [3] and test.slices["query_tokens"].tolist() == [2]
    train = evaluated_targets.load(dataset, "train")
    assert train.target_id.tolist() == [8] and train.slices["query_tokens"].tolist() == [0]
    with pytest.raises(ValueError, match=r"`split`.*'validation'.*none"):
        evaluated_targets.load(dataset, "validation")


@pytest.mark.parametrize(
    ("tokenizer", "vocabulary", "expected"),
    [
        # The sign separates words, a Chinese or Japanese character is a word.
        ("words", ("", "sea"), [3, 3, 0, 3]),
        # Ids stand between spaces, whatever signs they hold.
        ("ids", ("", "sea-view"), [2, 2, 0, 2]),
        # Pieces: sea, view, ho, ##tel; an unknown word is one token.
        ("wordpiece", ("", "[UNK]", "sea", "view", "ho", "##tel"), [4, 4, 0, 4]),
    ],
)
def test_the_tokens_of_a_query_are_those_of_the_datasets_tokenizer(
    make_dataset, tokenizer, vocabulary, expected
):
    queries = pa.chunked_array([["sea-view hotel", "東京 hotel", ""], ["sea-view hotel"]])
    found = evaluated_targets.count_tokens(make_dataset(tokenizer, vocabulary), queries)
    assert found.to_pylist() == expected


def test_tokens_beyond_the_text_length_do_not_count(make_dataset):
    queries = pa.chunked_array([["sea view sea view", "sea"]])
    found = evaluated_targets.count_tokens(make_dataset(text_length=3), queries)
    assert found.to_pylist() == [3, 1]


def test_a_task_is_taken_alone(example):
    assert example.select_task("search").target_id.tolist() == [3]
    assert example.select_task("recommendation").user.to_pylist() == ["ann"]


def test_scores_are_brought_into_order_whatever_their_width(example):
    narrow_and_wide = np.array([[5, 6, 0, 0], [1, 2, 3, 0]])
    rows, scores = example.align(np.array([8, 3]), narrow_and_wide)
    assert rows.tolist() == [0, 1]
    np.testing.assert_array_equal(scores, [[1, 2, 3], [5, 6, np.nan]])


def test_of_a_repeated_target_the_first_scores_count(example):
    _, scores = example.align(np.array([8, 8]), np.array([[5, 6], [0, 0]]))
    np.testing.assert_array_equal(scores, [[5, 6, np.nan]])


def test_an_unknown_target_is_refused(example):
    for unknown in (1, 5, 9):
        with pytest.raises(ValueError, match=rf"of this split.*\[{unknown}\], 1 unknown"):
            example.align(np.array([3, unknown]), np.zeros((2, 3)))


def test_a_list_shorter_than_its_candidates_is_refused(example):
    with pytest.raises(ValueError, match="target 3 with 3 candidates"):
        example.align(np.array([3]), np.zeros((1, 2)))


def test_a_score_that_is_not_a_number_is_refused(example):
    with pytest.raises(ValueError, match="diverged"):
        example.align(np.array([3]), np.array([[1.0, np.nan, 2.0]]))
