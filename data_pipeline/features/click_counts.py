"""Counts of what a user opened and searched as of each target, the integers behind the features F.

A user's counts need the user's own events only: `UserCounts`, an index of some users at a time. Counts
of documents and queries are over all users: `shared_counts`. All are over the unfiltered log (the rule
of time: `data_pipeline.events.as_of`).
"""

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import Pairs
from data_pipeline.events.as_of import AsOfIndex, DenseAsOfIndex, PairAsOfIndex, TimeRanks

# n * log2(n) in steps of 2**-24: sums of integers, exact in any order.
ENTROPY_SCALE = 2**24
_LAST = ("last_rank", "last_touch")


class UserCounts:
    """Counts of some users as of a target's time.

    Args:
        document_opens: Opens of these users, in any order: user, doc, query (0 for none), session
            (of one user), time (of the open), known_at (when it counts; `NEVER` for never),
            visible_at (when it enters the user's visible history).
        searches: Their searches in the order (user, time): user, query, time. Of searches at one
            time the last is the latest.

    Attributes:
        opened: int64 [opens], documents by user and by `known_at`.
    """

    def __init__(self, document_opens: Columns, searches: Columns) -> None:
        times = document_opens["known_at"], document_opens["visible_at"], searches["time"]
        self._time_ranks = time_ranks = TimeRanks(*times)
        known, visible, searched = map(time_ranks.rank, times)
        self._count_opens(document_opens, known, visible)
        self._count_queries(document_opens, known)
        self._count_searches(searches, searched)

    def _count_opens(self, document_opens: Columns, known: Integers, visible: Integers) -> None:
        user, doc, size = document_opens["user"], document_opens["doc"], self._time_ranks.size
        self._of_user = AsOfIndex(user, known, size, ordered=True)
        self.opened = doc[self._of_user.order]
        self._of_session = PairAsOfIndex(document_opens["session"], doc, known, size)
        self._pairs, pair = Pairs.from_columns(user, doc)
        self._of_pair = DenseAsOfIndex(pair, known, size, ordered=True)
        # Opens known at the same time share the last rank: they are equally recent.
        self._rank = self._of_user.count(user, known + 1)[self._of_pair.order]
        self._seen_by_user = DenseAsOfIndex(pair, visible, size, ordered=True)
        self._touch = _running_maximum(self._seen_by_user, pair, document_opens["time"])

    def _count_queries(self, document_opens: Columns, known: Integers) -> None:
        with_query, size = np.flatnonzero(document_opens["query"] > 0), self._time_ranks.size
        user, doc, query = (document_opens[name][with_query] for name in ("user", "doc", "query"))
        known = known[with_query]
        self._of_user_query = PairAsOfIndex(user, query, known, size)
        # A pair of a user and a query has a number; it is paired with a document here.
        user_query = self._of_user_query.pairs.find(user, query)
        self._of_user_query_document = PairAsOfIndex(user_query, doc, known, size)

    def _count_searches(self, searches: Columns, searched: Integers) -> None:
        user, query, size = searches["user"], searches["query"], self._time_ranks.size
        self._last = np.append(query, 0)
        self._searches_of_user = AsOfIndex(user, searched, size)
        self._searches_of_user_query = PairAsOfIndex(user, query, searched, size)

    def count_targets(self, targets: Columns) -> Columns:
        """Return counts of each target's user.

        Args:
            targets: user (one of these users), query (0 for a recommendation), time.

        Returns:
            int64 columns [targets]: user_query_opens (opens by the user under the query), repeated
            (searches of the user with it), both 0 for a recommendation; user_opens (opens by the
            user), first_open (their first place in `opened`), last_query (the user's last query, 0
            for none).
        """
        user, query = targets["user"], targets["query"]
        time_rank = self._time_ranks.rank(targets["time"])
        first, after = self._searches_of_user.known(user, time_rank)
        last_query = np.where(after > first, self._last[after - 1], 0)
        first_open, last_open = self._of_user.known(user, time_rank)
        return {
            "user_query_opens": self._of_user_query.count(user, query, time_rank),
            "repeated": self._searches_of_user_query.count(user, query, time_rank),
            "user_opens": last_open - first_open,
            "first_open": first_open,
            "last_query": last_query,
        }

    def count_candidates(self, target: Integers, targets: Columns, doc: Integers) -> Columns:
        """Return counts of some candidate documents, by their target's user.

        Args:
            target: int64 [rows], row of each candidate's target in `targets`.
            targets: user, session, query (0 for a recommendation), time.
            doc: int64 [rows].

        Returns:
            int64 columns [rows]: user_opens (of the document by the user), user_query_opens (under
            the same query), session_opens (in the target's session), last_rank (rank of the user's
            last open of it among the user's opens, -1 for none), last_touch (time of the user's last
            visible open of it, -1 for none).
        """
        pair = self._pairs.find(targets["user"][target], doc)
        # Most candidates were never opened by their user.
        rows = np.flatnonzero(pair < self._pairs.size)
        found = self._count_pairs(pair[rows], target[rows], targets, doc[rows])
        counts = {}
        for name, values in found.items():
            counts[name] = np.full(len(doc), -1 if name in _LAST else 0, np.int64)
            counts[name][rows] = values
        return counts

    def _count_pairs(
        self, pair: Integers, target: Integers, targets: Columns, doc: Integers
    ) -> Columns:
        """Return the counts of candidates that their user opened at some time."""
        time_rank = self._time_ranks.rank(targets["time"])[target]
        first, after = self._of_pair.known(pair, time_rank)
        first_seen, after_seen = self._seen_by_user.known(pair, time_rank)
        user, query = targets["user"][target], targets["query"][target]
        user_query = self._of_user_query.pairs.find(user, query)
        return {
            "user_opens": after - first,
            "user_query_opens": self._of_user_query_document.count(user_query, doc, time_rank),
            "session_opens": self._of_session.count(targets["session"][target], doc, time_rank),
            "last_rank": np.where(after > first, self._rank[after - 1], -1),
            "last_touch": np.where(after_seen > first_seen, self._touch[after_seen - 1], -1),
        }


def _running_maximum(index: AsOfIndex, owner: Integers, time: Integers) -> Integers:
    """Return the latest time so far of each event's owner, in the index's order: int64 [n]."""
    time_ranks = TimeRanks(time)
    # The keys of an owner are above those of all owners before it.
    so_far = np.maximum.accumulate((owner * time_ranks.size + time_ranks.rank(time))[index.order])
    return time_ranks.times[so_far % time_ranks.size]
