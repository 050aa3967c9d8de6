"""Pseudo lists of browses: the document read among its pseudo-negatives, in a seeded order.

Lists are made log by log, each from what that log and the earlier ones tell, documents numbered as
if there were no later one. So a later log changes no list of an earlier one, and the lists of an
earlier preparation can be taken over (`data_pipeline.preparation.extension`).
"""

import dataclasses
from collections.abc import Sequence as Items

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.settings import PseudoNegativeSettings
from data_pipeline.targets.candidate_lists import seed_keys
from data_pipeline.targets.pseudo_negatives import (
    BrowseTargets,
    Documents,
    draw_negatives,
    shuffled_lists,
)


@dataclasses.dataclass(frozen=True)
class DocumentCatalogue:
    """What is known of documents and openings, and which log told it first.

    Attributes:
        documents: The documents and their openings.
        part: int64 [documents], number of the first log that lists each; 0 for the pad document.
        user: int64 [openings], who opened.
        satisfied: int64 [openings], 0 or 1.
        opened_part: int64 [openings], number of the log that holds each opening.
    """

    documents: Documents
    part: Integers
    user: Integers
    satisfied: Integers
    opened_part: Integers

    def relevant(self) -> tuple[Integers, Integers]:
        """(user, document) of the openings that satisfied."""
        liked = self.satisfied == 1
        return self.user[liked], self.documents.opened[liked]

    def until(self, part: int) -> tuple["DocumentCatalogue", Integers]:
        """What the logs up to number `part` tell, and the number here of each document there."""
        told = np.flatnonzero(self.part <= part)
        opened = self.opened_part <= part
        documents = Documents(
            self.documents.available[told],
            self.documents.vectors[told],
            np.searchsorted(told, self.documents.opened[opened]),
            self.documents.known_after[opened],
        )
        parts = self.part[told], self.opened_part[opened]
        known = DocumentCatalogue(
            documents, parts[0], self.user[opened], self.satisfied[opened], parts[1]
        )
        return known, told


def pseudo_lists(
    browses: Columns,
    part: Integers,
    known: DocumentCatalogue,
    user_ids: Items[str],
    settings: PseudoNegativeSettings,
    seed: int,
) -> Integers:
    """Draws the lists of browses.

    Args:
        browses: user, time, doc: int64 [n].
        part: int64 [n], number of the log that holds each.
        known: What all logs tell.
        user_ids: Masked id of user 1, 2, ...
        settings: How pseudo-negatives are drawn.
        seed: Seed of draws and order.

    Returns:
        int64 [n, 1 + drawn] documents in the order of the list, 0 at the end where it is shorter.
    """
    lists = np.zeros((len(part), 1 + settings.count), np.int64)
    for number in np.unique(part).tolist():
        mine = np.flatnonzero(part == number)
        then, told = known.until(number)
        rows = {name: column[mine] for name, column in browses.items()}
        rows["doc"] = np.searchsorted(told, rows["doc"])
        keys = seed_keys(rows, user_ids)
        asked = BrowseTargets(keys, rows["user"], rows["time"], rows["doc"])
        drawn = draw_negatives(asked, then.documents, then.relevant(), settings, seed)
        lists[mine] = told[shuffled_lists(rows["doc"], drawn, keys, seed)]
    return lists
