"""What each step of a preparation does; `data_pipeline.preparation.pipeline` tells their order."""

import dataclasses
import pathlib
import shutil
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Split, Task
from data_pipeline.common.sorted_arrays import concat_ranges
from data_pipeline.dataset.dataset_folder import FEATURES_FILE, open_dataset
from data_pipeline.dataset.parquet_tables import write_documents, write_targets, write_users
from data_pipeline.dataset.window_shards import ScenarioEvents, WindowInputs, write_view
from data_pipeline.description import histograms, table_1
from data_pipeline.events import splits
from data_pipeline.events.as_of import EventTimes
from data_pipeline.events.log_tables import availability
from data_pipeline.events.prepared_log import PreparedLog
from data_pipeline.events.user_events import UserEvents, latest_last, of_view, view_sessions
from data_pipeline.features import relevance_features
from data_pipeline.preparation import extension
from data_pipeline.settings import PrepareSettings
from data_pipeline.targets import candidate_lists, eligible_targets, eval_candidates
from data_pipeline.targets.pseudo_lists import DocumentCatalogue, pseudo_lists
from data_pipeline.targets.pseudo_negatives import Documents
from data_pipeline.text import corpus


@dataclasses.dataclass(frozen=True)
class SelectedTargets:
    """What is ranked for, before lists are laid out: valid targets and their splits."""

    rows: Columns
    split: Integers
    left_out: eligible_targets.LeftOut
    limits: splits.Boundaries
    lists: bool


@dataclasses.dataclass(frozen=True)
class CandidateLists:
    """Targets with their candidates; `redrawn`: rows whose list a protocol replaced."""

    targets: candidate_lists.Targets
    redrawn: Integers


@dataclasses.dataclass(frozen=True)
class Features:
    """F of all candidates, what else is counted of them, and the standardisation of F."""

    values: npt.NDArray[np.float32]
    popularity: Integers
    last_touch: Integers
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Tables:
    """What windows are made of beside behaviors, lists and F; see `Material`."""

    targets: Columns
    user_row: Integers
    group_row: Integers
    positive: Integers


def vocabulary_of(settings: PrepareSettings) -> pathlib.Path | None:
    """Folder of the dataset whose vocabulary and word vectors are taken; None: they are learned."""
    taken = settings.extend or settings.vocabulary
    return pathlib.Path(taken) if taken else None


def read_base(settings: PrepareSettings, source: PreparedLog) -> extension.Earlier:
    """What is taken over from the dataset of `--extend`."""
    users = pa.array(source.users[1:], pa.string())
    ids = (users, source.documents["doc_id"], source.request_ids())
    return extension.read_earlier(open_dataset(settings.extend), extension.Names(*ids))


def choose_targets(
    settings: PrepareSettings, source: PreparedLog, sequence: UserEvents
) -> SelectedTargets:
    """Finds what is ranked for and cuts the splits.

    Raises:
        ValueError: The log is empty.
    """
    moments = sequence.visits["time"]
    if not len(moments):
        raise ValueError(
            f"A log needs at least one request or browse. Received: {settings.log!r} without any."
            " Import it again and look at its quarantine table."
        )
    possible = eligible_targets.find_possible(sequence, source.log.bare)
    starts = eligible_targets.starts_of_sessions(possible)
    span = int(moments.min()), int(moments.max())
    limits = splits.boundaries(starts, *span, settings.split)
    rows, left_out = eligible_targets.valid_targets(possible, limits.train, sequence)
    return SelectedTargets(
        rows, splits.assign(rows["start"], limits), left_out, limits, possible.lists
    )


def encode_texts(
    settings: PrepareSettings,
    source: PreparedLog,
    sequence: UserEvents,
    chosen: SelectedTargets,
    folder: pathlib.Path,
) -> corpus.Encoded:
    """Learns the vocabulary, or takes it over, and writes the tokens of all texts."""
    texts = corpus.read_texts(source.engine, source.log)
    met = corpus.occurrences(
        source.engine,
        source.shown,
        sequence,
        source.document_text,
        chosen.limits.validation,
        len(texts),
    )
    return corpus.encode(folder, texts, met, settings.text, vocabulary_of(settings))


