"""Tokens, vocabulary and encoding: one tokenizer for preparation and for the exported graph.

A token is a run of letters, marks and digits; a character of a script written without spaces (Han,
Hiragana, Katakana) is a token of its own; everything else separates. The rule is made of
TensorFlow string operations only, so a SavedModel that takes raw strings splits them exactly as
preparation did.
"""

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data_pipeline.settings import TextSettings

_CHUNK = 100_000
# Variation selectors are marks that only choose how an emoji is drawn.
_REWRITES = (
    (r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]+", ""),
    (r"([\p{Han}\p{Hiragana}\p{Katakana}])", r" \1 "),
    (r"[^\p{L}\p{Mn}\p{Mc}\p{N}]+", " "),
)


def tokenize(texts: Any) -> Any:
    """Splits texts into lower-case words.

    Args:
        texts: string [X], UTF-8; bytes that are not UTF-8 separate tokens.

    Returns:
        RaggedTensor of strings [X, (tokens)].

    Example:
        >>> tokenize(["Ocean-view HOTEL, 2 rooms", "", "東京 hotel"]).to_list()
        [[b'ocean', b'view', b'hotel', b'2', b'rooms'], [], [b'\\xe6\\x9d\\xb1', b'\\xe4\\xba\\xac', b'hotel']]
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tf.strings.lower(texts, encoding="utf-8")
    for pattern, replacement in _REWRITES:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return tf.strings.split(texts)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), _CHUNK):
        yield texts[start : start + _CHUNK]


def build_vocabulary(counts: Mapping[str, int], settings: TextSettings) -> list[str]:
    """Words of the vocabulary in the order of their ids; id 0 is "", the padding.

    Words with at least `minimum_count` occurrences enter, most frequent first, ties in
    alphabetical order, up to `vocabulary_limit`.

    Example:
        >>> build_vocabulary({"b": 3, "a": 3, "c": 9, "rare": 1}, TextSettings())
        ['', 'c', 'a', 'b']
    """
    words = [word for word, count in counts.items() if word and count >= settings.minimum_count]
    words.sort(key=lambda word: (-counts[word], word))
    return ["", *words[: settings.vocabulary_limit]]


def write_vocabulary(path: str | os.PathLike[str], vocabulary: Iterable[str]) -> None:
    """Writes one word a line, UTF-8, line n holding the word with id n."""
    pathlib.Path(path).write_bytes("".join(f"{word}\n" for word in vocabulary).encode("utf-8"))


def read_vocabulary(path: str | os.PathLike[str]) -> list[str]:
    """Reads what `write_vocabulary` wrote.

    Raises:
        ValueError: The first line is not empty: it is not a vocabulary of this program.
    """
    words = pathlib.Path(path).read_bytes().decode("utf-8").split("\n")[:-1]
    if not words or words[0]:
        raise ValueError(
            f"Line 1 of the vocabulary {os.fspath(path)!r} should be empty (id 0 is the padding). "
            f"Received: {words[:1]}. Take vocabulary.txt from a dataset of this program."
        )
    return words


class Tokenizer(tf.Module):
    """Encodes raw strings as token ids; works eagerly, in tf.data and in a SavedModel.

    id 0 is padding, 1 ... V-1 are the vocabulary's words, V ... V+B-1 hashed buckets for all other
    words: the same unknown word always has the same id. A SavedModel that holds this object holds the
    words too and no longer needs the file.

    Args:
        vocabulary: Path of vocabulary.txt.
        oov_buckets: B, at least 1.
        text_length: L, tokens kept of a text: the first ones.

    Raises:
        ValueError: `oov_buckets` or `text_length` is below 1.
    """

    def __init__(
        self, vocabulary: str | os.PathLike[str], oov_buckets: int, text_length: int
    ) -> None:
        super().__init__(name="tokenizer")
        for name, value in (("oov_buckets", oov_buckets), ("text_length", text_length)):
            if value < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. Received: `{name}` = {value}. "
                    f"Set --text.{name} to 1 or more."
                )
        words = read_vocabulary(vocabulary)
        self.text_length = text_length
        self.table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(words), tf.range(len(words), dtype=tf.int64)
            ),
            num_oov_buckets=oov_buckets,
        )

    def encode(self, texts: Any) -> Any:
        """Token ids of texts.

        Args:
            texts: string [X].

        Returns:
            int32 [X, L], padded with 0 on the right.
        """
        words = tokenize(texts)[:, : self.text_length]
        ids = self.table.lookup(words)
        return tf.cast(ids.to_tensor(0, shape=[None, self.text_length]), tf.int32)


def encode_texts(encode: Callable[[Any], Any], texts: Sequence[str]) -> npt.NDArray[np.int32]:
    """Token table of many texts, some 100,000 at a time.

    Args:
        encode: `Tokenizer.encode`.
        texts: The texts in the order of their ids.

    Returns:
        int32 [n_texts, L], L being the longest text's tokens or `text_length`, whichever is
        smaller, and at least 1.
    """
    parts = [encode(tf.constant(list(chunk), tf.string)).numpy() for chunk in _chunks(texts)]
    tokens = np.concatenate(parts) if parts else np.zeros([0, 1], np.int32)
    used = max(1, int((tokens != 0).any(axis=0).sum()))
    return cast(npt.NDArray[np.int32], np.ascontiguousarray(tokens[:, :used]))
