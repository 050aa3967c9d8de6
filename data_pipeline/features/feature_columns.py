"""Columns of the relevance features F, computed from counts and text vectors.

The paper feeds a vector F to the final linear layer and does not list it; these are the features its
code base and the works it builds on describe.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import run_starts
from data_pipeline.features.click_counts import ENTROPY_SCALE
from data_pipeline.features.text_similarity import cosines, token_overlap
from data_pipeline.text.corpus import TextTable
from data_pipeline.text.word_vectors import lengths

Floats = npt.NDArray[np.float64]

P_CLICK_BETA = 0.5
_OF_TARGET = (
    "query",
    "query_opens",
    "spread",
    "user_query_opens",
    "frequency",
    "repeated",
    "user_opens",
    "last_query",
)


@dataclasses.dataclass(frozen=True)
class Feature:
    """One column of F: its name, and whether it needs no query."""

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
"""Columns of F in their order, for document d, query q and user u. Counts are log(1 + count).

* reciprocal_rank: 1 / original rank
* document_clicks, query_document_clicks, user_document_clicks, user_query_document_clicks: opens
  of d, under q, by u, by u under q
* p_click: opens of d by u under q / (u's opens under q + 0.5)
* query_click_entropy: bits, of the distribution of opens under q over documents
* query_frequency, query_repeated_by_user: searches with q; whether u searched q before (0/1)
* satisfied_rate: satisfied share of d's opens, 0 without any
* opened_in_session: whether u opened d in the target's session (0/1)
* query_cosine, last_query_cosine, history_cosine: of d's title vector with that of q, of u's last
  query, and with the mean over u's opens; 0 where one is empty
* token_overlap: share of q's distinct tokens that are in d's title
* recency: 1 / (1 + u's opens after u's last one of d), 0 without any
* log_rank: log(original rank)
* below_last_opened: 1 / (ranks below the document of the list that u opened last), 0 above it and
  without one; a user who returns to a list continues below it
"""

RANK_FEATURES = ("reciprocal_rank", "log_rank", "below_last_opened")
"""Columns of F that depend on a candidate's rank in the list shown."""


class TextVectors:
    """Vectors of texts and titles with their lengths.

    Args:
        texts: The texts.

    Attributes:
        texts: The texts.
        titles: int16 [documents, d], the vectors of their titles.
        length, title_length: float64 [texts], [documents].
    """

    def __init__(self, texts: TextTable) -> None:
        self.texts = texts
        self.titles = texts.vectors[texts.document_text]
        self.length, self.title_length = lengths(texts.vectors), lengths(self.titles)


def compute_columns(
    target: Integers,
    position: Integers,
    doc: Integers,
    counts: Columns,
    about: Columns,
    history: npt.NDArray[np.int16],
    vectors: TextVectors,
) -> npt.NDArray[np.float32]:
    """Return F of a block of candidates: float32 [rows, features].

    Args:
        target: int64 [rows], row of each candidate's target in `about`.
        position, doc: int64 [rows].
        counts: Those of candidates, of `count_shared` and `UserCounts`.
        about: Those of targets, of both.
        history: int16 [targets, d], `history_vectors` of their users.
        vectors: Texts and titles.
    """
    of_target = {name: about[name][target] for name in _OF_TARGET}
    query, texts = of_target["query"], vectors.texts
    query_cosine, last_query_cosine, history_cosine = cosines(
        (vectors.titles, doc, vectors.title_length),
        (texts.vectors, query, vectors.length),
        (texts.vectors, of_target["last_query"], vectors.length),
        (history, target, lengths(history)),
    )
    values = compute_values(np, position, counts, of_target) | {
        "query_cosine": query_cosine,
        "last_query_cosine": last_query_cosine,
        "history_cosine": history_cosine,
        "token_overlap": token_overlap(query, texts.document_text[doc], texts.tokens),
        "below_last_opened": below_last_opened(target, position, counts["last_rank"]),
    }
    result = np.zeros((len(target), len(FEATURES)), np.float32)
    for column, feature in enumerate(FEATURES):
        value = values[feature.name]
        result[:, column] = value if feature.query_free else np.where(query > 0, value, 0.0)
    return result


def compute_values(
    xp: Any, position: Any, counts: Mapping[str, Any], of_target: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the columns of F that are formulas of counts, for preparation and the served graph.

    Args:
        xp: NumPy, or `tensorflow.experimental.numpy` with float64 tensors instead of integers.
        position: Original position from 0, of each candidate.
        counts: Of candidates, of `count_shared` and `UserCounts`: opens, satisfied, query_opens,
            user_opens, user_query_opens, session_opens, last_rank.
        of_target: Of targets, of both, for each candidate's target: query_opens, spread,
            user_query_opens, frequency, repeated, user_opens.

    Returns:
        Columns by name, in the shape of `position`; not yet 0 for a recommendation.

    Example:
        >>> one = dict.fromkeys(("opens", "satisfied", "query_opens", "user_opens"), 1)
        >>> one |= dict.fromkeys(("user_query_opens", "session_opens", "last_rank"), 1)
        >>> about = dict.fromkeys(("query_opens", "spread", "user_query_opens", "frequency"), 1)
        >>> values = compute_values(np, 3, one, about | {"repeated": 1, "user_opens": 2})
        >>> float(values["reciprocal_rank"]), float(values["recency"])
        (0.25, 0.5)
    """
    opens, last_rank = counts["opens"], counts["last_rank"]
    return {
        "reciprocal_rank": 1.0 / (1.0 + position),
        "document_clicks": xp.log1p(opens),
        "query_document_clicks": xp.log1p(counts["query_opens"]),
        "user_document_clicks": xp.log1p(counts["user_opens"]),
        "user_query_document_clicks": xp.log1p(counts["user_query_opens"]),
        "p_click": counts["user_query_opens"] / (of_target["user_query_opens"] + P_CLICK_BETA),
        "query_click_entropy": entropy(of_target["query_opens"], of_target["spread"], xp),
        "query_frequency": xp.log1p(of_target["frequency"]),
        "query_repeated_by_user": of_target["repeated"] > 0,
        "satisfied_rate": counts["satisfied"] / xp.maximum(opens, 1),
        "opened_in_session": counts["session_opens"] > 0,
        "recency": xp.where(
            last_rank > 0, 1.0 / (1.0 + xp.maximum(of_target["user_opens"] - last_rank, 0)), 0.0
        ),
        "log_rank": xp.log1p(position),
    }


def below_last_opened(target: Integers, position: Integers, last_rank: Integers) -> Floats:
    """Return how near below the document that the user opened last each candidate is.

    Args:
        target: int64 [rows], ascending; the rows of one target are a list.
        position: int64 [rows], 0-based original position, distinct within a list.
        last_rank: int64 [rows], larger for a later open, -1 for never. Of documents opened at the
            same time the lowest one counts.

    Returns:
        float64 [rows], 1 / (ranks below it), 0 above it, at it and without one.

    Example:
        >>> below_last_opened(np.zeros(4, int), np.arange(4), np.array([2, 5, -1, -1])).tolist()
        [0.0, 0.0, 1.0, 0.5]
    """
    if not len(target):
        return np.zeros(0)
    edges, positions = run_starts(target), int(position.max()) + 1
    # Without an open this is the list's last position, and nothing is below it.
    last = np.maximum.reduceat(last_rank * positions + position, edges[:-1]) % positions
    below = position - np.repeat(last, np.diff(edges))
    return np.where(below > 0, 1.0 / np.maximum(below, 1), 0.0)


def entropy(total: Any, spread: Any, xp: Any = np) -> Any:
    """Return the click entropy in bits, -sum p log2 p, from running integers.

    Args:
        total: int64, opens under the query.
        spread: int64, sum over documents of n * log2(n) in steps of 2**-24.
        xp: As for `compute_values`. Default: NumPy.

    Returns:
        float64, at least 0; 0 without opens.

    Example:
        >>> entropy(np.array([4, 4]), np.array([0, 8 * 2**24])).tolist()
        [2.0, 0.0]
    """
    n = xp.maximum(total, 1)
    return xp.maximum(xp.log2(n) - spread / (n * float(ENTROPY_SCALE)), 0.0)