def lay_out_lists(
    settings: PrepareSettings,
    source: PreparedLog,
    sequence: UserEvents,
    chosen: SelectedTargets,
    texts: relevance_features.TextTable,
    earlier: extension.Earlier | None,
) -> CandidateLists:
    """Lays out the candidates of every target: lists logged, pseudo lists, drawn ones.

    Raises:
        ValueError: There is no target.
    """
    user_ids = source.users[1:]
    needy = np.flatnonzero(chosen.rows["request"] == 0)
    browses = {name: chosen.rows[name][needy] for name in ("user", "time", "request", "doc")}
    docs = np.zeros((len(needy), 1 + settings.pseudo_negatives.count), np.int64)
    if len(needy) or settings.eval_candidates.protocol != "shown":
        known = _known(source, sequence.openings, texts)
        base = earlier.row_of(browses) if earlier else np.full(len(needy), -1, np.int64)
        if earlier:
            docs[base >= 0] = earlier.lists(base[base >= 0], docs.shape[1])
        new = {name: browses[name][base < 0] for name in ("user", "time", "doc")}
        docs[base < 0] = pseudo_lists(
            new,
            source.log.part(new["time"]),
            known,
            user_ids,
            settings.pseudo_negatives,
            settings.seed,
        )
    made = candidate_lists.build_targets(
        source.engine,
        source.shown,
        chosen.rows,
        chosen.split,
        candidate_lists.PseudoLists(needy, docs),
        chosen.left_out,
    )
    redrawn = eval_candidates.redrawn(made, settings.eval_candidates)
    if len(redrawn):
        made = eval_candidates.redraw(
            made,
            redrawn,
            user_ids,
            known.documents,
            known.relevant(),
            settings.eval_candidates,
            settings.pseudo_negatives,
            settings.seed,
        )
    if not len(made.rows["target_id"]):
        raise ValueError(
            f"A dataset needs at least one target. Received: {settings.log!r} with none; left out: "
            f"{made.left_out}. Check its clicks, or lower --negatives or --split settings."
        )
    return CandidateLists(made, redrawn)


def _known(
    source: PreparedLog, openings: Columns, texts: relevance_features.TextTable
) -> DocumentCatalogue:
    keys = ("asked", "known_after", "satisfied", "doc", "user")
    order = np.lexsort([openings[name] for name in keys])
    opened = {name: openings[name][order] for name in keys}
    drawable = Documents(
        availability(source.engine, source.log, source.shown),
        texts.vectors[texts.document_text],
        opened["doc"],
        opened["known_after"],
    )
    return DocumentCatalogue(
        drawable,
        np.append(0, source.documents["part"].to_numpy()),
        opened["user"],
        opened["satisfied"],
        source.log.part(opened["asked"]),
    )


def compute_features(
    settings: PrepareSettings,
    sequence: UserEvents,
    lists: CandidateLists,
    texts: relevance_features.TextTable,
    earlier: extension.Earlier | None,
    folder: pathlib.Path,
) -> Features:
    """Counts and writes F of all candidates; that of targets taken over is not computed again."""
    rows, listed = lists.targets.rows, lists.targets.candidates
    base = earlier.row_of(rows) if earlier else np.full(len(rows["time"]), -1)
    new = base < 0
    slots = slice(None) if new.all() else np.flatnonzero(new[listed["target_id"]])
    found = relevance_features.relevance_features(
        sequence.openings,
        latest_last(sequence.searches),
        {n: rows[n][new] for n in ("target_id", "user", "session", "query", "time")},
        {n: listed[n][slots] for n in ("target_id", "position", "doc")},
        texts,
        folder / FEATURES_FILE,
        workers=settings.threads,
    )
    if earlier:
        found = _beside_earlier(found, earlier, base, lists.targets.offsets, slots)
    learned = (rows["split"] == Split.TRAIN.number) & (rows["task"] == Task.SEARCH)
    mean, std = relevance_features.standardisation(found.features, learned[listed["target_id"]])
    eval_candidates.forget_ranks(found.features, lists.targets, lists.redrawn, mean)
    if earlier:
        np.save(folder / FEATURES_FILE, found.features)
    return Features(found.features, found.popularity, found.last_touch, mean, std)


