"""The integers behind the relevance features: what was known of openings and queries.

All counts are over the whole unfiltered log and as of each target (`data_pipeline.asof`).
"""

import numpy as np
import numpy.typing as npt

from data_pipeline.asof import Clock, Ledger, PairLedger
from data_pipeline.engine import Columns

Integers = npt.NDArray[np.int64]

# n * log2(n) in steps of 2**-24: sums of integers, exact in any order.
ENTROPY_SCALE = 2**24
_LAST = ("last_rank", "last_touch")


class CandidateCounts:
    """What is known of candidate documents at their targets' times.

    Args:
        openings: One row an opened document: user, doc, query (0 for none), session (of
            one user), satisfied (0/1), time (when it was opened), known_after (from when on it
            counts), visible_after (from when on it is part of the user's visible history); `NEVER`
            where it never is.
    """

    def __init__(self, openings: Columns) -> None:
        user, doc = openings["user"], openings["doc"]
        self._clock = clock = Clock(openings["known_after"], openings["visible_after"])
        known, visible = (clock.rank(openings[n]) for n in ("known_after", "visible_after"))
        self._of_document = Ledger(doc, known, clock.size)
        self._satisfied = self._of_document.running(openings["satisfied"])
        self._of_session = PairLedger(openings["session"], doc, known, clock.size)
        self._of_user = PairLedger(user, doc, known, clock.size)
        # Openings known at the same moment share the last rank: they are equally recent.
        rank = Ledger(user, known, clock.size).count(user, known + 1)
        self._rank = rank[self._of_user.ledger.order]
        pair = self._of_user.pairs.number
        self._seen_by_user = Ledger(pair, visible, clock.size)
        self._touch = _running_maximum(self._seen_by_user, pair, openings["time"])
        asked = np.flatnonzero(openings["query"] > 0)
        query, known = openings["query"][asked], known[asked]
        self._of_query = PairLedger(query, doc[asked], known, clock.size)
        self._of_user_query = PairLedger(pair[asked], query, known, clock.size)

    def of(self, target: Integers, targets: Columns, doc: Integers) -> Columns:
        """Counts of some candidates.

        Args:
            target: int64 [rows], row of each candidate's target in `targets`.
            targets: user, session, query (0 for a recommendation), time.
            doc: int64 [rows].

        Returns:
            int64 columns [rows]: clicks (openings of the document), satisfied (satisfied ones),
            query_clicks (under the same query), user_clicks (by the user), user_query_clicks,
            session_clicks (by the user in the target's session), last_rank (rank of the user's last
            opening of it among the user's openings, -1 for none), last_touch (time of the user's
            last visible opening of it, -1 for none). 0 under a recommendation's query.
        """
        moment = self._clock.rank(targets["time"][target])
        first, after = self._of_document.known(doc, moment)
        pairs = self._of_user.pairs
        pair = pairs.find(targets["user"][target], doc)
        counts = {
            "clicks": after - first,
            "satisfied": self._satisfied[after] - self._satisfied[first],
            "query_clicks": self._of_query.count(targets["query"][target], doc, moment),
        }
        # Most candidates were never opened by their user.
        rows = np.flatnonzero(pair < pairs.size)
        found = self._of_users(pair[rows], target[rows], targets, doc[rows], moment[rows])
        for name, values in found.items():
            counts[name] = np.full(len(doc), -1 if name in _LAST else 0, np.int64)
            counts[name][rows] = values
        return counts

    def _of_users(
        self, pair: Integers, target: Integers, targets: Columns, doc: Integers, moment: Integers
    ) -> Columns:
        """What depends on the user, of candidates the user opened at some time."""
        first, after = self._of_user.ledger.known(pair, moment)
        first_seen, after_seen = self._seen_by_user.known(pair, moment)
        return {
            "user_clicks": after - first,
            "user_query_clicks": self._of_user_query.count(pair, targets["query"][target], moment),
            "session_clicks": self._of_session.count(targets["session"][target], doc, moment),
            "last_rank": np.where(after > first, self._rank[after - 1], -1),
            "last_touch": np.where(after_seen > first_seen, self._touch[after_seen - 1], -1),
        }


def target_counts(openings: Columns, searches: Columns, targets: Columns) -> Columns:
    """What is known of each target's user and query at its time.

    Args:
        openings: As for `CandidateCounts`.
        searches: One row a search in the order (user, time, query): user, query (1 and above),
            time.
        targets: user, query (0 for a recommendation), time.

    Returns:
        int64 columns [targets]: query_clicks (openings under the query), spread (their sum of
        n * log2(n) over documents, in steps of 2**-24), user_query_clicks, frequency (searches with
        the query), repeated (the user's ones), all 0 for a recommendation; user_clicks (openings by
        the user), last_query (the user's last query, 0 for none).
    """
    user, query = targets["user"], targets["query"]
    clock = Clock(openings["known_after"], searches["time"])
    size, moment = clock.size, clock.rank(targets["time"])
    known, searched = clock.rank(openings["known_after"]), clock.rank(searches["time"])
    first, after = Ledger(searches["user"], searched, size).known(user, moment)
    last_query = np.where(after > first, np.append(searches["query"], 0)[after - 1], 0)

    asked = openings["query"] > 0
    by, doc, under = (openings[name][asked] for name in ("user", "doc", "query"))
    of_query = Ledger(under, known[asked], size)
    spread = of_query.running(_gains(under, doc, known[asked], size))
    first, after = of_query.known(query, moment)
    return {
        "query_clicks": after - first,
        "spread": spread[after] - spread[first],
        "user_query_clicks": PairLedger(by, under, known[asked], size).count(user, query, moment),
        "frequency": Ledger(searches["query"], searched, size).count(query, moment),
        "repeated": PairLedger(searches["user"], searches["query"], searched, size).count(
            user, query, moment
        ),
        "user_clicks": Ledger(openings["user"], known, size).count(user, moment),
        "last_query": last_query,
    }


def _gains(query: Integers, doc: Integers, moment: Integers, size: int) -> Integers:
    """By how much each opening of a document under a query raises n * log2(n)."""
    of_pair = PairLedger(query, doc, moment, size)
    ledger = of_pair.ledger
    first = ledger.first(of_pair.pairs.number)
    gains = np.empty(len(query), np.int64)
    nth = np.arange(len(query)) - first[ledger.order]
    n = np.arange(1, int(nth.max(initial=-1)) + 2)
    total = np.rint(n * np.log2(n) * ENTROPY_SCALE).astype(np.int64)
    gains[ledger.order] = np.diff(total, prepend=0)[nth]
    return gains


def _running_maximum(ledger: Ledger, owner: Integers, time: Integers) -> Integers:
    """int64 [n]: the latest time so far of each event's owner, in the ledger's order."""
    clock = Clock(time)
    # An owner's ranks stand above those of all owners before it.
    so_far = np.maximum.accumulate((owner * clock.size + clock.rank(time))[ledger.order])
    return clock.times[so_far % clock.size]
