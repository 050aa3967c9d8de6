"""Going on from a dataset: what the dataset of the earlier logs spares the next preparation.

Its vocabulary and word vectors stay. The pseudo lists and the features F of its targets, which see
nothing later than themselves, are taken over; only what a later log adds is drawn and counted. The
result is, byte for byte, that of preparing all logs at once with the same vocabulary.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence as Items
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import concat_ranges
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from data_pipeline.log.log_writer import LOG_FILE
from data_pipeline.settings import PrepareSettings

_MAY_DIFFER = ("scenarios", "split", "windows")
_KEYS = ("user", "time", "request", "doc")


def check(settings: PrepareSettings, plain: dict[str, Any]) -> None:
    """Refuses a base that the settings or the logs do not go on from.

    Args:
        settings: With `extend` or `vocabulary`.
        plain: The settings a dataset depends on.

    Raises:
        ValueError: A setting that decides on words, lists or features differs; or, for `extend`,
            the base was prepared from other logs than `earlier_logs`, or a protocol is not `shown`.
        FileNotFoundError: There is no whole dataset.
    """
    base = open_dataset(settings.extend or settings.vocabulary)
    theirs = base.manifest["settings"]
    kept = ["text"] if not settings.extend else [n for n in plain if n not in _MAY_DIFFER]
    for name in kept:
        for leaf, value in _leaves(name, plain[name]):
            if (was := dict(_leaves(name, theirs[name]))[leaf]) != value:
                raise ValueError(
                    f"`{leaf}` must be that of the dataset gone on from, {was!r}. Received: "
                    f"{value!r}. Set --{leaf} back, or prepare all logs anew."
                )
    if not settings.extend:
        return
    if settings.eval_candidates.protocol != "shown":
        raise ValueError(
            "`extend` goes on from lists as they were shown. Received: `eval_candidates.protocol` = "
            f"{settings.eval_candidates.protocol!r}. Prepare all logs at once, with --vocabulary."
        )
    prepared = [entry["files"] for entry in base.manifest["logs"]]
    given = [checksums(folder) for folder in settings.earlier_logs]
    if prepared != given:
        raise ValueError(
            f"`earlier_logs` must be the logs that {settings.extend!r} was prepared from. Received: "
            f"{len(given)} logs, where it was prepared from {len(prepared)}"
            f"{'' if len(given) != len(prepared) else ' of other content'}. Give the same folders "
            "in the same order."
        )


def _leaves(name: str, value: Any) -> Items[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for part in value for leaf in _leaves(f"{name}.{part}", value[part])]
    return [(name, value)]


def checksums(log: str | os.PathLike[str]) -> dict[str, str]:
    """SHA-256 of each file of a log, as its log.json tells."""
    content = json.loads((pathlib.Path(log) / LOG_FILE).read_text("utf-8"))
    return {name: entry["sha256"] for name, entry in content["files"].items()}


@dataclasses.dataclass(frozen=True)
class Names:
    """The strings behind the numbers of this preparation.

    Attributes:
        users, documents: Ids of user or document 1, 2, ...
        requests: Ids of request 1, 2, ...
    """

    users: pa.Array
    documents: pa.Array
    requests: pa.Array


@dataclasses.dataclass(frozen=True)
class Earlier:
    """Targets of the base in the numbers of this preparation.

    Attributes:
        keys: user, time, request, doc (the one read, 0 where a list was shown): int64 [targets].
        offsets: int64 [targets + 1], where each one's candidates begin.
        docs: int64 [candidates].
        popularity, last_touch: int64 [candidates].
        features: float32 [candidates, features], F.
    """

    keys: Columns
    offsets: Integers
    docs: Integers
    popularity: Integers
    last_touch: Integers
    features: npt.NDArray[np.float32]

    def row_of(self, rows: Columns) -> Integers:
        """int64 [rows]: the base's target that each row is, -1 for none.

        Args:
            rows: user, time, request, doc of this preparation.
        """
        mine = pa.table({"row": np.arange(len(rows["user"]))} | {n: rows[n] for n in _KEYS})
        theirs = pa.table({"base": np.arange(len(self.keys["user"]))} | self.keys)
        both = mine.join(theirs, keys=list(_KEYS), join_type="inner")
        result = np.full(len(rows["user"]), -1, np.int64)
        result[both["row"].to_numpy()] = both["base"].to_numpy()
        return result

    def lists(self, base: Integers, width: int) -> Integers:
        """int64 [n, width]: the candidates of the base's targets, 0 at the end of each."""
        sizes = np.diff(self.offsets)[base]
        result = np.zeros((len(base), width), np.int64)
        line = np.repeat(np.arange(len(base)), sizes)
        result[line, concat_ranges(np.zeros(len(base), np.int64), sizes)] = self.docs[
            concat_ranges(self.offsets[base], sizes)
        ]
        return result


def read_earlier(base: Dataset, names: Names) -> Earlier:
    """The targets of a dataset, renumbered.

    Args:
        base: The dataset gone on from.
        names: Strings of the numbers they shall have.
    """
    table = base.targets(
        ["user_id", "time", "request_id", "candidates", "labels", "popularity", "last_touch"]
    ).combine_chunks()

    def number(strings: Any, among: pa.Array) -> Integers:
        found = pc.index_in(strings, value_set=among)
        return pc.add(pc.fill_null(found, -1), 1).to_numpy(zero_copy_only=False).astype(np.int64)

    def flat(name: str) -> pa.Array:
        return pc.list_flatten(table[name]).combine_chunks()

    offsets = np.append(0, np.cumsum(pc.list_value_length(table["candidates"]).to_numpy()))
    docs = number(flat("candidates"), names.documents)
    request = number(table["request_id"].combine_chunks(), names.requests)
    first = np.flatnonzero(flat("labels").to_numpy())
    owner = np.searchsorted(offsets, first, side="right") - 1
    read = np.zeros(len(table), np.int64)
    read[owner] = docs[first]
    keys = {
        "user": number(table["user_id"].combine_chunks(), names.users),
        "time": table["time"].to_numpy(),
        "request": request,
        "doc": np.where(request == 0, read, 0),
    }
    return Earlier(
        keys,
        offsets.astype(np.int64),
        docs,
        flat("popularity").to_numpy(),
        flat("last_touch").to_numpy(),
        base.features,
    )