def _beside_earlier(
    new: relevance_features.FeatureRows,
    earlier: extension.Earlier,
    base: Integers,
    offsets: Integers,
    slots: slice | Integers,
) -> relevance_features.FeatureRows:
    """Rows of new targets, in `slots`, beside those of targets an earlier dataset holds."""
    same = np.flatnonzero(base >= 0)
    sizes = np.diff(offsets)[same]
    mine, theirs = (
        concat_ranges(offsets[same], sizes),
        concat_ranges(earlier.offsets[base[same]], sizes),
    )
    columns = []
    for name in ("features", "popularity", "last_touch"):
        values = getattr(new, name)
        column = np.empty((offsets[-1], *values.shape[1:]), values.dtype)
        column[slots], column[mine] = values, getattr(earlier, name)[theirs]
        columns.append(column)
    return relevance_features.FeatureRows(*columns)


def write_tables(
    source: PreparedLog,
    sequence: UserEvents,
    lists: CandidateLists,
    found: Features,
    folder: pathlib.Path,
) -> Tables:
    """Writes the tables of the dataset."""
    chosen = lists.targets
    behaviors, rows = sequence.behaviors, dict(chosen.rows)
    rows["next_query"] = candidate_lists.next_queries(rows, sequence.searches)
    rows["past_behaviors"] = EventTimes(behaviors["user"], behaviors["known_after"]).before(
        rows["user"], rows["time"]
    )
    user_row = write_users(folder, source.users, rows)
    document_ids = ["", *source.documents["doc_id"].to_pylist()]
    write_documents(folder, document_ids, source.document_text)
    write_targets(
        folder,
        dataclasses.replace(chosen, rows=rows),
        source.users,
        document_ids,
        corpus.read_texts(source.engine, source.log),
        source.request_ids(),
        user_row,
        found.popularity,
        found.last_touch,
    )
    group_row, positive = candidate_lists.groups(chosen)
    return Tables(rows, user_row[rows["user"]], group_row, positive)


def write_windows(
    settings: PrepareSettings,
    sequence: UserEvents,
    material: WindowInputs,
    name: str,
    folder: pathlib.Path,
) -> dict[str, int]:
    """Writes the windows of one view; returns their number by split."""
    session = view_sessions(sequence, name, settings.sequence)
    behaviors, answers = of_view(sequence, name)
    mine = candidate_lists.of_view(material.targets, name)
    view = ScenarioEvents(
        behaviors | {"session": session[behaviors["visit"]]},
        answers,
        mine,
        session[material.targets["visit"][mine]],
    )
    place = folder / "windows" / name
    # What a killed run had begun.
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return write_view(place, view, material, settings.sequence, settings.windows, settings.threads)


def count_statistics(
    sequence: UserEvents, lists: CandidateLists, material: WindowInputs, chosen: SelectedTargets
) -> dict[str, Any]:
    """Table 1 of the paper and the histograms, for the manifest."""
    return {
        "statistics": table_1.table_1(
            sequence.behaviors,
            sequence.answers,
            sequence.sessions,
            lists.targets,
            material.group_row,
            chosen.limits,
        ),
        "histograms": {
            "session_lengths": histograms.session_lengths(sequence.behaviors),
            "transitions": histograms.transitions(sequence.behaviors),
        },
    }
