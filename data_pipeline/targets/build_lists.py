"""Front door of the candidate lists: lists shown, pseudo lists, and lists of other protocols."""

import pathlib
from collections.abc import Sequence as Items

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.settings import PrepareSettings
from data_pipeline.targets import eval_candidates
from data_pipeline.targets.candidate_lists import CandidateLists, lay_out_lists
from data_pipeline.targets.eligible_targets import SelectedTargets
from data_pipeline.targets.pseudo_lists import DocumentCatalogue, draw_pseudo_lists


def needs_catalogue(selected: SelectedTargets, settings: PrepareSettings) -> bool:
    """Return whether documents are drawn for some target."""
    browses = bool((selected.rows["request"] == 0).any())
    return browses or settings.eval_candidates.protocol != "shown"


def build_candidate_lists(
    selected: SelectedTargets,
    shown: Columns,
    log_index: Integers,
    catalogue: DocumentCatalogue | None,
    user_ids: Items[str],
    settings: PrepareSettings,
    folder: pathlib.Path,
) -> CandidateLists:
    """Build the candidate list of every target.

    Args:
        selected: The targets.
        shown: Lists of the targets that are requests, as of `ShownLists.read_lists`.
        log_index: int64 [targets], log that holds each.
        catalogue: Documents to draw from; None if no list `needs_catalogue`.
        user_ids: Masked id of user 1, 2, ...
        settings: How negatives are drawn, the evaluation protocol, the seed.
        folder: Folder of the files of candidates.

    Raises:
        ValueError: There is no target.
    """
    browses = np.flatnonzero(selected.rows["request"] == 0)
    docs = np.zeros((0, 1 + settings.pseudo_negatives.count), np.int64)
    if catalogue and len(browses):
        rows = {name: selected.rows[name][browses] for name in ("user", "time", "doc")}
        drawing = settings.pseudo_negatives, settings.seed
        docs = draw_pseudo_lists(rows, log_index[browses], catalogue, user_ids, *drawing)
    lists = lay_out_lists(selected, browses, docs, shown, folder)
    redrawn = eval_candidates.find_redrawn(lists, settings.eval_candidates)
    if catalogue and len(redrawn):
        lists = eval_candidates.redraw(
            lists,
            redrawn,
            user_ids,
            catalogue.documents,
            catalogue.list_relevant(),
            settings.eval_candidates,
            settings.pseudo_negatives,
            settings.seed,
            folder,
        )
    if not len(lists.rows["target_id"]):
        raise ValueError(
            f"`log` must hold at least one target. Got none; left out: {lists.left_out}. Fix: check "
            "its clicks, or change --pseudo_negatives or --split settings."
        )
    return lists
