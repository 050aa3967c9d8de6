"""Word vectors by word2vec, and the quantised mean vector of a text."""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from data_pipeline.settings import TextSettings

# Components of a unit vector in steps of 1/2048. Partial sums of a dot product of two such vectors
# stay below 2048**2 * 1.02 < 2**24 for any width up to 1024, so float32 products of them are
# exact: the same integers in every order of addition, on every machine.
SCALE = 2048
_SPREAD = 0.1
_CHUNK = 100_000


class _Sentences:
    """Re-iterable stream of the known words of texts, as gensim reads it."""

    def __init__(self, tokens: npt.NDArray[np.int32], vocabulary: Sequence[str]) -> None:
        self._tokens = tokens
        self._words = np.array(vocabulary, dtype=object)

    def __iter__(self) -> Iterator[list[str]]:
        for start in range(0, len(self._tokens), _CHUNK):
            block = self._tokens[start : start + _CHUNK]
            known = (block > 0) & (block < len(self._words))
            words = self._words[block[known]].tolist()
            first = 0
            for count in known.sum(axis=1).tolist():
                if count > 1:
                    yield words[first : first + count]
                first += count


def _stable_hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8"))


def word_vectors(
    tokens: npt.NDArray[np.int32],
    vocabulary: Sequence[str],
    settings: TextSettings,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Learn vectors of all token ids: skip-gram word2vec over `tokens`, small normals for the rest.

    The same tokens, settings and seed give the same bytes (with one worker).

    Args:
        tokens: int32 [n, L], texts to learn from; ids of V and above (hashed words) are skipped.
        vocabulary: V words; the first is padding.
        settings: Width, epochs, number of hashed buckets.
        seed: Seed of the random rows and of word2vec.

    Returns:
        float32 [V + B, width]; row 0 is zero. Words without any neighbor, and hashed buckets, have
        normals of standard deviation 0.1.

    Example:
        >>> settings = TextSettings(width=4, oov_buckets=2, word2vec_epochs=0)
        >>> word_vectors(np.zeros([0, 1], np.int32), ["", "hotel"], settings, seed=1).shape
        (4, 4)
    """
    rows = len(vocabulary) + settings.oov_buckets
    normals = np.random.default_rng(seed).standard_normal((rows, settings.width), np.float32)
    vectors = normals * np.float32(_SPREAD)
    vectors[0] = 0.0
    sentences = _Sentences(tokens, vocabulary)
    if settings.word2vec_epochs > 0 and next(iter(sentences), None) is not None:
        from gensim.models import Word2Vec

        model = Word2Vec(
            sentences=sentences,
            vector_size=settings.width,
            sg=1,
            min_count=1,
            epochs=settings.word2vec_epochs,
            # More than one thread gives other vectors in each run.
            workers=1,
            seed=seed,
            hashfxn=_stable_hash,
        )
        index = {word: row for row, word in enumerate(vocabulary)}
        seen = [index[word] for word in model.wv.index_to_key]
        vectors[seen] = model.wv.vectors
    return vectors


def text_vectors(
    tokens: npt.NDArray[np.int32], words: npt.NDArray[np.float32]
) -> npt.NDArray[np.int16]:
    """Return the direction of the mean word vector of each text, quantised for exact dot products.

    Args:
        tokens: int32 [n, L], 0 is padding.
        words: float32 [V + B, d], row 0 zero.

    Returns:
        int16 [n, d]: the unit vector times 2048, rounded; zeros for a text without tokens.

    Example:
        >>> text_vectors(np.array([[1, 0], [1, 2]], np.int32), np.eye(3, k=-1, dtype=np.float32))
        array([[2048,    0,    0],
               [1448, 1448,    0]], dtype=int16)
    """
    result = np.zeros((len(tokens), words.shape[1]), np.int16)
    block = max(1, 10_000_000 // words.shape[1])
    for start in range(0, len(tokens), block):
        part = tokens[start : start + block]
        total = np.zeros((len(part), words.shape[1]))
        for column in part.T:
            total += words[column]
        result[start : start + block] = unit(total)
    return result


def unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    """Scale rows to length 2048 and round them; a zero row stays zero."""
    norms = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return np.rint(vectors * (SCALE / np.where(norms > 0, norms, 1.0))).astype(np.int16)


def dots(left: npt.NDArray[np.float32], right: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Return the dot product of the same rows of `left` and `right`, exact for quantised units.

    Args:
        left: float32 [n, d], integers of `text_vectors`.
        right: int16 [n, d].

    Returns:
        float32 [n], integers.
    """
    return np.einsum("nd,nd->n", left, right.astype(np.float32))


def lengths(vectors: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Return the length of each row; 1 for a zero row, so that a cosine with it is 0.

    Args:
        vectors: int16 [n, d] of `text_vectors`.

    Returns:
        float64 [n].
    """
    squares = np.zeros(len(vectors))
    for start in range(0, len(vectors), _CHUNK):
        block = vectors[start : start + _CHUNK].astype(np.float32)
        squares[start : start + _CHUNK] = np.einsum("nd,nd->n", block, block)
    return np.sqrt(np.where(squares > 0, squares, 1.0))
