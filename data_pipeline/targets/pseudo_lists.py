"""Pseudo lists of browses: the document read among its pseudo-negatives, in a seeded order.

Lists are made log by log, each from that log and the earlier ones, with documents numbered as if
later logs did not exist. So a later log changes no list of an earlier one.
"""

import dataclasses
from collections.abc import Sequence as Items

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.events.log_tables import find_availability
from data_pipeline.events.prepared_log import PreparedLog
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
    """Documents and their opens, with the log that first listed or held each.

    Attributes:
        documents: The documents and their opens.
        log_index: int64 [documents], first log that lists each; 0 for the pad document.
        user: int64 [opens], the user.
        satisfied: int64 [opens], 0 or 1.
        opened_log_index: int64 [opens], log that holds each open.
    """

    documents: Documents
    log_index: Integers
    user: Integers
    satisfied: Integers
    opened_log_index: Integers

    def list_relevant(self) -> tuple[Integers, Integers]:
        """Return (user, document) of the satisfied opens."""
        satisfied = self.satisfied == 1
        return self.user[satisfied], self.documents.opened[satisfied]

    def select_until(self, log_index: int) -> tuple["DocumentCatalogue", Integers]:
        """Return the catalogue of logs 0 ... `log_index`, and the number here of each document."""
        listed = np.flatnonzero(self.log_index <= log_index)
        opened = self.opened_log_index <= log_index
        documents = Documents(
            self.documents.available[listed],
            self.documents.vectors[listed],
            np.searchsorted(listed, self.documents.opened[opened]),
            self.documents.known_at[opened],
        )
        catalogue = DocumentCatalogue(
            documents,
            self.log_index[listed],
            self.user[opened],
            self.satisfied[opened],
            self.opened_log_index[opened],
        )
        return catalogue, listed


def build_catalogue(
    log: PreparedLog, document_opens: Columns, vectors: npt.NDArray[np.int16]
) -> DocumentCatalogue:
    """Build the catalogue of a log.

    Args:
        log: The log.
        document_opens: Opens of the unfiltered log.
        vectors: int16 [documents, d], title vectors.
    """
    available = find_availability(log.engine, log.tables, log.shown)
    return DocumentCatalogue(
        Documents(available, vectors, document_opens["doc"], document_opens["known_at"]),
        np.append(0, log.documents["log_index"].to_numpy()),
        document_opens["user"],
        document_opens["satisfied"],
        log.tables.find_log(document_opens["request_time"]),
    )


def draw_pseudo_lists(
    browses: Columns,
    log_index: Integers,
    catalogue: DocumentCatalogue,
    user_ids: Items[str],
    settings: PseudoNegativeSettings,
    seed: int,
) -> Integers:
    """Draw the lists of browses.

    Args:
        browses: user, time, doc: int64 [n].
        log_index: int64 [n], log that holds each.
        catalogue: The documents of all logs.
        user_ids: Masked id of user 1, 2, ...
        settings: How pseudo-negatives are drawn.
        seed: Seed of draws and order.

    Returns:
        int64 [n, 1 + drawn] documents in the order of the list, 0 at the end of a shorter one.
    """
    lists = np.zeros((len(log_index), 1 + settings.count), np.int64)
    for index in np.unique(log_index).tolist():
        mine = np.flatnonzero(log_index == index)
        known, listed = catalogue.select_until(index)
        rows = {name: column[mine] for name, column in browses.items()}
        rows["doc"] = np.searchsorted(listed, rows["doc"])
        keys = seed_keys(rows, user_ids)
        targets = BrowseTargets(keys, rows["user"], rows["time"], rows["doc"])
        drawn = draw_negatives(targets, known.documents, known.list_relevant(), settings, seed)
        lists[mine] = listed[shuffled_lists(rows["doc"], drawn, keys, seed)]
    return lists
