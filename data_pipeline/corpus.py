"""The texts of a log, how often each is met before the validation period, and their tokens.

An occurrence of a text is a query issued, a title shown in a list, or a title browsed, each as
often as it happens. Words enter the vocabulary by their occurrences before the validation period;
word2vec reads each text met in that time once.
"""

import os
import pathlib
from collections import Counter

import numpy as np
import numpy.typing as npt

from data_pipeline.engine import Engine
from data_pipeline.features import TextTable
from data_pipeline.settings import TextSettings
from data_pipeline.tables import LogTables

Integers = npt.NDArray[np.int64]

CHOICES = (
    "A word's occurrences are counted over the queries issued, the titles shown and the titles "
    "browsed before the validation period, a text counting as often as it is met; word2vec reads "
    "each of these texts once.",
    "A text first met in the validation period or later, or never, gives no word to the "
    "vocabulary; its unknown words go to hashed buckets.",
)


def occurrences(engine: Engine, log: LogTables, before: int, texts: int) -> Integers:
    """int64 [texts]: how often each text is met at a time earlier than `before`."""
    requests, shown, browses = log.requests, log.shown, log.browses
    titles = log.documents.select("doc", "text")
    met = [
        requests.filter((requests.query > 0) & (requests.time < before)).select(text="query"),
        shown.filter(shown.time < before).join(titles, "doc").select("text"),
        browses.filter(browses.time < before).join(titles, "doc").select("text"),
    ]
    rows = met[0].union(met[1], met[2])
    counted = engine.fetch(rows.group_by("text").aggregate(count=rows.count()), ["text"])
    result = np.zeros(texts, np.int64)
    result[counted["text"]] = counted["count"]
    return result


def count_words(texts: list[str], weights: Integers, chunk: int = 100_000) -> Counter[str]:
    """Occurrences of every word, each text counting as often as its weight says.

    Example:
        >>> sorted(count_words(["a hotel", "a"], np.array([2, 1])).items())
        [('a', 3), ('hotel', 2)]
    """
    from data_pipeline.text import tokenize

    counts: Counter[bytes] = Counter()
    for start in range(0, len(texts), chunk):
        words = tokenize(texts[start : start + chunk])
        weight = np.repeat(weights[start : start + chunk], words.row_lengths().numpy())
        for word, times in zip(words.flat_values.numpy().tolist(), weight.tolist(), strict=True):
            counts[word] += times
    return Counter({word.decode("utf-8"): n for word, n in counts.items()})


def read_texts(engine: Engine, log: LogTables) -> list[str]:
    """Every text in the order of its number; the first is the empty one."""
    return ["", *engine.collect(log.texts, ["text"])["content"].to_pylist()]


def build_texts(
    folder: str | os.PathLike[str],
    texts: list[str],
    met: Integers,
    document_text: Integers,
    settings: TextSettings,
    seed: int,
) -> TextTable:
    """Writes vocabulary.txt, text_tokens.npy and word_vectors.npy.

    Args:
        folder: Existing folder.
        texts: Every text in the order of its number.
        met: int64 [texts], `occurrences` before the validation period.
        document_text: int64 [documents], text of each document, number 0 the pad document.
        settings: Tokens, vocabulary and word vectors.
        seed: Seed of random vectors and word2vec.

    Returns:
        The token table and the quantised text vectors.
    """
    from data_pipeline.text import Tokenizer, build_vocabulary, encode_texts, write_vocabulary
    from data_pipeline.vectors import text_vectors, word_vectors

    root = pathlib.Path(folder)
    used = np.flatnonzero(met)
    counts = count_words([texts[number] for number in used.tolist()], met[used])
    vocabulary = build_vocabulary(counts, settings)
    write_vocabulary(root / "vocabulary.txt", vocabulary)
    tokenizer = Tokenizer(root / "vocabulary.txt", settings.oov_buckets, settings.text_length)
    tokens = encode_texts(tokenizer.encode, texts)
    words = word_vectors(tokens[used], vocabulary, settings, seed)
    np.save(root / "text_tokens.npy", tokens)
    np.save(root / "word_vectors.npy", words)
    return TextTable(tokens, text_vectors(tokens, words), document_text)
