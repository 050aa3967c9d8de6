"""What was known before a moment: events of many owners in sorted arrays.

The one rule of time lives here: at time t an event is known iff it became known at a strictly earlier
time, so equal timestamps do not see each other.
"""

import numpy as np

from data_pipeline.common.array_types import Integers
from data_pipeline.common.sorted_arrays import Pairs, searchsorted_fast, sorted_unique

NEVER = 2**62
"""A time later than any other, for what never becomes known (int64 microseconds)."""


class TimeRanks:
    """Times replaced by their ranks, which are small enough to stand beside an owner in 64 bits.

    Args:
        times: Arrays of int64; together every time at which an event becomes known.

    Attributes:
        times: int64 [n], the distinct times, ascending.
        size: Above every rank.

    Example:
        >>> clock = Clock(np.array([900, 20]), np.array([20]))
        >>> clock.rank(np.array([20, 21, 900, 901]))
        array([0, 1, 1, 2])
    """

    def __init__(self, *times: Integers) -> None:
        self.times = sorted_unique(np.concatenate(times))
        self.size = len(self.times) + 1

    def rank(self, time: Integers) -> Integers:
        """How many of the times are strictly earlier; keeps the order of events and moments."""
        return searchsorted_fast(self.times, time)


class AsOfIndex:
    """Events in the order (owner, moment they become known).

    Args:
        owner: int64 [n], not negative: a user, a document, a pair of both.
        moment: int64 [n], ranks of a `Clock`.
        size: Size of that clock.
        ordered: Whether `order` and `running` shall be there. Default: False.

    Attributes:
        order: int64 [n], where `ordered`: the events in this order; those of one owner and moment
            in any.

    Example:
        >>> ledger = Ledger(np.array([7, 3, 7]), np.array([1, 0, 0]), size=3, ordered=True)
        >>> first, after = ledger.known(np.array([7, 7, 3]), np.array([1, 2, 0]))
        >>> (after - first).tolist(), ledger.order[after[:2] - 1].tolist()
        ([1, 2, 0], [2, 0])
    """

    def __init__(self, owner: Integers, moment: Integers, size: int, ordered: bool = False) -> None:
        self._size = size
        keys = owner * size + moment
        if ordered:
            self.order = np.argsort(keys)
            self._keys = keys[self.order]
        else:
            self._keys = np.sort(keys)

    def first(self, owner: Integers) -> Integers:
        """int64 [m]: place in the order at which each owner's events begin."""
        return searchsorted_fast(self._keys, owner * self._size)

    def after(self, owner: Integers, moment: Integers) -> Integers:
        """int64 [m]: place in the order after the last event known of each owner at each moment."""
        # A moment is at most `size` - 1, so it is never sought among another owner's events.
        return searchsorted_fast(self._keys, owner * self._size + moment)

    def known(self, owner: Integers, moment: Integers) -> tuple[Integers, Integers]:
        """Places in the order of what is known of each owner at each moment.

        Args:
            owner: int64 [m]; one without events has none that is known.
            moment: int64 [m], ranks.

        Returns:
            (first, after), int64 [m]: events `order[first]` ... `order[after - 1]`.
        """
        return self.first(owner), self.after(owner, moment)

    def count(self, owner: Integers, moment: Integers) -> Integers:
        """int64 [m]: number of events known of each owner at each moment."""
        first, after = self.known(owner, moment)
        return after - first

    def running(self, value: Integers) -> Integers:
        """int64 [n + 1]: sums of the first 0, 1, ... n events' values in this order."""
        return np.concatenate([[0], np.cumsum(value[self.order])])


class DenseAsOfIndex(AsOfIndex):
    """A `Ledger` whose owners are numbered 0, 1, ...: where each begins is looked up, not sought.

    Example:
        >>> ledger = DenseLedger(np.array([1, 0, 1]), np.array([1, 0, 0]), size=3)
        >>> ledger.first(np.array([0, 1, 7])).tolist()
        [0, 1, 3]
    """

    def __init__(self, owner: Integers, moment: Integers, size: int, ordered: bool = False) -> None:
        super().__init__(owner, moment, size, ordered)
        self._first = np.append(0, np.cumsum(np.bincount(owner)))

    def first(self, owner: Integers) -> Integers:
        """int64 [m]: place in the order at which each owner's events begin."""
        return self._first[np.minimum(owner, len(self._first) - 1)]


class PairAsOfIndex:
    """A `Ledger` of pairs: a user's openings of a document, openings of a document under a query.

    Args:
        left, right: int64 [n], not negative.
        moment, size, ordered: As for `Ledger`.

    Attributes:
        pairs: Their numbers, which own the events of `ledger`.
        ledger: The events.

    Example:
        >>> ledger = PairLedger(np.array([7, 7]), np.array([2, 2]), np.array([0, 1]), size=3)
        >>> ledger.count(np.array([7, 7]), np.array([2, 1]), np.array([1, 2]))
        array([1, 0])
    """

    def __init__(
        self,
        left: Integers,
        right: Integers,
        moment: Integers,
        size: int,
        ordered: bool = False,
    ) -> None:
        self.pairs, number = Pairs.from_columns(left, right)
        self.ledger = DenseAsOfIndex(number, moment, size, ordered)

    def count(self, left: Integers, right: Integers, moment: Integers) -> Integers:
        """int64 [m]: number of events known of each pair at each moment."""
        pair = self.pairs.find(left, right)
        # Of most pairs asked for nothing ever happens.
        rows = np.flatnonzero(pair < self.pairs.size)
        counts = np.zeros(len(pair), np.int64)
        counts[rows] = self.ledger.count(pair[rows], moment[rows])
        return counts


class EventTimes:
    """Moments of many owners (users, sessions, behaviors), to be counted per owner.

    Args:
        owner: int64 [n], not negative.
        time: int64 [n].

    Example:
        >>> timeline = Timeline(np.array([7, 7, 3]), np.array([20, 10, 5]))
        >>> timeline.before(np.array([7, 7, 3, 4]), np.array([20, 21, 5, 9]))
        array([1, 2, 0, 0])
    """

    def __init__(self, owner: Integers, time: Integers) -> None:
        self._clock = TimeRanks(time)
        self._ledger = AsOfIndex(owner, self._clock.rank(time), self._clock.size)

    def start(self, owner: Integers) -> Integers:
        """int64 [m]: where each owner's moments begin among all, in the order (owner, time)."""
        return self._ledger.first(owner)

    def position(self, owner: Integers, time: Integers) -> Integers:
        """int64 [m]: number of moments in the order (owner, time) before (owner, time)."""
        return self._ledger.after(owner, self._clock.rank(time))

    def before(self, owner: Integers, time: Integers) -> Integers:
        """int64 [m]: how many of the owner's moments are strictly earlier than `time`."""
        return self._ledger.count(owner, self._clock.rank(time))
