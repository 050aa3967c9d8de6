"""Words, vocabulary and encoding: one tokenizer for preparation and for the exported graph.

A word is a run of letters, marks and digits; a character of Han, Hiragana or Katakana is a word of
its own; everything else separates. The rule is made of TensorFlow string operations only, so a
SavedModel that takes raw strings splits them exactly as preparation did. What each script gets:

* Latin, Cyrillic, Greek, Arabic, Hebrew, the scripts of India: words with their accents and vowel
  signs, in lower case. A zero-width joiner or non-joiner separates.
* Chinese, Japanese: a character each, also inside a word of another script ("東京hotel" is 東, 京,
  hotel). The sign of a long vowel (ー) and combining voice marks are letters or marks that belong to
  no script: they stay with what follows them, as a word of their own before another character.
* Korean: what stands between spaces, particles included.
* Thai, Lao, Khmer, Burmese, written without spaces: the whole run up to the next space or sign.
* Emoji, symbols and punctuation separate and leave nothing; the digit of a keycap stays.

Nothing is normalised but case: "é" as one character or as two, and "Ａ" of full width and "a" of
usual width, are different words.
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

Result = TypeVar("Result")

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


def in_chunks(
    work: Callable[[slice], Result], count: int, workers: int | None = None
) -> Iterator[Result]:
    """Results of work on some 100,000 texts at a time, in the order of the texts.

    Threads are enough: TensorFlow's string operations run side by side. No more than one result a
    thread waits to be taken.

    Args:
        work: Gets the part of the texts it works on.
        count: Number of texts.
        workers: Threads; the results do not depend on it. Default: one a core.

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
                    f"`{name}` must be at least 1. Received: `{name}` = {value}. "
                    f"Set --text.{name} to 1 or more."
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
        """Token ids of words, one or more a word.

        Args:
            words: RaggedTensor of strings [X, (words)].

        Returns:
            RaggedTensor of int64 [X, (tokens)].
        """
        return self.table.lookup(words)

    def encode(self, texts: Any) -> Any:
        """Token ids of texts.

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
    """Token table of many texts.

    Args:
        encode: `Tokenizer.encode`.
        texts: The texts in the order of their ids.
        workers: As of `in_chunks`.

    Returns:
        int32 [n_texts, L], L being the longest text's tokens or `text_length`, whichever is
        smaller, and at least 1.
    """

    def part(rows: slice) -> npt.NDArray[np.int32]:
        tokens = encode(tf.constant(list(texts[rows]), tf.string)).numpy()
        used = int((tokens != 0).any(axis=0).sum())
        return np.ascontiguousarray(tokens[:, :used])

    parts = collections.deque(in_chunks(part, len(texts), workers))
    result = np.zeros([len(texts), max([1, *(part.shape[1] for part in parts)])], np.int32)
    start = 0
    # A part is let go as soon as it is copied, so that the table is held about once, not twice.
    while parts:
        tokens = parts.popleft()
        result[start : start + len(tokens), : tokens.shape[1]] = tokens
        start += len(tokens)
    return result
