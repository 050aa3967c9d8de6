"""Named warnings about data: printed, and kept in log.json and manifest.json under `warnings`."""

import dataclasses
from collections.abc import Iterable, Mapping


@dataclasses.dataclass(frozen=True)
class DataWarning:
    """Something in the data that makes a later step work without a useful result.

    Attributes:
        name: Short name that stays the same in later versions, such as `empty_titles`.
        message: The finding, its consequence, and the flag that helps.

    Example:
        >>> print(DataWarning("one_task", "All targets are searches. Fix: ..."))
        warning (one_task): All targets are searches. Fix: ...
    """

    name: str
    message: str

    def __str__(self) -> str:
        return f"warning ({self.name}): {self.message}"


def to_plain(warnings: Iterable[DataWarning]) -> list[dict[str, str]]:
    """Return warnings as plain values for JSON; `from_plain` is the inverse."""
    return [dataclasses.asdict(warning) for warning in warnings]


def from_plain(plain: Iterable[Mapping[str, str]]) -> list[DataWarning]:
    """Return the warnings of plain values."""
    return [DataWarning(**warning) for warning in plain]


def share_text(part: int, whole: int) -> str:
    """Format a part of a number of things.

    Example:
        >>> share_text(500, 2000)
        '500 of 2,000 (25.0%)'
    """
    return f"{part:,} of {whole:,} ({part / max(whole, 1):.1%})"
