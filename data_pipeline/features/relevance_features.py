"""The relevance features F: one row of numbers for each candidate, as of its target.

The paper feeds a vector F to the final linear layer and does not list it; these are the features
its code base and the works it builds on describe. Every one sees only what is known strictly
before the target (`data_pipeline.events.as_of`), over the whole unfiltered log. Floats are made here, of
the integers of `data_pipeline.features.click_counts`.
"""

import concurrent.futures
import dataclasses
import os

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import run_starts
from data_pipeline.features.click_counts import ENTROPY_SCALE, Counts
from data_pipeline.features.text_similarity import cosines, history_vectors, token_overlap
from data_pipeline.text.word_vectors import lengths

Floats = npt.NDArray[np.float64]

P_CLICK_BETA = 0.5
_OF_TARGET = (
    "query",
    "query_clicks",
    "spread",
    "user_query_clicks",
    "frequency",
    "repeated",
    "user_clicks",
    "last_query",
)
_ROWS = 250_000


@dataclasses.dataclass(frozen=True)
class Feature:
    """One column of F: its name, and whether it has a meaning without a query."""

    name: str
    query_free: bool


FEATURES: tuple[Feature, ...] = (
    Feature("reciprocal_rank", True),
    Feature("document_clicks", True),
    Feature("query_document_clicks", False),
    Feature("user_document_clicks", True),
    Feature("user_query_document_clicks", False),
    Feature("p_click", False),
    Feature("query_click_entropy", False),
    Feature("query_frequency", False),
    Feature("query_repeated_by_user", False),
    Feature("satisfied_rate", True),
    Feature("opened_in_session", True),
    Feature("query_cosine", False),
    Feature("last_query_cosine", True),
    Feature("history_cosine", True),
    Feature("token_overlap", False),
    Feature("recency", True),
    Feature("log_rank", True),
    Feature("below_last_opened", True),
)
"""Columns of F in their order. The counts stand as log(1 + count).

* reciprocal_rank: 1 / original rank
* document_clicks, query_document_clicks, user_document_clicks, user_query_document_clicks: openings
  of d, under q, by u, by u under q
* p_click: openings of d by u under q / (u's openings under q + 0.5)
* query_click_entropy: bits, of the distribution of openings under q over documents
* query_frequency, query_repeated_by_user: searches with q; whether u searched q before (0/1)
* satisfied_rate: satisfied share of d's openings, 0 without any
* opened_in_session: whether u opened d in the target's session (0/1)
* query_cosine, last_query_cosine, history_cosine: of d's title vector with that of q, of u's last
  query, and with the mean over u's openings; 0 where one is empty
* token_overlap: share of q's distinct tokens that stand in d's title
* recency: 1 / (1 + u's openings after u's last one of d), 0 without any
* log_rank: log(original rank)
* below_last_opened: 1 / (ranks below the document of the list that u opened last), 0 above it and
  without one; a user who comes back to a list goes on reading below it
"""


@dataclasses.dataclass(frozen=True)
class TextTable:
    """What is known of the texts.

    Attributes:
        tokens: int32 [texts, L]; row 0 is the empty text.
        vectors: int16 [texts, d] of `data_pipeline.text.word_vectors.text_vectors`.
        document_text: int [documents], text of each document; number 0 is the pad document.
    """

    tokens: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.int16]
    document_text: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class FeatureRows:
    """F of candidates, in the order they were given.

    Attributes:
        features: float32 [rows, features], finite, mapped from its file; columns that need a query
            are 0 without one.
        popularity: int64 [rows], openings of the document known before the target.
        last_touch: int64 [rows], time of the user's last visible opening of it, -1 for none.
    """

    features: npt.NDArray[np.float32]
    popularity: Integers
    last_touch: Integers


