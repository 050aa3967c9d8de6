"""The tokenizers of datasets, by their name in `--text.tokenizer`.

Each splits texts into words, makes a vocabulary from the counts of words, and encodes texts with
it. Preparation and the exported graph use the same object (`Tokenizer.encode`: string [X] -> int32
[X, L]).
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from data_pipeline.settings import TextSettings
from data_pipeline.text.wordpiece import WordPieceTokenizer, build_pieces
from data_pipeline.text.words import Tokenizer, build_vocabulary, tokenize


def split_ids(texts: Any) -> Any:
    """Split texts at spaces and keep the parts unchanged.

    For terms that a publisher has hashed: case and signs are part of them, and their bytes need not
    be UTF-8. Spaces are those of ASCII, including tabs and line breaks.

    Args:
        texts: string [X].

    Returns:
        RaggedTensor of strings [X, (tokens)].

    Example:
        >>> split_ids(["20 3f-A  ", ""]).to_list()
        [[b'20', b'3f-A'], []]
    """
    return tf.strings.split(texts)


@dataclasses.dataclass(frozen=True)
class Kind:
    """One way to make tokens from texts.

    Attributes:
        split: string [X] -> RaggedTensor of strings [X, (words)].
        learn: Counts of words, and settings -> the vocabulary, id 0 first.
        tokenizer: vocabulary.txt, oov_buckets, text_length -> `Tokenizer`.
    """

    split: Callable[[Any], Any]
    learn: Callable[[Mapping[str, int], TextSettings], list[str]]
    tokenizer: Callable[[str | os.PathLike[str], int, int], Tokenizer]


KINDS = {
    "words": Kind(tokenize, build_vocabulary, Tokenizer),
    "ids": Kind(split_ids, build_vocabulary, functools.partial(Tokenizer, split=split_ids)),
    "wordpiece": Kind(tokenize, build_pieces, WordPieceTokenizer),
}


def build_tokenizer(
    name: str, vocabulary: str | os.PathLike[str], oov_buckets: int, text_length: int
) -> Tokenizer:
    """Build the tokenizer of a dataset.

    Args:
        name: `words`, `ids` or `wordpiece`.
        vocabulary: Path of vocabulary.txt.
        oov_buckets: B, hashed buckets for words outside the vocabulary.
        text_length: L, tokens kept of a text.

    Raises:
        ImportError: `wordpiece` without TensorFlow Text.
    """
    return KINDS[name].tokenizer(vocabulary, oov_buckets, text_length)
