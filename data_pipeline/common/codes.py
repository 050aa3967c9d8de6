"""The codes that all rooms share: tasks, behavior types, scenarios, splits, units of time."""

import enum


class Task(enum.IntEnum):
    """The task of a target, as stored in windows and Batches; 0 is padding.

    Example:
        >>> Task.SEARCH.label, Task.from_label("recommendation")
        ('search', <Task.RECOMMENDATION: 1>)
    """

    RECOMMENDATION = 1
    SEARCH = 2

    @property
    def label(self) -> str:
        """Name in settings, files and reports."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "Task":
        """Return the task of a label."""
        return cls[label.upper()]


TASK_LABELS = ("search", "recommendation")
"""Labels of both tasks, in the order of reports."""


class BehaviorType(enum.IntEnum):
    """The type of a behavior, as stored in windows and Batches; 0 is padding."""

    BROWSE = 1
    SEARCH = 2


class Scenario(enum.StrEnum):
    """The behaviors that a model sees: behaviors of both tasks, or of one task only."""

    UNIFIED = "unified"
    SEARCH = "search"
    RECOMMENDATION = "recommendation"


class Split(enum.StrEnum):
    """The split of a target; its number in tables is its position here.

    The answers of unlabeled targets are withheld, as in the test part of a challenge: they are ranked,
    and nothing else is computed of them.
    """

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    UNLABELED = "unlabeled"

    @property
    def number(self) -> int:
        """Return the split's number in tables of integers.

        Example:
            >>> Split.TEST.number
            2
        """
        return list(Split).index(self)


NO_SPLIT = -1
"""In place of a split's number: none is given, or the target is in none."""
LABELED_SPLITS = (Split.TRAIN, Split.VALIDATION, Split.TEST)
"""Splits whose targets have labels."""

# Times are integer microseconds since the epoch, UTC.
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
