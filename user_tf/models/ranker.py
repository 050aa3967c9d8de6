"""The contract of all rankers: a Batch in, one score for each candidate out."""

import dataclasses
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from data_pipeline.common import flagtree
from data_pipeline.common.codes import Task
from user_tf.config import ModelConfig
from user_tf.layers.masking import count_positions


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a ranker must know of its dataset.

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


TEXT_POINTERS = (
    "behavior_text",
    "behavior_clicked",
    "query_text",
    "next_query_text",
    "candidate_text",
)


class PaddedSequence(NamedTuple):
    """Behaviors of each target, laid out from the packed tables.

    Attributes:
        behaviors: int `[T, n]` -> behaviors, 0 for padding.
        types: int `[T, n]`: 0 padding, 1 browse, 2 search.
        positions: int `[T, n]`: 1, 2, ... over the real behaviors, 0 for padding.
        mask: bool `[T, n]`, true at real behaviors.
    """

    behaviors: object
    types: object
    positions: object
    mask: object


def batch_fields(sizes):
    """Shape and dtype of every field of a Batch; None for the sizes that vary with the batch.

    Example:
        >>> batch_fields(Sizes(vocabulary=10, users=3, features=2))["features"]
        ((None, None, 2), 'float32')
    """
    clicked, session, past = sizes.clicked_titles, sizes.session_behaviors, sizes.past_sessions
    return {
        "text_tokens": ((None, None), "int32"),
        "behavior_type": ((None,), "int32"),
        "behavior_text": ((None,), "int32"),
        "behavior_clicked": ((None, clicked), "int32"),
        "behavior_doc": ((None,), "int32"),
        "behavior_clicked_docs": ((None, clicked), "int32"),
        "session_behaviors": ((None, session), "int32"),
        "target_id": ((None,), "int64"),
        "target_weight": ((None,), "float32"),
        "task": ((None,), "int32"),
        "user": ((None,), "int32"),
        "query_text": ((None,), "int32"),
        "next_query_text": ((None,), "int32"),
        "current_behaviors": ((None, session), "int32"),
        "past_sessions": ((None, past), "int32"),
        "candidate_text": ((None, None), "int32"),
        "candidate_doc": ((None, None), "int32"),
        "candidate_rank": ((None, None), "int32"),
        "candidate_mask": ((None, None), "bool"),
        "labels": ((None, None), "float32"),
        "features": ((None, None, sizes.features), "float32"),
    }


def empty_batch(sizes):
    """A Batch of padding only, as NumPy arrays with every varying size 2.

    Example:
        >>> empty_batch(Sizes(vocabulary=10, users=3))["text_tokens"].shape
        (2, 2)
    """
    return {
        name: np.zeros([2 if size is None else size for size in shape], dtype)
        for name, (shape, dtype) in batch_fields(sizes).items()
    }


def text_groups(batch):
    """The texts by length, and the Batch with its pointers to texts renumbered accordingly.

    Without shortcuts (`data_pipeline.batching.row_subsets`) all texts are one group.

    Returns:
        List of token ids `[X_n, n]`, the shorter texts first; the Batch, whose text pointers
        number the rows of all groups one after the other.
    """
    names = [name for name in batch if name.startswith("texts_upto_")]
    if not names:
        return [batch["text_tokens"]], batch
    lengths = sorted(int(name.removeprefix("texts_upto_")) for name in names)
    groups = [
        ops.take(batch["text_tokens"], batch[f"texts_upto_{length}"], axis=0)[:, :length]
        for length in lengths
    ]
    pointers = {name: ops.take(batch["text_place"], batch[name], axis=0) for name in TEXT_POINTERS}
    return groups, {**batch, **pointers}


def encode_groups(encoder, groups, training=False):
    """Encodes the texts of `text_groups` group by group.

    Args:
        encoder: Layer from tokens `[X, L]` to words `[X, L, d]`, vectors `[X, d]`, mask `[X, L]`.
        groups: List of token ids `[X_n, n]`, the longest texts last.
        training: Whether dropout is on.

    Returns:
        Words `[X, L, d]`, vectors `[X, d]` and mask `[X, L]` of all groups one after the other, with
        L of the last group.
    """
    words, vectors, masks = zip(
        *(encoder(tokens, training=training) for tokens in groups), strict=True
    )
    if len(groups) == 1:
        return words[0], vectors[0], masks[0]
    longest = groups[-1].shape[1]

    def widened(x):
        return ops.pad(x, [[0, 0], [0, longest - x.shape[1]]] + [[0, 0]] * (len(x.shape) - 2))

    return (
        ops.concatenate([widened(x) for x in words]),
        ops.concatenate(vectors),
        ops.concatenate([widened(x) for x in masks]),
    )


def for_searches(batch, compute, *rows):
    """What `compute` makes of the search targets; 0 for recommendations.

    Args:
        batch: A Batch; with shortcuts only its searches are computed.
        compute: Function of the rows of some targets.
        rows: Tensors `[T, ...]`, its arguments.

    Returns:
        `[T, ...]`, one row a target.
    """
    shortcut = "search_targets" in batch
    if shortcut:
        targets = ops.maximum(batch["search_targets"] - 1, 0)
        rows = [ops.take(x, targets, axis=0) for x in rows]
    computed = compute(*rows)
    if shortcut:
        computed = ops.take(computed, batch["target_place"], axis=0)
    search = ops.reshape(batch["task"] == Task.SEARCH, (-1,) + (1,) * (len(computed.shape) - 1))
    return ops.where(search, computed, ops.zeros_like(computed))


