"""Hand-made logs and resolved datasets for the tests of preparation."""

import dataclasses
import datetime
import json
import pathlib
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline import settings as data_settings
from data_pipeline.log.log_summary import LogReport
from data_pipeline.log.log_writer import LOG_FILE, SCHEMA_VERSION

_TIME = pa.timestamp("us", tz="UTC")
_RESULTS = pa.list_(
    pa.struct(
        [
            ("doc_id", pa.string()),
            ("clicked", pa.bool_()),
            ("click_time", _TIME),
            ("dwell_seconds", pa.float64()),
        ]
    )
)
_SCHEMAS = {
    "documents": [
        ("doc_id", pa.string()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("published", _TIME),
    ],
    "requests": [
        ("request_id", pa.string()),
        ("user_id", pa.string()),
        ("time", _TIME),
        ("query", pa.string()),
        ("results", _RESULTS),
    ],
    "splits": [("request_id", pa.string()), ("split", pa.string())],
    "browses": [
        ("user_id", pa.string()),
        ("time", _TIME),
        ("doc_id", pa.string()),
        ("dwell_seconds", pa.float64()),
    ],
}
_SCHEMAS["unlabeled"] = _SCHEMAS["requests"]
_START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


class LogBuilder:
    """A log written by hand; times are seconds after an arbitrary start."""

    def __init__(self):
        self.rows = {"documents": [], "requests": [], "browses": []}

    @staticmethod
    def time(seconds):
        """Timestamp of a number of seconds, None for None."""
        return None if seconds is None else _START + datetime.timedelta(seconds=seconds)

    @classmethod
    def micro(cls, seconds):
        """int64 microseconds of a number of seconds."""
        return round(cls.time(seconds).timestamp()) * 1_000_000 + round(seconds % 1 * 1e6)

    def document(self, doc_id, title=None, published=None):
        """Adds a document; its title is "title of <doc_id>" unless given."""
        self.rows["documents"].append(
            {
                "doc_id": doc_id,
                "title": f"title of {doc_id}" if title is None else title,
                "published": self.time(published),
            }
        )
        return self

    def request(self, request_id, user, at, query, *results, split=""):
        """Adds a request; a result is "doc", or ("doc", click second or None, dwell or None)."""
        shown = []
        for result in results:
            if isinstance(result, str):
                shown.append({"doc_id": result, "clicked": False})
                continue
            doc, click, dwell = result
            shown.append(
                {
                    "doc_id": doc,
                    "clicked": True,
                    "click_time": self.time(click),
                    "dwell_seconds": dwell,
                }
            )
        row = {"request_id": request_id, "user_id": user, "time": self.time(at), "query": query}
        table = "unlabeled" if split == "unlabeled" else "requests"
        self.rows.setdefault(table, []).append({**row, "results": shown})
        if split not in ("", "unlabeled"):
            self.rows.setdefault("splits", []).append({"request_id": request_id, "split": split})
        return self

    def browse(self, user, at, doc, dwell=None):
        """Adds a browse."""
        row = {"user_id": user, "time": self.time(at), "doc_id": doc, "dwell_seconds": dwell}
        self.rows["browses"].append(row)
        return self

    def write(self, folder, shuffle=None):
        """Writes the tables, rows shuffled by a seed if one is given."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True)
        for name, rows in self.rows.items():
            rows = list(rows)
            if shuffle is not None:
                random.Random(shuffle).shuffle(rows)
            table = pa.Table.from_pylist(rows, pa.schema(_SCHEMAS[name]))
            pq.write_table(table, folder / f"{name}.parquet")
        # Not through `write_log`, which would refuse the wrong rows that some tests are about.
        counts = {field.name: 0 for field in dataclasses.fields(LogReport)}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "source": {"name": "test"},
            "settings": dataclasses.asdict(data_settings.LogSettings()),
            "report": {**counts, "tables": {}, "first_time": "", "last_time": ""},
            "files": {},
        }
        (folder / LOG_FILE).write_text(json.dumps(manifest))
        return folder


@pytest.fixture
def builder():
    """A new, empty log."""
    return LogBuilder()


@pytest.fixture(scope="module")
def quick_spark(tmp_path_factory):
    """Spark and Java as the extra installs them, whatever the machine has, made for tiny tables."""
    folder = tmp_path_factory.mktemp("spark")
    # Planning anew after each stage and compiling each plan take longer than tiny tables do.
    (folder / "spark-defaults.conf").write_text(
        "spark.sql.adaptive.enabled false\n"
        "spark.sql.codegen.wholeStage false\n"
        "spark.sql.codegen.factoryMode NO_CODEGEN\n"
    )
    with pytest.MonkeyPatch.context() as environment:
        for name in ("JAVA_HOME", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS"):
            environment.delenv(name, raising=False)
        environment.setenv("SPARK_CONF_DIR", str(folder))
        environment.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield


@pytest.fixture(scope="session")
def log_builder():
    """The class itself, for tests that need several logs."""
    return LogBuilder


@pytest.fixture(scope="session")
def small_settings():
    """Makes cheap settings: no word2vec, narrow vectors, every word in the vocabulary."""

    def make(log=(), output="", sequence=None, split=None, **others):
        logs = log if isinstance(log, list | tuple) else [log]
        return data_settings.PrepareSettings(
            log=tuple(str(folder) for folder in logs),
            output=str(output),
            threads=1,
            memory_gib=1.0,
            text=data_settings.TextSettings(
                width=8, oov_buckets=4, minimum_count=1, word2vec_epochs=0
            ),
            sequence=data_settings.SequenceSettings(**(sequence or {})),
            split=data_settings.SplitSettings(**(split or {})),
            **others,
        )

    return make


def _resolve(dataset, scenario):
    """Return the inputs of every target of a scenario, in strings: {(user, time, request, doc): inputs}."""
    import tensorflow as tf

    from data_pipeline.common.codes import LABELED_SPLITS, Split

    rows = dataset.targets().to_pylist()
    documents, texts = dataset.document_ids, dataset.document_texts
    tokens = dataset.text_tokens
    words = [*dataset.vocabulary, *(f"<{n}>" for n in range(dataset.oov_buckets))]
    width = len(dataset.feature_names)

    def text(number):
        return " ".join(words[token] for token in tokens[number] if token)

    resolved = {}
    for split in Split if dataset.manifest["counts"]["unlabeled"] else LABELED_SPLITS:
        for record in tf.data.TFRecordDataset(dataset.window_files(scenario, split)):
            fields = tf.train.Example.FromString(record.numpy()).features.feature
            value = {
                name: np.array(field.int64_list.value or field.float_list.value)
                for name, field in fields.items()
            }
            clicked = value["behavior_clicked_docs"].reshape(-1, dataset.clicked_titles)

            def behavior(local, value=value, clicked=clicked):
                kind = value["behavior_type"][local - 1]
                doc = documents[value["behavior_doc"][local - 1]]
                answers = tuple(documents[d] for d in clicked[local - 1] if d)
                return (
                    ("", "browse", "search")[kind],
                    text(value["behavior_text"][local - 1]),
                    doc,
                    answers,
                )

            def behaviors(slots, behavior=behavior):
                return [behavior(local) for local in slots.astype(int) if local]

            sessions = value["session_behaviors"].reshape(-1, dataset.session_behaviors)
            current = value["current_behaviors"].reshape(-1, dataset.session_behaviors)
            past = value["past_sessions"].reshape(-1, dataset.past_sessions)
            ends = np.cumsum(value["candidate_count"])
            for row, target in enumerate(value["target_id"].tolist()):
                about = rows[target]
                part = slice(ends[row] - value["candidate_count"][row], ends[row])
                candidates = [documents[doc] for doc in value["candidate_doc"][part]]
                assert candidates == about["candidates"]
                assert value["candidate_label"][part].tolist() == about["labels"]
                features = value["candidate_features"].reshape(-1, width)[part]
                positive = value["target_positive"][row]
                key = (about["user_id"], about["time"], about["request_id"])
                if about["pseudo"]:
                    key = (*key, candidates[about["labels"].index(1)])
                resolved.setdefault((*key, int(positive)), {}).update(
                    task=int(value["target_task"][row]),
                    query=text(value["query_text"][row]),
                    next_query=text(value["next_query_text"][row]),
                    current=behaviors(current[row]),
                    past=[behaviors(sessions[s - 1]) for s in past[row].astype(int) if s],
                    candidates=candidates,
                    candidate_texts=[text(texts[doc]) for doc in value["candidate_doc"][part]],
                    labels=about["labels"],
                    features=features.tolist(),
                    popularity=about["popularity"],
                    last_touch=about["last_touch"],
                    first_of_task=about["first_of_task"],
                    query_seen=about["query_seen"],
                    past_behaviors=about["past_behaviors"],
                    split=split,
                    session=about["session"],
                    target_id=target,
                )
    return resolved


@pytest.fixture(scope="session")
def resolve():
    """`resolve(dataset, scenario)`: the inputs of every target, in strings."""
    return _resolve
