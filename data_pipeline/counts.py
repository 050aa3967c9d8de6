"""The integers behind the relevance features: what was known of openings and queries.

All counts are over the whole unfiltered log and as of each target (`data_pipeline.asof`).
"""

import numpy as np
import numpy.typing as npt

from data_pipeline.asof import Clock, Ledger
from data_pipeline.engine import Columns
from data_pipeline.lookup import Pairs

Integers = npt.NDArray[np.int64]

# n * log2(n) in steps of 2**-24: sums of integers, exact in any order.
ENTROPY_SCALE = 2**24
_NOTHING = {"last_rank": -1, "last_touch": -1}


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
        asked = np.flatnonzero(openings["query"] > 0)
        query, known_asked = openings["query"][asked], known[asked]

        self._of_document = Ledger(doc, known, clock.size)
        self._satisfied = self._of_document.running(openings["satisfied"])

        self._query_pairs = Pairs(query, doc[asked])
        self._of_query = Ledger(self._query_pairs.number, known_asked, clock.size)

        self._user_pairs = Pairs(user, doc)
        pair = self._user_pairs.number
        self._of_user = Ledger(pair, known, clock.size)
        # Openings known at the same moment share the last rank: they are equally recent.
        self._rank = Ledger(user, known, clock.size).count(user, known + 1)[self._of_user.order]
        self._seen_by_user = Ledger(pair, visible, clock.size)
        self._touch = _running_maximum(self._seen_by_user, pair, openings["time"])
        self._session_pairs = Pairs(openings["session"], doc)
        self._of_session = Ledger(self._session_pairs.number, known, clock.size)
        self._user_query_pairs = Pairs(pair[asked], query)
        self._of_user_query = Ledger(self._user_query_pairs.number, known_asked, clock.size)

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
        moment = self._clock.rank(targets["time"])[target]
        first, after = self._of_document.known(doc, moment)
        counts = {
            "clicks": after - first,
            "satisfied": self._satisfied[after] - self._satisfied[first],
        }
        # Most candidates were never opened under their query, nor by their user.
        pair = self._query_pairs.find(targets["query"][target], doc)
        near = np.flatnonzero(pair < self._query_pairs.size)
        found = {"query_clicks": self._of_query.count(pair[near], moment[near])}
        counts |= _spread(found, near, len(doc))
        pair = self._user_pairs.find(targets["user"][target], doc)
        near = np.flatnonzero(pair < self._user_pairs.size)
        found = self._of_users(pair[near], target[near], targets, doc[near], moment[near])
        return counts | _spread(found, near, len(doc))

    def _of_users(
        self, pair: Integers, target: Integers, targets: Columns, doc: Integers, moment: Integers
    ) -> Columns:
        """What depends on the user, of candidates the user opened at some time."""
        first, after = self._of_user.known(pair, moment)
        first_seen, after_seen = self._seen_by_user.known(pair, moment)
        session = self._session_pairs.find(targets["session"][target], doc)
        query = self._user_query_pairs.find(pair, targets["query"][target])
        return {
            "user_clicks": after - first,
            "user_query_clicks": self._of_user_query.count(query, moment),
            "session_clicks": self._of_session.count(session, moment),
            "last_rank": np.where(after > first, self._rank[after - 1], -1),
            "last_touch": np.where(after_seen > first_seen, self._touch[after_seen - 1], -1),
        }


def _spread(found: Columns, rows: Integers, size: int) -> Columns:
    """Columns of some rows as columns of all; of the others nothing is known."""
    columns = {}
    for name, values in found.items():
        columns[name] = np.full(size, _NOTHING.get(name, 0), np.int64)
        columns[name][rows] = values
    return columns


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
    clock = Clock(openings["known_after"], searches["time"])
    moment = clock.rank(targets["time"])
    known, searched = clock.rank(openings["known_after"]), clock.rank(searches["time"])
    size = clock.size
    user_clicks = Ledger(openings["user"], known, size).count(targets["user"], moment)
    first, after = Ledger(searches["user"], searched, size).known(targets["user"], moment)
    last_query = np.where(after > first, np.append(searches["query"], 0)[after - 1], 0)

    frequency = Ledger(searches["query"], searched, size).count(targets["query"], moment)
    own = Pairs(searches["user"], searches["query"])
    repeated = Ledger(own.number, searched, size).count(
        own.find(targets["user"], targets["query"]), moment
    )

    asked = openings["query"] > 0
    user, doc, query = (openings[name][asked] for name in ("user", "doc", "query"))
    known = known[asked]
    pairs = Pairs(user, query)
    user_query_clicks = Ledger(pairs.number, known, size).count(
        pairs.find(targets["user"], targets["query"]), moment
    )
    under = Ledger(query, known, size)
    first, after = under.known(targets["query"], moment)
    spread = under.running(_gains(query, doc, known, size))
    return {
        "query_clicks": after - first,
        "spread": spread[after] - spread[first],
        "user_query_clicks": user_query_clicks,
        "frequency": frequency,
        "repeated": repeated,
        "user_clicks": user_clicks,
        "last_query": last_query,
    }


def _gains(query: Integers, doc: Integers, moment: Integers, size: int) -> Integers:
    """By how much each opening of a document under a query raises n * log2(n)."""
    pairs = Pairs(query, doc)
    ledger = Ledger(pairs.number, moment, size)
    first, _ = ledger.known(pairs.number, moment)
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
