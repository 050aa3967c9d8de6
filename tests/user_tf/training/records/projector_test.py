"""Vectors of a model as files of TensorBoard's projector."""

import keras
import numpy as np

from user_tf.training.records.projector import ROWS, write_projector


class Tables(keras.Model):
    """A model of two tables."""

    def __init__(self):
        super().__init__()
        self.embedding = keras.layers.Embedding(4, 3, name="embedding")
        self.users = keras.layers.Embedding(ROWS + 9, 2, name="user_embedding")

    def build(self, shape):
        self.embedding.build(shape)
        self.users.build(shape)


def test_rows_of_both_tables_are_written_with_words_and_without_user_ids(tmp_path):
    model = Tables()
    model.build(None)
    words = model.embedding
    write_projector(tmp_path, model, ["", "red", "blue"])
    vectors = np.loadtxt(tmp_path / "words.tsv")
    np.testing.assert_allclose(vectors, words.embeddings.numpy()[1:], rtol=1e-4, atol=1e-8)
    assert (tmp_path / "words-labels.tsv").read_text() == "red\nblue\nrow 3\n"
    assert np.loadtxt(tmp_path / "users.tsv").shape == (ROWS, 2)
    assert (tmp_path / "users-labels.tsv").read_text().splitlines()[-1] == f"row {ROWS}"
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert config.count("tensor_path") == 2 and "words-labels.tsv" in config
