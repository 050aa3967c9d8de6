"""WordPiece by keras-hub: words are split into the longest pieces of a learned vocabulary.

Words are those of `data_pipeline.text.words.tokenize`, so all scripts are handled as there, and a
word outside the vocabulary is split: "hotels" is hotel, ##s. A word that cannot be split (an unknown
letter, or more than 100 bytes, as a long run of Thai) gets its hashed bucket as one token.

An operation of TensorFlow Text finds the pieces, so it must be installed for preparation, export,
and serving of the exported model. Training reads token ids and does not need it.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data_pipeline.settings import TextSettings
from data_pipeline.text.words import Tokenizer, build_vocabulary, read_vocabulary

PADDING, UNKNOWN = "[PAD]", "[UNK]"
# Learning takes minutes for so many words; rarer words hardly change the pieces.
_LEARNED_FROM = 50_000
_CHUNK = 100_000


def need_tensorflow_text() -> None:
    """Register the operations of TensorFlow Text with TensorFlow.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import tensorflow_text  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "`text.tokenizer` must be 'words' or 'ids' without TensorFlow Text. Got 'wordpiece'. Fix: "
            "install tensorflow-text of TensorFlow's version, or prepare a dataset with "
            "--text.tokenizer=words."
        ) from error


def check(settings: TextSettings) -> None:
    """Raise an error for wrong settings of pieces, before any work starts.

    Raises:
        ImportError: TensorFlow Text is needed and not installed.
        ValueError: A file of pieces is given for another tokenizer, or holds no pieces.
        OSError: The file cannot be read.
    """
    if settings.tokenizer == "wordpiece":
        need_tensorflow_text()
    elif settings.wordpiece_vocabulary:
        raise ValueError(
            "`text.wordpiece_vocabulary` must be empty for other tokenizers than `wordpiece`. Got "
            f"{settings.wordpiece_vocabulary!r} with the tokenizer `{settings.tokenizer}`. "
            "Fix: set --text.tokenizer=wordpiece, or leave the file out."
        )
    if settings.wordpiece_vocabulary:
        read_pieces(settings.wordpiece_vocabulary)


def read_pieces(path: str | os.PathLike[str]) -> list[str]:
    """Read a published vocabulary; the pieces keep its ids.

    Raises:
        ValueError: The first line is not [PAD], [UNK] is missing, or a line is repeated.
    """
    text = pathlib.Path(path).read_bytes().decode("utf-8").removesuffix("\n")
    pieces = [line.removesuffix("\r") for line in text.split("\n")]
    for is_kept, rule, found in (
        (pieces[0] in (PADDING, ""), f"start with {PADDING}, the id 0", pieces[0]),
        (UNKNOWN in pieces, f"hold {UNKNOWN}", "no such line"),
        (len(set(pieces)) == len(pieces), "hold a piece only once", "a repeated line"),
    ):
        if not is_kept:
            raise ValueError(
                f"The vocabulary {os.fspath(path)!r} must {rule}. Got {found!r}. Fix: set "
                "--text.wordpiece_vocabulary to a file of one piece per line, as BERT's vocab.txt."
            )
    return ["", *pieces[1:]]


def build_pieces(counts: Mapping[str, int], settings: TextSettings) -> list[str]:
    """Return pieces in the order of their ids; id 0 is "", the padding, id 1 is for unknown words.

    If the file `settings.wordpiece_vocabulary` is set, it has the pieces. Otherwise every word of one
    character with at least `minimum_count` occurrences is a piece, most frequent first; the rest, up
    to `wordpiece_limit` in total, are learned from the 50,000 most frequent longer words, weighted by
    their occurrences. (The learner keeps 1,000 different characters, enough for alphabets; in
    Chinese, each character is a word.) Same counts, same pieces.

    Args:
        counts: Occurrences of words.
        settings: Limits, or the file.

    Example:
        >>> settings = TextSettings(wordpiece_limit=14)
        >>> build_pieces({"hat": 60, "hats": 40, "cats": 30, "京": 9, "rare": 1}, settings)
        ['', '[UNK]', '京', 'a', 'c', 'h', 's', 't', '##s', 'hat', '##a', '##c', '##h', '##t']
    """
    if settings.wordpiece_vocabulary:
        return read_pieces(settings.wordpiece_vocabulary)
    limit = settings.wordpiece_limit
    words = build_vocabulary(counts, settings)[1:]
    characters = [word for word in words if len(word) == 1][: limit - 2]
    longer = [word for word in words if len(word) > 1][:_LEARNED_FROM]
    learned = _learn(longer, [counts[word] for word in longer], limit - 2 - len(characters))
    return list(dict.fromkeys(["", UNKNOWN, *characters, *learned]))


def _learn(words: Sequence[str], counts: Sequence[int], limit: int) -> list[str]:
    """Learn at most `limit` pieces of words that occur `counts` times."""
    if not words or limit < 1:
        return []
    need_tensorflow_text()
    from keras_nlp.tokenizers import compute_word_piece_vocabulary

    # The learner counts the words of a stream: every word, repeated by its count, in chunks.
    table, ends = tf.constant(list(words)), tf.constant(np.cumsum(counts))

    def chunk(start: Any) -> Any:
        occurrence = tf.range(start, tf.minimum(start + _CHUNK, ends[-1]))
        return tf.gather(table, tf.searchsorted(ends, occurrence, side="right"))

    stream = tf.data.Dataset.range(0, sum(counts), _CHUNK).map(chunk)
    return compute_word_piece_vocabulary(stream, limit, split=False, reserved_tokens=[])


class WordPieceTokenizer(Tokenizer):
    """Encode raw strings as ids of pieces; unknown words have hashed buckets as in `Tokenizer`.

    Args:
        vocabulary: Path of vocabulary.txt, pieces of `build_pieces`.
        oov_buckets: B, at least 1.
        text_length: L, pieces kept of a text: the first ones.

    Raises:
        ImportError: TensorFlow Text is not installed.
        ValueError: As `Tokenizer`.
    """

    def __init__(
        self, vocabulary: str | os.PathLike[str], oov_buckets: int, text_length: int
    ) -> None:
        need_tensorflow_text()
        from keras_nlp import tokenizers

        super().__init__(vocabulary, oov_buckets, text_length)
        words = read_vocabulary(vocabulary)
        cutter = tokenizers.WordPieceTokenizer(words, split=False, oov_token=UNKNOWN)
        self._unknown = words.index(UNKNOWN)
        # Eagerly, keras-hub splits by other code, in Python; a traced function never does.
        self._cut = tf.function(
            cutter.tokenize, input_signature=[tf.TensorSpec([None, 1], tf.string)], autograph=False
        )

    def ids(self, words: Any) -> Any:
        """Return the ids of the pieces of words.

        Args:
            words: RaggedTensor of strings [X, (words)].

        Returns:
            RaggedTensor of int64 [X, (pieces)].
        """
        pieces = self._cut(words.values[:, None])
        bucket = tf.gather(self.table.lookup(words.values), pieces.value_rowids())
        known = tf.not_equal(pieces.values, self._unknown)
        ids = pieces.with_values(tf.where(known, tf.cast(pieces.values, tf.int64), bucket))
        return words.with_values(ids).merge_dims(1, 2)