@dataclasses.dataclass(frozen=True)
class _Vectors:
    """Vectors of texts and titles, and how long they are."""

    texts: TextTable
    length: Floats
    titles: npt.NDArray[np.int16]
    title_length: Floats

    @classmethod
    def of(cls, texts: TextTable) -> "_Vectors":
        titles = texts.vectors[texts.document_text]
        return cls(texts, lengths(texts.vectors), titles, lengths(titles))


def relevance_features(
    openings: Columns,
    searches: Columns,
    targets: Columns,
    candidates: Columns,
    texts: TextTable,
    path: str | os.PathLike[str],
    rows: int = _ROWS,
    workers: int = 1,
) -> FeatureRows:
    """F of all candidates, written as one array.

    Args:
        openings: user, doc, query, session, satisfied, time, known_after, visible_after; in any
            order.
        searches: user, query, time; in the order (user, time), the latest last.
        targets: target_id (ascending), user, session, query, time.
        candidates: target_id, position (distinct within a target), doc; in the order (target_id,
            position).
        texts: Tokens and vectors; `query` is a text's number, 0 for none.
        path: File of F, as of `np.save`.
        rows: Rows of a block, about; a whole target is never cut. Changes nothing about F.
        workers: Blocks computed at a time. Changes nothing about F.

    See `data_pipeline.features.click_counts` for the columns' meaning.
    """
    size = len(candidates["doc"])
    popularity, last_touch = np.empty(size, np.int64), np.empty(size, np.int64)
    edges = run_starts(candidates["target_id"])
    # A block ends with the target in which its last row lies.
    cuts = [0, *edges[1:][np.diff(edges[1:] // rows, append=-1) != 0]]

    counts, opened = Counts(openings, searches, workers), openings["doc"]
    opened = opened[counts.order]
    vectors = _Vectors.of(texts)
    columns = np.ascontiguousarray(vectors.titles.T)

    def fill(first: int, after: int) -> npt.NDArray[np.float32]:
        block = slice(first, after)
        number = candidates["target_id"][block]
        begin, end = np.searchsorted(targets["target_id"], [number[0], number[-1] + 1])
        about = {name: column[begin:end] for name, column in targets.items()}
        about |= counts.of_targets(about)
        start = about["first_click"]
        history = history_vectors(opened, start, start + about["user_clicks"], columns)
        target = np.searchsorted(about["target_id"], number)
        position, doc = candidates["position"][block], candidates["doc"][block]
        counted = counts.of_candidates(target, about, doc)
        popularity[block], last_touch[block] = counted["clicks"], counted["last_touch"]
        return _features(target, position, doc, counted, about, history, vectors)

    array = {"descr": "<f4", "fortran_order": False, "shape": (size, len(FEATURES))}
    with open(path, "wb") as file, concurrent.futures.ThreadPoolExecutor(workers) as pool:
        np.lib.format.write_array_header_1_0(file, array)
        for block in pool.map(fill, cuts[:-1], cuts[1:]):
            block.tofile(file)
    return FeatureRows(np.load(path, mmap_mode="r+"), popularity, last_touch)


def _features(
    target: Integers,
    position: Integers,
    doc: Integers,
    counts: Columns,
    about: Columns,
    history: npt.NDArray[np.int16],
    vectors: _Vectors,
) -> npt.NDArray[np.float32]:
    """F [rows, features] of a block of candidates."""
    of_target = {name: about[name][target] for name in _OF_TARGET}
    query, texts = of_target["query"], vectors.texts
    clicks, last_rank = counts["clicks"], counts["last_rank"]
    query_cosine, last_query_cosine, history_cosine = cosines(
        (vectors.titles, doc, vectors.title_length),
        (texts.vectors, query, vectors.length),
        (texts.vectors, of_target["last_query"], vectors.length),
        (history, target, lengths(history)),
    )
    values: dict[str, npt.NDArray] = {
        "reciprocal_rank": 1.0 / (1.0 + position),
        "document_clicks": np.log1p(clicks),
        "query_document_clicks": np.log1p(counts["query_clicks"]),
        "user_document_clicks": np.log1p(counts["user_clicks"]),
        "user_query_document_clicks": np.log1p(counts["user_query_clicks"]),
        "p_click": counts["user_query_clicks"] / (of_target["user_query_clicks"] + P_CLICK_BETA),
        "query_click_entropy": entropy(of_target["query_clicks"], of_target["spread"]),
        "query_frequency": np.log1p(of_target["frequency"]),
        "query_repeated_by_user": of_target["repeated"] > 0,
        "satisfied_rate": counts["satisfied"] / np.maximum(clicks, 1),
        "opened_in_session": counts["session_clicks"] > 0,
        "query_cosine": query_cosine,
        "last_query_cosine": last_query_cosine,
        "history_cosine": history_cosine,
        "token_overlap": token_overlap(query, texts.document_text[doc], texts.tokens),
        "recency": np.where(
            last_rank > 0, 1.0 / (1.0 + np.maximum(of_target["user_clicks"] - last_rank, 0)), 0.0
        ),
        "log_rank": np.log1p(position),
        "below_last_opened": below_last_opened(target, position, last_rank),
    }
    result = np.zeros((len(target), len(FEATURES)), np.float32)
    for column, feature in enumerate(FEATURES):
        value = values[feature.name]
        result[:, column] = value if feature.query_free else np.where(query > 0, value, 0.0)
    return result


def below_last_opened(target: Integers, position: Integers, last_rank: Integers) -> Floats:
    """How near below the document that the user opened last a candidate stands.

    Args:
        target: int64 [rows], ascending; the rows of one target are a list.
        position: int64 [rows], 0-based original position, distinct within a list.
        last_rank: int64 [rows], the greater, the later it was opened; -1 for never. Of documents
            opened at the same moment the lowest one counts.

    Returns:
        float64 [rows], 1 / (ranks below it), 0 above it, at it and without one.

    Example:
        >>> below_last_opened(np.zeros(4, int), np.arange(4), np.array([2, 5, -1, -1])).tolist()
        [0.0, 0.0, 1.0, 0.5]
    """
    if not len(target):
        return np.zeros(0)
    edges, positions = run_starts(target), int(position.max()) + 1
    # Where none was opened this is the list's last position, and nothing is below it.
    last = np.maximum.reduceat(last_rank * positions + position, edges[:-1]) % positions
    below = position - np.repeat(last, np.diff(edges))
    return np.where(below > 0, 1.0 / np.maximum(below, 1), 0.0)


def entropy(total: Integers, spread: Integers) -> Floats:
    """Click entropy in bits, -sum p log2 p, from running integers.

    Args:
        total: int64, openings under the query.
        spread: int64, sum over documents of n * log2(n) in steps of 2**-24.

    Returns:
        float64, at least 0; 0 without openings.

    Example:
        >>> entropy(np.array([4, 4]), np.array([0, 8 * 2**24])).tolist()
        [2.0, 0.0]
    """
    n = np.maximum(total, 1)
    return np.maximum(np.log2(n) - spread / (n * float(ENTROPY_SCALE)), 0.0)


def standardisation(
    features: npt.NDArray[np.float32], rows: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and standard deviation of each column over the chosen rows.

    Args:
        features: float32 [rows, features].
        rows: bool [rows]: the searches' candidates of the training split.

    Returns:
        (mean, std), float32 [features]; a column that does not vary, and all without rows, has
        std 1.

    Example:
        >>> standardisation(np.array([[1, 5], [3, 5]], np.float32), np.array([True, True]))
        (array([2., 5.], dtype=float32), array([1., 1.], dtype=float32))
    """
    width = features.shape[1]
    if not rows.any():
        return np.zeros(width, np.float32), np.ones(width, np.float32)
    chosen = features[rows]
    mean = chosen.mean(axis=0, dtype=np.float64)
    variance = np.zeros(width)
    for first in range(0, len(chosen), _ROWS):
        variance += np.square(chosen[first : first + _ROWS] - mean).sum(axis=0)
    std = np.sqrt(variance / len(chosen))
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)
