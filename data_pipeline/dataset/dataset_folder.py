"""The dataset folder: its files, opened after a check; `dataset_writer` writes it.

manifest.json          written last: settings, choices, counts, checksums
vocabulary.txt         one token per line; line 0 is empty (padding)
word_vectors.npy       float32 [V + B, d]
text_tokens.npy        int32 [texts, L]; row 0 is the empty text
documents.parquet      doc_id, text; row 0 is the pad document
users.parquet          user_id (masked); row 0 is the unknown user
targets.parquet        one row per target, in the order of target_id
features.npy           float32 [candidates of all targets, features], F before standardisation
windows/<scenario>/<split>-*.tfrecord, <split>-sizes.npy
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.common.checksums import checksum
from data_pipeline.common.codes import Split
from data_pipeline.text.word_rule import TEXT_RULE

SCHEMA_VERSION = 3
VERSIONS = {"schema_version": SCHEMA_VERSION, "text_rule": TEXT_RULE}
"""Entries of the manifest that say by which version of the program a dataset was prepared."""
MANIFEST = "manifest.json"
FEATURES_FILE = "features.npy"

TARGETS = pa.schema(
    [
        ("target_id", pa.int64()),
        ("split", pa.string()),
        ("task", pa.int8()),
        ("user_id", pa.string()),
        ("time", pa.int64()),
        ("session", pa.int64()),
        ("request_id", pa.string()),
        ("query", pa.string()),
        ("candidates", pa.list_(pa.string())),
        ("labels", pa.list_(pa.int8())),
        ("popularity", pa.list_(pa.int64())),
        ("last_touch", pa.list_(pa.int64())),
        ("first_of_task", pa.bool_()),
        ("session_has_both", pa.bool_()),
        ("known_user", pa.bool_()),
        ("query_seen", pa.bool_()),
        ("past_behaviors", pa.int32()),
        ("pseudo", pa.bool_()),
    ]
)
"""targets.parquet. task: 1 recommendation, 2 search; time: int64 microseconds; session: in the
unified log; request_id: null for a browse; candidates, labels, popularity (opens of the document known
before the target), last_touch (time of the user's last visible open of it, -1 for none): in
original order; query_seen: the user issued the same query before; past_behaviors: behaviors visible
before the target; pseudo: the list was not shown, its negatives were drawn."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """An opened dataset: its manifest, and its arrays, which are read at first use.

    It equals itself only, so that what is made of it once can be kept for it.
    """

    path: pathlib.Path
    manifest: dict[str, Any]

    @functools.cached_property
    def vocabulary(self) -> list[str]:
        """V tokens; the first is padding."""
        lines = (self.path / "vocabulary.txt").read_bytes().decode("utf-8").split("\n")
        return lines[:-1]

    @property
    def vocabulary_file(self) -> str:
        """Path of vocabulary.txt."""
        return os.fspath(self.path / "vocabulary.txt")

    @functools.cached_property
    def word_vectors(self) -> npt.NDArray[np.float32]:
        """float32 [V + B, d], read only."""
        return np.load(self.path / "word_vectors.npy", mmap_mode="r")

    @functools.cached_property
    def features(self) -> npt.NDArray[np.float32]:
        """float32 [candidates, features], F of the candidates in the order of targets.parquet."""
        return np.load(self.path / FEATURES_FILE, mmap_mode="r")

    @functools.cached_property
    def text_tokens(self) -> npt.NDArray[np.int32]:
        """int32 [texts, L], read only."""
        return np.load(self.path / "text_tokens.npy", mmap_mode="r")

    @functools.cached_property
    def _documents(self) -> pa.Table:
        return pq.read_table(self.path / "documents.parquet")

    @functools.cached_property
    def document_ids(self) -> list[str]:
        """doc_id of each document; "" is the pad document."""
        return self._documents["doc_id"].to_pylist()

    @functools.cached_property
    def document_texts(self) -> npt.NDArray[np.int32]:
        """int32 [documents], the title's text of each document."""
        return self._documents["text"].to_numpy().astype(np.int32)

    @functools.cached_property
    def user_ids(self) -> list[str]:
        """Masked id of each known user; "" is the unknown user."""
        return pq.read_table(self.path / "users.parquet")["user_id"].to_pylist()

    def targets(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return rows of `TARGETS`, in the order of target_id.

        Args:
            columns: Columns to read. Default: all.
        """
        wanted = None if columns is None else list(columns)
        return pq.read_table(self.path / "targets.parquet", columns=wanted)

    def window_files(self, scenario: str, split: str) -> list[str]:
        """Return the paths of the TFRecord files of a scenario and split; some may be empty.

        Raises:
            ValueError: The dataset has no such scenario or split.
        """
        self._check_windows(scenario, split)
        prefix = f"windows/{scenario}/{split}-"
        names = [name for name in self.manifest["files"] if name.startswith(prefix)]
        return [os.fspath(self.path / name) for name in sorted(names) if name.endswith(".tfrecord")]

    def window_sizes(self, scenario: str, split: str) -> npt.NDArray[np.int32]:
        """Return `data_pipeline.dataset.windows.SIZES` of each record, int32 [windows, 5].

        Raises:
            ValueError: The dataset has no such scenario or split.
        """
        self._check_windows(scenario, split)
        return np.load(self.path / f"windows/{scenario}/{split}-sizes.npy")

    def _check_windows(self, scenario: str, split: str) -> None:
        name = f"windows/{scenario}/{split}-sizes.npy"
        if name not in self.manifest["files"]:
            raise ValueError(
                f"`scenario` and `split` must be of {self.scenarios} and {[*map(str, Split)]}, as in "
                f"the dataset {os.fspath(self.path)!r}. Got {scenario!r}, {split!r}. "
                "Fix: prepare it again with this scenario among --scenarios."
            )

    @property
    def scenarios(self) -> list[str]:
        """Scenarios of the windows of the dataset."""
        return list(self.manifest["settings"]["scenarios"])

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns of F."""
        return list(self.manifest["features"]["names"])

    @property
    def feature_mean(self) -> npt.NDArray[np.float32]:
        """float32 [features], over the searches' candidates of the training split."""
        return np.array(self.manifest["features"]["mean"], np.float32)

    @property
    def feature_std(self) -> npt.NDArray[np.float32]:
        """float32 [features], 1 where a feature does not vary."""
        return np.array(self.manifest["features"]["std"], np.float32)

    @property
    def query_free(self) -> npt.NDArray[np.bool_]:
        """bool [features], the features that need no query."""
        return np.array(self.manifest["features"]["query_free"], bool)

    @property
    def session_behaviors(self) -> int:
        """Behaviors kept of a session."""
        return self.manifest["settings"]["sequence"]["session_behaviors"]

    @property
    def past_sessions(self) -> int:
        """Past sessions kept."""
        return self.manifest["settings"]["sequence"]["past_sessions"]

    @property
    def clicked_titles(self) -> int:
        """Clicked titles kept of a search."""
        return self.manifest["settings"]["sequence"]["clicked_titles"]

    @property
    def vocabulary_size(self) -> int:
        """V, including padding; hashed buckets have the ids from V on."""
        return self.manifest["vocabulary_size"]

    @property
    def tokenizer(self) -> str:
        """Name of the tokenizer, of `data_pipeline.text.tokenizers`."""
        return self.manifest["settings"]["text"]["tokenizer"]

    @property
    def oov_buckets(self) -> int:
        """B, number of hashed buckets."""
        return self.manifest["oov_buckets"]

    @property
    def text_length(self) -> int:
        """L, tokens of the longest text kept."""
        return self.manifest["text_length"]

    @property
    def max_candidates(self) -> int:
        """Length of the longest candidate list."""
        return self.manifest["max_candidates"]


def open_dataset(path: str | os.PathLike[str], verify: bool = False) -> Dataset:
    """Open a complete dataset.

    Args:
        path: Folder of the dataset.
        verify: Compare the checksum of every file, which reads all files. Sizes are always
            compared. Default: False.

    Raises:
        FileNotFoundError: There is no folder, no manifest (an incomplete dataset), or a file is
            missing.
        ValueError: The dataset has another schema version or text rule, or a file was altered.
    """
    root, name = pathlib.Path(path), os.fspath(path)
    fix = "Fix: run `python -m data_pipeline.prepare` again with a new --output."
    if not (root / MANIFEST).is_file():
        found = "an incomplete dataset without one" if root.is_dir() else "no folder"
        raise FileNotFoundError(
            f"{name}: a dataset must be a folder with a {MANIFEST}. Got {found}. {fix}"
        )
    manifest = json.loads((root / MANIFEST).read_text("utf-8"))
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{name}: the schema version of a dataset must be {SCHEMA_VERSION}. Got {version}. {fix}"
        )
    # Models that were exported hold the rule of their dataset and need neither.
    rule = manifest.get("text_rule", 1)
    if rule != TEXT_RULE:
        raise ValueError(
            f"{name}: the text rule of a dataset must be {TEXT_RULE}, by which texts are split into "
            f"words. Got {rule}. {fix}"
        )
    for file, entry in manifest["files"].items():
        _check_file(root / file, entry, verify, fix)
    return Dataset(root, manifest)


def _check_file(path: pathlib.Path, entry: dict[str, Any], verify: bool, fix: str) -> None:
    """Raise an error if a file is missing or is not as listed in the manifest."""
    name = os.fspath(path)
    if not path.is_file():
        raise FileNotFoundError(f"{name}: a file of a dataset must exist. Got no file. {fix}")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ValueError(
            f"{name}: a file of a dataset must be unchanged, {entry['bytes']} bytes. Got {size} "
            f"bytes. {fix}"
        )
    if verify and checksum(path) != entry["sha256"]:
        raise ValueError(
            f"{name}: a file of a dataset must be unchanged, SHA-256 {entry['sha256']}. Got "
            f"{checksum(path)}. {fix}"
        )