def match_words(knrm, batch, words, words_mask):
    """KNRM of every query and its candidates, `[T, C]`; 0 for recommendations.

    Args:
        knrm: Layer `Knrm`.
        batch: A Batch; with shortcuts only its searches are computed.
        words: Float tensor `[X, L, d]`, word vectors of the texts the Batch's pointers number.
        words_mask: Boolean tensor `[X, L]`, true at real tokens.
    """

    def match(queries, candidates):
        return knrm(words, words_mask=words_mask, queries=queries, candidates=candidates)

    return for_searches(batch, match, batch["query_text"], batch["candidate_text"])


def padded_session(batch):
    """The current session before each target, `[T, 5]`.

    Returns:
        `PaddedSequence` with n = behaviors of a session.
    """
    return _padded(batch, batch["current_behaviors"])


def padded_history(batch):
    """The behaviors of each target's past sessions, oldest first, `[T, 20 * 5]`.

    Real behaviors may stand anywhere in a row: a session shorter than 5 leaves padding behind it.

    Returns:
        `PaddedSequence` with n = past sessions x behaviors of a session.
    """
    sessions = batch["past_sessions"]
    behaviors = ops.take(batch["session_behaviors"], sessions, axis=0)
    slots = sessions.shape[1] * batch["session_behaviors"].shape[1]
    return _padded(batch, ops.reshape(behaviors, (-1, slots)))


def _padded(batch, behaviors):
    mask = behaviors > 0
    types = ops.take(batch["behavior_type"], behaviors, axis=0)
    return PaddedSequence(behaviors, types, count_positions(mask), mask)


class Ranker(keras.Model):
    """Base of all rankers: `ranker(batch) -> scores`.

    A subclass makes its layers in `__init__`, their weights in `build` (from the sizes alone, so that
    nothing is computed), and scores a Batch in `call(batch, training=False)`;
    `build_ranker` of `user_tf.models.registry` makes ready instances.

    A loss of its own, beside that of ranking, a subclass passes to `add_loss` in
    `call(training=True)`: a scalar in the dtype of the scores, the sum over the real targets of the
    batch (weighted by `target_weight`), not their mean. The training step adds it to the summed
    ranking loss and divides both by the number of groups of all replicas.

    Args:
        config: `ModelConfig`.
        sizes: `Sizes` of the dataset.

    Call arguments:
        batch: Dictionary of tensors with the fields of `batch_fields`.
        training: Whether dropout is on.

    Returns:
        Scores `[T, C]` in at least float32, finite everywhere, padding included: masking is left
        to the loss and to the evaluator.
    """

    variants = ()

    def __init__(self, config, sizes, **kwargs):
        # The batch is not cast: counts and features would not survive a half precision.
        super().__init__(autocast=False, **kwargs)
        self.config = config
        self.sizes = sizes

    def build_from_sizes(self):
        """Makes all weights: a subclass has a `build` that needs no batch."""
        if not self.built:
            self.build({name: shape for name, (shape, _) in batch_fields(self.sizes).items()})
            if self.config.init_scheme == "average":
                self.start_as_average()
        return self

    def start_as_average(self):
        """Initial weights of `--model.init_scheme=average`; without cosines and transformers, as drawn."""

    def set_word_vectors(self, word_vectors):
        """Sets the word embeddings, for example to the dataset's word2vec vectors.

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
                f"`word_vectors` should have shape [vocabulary, width] = {[vocabulary, width]}, or "
                f"more columns. Received: {[rows, given]}. Set --model.width to at most the width "
                "the dataset was prepared with, or --nomodel.word_vectors."
            )
        if given > width:
            vectors = np.asarray(word_vectors, np.float64)
            _, axes = np.linalg.eigh(vectors.T @ vectors)
            word_vectors = vectors @ axes[:, -width:]
        self.build_from_sizes()
        self.word_embedding.embeddings.assign(word_vectors)

    def use_dataset(self, dataset, scenario):
        """Takes over what a ranker keeps of its dataset beside learned weights; most keep nothing.

        Called where a ranker is made to be trained. What is kept lies in weights that are not
        trained, so that loading weights brings it back.

        Args:
            dataset: Opened `data_pipeline.dataset.dataset_folder.Dataset`.
            scenario: The view the ranker is trained on.
        """

    def new_word_embedding(self):
        """A word table of the vocabulary and the width, trained if `train_words` says so."""
        embedding = keras.layers.Embedding(
            self.sizes.vocabulary, self.config.width, dtype=self.dtype_policy, name="embedding"
        )
        embedding.trainable = self.config.train_words
        return embedding

    @property
    def word_embedding(self):
        """The `keras.layers.Embedding` of words: `embedding`, unless a subclass says otherwise."""
        return self.embedding

    def get_config(self):
        return {
            "config": flagtree.to_dict(self.config),
            "sizes": dataclasses.asdict(self.sizes),
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(
            flagtree.from_dict(ModelConfig, config.pop("config")),
            Sizes(**config.pop("sizes")),
            **{**config, "dtype": keras.dtype_policies.deserialize(config["dtype"])},
        )
