"""`python -m data_pipeline.prepare`: from a behavior log to a dataset.

    python -m data_pipeline.prepare --log=LOG --output=DATASET --sequence.relevance=click

reads the log folder, decides what is a target, what it may see and what its candidates are, and
writes the dataset folder of `data_pipeline.dataset`. Same log, settings and seed: same bytes.
"""

import logging
import os
import pathlib
import tempfile
import time
from collections.abc import Sequence as Items
from typing import Any

from absl import app

from data_pipeline import flagtree
from data_pipeline.settings import PrepareSettings


class _Progress:
    """Prints each step as it begins and keeps how long it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._step, self._since = "", time.monotonic()

    def step(self, name: str) -> None:
        """Ends the step before and begins the next."""
        now = time.monotonic()
        if self._step:
            self.seconds[self._step] = now - self._since
            print(f"  {self._step:<44}{self.seconds[self._step]:8.1f} s", flush=True)
        self._step, self._since = name, now


def check(settings: PrepareSettings) -> None:
    """Refuses impossible settings before any work starts.

    Raises:
        ValueError: Names the setting, the rule, the value received and the mend.
        FileExistsError: `output` exists.
    """
    from data_pipeline.sessions import SCENARIOS

    for name in ("log", "output"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` must be given. Received: `{name}` = ''. Set --{name}.")
    unknown = [name for name in settings.scenarios if name not in SCENARIOS]
    if unknown or not settings.scenarios:
        raise ValueError(
            f"`scenarios` must be some of {', '.join(SCENARIOS)}. Received: `scenarios` = "
            f"{list(settings.scenarios)}. Set --scenarios to one or more of them, comma-separated."
        )
    least: dict[str, tuple[float, float]] = {
        "sequence.session_minutes": (settings.sequence.session_minutes, 0),
        "sequence.satisfied_seconds": (settings.sequence.satisfied_seconds, 0),
        "sequence.session_behaviors": (settings.sequence.session_behaviors, 1),
        "sequence.past_sessions": (settings.sequence.past_sessions, 1),
        "sequence.clicked_titles": (settings.sequence.clicked_titles, 1),
        "sequence.filter_neighbors": (settings.sequence.filter_neighbors, 0),
        "text.text_length": (settings.text.text_length, 1),
        "text.minimum_count": (settings.text.minimum_count, 1),
        "text.oov_buckets": (settings.text.oov_buckets, 1),
        "text.width": (settings.text.width, 1),
        "text.word2vec_epochs": (settings.text.word2vec_epochs, 0),
        "candidates.negatives": (settings.candidates.negatives, 1),
        "windows.targets_per_window": (settings.windows.targets_per_window, 1),
        "windows.windows_per_shard": (settings.windows.windows_per_shard, 1),
    }
    for name, (value, lowest) in least.items():
        if value < lowest:
            raise ValueError(
                f"`{name}` must be at least {lowest}. Received: `{name}` = {value}. Set --{name} "
                f"to {lowest} or more."
            )
    if os.path.exists(settings.output):
        raise FileExistsError(
            f"`output` must not exist. Received: `output` = {settings.output!r}. Set --output to "
            "a new folder, or remove this one."
        )


def prepare(settings: PrepareSettings) -> dict[str, Any]:
    """Prepares a dataset; returns its manifest without checksums.

    Raises:
        ValueError, FileExistsError: As `check`.
        LogError: `log` is no whole log folder.
    """
    check(settings)
    from data_pipeline.dataset import DatasetWriter
    from data_pipeline.engine import Engine
    from data_pipeline.log import open_log

    source = open_log(settings.log)
    with DatasetWriter(settings.output) as writer, tempfile.TemporaryDirectory() as spill:
        with Engine(settings.threads, settings.memory_gib, spill) as engine:
            progress = _Progress()
            manifest = _prepare(settings, engine, writer.folder, progress)
        manifest["log"] = {
            "source": source.source,
            "report": source.report.to_dict(),
            "masked": source.settings.mask_users,
        }
        progress.step("checksums")
        writer.finish(manifest)
        progress.step("")
    return manifest


def _prepare(
    settings: PrepareSettings, engine: Any, folder: pathlib.Path, progress: _Progress
) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa

    from data_pipeline import (
        candidates,
        corpus,
        features,
        histograms,
        history,
        sessions,
        splits,
        statistics,
        targets,
    )
    from data_pipeline.assets import write_documents, write_targets, write_users
    from data_pipeline.lookup import Timeline
    from data_pipeline.negatives import BrowseTargets, Documents, draw_negatives
    from data_pipeline.tables import NEVER, read_tables
    from data_pipeline.windows import Content, write_split

    # --- The log as integers -------------------------------------------------------------------
    progress.step("reading the log")
    log = read_tables(engine, settings.log, settings.sequence)
    documents = engine.collect(log.documents, ["doc"])
    users = ["", *engine.collect(log.users, ["user"])["user_id"].to_pylist()]
    document_text = np.append(0, documents["text"].to_numpy())
    document_ids = ["", *documents["doc_id"].to_pylist()]

    # --- What users did ------------------------------------------------------------------------
    progress.step("sessions")
    sequence = sessions.build_sequence(engine, log, settings.sequence)
    behaviors = engine.fetch(sequence.behaviors, ["behavior"])
    answers = engine.fetch(sequence.answers, ["behavior", "rank"])
    session_rows = engine.fetch(sequence.sessions, ["session"])
    openings = engine.materialise(sessions.openings(sequence, log, settings.sequence))
    searches = engine.materialise(sessions.searches(sequence, log))

    # --- What is ranked for --------------------------------------------------------------------
    progress.step("targets and splits")
    possible, found = targets.possible_targets(engine, log, sequence)
    reason = targets.reasons(possible)
    if not len(session_rows["start"]):
        raise ValueError(
            f"A log needs at least one request or browse. Received: {settings.log!r} without any."
            " Import it again and look at its quarantine table."
        )
    valid_sessions = np.unique(possible["session"][reason < 0])
    limits = splits.boundaries(
        session_rows["start"][valid_sessions - 1],
        int(session_rows["start"].min()),
        int(session_rows["end"].max()),
        settings.split,
    )
    split = splits.assign(possible["start"], limits)

    # --- Texts ---------------------------------------------------------------------------------
    progress.step("texts and word2vec")
    texts = corpus.read_texts(engine, log)
    met = corpus.occurrences(engine, log, limits.validation, len(texts))
    text_table = corpus.build_texts(folder, texts, met, document_text, settings.text, settings.seed)

    # --- Candidates ----------------------------------------------------------------------------
    progress.step("candidates")
    needy = np.flatnonzero((possible["request"] == 0) & (reason < 0) & (split != splits.HISTORY))
    browse_rows = {name: column[needy] for name, column in possible.items()}
    keys = targets.seed_keys(browse_rows, users[1:])
    drawn = np.zeros((0, settings.negatives.drawn), np.int64)
    if len(needy) or settings.candidates.protocol != "shown":
        columns = ["user", "doc", "satisfied", "known_after"]
        opened = engine.fetch(openings.select(*columns), columns)
        liked = opened["satisfied"] == 1
        relevant = (opened["user"][liked], opened["doc"][liked])
        drawable = Documents(
            np.append(NEVER, documents["available"].to_numpy()),
            text_table.vectors[document_text],
            opened["doc"],
            opened["known_after"],
        )
        drawn = draw_negatives(
            BrowseTargets(keys, browse_rows["user"], browse_rows["time"], browse_rows["doc"]),
            drawable,
            relevant,
            settings.negatives,
            settings.seed,
        )
    negatives = {"row": needy, "docs": drawn, "key": keys}
    chosen = targets.build_targets(engine, log, possible, reason, split, negatives, settings.seed)
    redrawn = candidates.redrawn(chosen, settings.candidates)
    if len(redrawn):
        chosen = candidates.redraw(
            chosen,
            redrawn,
            users[1:],
            drawable,
            relevant,
            settings.candidates,
            settings.negatives,
            settings.seed,
        )
    rows = chosen.rows
    if not len(rows["target_id"]):
        raise ValueError(
            f"A dataset needs at least one target. Received: {settings.log!r} with none; left out: "
            f"{chosen.left_out}. Check its clicks, or lower --negatives or --split settings."
        )

    # --- F -------------------------------------------------------------------------------------
    progress.step("relevance features")
    blocks = list(
        features.relevance_features(
            engine,
            openings,
            searches,
            engine.table(
                pa.table({n: rows[n] for n in ("target_id", "user", "session", "query", "time")})
            ),
            engine.table(
                pa.table({n: chosen.candidates[n] for n in ("target_id", "position", "doc")})
            ),
            text_table,
        )
    )
    values = np.concatenate([block.features for block in blocks])
    popularity = np.concatenate([block.popularity for block in blocks])
    last_touch = np.concatenate([block.last_touch for block in blocks])
    learned = (rows["split"] == splits.SPLITS.index("train")) & (
        rows["task"] == targets.SEARCH_TASK
    )
    mean, std = features.standardisation(values, learned[chosen.candidates["target_id"]])
    candidates.forget_ranks(values, chosen, redrawn, mean)

    # --- Tables of the dataset -----------------------------------------------------------------
    progress.step("tables")
    issued = engine.fetch(searches, ["request"])
    rows["next_query"] = targets.next_queries(rows, issued)
    rows["past_behaviors"] = Timeline(behaviors["user"], behaviors["known_after"]).before(
        rows["user"], rows["time"]
    )
    user_row = write_users(folder, users, rows)
    write_documents(folder, document_ids, document_text)
    request_ids = engine.collect(log.requests.select("request", "request_id"), ["request"])
    write_targets(
        folder,
        chosen,
        users,
        document_ids,
        texts,
        request_ids["request_id"],
        user_row,
        popularity,
        last_touch,
    )

    # --- Windows -------------------------------------------------------------------------------
    states = history.States(behaviors, answers, settings.sequence.clicked_titles)
    content = Content(
        behaviors,
        states,
        rows,
        user_row[rows["user"]],
        chosen.offsets,
        chosen.candidates["doc"],
        chosen.candidates["label"],
        values,
        document_text,
    )
    group_row, positive = targets.groups(chosen)
    windows: dict[str, dict[str, int]] = {}
    for view in settings.scenarios:
        progress.step(f"windows: {view}")
        visits = sessions.view_visits(engine, log, sequence, view, settings.sequence)
        mine = targets.of_view(rows, view)
        placed = targets.view_sessions(engine, visits, rows, mine)
        past = history.see(
            engine.fetch(sessions.view_behaviors(sequence, visits, view), ["behavior"]),
            states,
            {"user": rows["user"][mine], "time": rows["time"][mine], "session": placed},
            settings.sequence,
        )
        seen = np.zeros(len(rows["time"]), np.int64)
        seen[mine] = np.arange(len(mine))
        in_view = np.isin(group_row, mine)
        (folder / "windows" / view).mkdir(parents=True)
        windows[view] = {}
        for number, name in enumerate(splits.SPLITS):
            use = in_view & (rows["split"][group_row] == number)
            windows[view][name] = write_split(
                folder / "windows" / view,
                name,
                content,
                past,
                group_row[use],
                seen[group_row[use]],
                positive[use],
                settings.windows.targets_per_window,
                settings.windows.windows_per_shard,
            )

    # --- Manifest ------------------------------------------------------------------------------
    progress.step("statistics")
    plain = flagtree.to_dict(settings)
    # Where the log lay and how fast it was read say nothing about the dataset.
    for name in ("log", "output", "threads", "memory_gib"):
        del plain[name]
    vocabulary_size = (folder / "vocabulary.txt").read_bytes().count(b"\n")
    return {
        "settings": plain,
        "choices": [
            *sessions.CHOICES,
            *splits.CHOICES,
            *targets.CHOICES,
            *candidates.CHOICES,
            *history.CHOICES,
            *corpus.CHOICES,
        ],
        "recommendation_lists_logged": found["lists"],
        "boundaries": {
            "train": limits.train,
            "validation": limits.validation,
            "test": limits.test,
        },
        "counts": {
            "documents": len(document_ids),
            "users": len(users),
            "known_users": int((user_row > 0).sum()),
            "texts": len(texts),
            "targets": len(rows["target_id"]),
            "groups": len(group_row),
            "candidates": int(chosen.offsets[-1]),
            "windows": windows,
        },
        "left_out": chosen.left_out,
        "statistics": statistics.table_1(
            behaviors, answers, session_rows, chosen, group_row, limits
        ),
        "histograms": {
            "session_lengths": histograms.session_lengths(behaviors),
            "transitions": histograms.transitions(behaviors),
        },
        "features": {
            "names": [feature.name for feature in features.FEATURES],
            "query_free": [feature.query_free for feature in features.FEATURES],
            "mean": [float(value) for value in mean],
            "std": [float(value) for value in std],
        },
        "vocabulary_size": vocabulary_size,
        "oov_buckets": settings.text.oov_buckets,
        "text_length": int(text_table.tokens.shape[1]),
        "max_candidates": int(np.diff(chosen.offsets).max()),
    }


def main(arguments: Items[str]) -> None:
    """Prepares a dataset and prints what it holds."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}. Write --name=value.")
    from data_pipeline.log import open_log

    settings = flagtree.read(PrepareSettings)
    try:
        check(settings)
        open_log(settings.log, checksums=False)
    except (ValueError, FileExistsError) as error:
        raise app.UsageError(str(error)) from error
    # absl shows every library's information; word2vec has a page of it.
    logging.getLogger("gensim").setLevel(logging.WARNING)
    print(f"Preparing {settings.output} from {settings.log}", flush=True)
    manifest = prepare(settings)
    from data_pipeline.statistics import table_text

    print(f"\n{table_text(manifest['statistics'])}\n")
    for task, counts in manifest["left_out"].items():
        left = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in counts.items() if n)
        print(f"Left out ({task}): {left or 'nothing'}")
    print(f"Dataset: {settings.output}")


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(PrepareSettings)
    app.run(main)


if __name__ == "__main__":
    run()
