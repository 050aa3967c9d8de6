"""The integers behind the relevance features: what was known of openings and queries.

All counts are over the whole unfiltered log and as of each target (`data_pipeline.events.as_of`).
"""

import concurrent.futures

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import Pairs, concat_ranges
from data_pipeline.events.as_of import AsOfIndex, DenseAsOfIndex, PairAsOfIndex, TimeRanks

# n * log2(n) in steps of 2**-24: sums of integers, exact in any order.
ENTROPY_SCALE = 2**24
_LAST = ("last_rank", "last_touch")


class Counts:
    """What is known of users, queries and documents at a target's time.

    Args:
        openings: One row an opened document, in any order: user, doc, query (0 for none), session
            (of one user), satisfied (0/1), time (when it was opened), known_after (from when on it
            counts), visible_after (from when on it is part of the user's visible history); `NEVER`
            where it never is.
        searches: One row a search in the order (user, time): user, query (1 and above), time. Of
            those at one time the last one is the latest.
        workers: Threads of the work done here.

    Attributes:
        order: int64 [openings], rows of `openings` by user and by the moment they become known.
    """

    def __init__(self, openings: Columns, searches: Columns, workers: int = 1) -> None:
        moments = openings["known_after"], openings["visible_after"], searches["time"]
        self._clock = clock = TimeRanks(*moments)
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            known, visible, searched = pool.map(clock.rank, moments)
            parts = [
                pool.submit(self._count_openings, openings, known, visible),
                pool.submit(self._count_queries, openings, known),
                pool.submit(self._count_searches, searches, searched),
            ]
            for part in parts:
                part.result()

    def _count_openings(self, openings: Columns, known: Integers, visible: Integers) -> None:
        user, doc, size = openings["user"], openings["doc"], self._clock.size
        self._of_user = DenseAsOfIndex(user, known, size, ordered=True)
        self.order = self._of_user.order
        self._of_document = DenseAsOfIndex(doc, known, size, ordered=True)
        self._satisfied = self._of_document.running(openings["satisfied"])
        self._of_session = PairAsOfIndex(openings["session"], doc, known, size)
        self._pairs, pair = Pairs.from_columns(user, doc)
        self._of_pair = DenseAsOfIndex(pair, known, size, ordered=True)
        # Openings known at the same moment share the last rank: they are equally recent.
        self._rank = self._of_user.count(user, known + 1)[self._of_pair.order]
        self._seen_by_user = DenseAsOfIndex(pair, visible, size, ordered=True)
        self._touch = _running_maximum(self._seen_by_user, pair, openings["time"])

    def _count_queries(self, openings: Columns, known: Integers) -> None:
        asked, size = np.flatnonzero(openings["query"] > 0), self._clock.size
        user, doc, query = (openings[name][asked] for name in ("user", "doc", "query"))
        known = known[asked]
        self._of_query = DenseAsOfIndex(query, known, size, ordered=True)
        self._of_query_document = PairAsOfIndex(query, doc, known, size, ordered=True)
        self._spread = self._of_query.running(_gains(self._of_query_document))
        self._of_user_query = PairAsOfIndex(user, query, known, size)
        # Pairs of a user's query and a document: those of a user and a query have numbers.
        asking = self._of_user_query.pairs.find(user, query)
        self._of_user_query_document = PairAsOfIndex(asking, doc, known, size)

    def _count_searches(self, searches: Columns, searched: Integers) -> None:
        user, query, size = searches["user"], searches["query"], self._clock.size
        self._last = np.append(query, 0)
        self._searches_of_user = DenseAsOfIndex(user, searched, size)
        self._searches_of_query = DenseAsOfIndex(query, searched, size)
        self._searches_of_user_query = PairAsOfIndex(user, query, searched, size)

    def of_targets(self, targets: Columns) -> Columns:
        """What is known of each target's user and query.

        Args:
            targets: user, query (0 for a recommendation), time.

        Returns:
            int64 columns [targets]: moment (for `of_candidates`), query_clicks (openings under the
            query), spread (their sum of n * log2(n) over documents, in steps of 2**-24),
            user_query_clicks, frequency (searches with the query), repeated (the user's ones), all
            0 for a recommendation; user_clicks (openings by the user), first_click (where in
            `order` they begin), last_query (the user's last query, 0 for none).
        """
        user, query = targets["user"], targets["query"]
        moment = self._clock.rank(targets["time"])
        first, after = self._searches_of_user.known(user, moment)
        last_query = np.where(after > first, self._last[after - 1], 0)
        first, after = self._of_query.known(query, moment)
        first_click, last_click = self._of_user.known(user, moment)
        return {
            "moment": moment,
            "query_clicks": after - first,
            "spread": self._spread[after] - self._spread[first],
            "user_query_clicks": self._of_user_query.count(user, query, moment),
            "frequency": self._searches_of_query.count(query, moment),
            "repeated": self._searches_of_user_query.count(user, query, moment),
            "user_clicks": last_click - first_click,
            "first_click": first_click,
            "last_query": last_query,
        }

    def of_candidates(self, target: Integers, targets: Columns, doc: Integers) -> Columns:
        """What is known of some candidate documents.

        Args:
            target: int64 [rows], row of each candidate's target in `targets`.
            targets: user, session, query (0 for a recommendation), moment of `of_targets`.
            doc: int64 [rows].

        Returns:
            int64 columns [rows]: clicks (openings of the document), satisfied (satisfied ones),
            query_clicks (under the same query), user_clicks (by the user), user_query_clicks,
            session_clicks (by the user in the target's session), last_rank (rank of the user's last
            opening of it among the user's openings, -1 for none), last_touch (time of the user's
            last visible opening of it, -1 for none). 0 under a recommendation's query.
        """
        moment, query = targets["moment"][target], targets["query"][target]
        first, after = self._of_document.known(doc, moment)
        counts = {
            "clicks": after - first,
            "satisfied": self._satisfied[after] - self._satisfied[first],
            "query_clicks": np.zeros(len(doc), np.int64),
        }
        rows = np.flatnonzero(query > 0)
        counts["query_clicks"][rows] = self._of_query_document.count(
            query[rows], doc[rows], moment[rows]
        )
        pair = self._pairs.find(targets["user"][target], doc)
        # Most candidates were never opened by their user.
        rows = np.flatnonzero(pair < self._pairs.size)
        found = self._of_users(pair[rows], target[rows], targets, doc[rows], moment[rows])
        for name, values in found.items():
            counts[name] = np.full(len(doc), -1 if name in _LAST else 0, np.int64)
            counts[name][rows] = values
        return counts

    def _of_users(
        self, pair: Integers, target: Integers, targets: Columns, doc: Integers, moment: Integers
    ) -> Columns:
        """What depends on the user, of candidates the user opened at some time."""
        first, after = self._of_pair.known(pair, moment)
        first_seen, after_seen = self._seen_by_user.known(pair, moment)
        user, query = targets["user"][target], targets["query"][target]
        asking = self._of_user_query.pairs.find(user, query)
        return {
            "user_clicks": after - first,
            "user_query_clicks": self._of_user_query_document.count(asking, doc, moment),
            "session_clicks": self._of_session.count(targets["session"][target], doc, moment),
            "last_rank": np.where(after > first, self._rank[after - 1], -1),
            "last_touch": np.where(after_seen > first_seen, self._touch[after_seen - 1], -1),
        }


def _gains(openings: PairAsOfIndex) -> Integers:
    """By how much each opening of a document under a query raises n * log2(n)."""
    first = openings.ledger.first(np.arange(openings.pairs.size + 1))
    nth = concat_ranges(np.zeros(openings.pairs.size, np.int64), np.diff(first))
    n = np.arange(1, int(nth.max(initial=-1)) + 2)
    total = np.rint(n * np.log2(n) * ENTROPY_SCALE).astype(np.int64)
    gains = np.empty(len(nth), np.int64)
    gains[openings.ledger.order] = np.diff(total, prepend=0)[nth]
    return gains


def _running_maximum(ledger: AsOfIndex, owner: Integers, time: Integers) -> Integers:
    """int64 [n]: the latest time so far of each event's owner, in the ledger's order."""
    clock = TimeRanks(time)
    # An owner's ranks stand above those of all owners before it.
    so_far = np.maximum.accumulate((owner * clock.size + clock.rank(time))[ledger.order])
    return clock.times[so_far % clock.size]
