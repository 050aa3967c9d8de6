"""Past behaviors of a user, as a request to a served model holds them."""

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Search:
    """A past search.

    Attributes:
        query: Its query.
        clicked_titles: Titles of its satisfied clicks known by now, earliest first. Default: none.
        session: Number of its session, from 1. Default: 1; not used where `time` is given.
        time: Time in seconds since the epoch, or ISO 8601 with an offset from UTC. Default: none.
    """

    query: str
    clicked_titles: Sequence[str] = ()
    session: int = 1
    time: float | str | None = None

    def to_item(self) -> dict[str, Any]:
        """Return the item of `history` in a request as JSON.

        Example:
            >>> Search("shoes", ["Trail shoe"], session=2).to_item()
            {'query': 'shoes', 'clicked': ['Trail shoe'], 'session': 2}
        """
        content = {"query": self.query, "clicked": list(self.clicked_titles)}
        return content | _moment(self.session, self.time)


@dataclasses.dataclass(frozen=True)
class Browse:
    """A past click on a recommendation.

    Attributes:
        title: Title of the document.
        session, time: As for `Search`.
    """

    title: str
    session: int = 1
    time: float | str | None = None

    def to_item(self) -> dict[str, Any]:
        """Return the item of `history` in a request as JSON.

        Example:
            >>> Browse("How to run", time=1606800000).to_item()
            {'title': 'How to run', 'time': 1606800000}
        """
        return {"title": self.title} | _moment(self.session, self.time)


def _moment(session: int, time: float | str | None) -> dict[str, Any]:
    return {"session": session} if time is None else {"time": time}
