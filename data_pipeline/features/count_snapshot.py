"""Counts of documents and queries as of one time, by their strings, without any user.

A served model computes F from them. Documents of one title count as one.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.features.click_counts import ENTROPY_SCALE


@dataclasses.dataclass(frozen=True)
class CountSnapshot:
    """Counts of titles, queries, and titles opened under queries.

    Attributes:
        time: Microseconds since the epoch; what is known before it counts.
        titles, queries: Strings.
        pair_queries, pair_titles: Query and title of each pair.
        of_titles: opens, satisfied: int64 [titles] each.
        of_queries: opens under the query, spread (as in `click_counts`), searches: int64 [queries].
        of_pairs: opens: int64 [pairs].
    """

    time: int
    titles: list[str]
    queries: list[str]
    pair_queries: list[str]
    pair_titles: list[str]
    of_titles: tuple[Integers, Integers]
    of_queries: tuple[Integers, Integers, Integers]
    of_pairs: tuple[Integers]


def take_snapshot(
    document_opens: Columns,
    searches: Columns,
    document_text: Integers,
    texts: Sequence[str],
    time: int,
    minimum: int = 1,
) -> CountSnapshot:
    """Count what is known before a time.

    Args:
        document_opens, searches: As for `click_counts.UserCounts`.
        document_text: int64 [documents], text of each document's title.
        texts: String of each text; the first is the empty one.
        time: Microseconds since the epoch.
        minimum: Users that must have opened a title, or searched a query, for it to be listed.
            Default: 1.
    """
    known = document_opens["known_at"] < time
    opens = {name: column[known] for name, column in document_opens.items()}
    asked = searches["time"] < time
    size = len(texts)
    title, query = document_text[opens["doc"]], opens["query"]
    searched, asker = searches["query"][asked], searches["user"][asked]
    listed_title = _users(title, opens["user"], size) >= minimum
    listed_query = _users(searched, asker, size) >= minimum
    listed_title[0] = listed_query[0] = False

    of_search = query > 0
    pairs, of_pair = np.unique(
        np.stack([query[of_search], title[of_search]]), axis=1, return_counts=True
    )
    # The spread of a query is over all its documents, listed or not.
    steps = np.rint(of_pair * np.log2(of_pair) * ENTROPY_SCALE)
    spread = np.bincount(pairs[0], steps, minlength=size).astype(np.int64)
    pair_rows = np.flatnonzero(listed_query[pairs[0]] & listed_title[pairs[1]])
    titles, queries = np.flatnonzero(listed_title), np.flatnonzero(listed_query)
    satisfied = np.bincount(title, opens["satisfied"], minlength=size).astype(np.int64)
    return CountSnapshot(
        time=time,
        titles=[texts[text] for text in titles.tolist()],
        queries=[texts[text] for text in queries.tolist()],
        pair_queries=[texts[text] for text in pairs[0, pair_rows].tolist()],
        pair_titles=[texts[text] for text in pairs[1, pair_rows].tolist()],
        of_titles=(np.bincount(title, minlength=size)[titles], satisfied[titles]),
        of_queries=(
            np.bincount(query, minlength=size)[queries],
            spread[queries],
            np.bincount(searched, minlength=size)[queries],
        ),
        of_pairs=(of_pair[pair_rows],),
    )


def _users(text: Integers, user: Integers, size: int) -> Integers:
    """Return the number of different users of each text, int64 [size]."""
    pairs = np.unique(np.stack([text, user]), axis=1)
    return np.bincount(pairs[0], minlength=size)
