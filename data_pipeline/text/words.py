"""Words, vocabulary and encoding: one tokenizer for preparation and for the exported graph.

Texts are normalized (`data_pipeline.text.normal_form`) and split by `data_pipeline.text.word_rule`
with TensorFlow string operations only, so a SavedModel splits raw strings exactly as preparation did.
"""

import collections
import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data_pipeline.settings import TextSettings
from data_pipeline.text import word_rule
from data_pipeline.text.normal_form import change_where, normalize

Result = TypeVar("Result")

_CHUNK = 100_000


def tokenize(texts: Any) -> Any:
    """Split texts into lower-case words of their normal form.

    Args:
        texts: string [X], UTF-8; bytes that are not UTF-8 are separators.

    Returns:
        RaggedTensor of strings [X, (tokens)].

    Example:
        >>> tokenize(["Ocean-view HOTEL, 2 rooms", "", "東京 hotel"]).to_list()
        [[b'ocean', b'view', b'hotel', b'2', b'rooms'], [], [b'\\xe6\\x9d\\xb1', b'\\xe4\\xba\\xac', b'hotel']]
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tf.strings.lower(normalize(texts), encoding="utf-8")
    texts = _rewrite(texts, word_rule.FIRST_REWRITES)
    texts = change_where(
        texts, word_rule.SIGNS, lambda signed: _rewrite(signed, word_rule.SIGN_REWRITES)
    )
    return tf.strings.split(_rewrite(texts, word_rule.LAST_REWRITES))


def _rewrite(texts: Any, rewrites: Sequence[tuple[str, str]]) -> Any:
    for pattern, replacement in rewrites:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return texts


def in_chunks(
    work: Callable[[slice], Result], count: int, workers: int | None = None
) -> Iterator[Result]:
    """Yield results of work on 100,000 texts at a time, in the order of the texts.

    Threads are enough: TensorFlow's string operations run in parallel. At most one result per
    thread waits to be taken.

    Args:
        work: Works on a part of the texts.
        count: Number of texts.
        workers: Threads; results do not depend on it. Default: one per core.

    Example:
        >>> list(in_chunks(lambda part: "abcde"[part], 5))
        ['abcde']
    """
    threads = workers or os.cpu_count() or 1
    waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for start in range(0, count, _CHUNK):
            waiting.append(pool.submit(work, slice(start, min(start + _CHUNK, count))))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def build_vocabulary(counts: Mapping[str, int], settings: TextSettings) -> list[str]:
    """Return the words of the vocabulary in the order of their ids; id 0 is "", the padding.

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
    """Write one word per line, UTF-8; line n has the word with id n."""
    pathlib.Path(path).write_bytes("".join(f"{word}\n" for word in vocabulary).encode("utf-8"))


def read_vocabulary(path: str | os.PathLike[str]) -> list[str]:
    """Read the file of `write_vocabulary`.

    Raises:
        ValueError: The first line is not empty: the file is not a vocabulary of this program.
    """
    words = pathlib.Path(path).read_bytes().decode("utf-8").split("\n")[:-1]
    if not words or words[0]:
        raise ValueError(
            f"Line 1 of the vocabulary {os.fspath(path)!r} must be empty (id 0 is the padding). Got "
            f"{words[:1]}. Fix: take vocabulary.txt from a dataset of this program."
        )
    return words


class Tokenizer(tf.Module):
    """Encode raw strings as token ids; works eagerly, in tf.data and in a SavedModel.

    Id 0 is padding, 1 ... V-1 are words of the vocabulary, V ... V+B-1 are hashed buckets for all
    other words: an unknown word always has the same id. A SavedModel with this object includes the
    words and does not need the file.

    Args:
        vocabulary: Path of vocabulary.txt.
        oov_buckets: B, at least 1.
        text_length: L, tokens kept of a text: the first ones.
        split: string [X] -> RaggedTensor of strings [X, (words)]. Default: `tokenize`.

    Raises:
        ValueError: `oov_buckets` or `text_length` is below 1.
    """

    def __init__(
        self,
        vocabulary: str | os.PathLike[str],
        oov_buckets: int,
        text_length: int,
        split: Callable[[Any], Any] = tokenize,
    ) -> None:
        super().__init__(name="tokenizer")
        for name, value in (("oov_buckets", oov_buckets), ("text_length", text_length)):
            if value < 1:
                raise ValueError(
                    f"`text.{name}` must be at least 1. Got {value}. "
                    f"Fix: set --text.{name} to 1 or more."
                )
        words = read_vocabulary(vocabulary)
        self.text_length = text_length
        self.split = split
        self.table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(words), tf.range(len(words), dtype=tf.int64)
            ),
            num_oov_buckets=oov_buckets,
        )

    def ids(self, words: Any) -> Any:
        """Return the token ids of words, one or more per word.

        Args:
            words: RaggedTensor of strings [X, (words)].

        Returns:
            RaggedTensor of int64 [X, (tokens)].
        """
        return self.table.lookup(words)

    def encode(self, texts: Any) -> Any:
        """Return the token ids of texts.

        Args:
            texts: string [X].

        Returns:
            int32 [X, L], padded with 0 on the right.
        """
        words = self.split(texts)[:, : self.text_length]
        return tf.cast(self.ids(words).to_tensor(0, shape=[None, self.text_length]), tf.int32)


def encode_texts(
    encode: Callable[[Any], Any], texts: Sequence[str], workers: int | None = None
) -> npt.NDArray[np.int32]:
    """Return the token table of many texts.

    Args:
        encode: `Tokenizer.encode`.
        texts: The texts in the order of their ids; may be a string array of Arrow.
        workers: As for `in_chunks`.

    Returns:
        int32 [n_texts, L]; L is the number of tokens of the longest text, at most `text_length` and
        at least 1.
    """

    def part(rows: slice) -> npt.NDArray[np.int32]:
        tokens = encode(tf.constant(np.asarray(texts[rows], object), tf.string)).numpy()
        used = int((tokens != 0).any(axis=0).sum())
        return np.ascontiguousarray(tokens[:, :used])

    parts = collections.deque(in_chunks(part, len(texts), workers))
    result = np.zeros([len(texts), max([1, *(part.shape[1] for part in parts)])], np.int32)
    start = 0
    # A part is freed as soon as it is copied, so memory holds the table about once, not twice.
    while parts:
        tokens = parts.popleft()
        result[start : start + len(tokens), : tokens.shape[1]] = tokens
        start += len(tokens)
    return result
