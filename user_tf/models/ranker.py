"""Define the contract of all rankers: a Batch in, one score for each candidate out."""

import dataclasses

import keras
import numpy as np

from data_pipeline.batching.spec import batch_fields
from data_pipeline.common import flagtree
from user_tf.config import ModelConfig


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a dataset that a ranker is built with.

    Attributes:
        vocabulary: Rows of the word table, padding and hashed buckets included.
        users: Rows of the user table, the unknown user (row 0) included.
        features: Number n of relevance features F; may be 0.
        clicked_titles: Clicked titles a search behavior carries.
        session_behaviors: Behaviors of a session.
        past_sessions: Past sessions of a target.
        documents: Documents, the pad document (row 0) included.
        text_length: Tokens of the longest text.
    """

    vocabulary: int
    users: int
    features: int = 0
    clicked_titles: int = 3
    session_behaviors: int = 5
    past_sessions: int = 20
    documents: int = 1
    text_length: int = 30

    @property
    def history_behaviors(self) -> int:
        """Return the behaviors of the longest history."""
        return self.past_sessions * self.session_behaviors


class Ranker(keras.Model):
    """Base of all rankers: `ranker(batch) -> scores`.

    A subclass creates its layers in `__init__`, their weights in `build` (from the sizes alone, so
    that nothing is computed), and scores a Batch in `call(batch, training=False)`;
    `build_ranker` of `user_tf.registry` returns instances with weights.

    A subclass with a further loss passes it to `add_loss` in `call(training=True)`: a scalar in the
    dtype of the scores, the sum over the real targets of the batch (weighted by `target_weight`),
    not their mean. The training step adds it to the summed ranking loss and divides both by the
    number of groups of all replicas.

    Args:
        config: `ModelConfig`.
        sizes: `Sizes` of the dataset.

    Call arguments:
        batch: Dictionary of tensors, as `data_pipeline.batching.spec` describes.
        training: Whether dropout is on.

    Returns:
        Scores `[T, C]` in at least float32, finite everywhere, padding included: the loss and the
        evaluator mask it.
    """

    # Whether a served model may keep `encode_past` of a user, rank by `score_past`, and `explain`.
    staged = False
    # Names of the variants that validation chooses among by `choose_variant`; most rankers have none.
    variants = ()

    def __init__(self, config, sizes, **kwargs):
        # The batch is not cast: counts and features would not survive a half precision.
        super().__init__(autocast=False, **kwargs)
        self.config = config
        self.sizes = sizes

    def build_from_sizes(self):
        """Create all weights: the `build` of a subclass needs no batch."""
        if not self.built:
            self.build({name: shape for name, (shape, _) in batch_fields(self.sizes).items()})
            if self.config.init_scheme == "average":
                self.initialize_as_average()
        return self

    def initialize_as_average(self):
        """Set the weights of `--model.init_scheme=average`; a ranker without cosines keeps its own."""

    def set_word_vectors(self, word_vectors):
        """Set the word embeddings, for example to the dataset's word2vec vectors.

        Args:
            word_vectors: Float array `[vocabulary, n]`. Where n is larger than the width, the
                vectors' principal axes are taken, those of the largest second moments.

        Raises:
            ValueError: The array does not fit the vocabulary or is narrower than the width.
        """
        vocabulary, width = self.sizes.vocabulary, self.config.width
        rows, given = np.shape(word_vectors)
        if rows != vocabulary or given < width:
            raise ValueError(
                f"`word_vectors` must have shape [vocabulary, width] = {[vocabulary, width]}, or more "
                f"columns. Got {[rows, given]!r}. Fix: set --model.width to at most the width the "
                "dataset was prepared with, or --nomodel.word_vectors."
            )
        if given > width:
            vectors = np.asarray(word_vectors, np.float64)
            _, axes = np.linalg.eigh(vectors.T @ vectors)
            word_vectors = vectors @ axes[:, -width:]
        self.build_from_sizes()
        self.word_embedding.embeddings.assign(word_vectors)

    def use_dataset(self, dataset, scenario):
        """Copy tables of the dataset into the ranker; most rankers need none.

        Called where a ranker is created for training. The tables are weights that are not trained,
        so that loading weights restores them.

        Args:
            dataset: Opened `data_pipeline.dataset.dataset_folder.Dataset`.
            scenario: The scenario the ranker is trained on.
        """

    def new_word_embedding(self):
        """Return a word table of the vocabulary and the width, trained with `train_words`."""
        embedding = keras.layers.Embedding(
            self.sizes.vocabulary, self.config.width, dtype=self.dtype_policy, name="embedding"
        )
        embedding.trainable = self.config.train_words
        return embedding

    @property
    def word_embedding(self):
        """Return the `keras.layers.Embedding` of words: `embedding`, unless a subclass overrides it."""
        return self.embedding

    def unread_weights(self, task):
        """Return the variables that the scores of a task do not depend on; most rankers have none."""
        return []

    def get_config(self):
        return {
            "config": flagtree.to_dict(self.config),
            "sizes": dataclasses.asdict(self.sizes),
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    def get_build_config(self):
        """Return the sizes: the weights depend on nothing else."""
        return dataclasses.asdict(self.sizes)

    def build_from_config(self, config):
        """Make all weights, so that `keras.saving.load_model` can fill them."""
        self.build_from_sizes()

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(
            flagtree.from_dict(ModelConfig, config.pop("config")),
            Sizes(**config.pop("sizes")),
            **{**config, "dtype": keras.dtype_policies.deserialize(config["dtype"])},
        )
