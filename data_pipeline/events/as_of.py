"""Point-in-time counts: what was known of an owner strictly before a time.

The one rule of time: a fact with `known_at` k is visible to a target at time t if and only if t > k.
Equal timestamps do not see each other. Events of many owners lie in sorted arrays.
"""

import numpy as np

from data_pipeline.common.array_types import Integers
from data_pipeline.common.sorted_arrays import Pairs, searchsorted_fast, sorted_unique

NEVER = 2**62
"""A time later than any other, for what never becomes known (int64 microseconds)."""


class TimeRanks:
    """Ranks of times, small enough to share 64 bits with an owner's number.

    Args:
        times: Arrays of int64; together every time at which an event becomes known.

    Attributes:
        times: int64 [n], the distinct times, ascending.
        size: Above every rank.

    Example:
        >>> time_ranks = TimeRanks(np.array([900, 20]), np.array([20]))
        >>> time_ranks.rank(np.array([20, 21, 900, 901]))
        array([0, 1, 1, 2])
    """

    def __init__(self, *times: Integers) -> None:
        self.times = sorted_unique(np.concatenate(times))
        self.size = len(self.times) + 1

    def rank(self, time: Integers) -> Integers:
        """Return how many of the times are strictly earlier than each time; the order is kept."""
        return searchsorted_fast(self.times, time)


class AsOfIndex:
    """Events sorted by owner and by the time at which they become known.

    Args:
        owner: int64 [n], not negative: a user, a document, a pair of both.
        time_rank: int64 [n], rank of `known_at` in a `TimeRanks`.
        size: Size of that `TimeRanks`.
        ordered: Keep `order`, which `running` needs. Default: False.

    Attributes:
        order: int64 [n], if `ordered`: rows of the events in this order. Events of one owner and
            time rank are in any order.

    Example:
        >>> index = AsOfIndex(np.array([7, 3, 7]), np.array([1, 0, 0]), size=3, ordered=True)
        >>> first, after = index.known(np.array([7, 7, 3]), np.array([1, 2, 0]))
        >>> (after - first).tolist(), index.order[after[:2] - 1].tolist()
        ([1, 2, 0], [2, 0])
    """

    def __init__(
        self, owner: Integers, time_rank: Integers, size: int, ordered: bool = False
    ) -> None:
        self._size = size
        keys = owner * size + time_rank
        if ordered:
            self.order = np.argsort(keys)
            self._keys = keys[self.order]
        else:
            self._keys = np.sort(keys)

    def first(self, owner: Integers) -> Integers:
        """Return where each owner's events begin in the order: int64 [m]."""
        return searchsorted_fast(self._keys, owner * self._size)

    def after(self, owner: Integers, time_rank: Integers) -> Integers:
        """Return the place after each owner's last event known at each time rank: int64 [m]."""
        # A time rank is at most `size` - 1, so the search stays among the owner's events.
        return searchsorted_fast(self._keys, owner * self._size + time_rank)

    def known(self, owner: Integers, time_rank: Integers) -> tuple[Integers, Integers]:
        """Return the range of each owner's events known at each time rank.

        Args:
            owner: int64 [m]; an owner without events has an empty range.
            time_rank: int64 [m].

        Returns:
            (first, after), int64 [m]: events `order[first]` ... `order[after - 1]`.
        """
        return self.first(owner), self.after(owner, time_rank)

    def count(self, owner: Integers, time_rank: Integers) -> Integers:
        """Return the number of events known of each owner at each time rank: int64 [m]."""
        first, after = self.known(owner, time_rank)
        return after - first

    def running(self, value: Integers) -> Integers:
        """Return sums of the first 0, 1, ... n events' values in this order: int64 [n + 1]."""
        return np.concatenate([[0], np.cumsum(value[self.order])])


class DenseAsOfIndex(AsOfIndex):
    """An `AsOfIndex` whose owners are numbered 0, 1, ...; their starts are in a table.

    Example:
        >>> index = DenseAsOfIndex(np.array([1, 0, 1]), np.array([1, 0, 0]), size=3)
        >>> index.first(np.array([0, 1, 7])).tolist()
        [0, 1, 3]
    """

    def __init__(
        self, owner: Integers, time_rank: Integers, size: int, ordered: bool = False
    ) -> None:
        super().__init__(owner, time_rank, size, ordered)
        self._first = np.append(0, np.cumsum(np.bincount(owner)))

    def first(self, owner: Integers) -> Integers:
        """Return where each owner's events begin in the order: int64 [m]."""
        return self._first[np.minimum(owner, len(self._first) - 1)]


class PairAsOfIndex:
    """An `AsOfIndex` of pairs: opens of a document by a user, or under a query.

    Args:
        left, right: int64 [n], not negative.
        time_rank, size, ordered: As for `AsOfIndex`.

    Attributes:
        pairs: Their numbers, the owners of the events of `index`.
        index: The events.

    Example:
        >>> index = PairAsOfIndex(np.array([7, 7]), np.array([2, 2]), np.array([0, 1]), size=3)
        >>> index.count(np.array([7, 7]), np.array([2, 1]), np.array([1, 2]))
        array([1, 0])
    """

    def __init__(
        self,
        left: Integers,
        right: Integers,
        time_rank: Integers,
        size: int,
        ordered: bool = False,
    ) -> None:
        self.pairs, number = Pairs.from_columns(left, right)
        self.index = DenseAsOfIndex(number, time_rank, size, ordered)

    def count(self, left: Integers, right: Integers, time_rank: Integers) -> Integers:
        """Return the number of events known of each pair at each time rank: int64 [m]."""
        pair = self.pairs.find(left, right)
        # Most pairs have no event.
        rows = np.flatnonzero(pair < self.pairs.size)
        counts = np.zeros(len(pair), np.int64)
        counts[rows] = self.index.count(pair[rows], time_rank[rows])
        return counts


class EventTimes:
    """Times of events of many owners (users, sessions, behaviors), to be counted per owner.

    Args:
        owner: int64 [n], not negative.
        time: int64 [n].

    Example:
        >>> event_times = EventTimes(np.array([7, 7, 3]), np.array([20, 10, 5]))
        >>> event_times.before(np.array([7, 7, 3, 4]), np.array([20, 21, 5, 9]))
        array([1, 2, 0, 0])
    """

    def __init__(self, owner: Integers, time: Integers) -> None:
        self._time_ranks = TimeRanks(time)
        self._index = AsOfIndex(owner, self._time_ranks.rank(time), self._time_ranks.size)

    def start(self, owner: Integers) -> Integers:
        """Return where each owner's events begin in the order (owner, time): int64 [m]."""
        return self._index.first(owner)

    def position(self, owner: Integers, time: Integers) -> Integers:
        """Return the number of events before (owner, time) in the order (owner, time): int64 [m]."""
        return self._index.after(owner, self._time_ranks.rank(time))

    def before(self, owner: Integers, time: Integers) -> Integers:
        """Return how many events of each owner are strictly earlier than `time`: int64 [m]."""
        return self._index.count(owner, self._time_ranks.rank(time))
