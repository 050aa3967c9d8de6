"""Similarity of a title to a query, to the user's last query and to the titles the user opened.

Vectors are quantised (`data_pipeline.text.word_vectors`), so sums and products are of whole numbers: the
result of a row does not depend on its block.
"""

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.text.word_vectors import dots, unit

Floats = npt.NDArray[np.float64]
Rows = tuple[npt.NDArray[np.int16], Integers, Floats]
"""Some rows of a table of quantised vectors: the table, row numbers, lengths of the table's rows."""

_GATHERED = 5_000_000


def history_vectors(
    doc: Integers,
    start: Integers,
    stop: Integers,
    titles: npt.NDArray[np.int16],
    block: int = 100_000,
) -> npt.NDArray[np.int16]:
    """Return the direction of the mean title vector of the documents each target's user had opened.

    Args:
        doc: int64 [opens], the opened document; the opens of a user are contiguous, in
            the order of becoming known.
        start, stop: int64 [targets]: opens `start` ... `stop` - 1 are known to a target.
        titles: int16 [d, documents], their vectors.
        block: Rows summed at a time.

    Returns:
        int16 [targets, d], unit vectors times 2048; zeros without opens. Sums are of integers,
        so that no target's numbers depend on the others in its block.
    """
    result = np.zeros((len(start), len(titles)), np.int16)
    order = np.argsort(start, kind="stable")
    order = order[stop[order] > start[order]]
    bounds = np.flatnonzero(np.diff(start[order] // block, prepend=-1))
    for members in np.split(order, bounds[1:]) if len(order) else ():
        low, high = start[members].min(), stop[members].max()
        # Sums run along rows: along columns NumPy takes three times as long.
        sums = np.zeros((len(titles), high - low + 1), np.int64)
        titles.take(doc[low:high], axis=1).cumsum(axis=1, out=sums[:, 1:])
        for first in range(0, len(members), block):
            some = members[first : first + block]
            total = sums[:, stop[some] - low] - sums[:, start[some] - low]
            # The order of a row's numbers in memory decides how NumPy adds them up.
            result[some] = unit(total.T.astype(np.float64, order="C"))
    return result


def token_overlap(query: Integers, document: Integers, tokens: npt.NDArray[np.int32]) -> Floats:
    """Return the share of a query's distinct tokens that are in a document's title.

    Args:
        query: int64 [rows], text of the query; 0 for none.
        document: int64 [rows], text of the title.
        tokens: int32 [texts, L].

    Returns:
        float64 [rows] in [0, 1]; 0 where the query has no token.

    Example:
        >>> tokens = np.array([[0, 0, 0], [5, 5, 6], [7, 5, 0]], np.int32)
        >>> token_overlap(np.array([1, 0]), np.array([2, 2]), tokens).tolist()
        [0.5, 0.0]
    """
    queries, place = np.unique(query, return_inverse=True)
    words = np.sort(tokens[queries], axis=1)
    words[:, 1:][words[:, 1:] == words[:, :-1]] = 0
    words = -np.sort(-words, axis=1)
    count = (words != 0).sum(axis=1)
    shared = np.zeros(len(query), np.int64)
    step = max(1, _GATHERED // tokens.shape[1])
    for slot in range(int(count.max(initial=0))):
        rows = np.flatnonzero(count[place] > slot)
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            word = words[place[some], slot, np.newaxis]
            shared[some] += (tokens[document[some]] == word).any(axis=1)
    return shared / np.maximum(count[place], 1)


def cosines(left: Rows, *rights: Rows) -> list[Floats]:
    """Return the cosine of each row of `left` with that of each of `rights`; 0 for a zero vector.

    Args:
        left: int16 [n, d] vectors, int64 [rows] numbers, float64 [n] of `vectors.lengths`.
        rights: Likewise.

    Returns:
        float64 [rows] for each of `rights`.

    Example:
        >>> table = np.array([[2048, 0], [0, 2048]], np.int16)
        >>> length = np.array([2048.0, 2048.0])
        >>> cosines((table, np.array([0, 0]), length), (table, np.array([0, 1]), length))
        [array([1., 0.])]
    """
    vectors, numbers, length = left
    results = [np.zeros(len(numbers)) for _ in rights]
    step = max(1, _GATHERED // vectors.shape[1])
    for first in range(0, len(numbers), step):
        block = slice(first, first + step)
        row = numbers[block]
        mine, scale = vectors[row].astype(np.float32), length[row]
        for result, (others, places, widths) in zip(results, rights, strict=True):
            place = places[block]
            result[block] = dots(mine, others[place]) / (scale * widths[place])
    return results
