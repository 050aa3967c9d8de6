"""The texts of a log, their occurrences before the validation period, and their tokens.

An occurrence of a text is an issued query, a title shown in a list, or a browsed title. Words enter
the vocabulary by their occurrences before the validation period; word2vec reads each text that
occurs in that time once.
"""

import dataclasses
import os
import pathlib
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipeline.common.array_types import Integers
from data_pipeline.events.prepared_log import PreparedLog
from data_pipeline.events.user_events import UserEvents
from data_pipeline.settings import PrepareSettings, TextSettings

CHOICES = (
    "A word's occurrences are counted over the queries issued, the titles shown and the titles "
    "browsed before the validation period, a text counting as often as it is met; word2vec reads "
    "each of these texts once.",
    "A text first met in the validation period or later, or never, gives no word to the "
    "vocabulary; its unknown words go to hashed buckets.",
)


@dataclasses.dataclass(frozen=True)
class Encoded:
    """The texts as tokens.

    Attributes:
        tokens: int32 [texts, L]; row 0 is the empty text.
        used: int64 [n], the texts that occur before the validation period.
    """

    tokens: npt.NDArray[np.int32]
    used: Integers


@dataclasses.dataclass(frozen=True)
class TextTable:
    """Tokens and vectors of the texts.

    Attributes:
        tokens: int32 [texts, L]; row 0 is the empty text.
        vectors: int16 [texts, d] of `data_pipeline.text.word_vectors.text_vectors`.
        document_text: int64 [documents], text of each document; number 0 is the pad document.
    """

    tokens: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.int16]
    document_text: Integers


def encode_texts(
    folder: str | os.PathLike[str],
    log: PreparedLog,
    events: UserEvents,
    before: int,
    settings: TextSettings,
    taken: pathlib.Path | None = None,
) -> Encoded:
    """Learn the vocabulary, or take it over, and encode all texts of a log.

    Writes vocabulary.txt and text_tokens.npy.

    Args:
        folder: Existing folder.
        log: The log.
        events: Its events.
        before: Time before which texts count: the start of the validation period.
        settings: Tokens and vocabulary.
        taken: Folder of a dataset whose vocabulary is taken. Default: it is learned.
    """
    texts = log.read_texts()
    met = count_occurrences(log, events, before, len(texts))
    return encode(folder, texts, met, settings, taken)


def count_occurrences(log: PreparedLog, events: UserEvents, before: int, texts: int) -> Integers:
    """Return how often each text is met at a time earlier than `before`: int64 [texts].

    Args:
        log: The log.
        events: Its events.
        before: A time.
        texts: Number of texts, the empty one included.
    """
    browses, document_text = events.browses, log.document_text
    queries = events.searches["query"][events.searches["time"] < before]
    titles = document_text[browses["doc"][browses["time"] < before]]
    result = np.bincount(queries, minlength=texts) + np.bincount(titles, minlength=texts)
    seen = log.shown.occurrences(log.engine, before)
    np.add.at(result, document_text[seen["doc"]], seen["count"])
    # Recommendations have no query, and some documents no title.
    result[0] = 0
    return result


def count_words(
    split: Callable[[Any], Any], texts: Sequence[str], weights: Integers, workers: int | None = None
) -> Counter[str]:
    """Count the occurrences of every word, each text with its weight.

    Args:
        split: string [X] -> RaggedTensor of strings [X, (words)].
        texts: The texts; may be a string array of Arrow.
        weights: int64 [texts].
        workers: As for `data_pipeline.text.words.in_chunks`.

    Example:
        >>> from data_pipeline.text.words import tokenize
        >>> sorted(count_words(tokenize, ["a hotel", "a"], np.array([2, 1])).items())
        [('a', 3), ('hotel', 2)]
    """
    import tensorflow as tf

    from data_pipeline.text.words import in_chunks

    def count(part: slice) -> tuple[list[bytes], list[int]]:
        words = split(tf.constant(np.asarray(texts[part], object), tf.string))
        distinct, index = tf.unique(words.flat_values)
        weight = np.repeat(weights[part], words.row_lengths().numpy())
        # Sums of whole numbers below 2**53 are exact in the float64 of bincount.
        times = np.bincount(index.numpy(), weight).astype(np.int64)
        return distinct.numpy().tolist(), times.tolist()

    counts: Counter[bytes] = Counter()
    for distinct, times in in_chunks(count, len(texts), workers):
        for word, n in zip(distinct, times, strict=True):
            counts[word] += n
    return Counter({word.decode("utf-8"): n for word, n in counts.items()})


def encode(
    folder: str | os.PathLike[str],
    texts: pa.Array,
    met: Integers,
    settings: TextSettings,
    taken: pathlib.Path | None = None,
) -> Encoded:
    """Write vocabulary.txt and text_tokens.npy.

    Args:
        folder: Existing folder.
        texts: string [texts], every text in the order of its number.
        met: int64 [texts], `count_occurrences` before the validation period.
        settings: Tokens and vocabulary.
        taken: Folder of a dataset whose vocabulary is taken. Default: it is learned.
    """
    from data_pipeline.text import words
    from data_pipeline.text.tokenizers import KINDS, build_tokenizer

    root = pathlib.Path(folder)
    used = np.flatnonzero(met)
    if taken:
        shutil.copyfile(taken / "vocabulary.txt", root / "vocabulary.txt")
    else:
        kind = KINDS[settings.tokenizer]
        counts = count_words(kind.split, texts.take(pa.array(used)), met[used])
        words.write_vocabulary(root / "vocabulary.txt", kind.learn(counts, settings))
    tokenizer = build_tokenizer(
        settings.tokenizer, root / "vocabulary.txt", settings.oov_buckets, settings.text_length
    )
    tokens = words.encode_texts(tokenizer.encode, texts)
    np.save(root / "text_tokens.npy", tokens)
    return Encoded(tokens, used)


def build_vectors(
    folder: str | os.PathLike[str],
    texts: Encoded,
    document_text: Integers,
    settings: PrepareSettings,
    taken: pathlib.Path | None = None,
) -> TextTable:
    """Write word_vectors.npy.

    Args:
        folder: Folder with vocabulary.txt.
        texts: The texts as tokens.
        document_text: int64 [documents], text of each document; number 0 is the pad document.
        settings: Word vectors, and the seed of random vectors and of word2vec.
        taken: Folder of a dataset whose word vectors are taken. Default: they are learned.

    Returns:
        The token table and the quantised text vectors.
    """
    from data_pipeline.text.word_vectors import text_vectors, word_vectors
    from data_pipeline.text.words import read_vocabulary

    root = pathlib.Path(folder)
    if taken:
        shutil.copyfile(taken / "word_vectors.npy", root / "word_vectors.npy")
        words = np.load(root / "word_vectors.npy")
    else:
        vocabulary = read_vocabulary(root / "vocabulary.txt")
        words = word_vectors(texts.tokens[texts.used], vocabulary, settings.text, settings.seed)
        np.save(root / "word_vectors.npy", words)
    return TextTable(texts.tokens, text_vectors(texts.tokens, words), document_text)
