"""Keep documents encoded, inside the exported graph, so that a request names them by id.

Row 0 is the unknown document. Texts are kept as numbers: no title is readable.

Axis letters: D documents, L tokens, d width, w width of word vectors, W words of all documents.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from user_tf.models.batch_ops import EncodedTexts
from user_tf.serving.graph.distinct_texts import number_texts, trim
from user_tf.serving.graph.user_memory import TextFacts
from user_tf.serving.graph.user_table import UserTable, write_users

_CHUNK = 1_000


class DocumentTable(tf.Module):
    """Encoded documents of a model.

    Args:
        folder: Where to write the file of ids, which becomes an asset.
        documents: Titles by document id.
        graph: `ranking.Graph` of the model.
        copies: Rankers by task; each encodes the documents.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        documents: Mapping[str, str],
        graph: Any,
        copies: Mapping[str, Any],
    ) -> None:
        super().__init__(name="documents")
        path = pathlib.Path(folder) / "documents.txt"
        write_users(path, ["", *documents])
        self.ids = UserTable(path)
        titles = ["", *documents.values()]
        tokens, keys, directions = _read(graph, titles)
        self.count = len(documents)
        self.tokens = _constant(tokens, "tokens")
        self._facts = []
        if graph.features is not None:
            self._facts = [_constant(keys, "keys"), _constant(directions, "directions")]
        rankers = {id(ranker): ranker for ranker in copies.values()}
        self._owners = tuple(rankers)
        self._encoded = [
            _EncodedDocuments(ranker, tokens, copies.get("search") is ranker)
            for ranker in rankers.values()
        ]

    def find(self, ids: Any) -> Any:
        """Return int32 [...], rows of document ids string [...]; 0: unknown."""
        return self.ids.find(ids)

    def facts(self, rows: Any) -> TextFacts:
        """Return what F reads of the titles at `rows`."""
        keys, directions = (tf.gather(part, rows) for part in self._facts)
        return TextFacts(keys, tf.gather(self.tokens, rows), tf.cast(directions, tf.float64))

    def encoded_texts(self, ranker: Any, rows: Any) -> EncodedTexts:
        """Return the encoded titles at `rows`, int32 [X], by one of the rankers."""
        return self._encoded[self._owners.index(id(ranker))].at(rows)


class _EncodedDocuments(tf.Module):
    """Encoded titles by one ranker: vectors, and words laid end to end where KNRM reads them."""

    def __init__(self, ranker: Any, tokens: Any, with_words: bool) -> None:
        super().__init__(name="encoded_documents")
        encode = tf.function(
            lambda part: ranker.encode_texts([trim(part)]),
            input_signature=[tf.TensorSpec([None, tokens.shape[1]], tf.int32)],
        )
        found = [
            EncodedTexts(*(np.asarray(x, np.float32) for x in encode(tokens[at : at + _CHUNK])))
            for at in range(0, len(tokens), _CHUNK)
        ]
        self.vectors = _constant(np.concatenate([part.vectors for part in found]), "vectors")
        width = self.vectors.shape[1]
        self._with_words = with_words and hasattr(ranker, "knrm")
        lengths = np.count_nonzero(tokens, axis=1) if self._with_words else np.zeros(len(tokens))
        self.length = _constant(lengths.astype(np.int32), "length")
        self.start = _constant((np.cumsum(lengths) - lengths).astype(np.int32), "start")
        words = [part.words[part.mask > 0] for part in found] if self._with_words else []
        self.words = _constant(np.concatenate([*words, np.zeros([1, width], np.float32)]), "words")

    def at(self, rows: Any) -> EncodedTexts:
        """Return the encoded titles at `rows`, int32 [X]."""
        length = tf.gather(self.length, rows)[:, tf.newaxis]
        place = tf.range(tf.maximum(1, tf.reduce_max(length)))[tf.newaxis]
        mask = place < length
        last = tf.shape(self.words)[0] - 1
        column = tf.where(mask, tf.gather(self.start, rows)[:, tf.newaxis] + place, last)
        return EncodedTexts(tf.gather(self.words, column), tf.gather(self.vectors, rows), mask)


def _read(graph: Any, titles: Sequence[str]) -> tuple[Any, Any, Any]:
    """Return token ids int32 [D, L], keys int64 [D] and directions int16 [D, w] of titles."""
    tokens, keys, directions = [], [], []
    for at in range(0, len(titles), _CHUNK):
        group = tf.constant(titles[at : at + _CHUNK], tf.string)
        texts = number_texts({"titles": group}, graph.encode)
        rows = texts.rows["titles"]
        tokens.append(tf.gather(texts.tokens, rows).numpy())
        if graph.features is not None:
            facts = graph.features.read(texts).at(rows)
            keys.append(facts.key.numpy())
            directions.append(facts.direction.numpy().astype(np.int16))
    width = max(part.shape[1] for part in tokens)
    table = np.concatenate([np.pad(x, [(0, 0), (0, width - x.shape[1])]) for x in tokens])
    if graph.features is None:
        return table, None, None
    return table, np.concatenate(keys), np.concatenate(directions)


def _constant(value: Any, name: str) -> tf.Variable:
    return tf.Variable(value, trainable=False, name=name)
