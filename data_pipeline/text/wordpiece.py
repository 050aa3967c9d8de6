"""WordPiece by keras-hub: words cut into the longest pieces of a learned vocabulary.

Words are those of `data_pipeline.text.words.tokenize`, so every script gets what it gets there, and a word
outside the vocabulary is cut: "hotels" is hotel, ##s. A word that cannot be cut (a letter never met,
or more than 100 bytes, as a long run of Thai) goes to its hashed bucket as a whole and still matches
itself.

The pieces are found by an operation of TensorFlow Text. Whatever runs this tokenizer must have it:
preparation, export, and a server of the exported model. Training reads token ids and does not.
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
# Learning takes minutes for that many words, and rarer ones add next to nothing to the pieces.
_LEARNED_FROM = 50_000
_CHUNK = 100_000


def need_tensorflow_text() -> None:
    """Makes the operations of TensorFlow Text known to TensorFlow.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import tensorflow_text  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "The tokenizer `wordpiece` needs TensorFlow Text. Received: no module tensorflow_text. "
            "Install tensorflow-text of TensorFlow's version, or prepare a dataset with "
            "--text.tokenizer=words."
        ) from error


def check(settings: TextSettings) -> None:
    """Refuses settings of pieces that cannot be, before any work starts.

    Raises:
        ImportError: TensorFlow Text is needed and not installed.
        ValueError: A file of pieces is given for another tokenizer, or is none.
        OSError: The file cannot be read.
    """
    if settings.tokenizer == "wordpiece":
        need_tensorflow_text()
    elif settings.wordpiece_vocabulary:
        raise ValueError(
            "`text.wordpiece_vocabulary` goes with the tokenizer `wordpiece`. Received: "
            f"`text.wordpiece_vocabulary` = {settings.wordpiece_vocabulary!r} with the tokenizer "
            f"`{settings.tokenizer}`. Set --text.tokenizer=wordpiece, or leave the file out."
        )
    if settings.wordpiece_vocabulary:
        read_pieces(settings.wordpiece_vocabulary)


def read_pieces(path: str | os.PathLike[str]) -> list[str]:
    """Reads a published vocabulary; the pieces keep its ids.

    Raises:
        ValueError: The first line is not [PAD], [UNK] is missing, or a line stands there twice.
    """
    text = pathlib.Path(path).read_bytes().decode("utf-8").removesuffix("\n")
    pieces = [line.removesuffix("\r") for line in text.split("\n")]
    for holds, rule, found in (
        (pieces[0] in (PADDING, ""), f"start with {PADDING}, the id 0", pieces[0]),
        (UNKNOWN in pieces, f"hold {UNKNOWN}", "no such line"),
        (len(set(pieces)) == len(pieces), "hold a piece once", "a line that is there twice"),
    ):
        if not holds:
            raise ValueError(
                f"The vocabulary {os.fspath(path)!r} should {rule}. Received: {found!r}. Set "
                "--text.wordpiece_vocabulary to a file of one piece a line, as BERT's vocab.txt."
            )
    return ["", *pieces[1:]]


def build_pieces(counts: Mapping[str, int], settings: TextSettings) -> list[str]:
    """Pieces in the order of their ids; id 0 is "", the padding, id 1 stands for unknown words.

    They are those of the file `settings.wordpiece_vocabulary` if there is one. Otherwise every word
    of one character and at least `minimum_count` occurrences is a piece, most frequent first; the
    rest, up to `wordpiece_limit` in all, are learned from the 50,000 most frequent longer words, each
    counting as often as it occurs. (The learner keeps 1,000 different characters, enough for
    alphabets; Chinese has more, but there each character is a word.) Same counts, same pieces.

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
    """At most `limit` pieces of words that occur `counts` times."""
    if not words or limit < 1:
        return []
    need_tensorflow_text()
    from keras_nlp.tokenizers import compute_word_piece_vocabulary

    # The learner counts the words of a stream: every word, as often as it occurs, in chunks.
    table, ends = tf.constant(list(words)), tf.constant(np.cumsum(counts))

    def chunk(start: Any) -> Any:
        occurrence = tf.range(start, tf.minimum(start + _CHUNK, ends[-1]))
        return tf.gather(table, tf.searchsorted(ends, occurrence, side="right"))

    stream = tf.data.Dataset.range(0, sum(counts), _CHUNK).map(chunk)
    return compute_word_piece_vocabulary(stream, limit, split=False, reserved_tokens=[])


class WordPieceTokenizer(Tokenizer):
    """Encodes raw strings as ids of pieces; unknown words have hashed buckets as in `Tokenizer`.

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
        # Called eagerly, keras-hub cuts by other code, in Python; a traced function never does.
        self._cut = tf.function(
            cutter.tokenize, input_signature=[tf.TensorSpec([None, 1], tf.string)], autograph=False
        )

    def ids(self, words: Any) -> Any:
        """Ids of the pieces of words.

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
