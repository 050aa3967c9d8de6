"""The interface of engines; the same bytes with every engine; golden checksums.

One file, so that one Java serves all of it.
"""

import dataclasses
import datetime
import hashlib
import itertools
import random
import sys

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.engine.connect import connect
from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.engine.spark_engine import SparkEngine
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import PrepareSettings
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SimulateSettings
from tests.data_pipeline.engine.shards_test import made_rows, mapped

# Composed and decomposed, beyond the basic plane (which UTF-16 sorts before U+E000), empty, blank.
STRINGS = [
    "é",
    "é",
    "z",
    "Z",
    "你好",
    "日本",
    "😀",
    "𐀀",
    "\ue000",
    "�",
    "a",
    "ß",
    "ss",
    "İ",
    "i",
    "שלום",
    "ไทย",
    "👩\u200d👩\u200d👧",
]
STRINGS += ["", " ", "a ", "a\x00b"]

# Words whose order differs between UTF-8 and UTF-16, case and accents that a collation would
# ignore, composed and decomposed, right to left, an emoji of several code points.
WORDS = [
    "zürich",
    "Zürich",
    "ZURICH",
    "北京",
    "日本",
    "😀",
    "\ue000",
    "שלום",
    "👩\u200d👩\u200d👧",
    "é",
    "e",
]

# Prepared from `mixed_log`; all but the manifest, whose sentences change more often than the data.
GOLDEN = {
    "documents.parquet": "e60aa1224ba8618497f951e2e96e79d40534de103bedad2962b8400da6cfae23",
    "features.npy": "8c46442cb39a5861d6aae76f93849632d79674bb0817a2ada6be5d7c0d7c49db",
    "targets.parquet": "d87403fe0ce62e4316dcc637bffd7907610b62758eff4b14717705415cd93dd3",
    "text_tokens.npy": "af4560088f8d169af6ca62b0af0a911f9137ba585720d24861963c6ff8d1dbf5",
    "users.parquet": "ce8caba3e78c075cef4dc7424b66bee18176bd706e256a2f105a90a53e9607d9",
    "vocabulary.txt": "0063ceaeff6a4d24631f5b02305d7787973ecfcc60adf6f82805c8ef41c8efce",
    "windows/search/test-00000-of-00001.tfrecord": "22b2d90c77200049529b02212f7d400a7d094b63e406a957bd4daf25eeb1b565",
    "windows/search/test-sizes.npy": "535b50c192b698b01dbd3f66f8190ad2e2e411b9b76c6a8b3c208f0135508ae7",
    "windows/search/train-00000-of-00001.tfrecord": "a579bddd078eadef41ed7980d9498ca617a85f1f658bf1adc8921158f3a62af7",
    "windows/search/train-sizes.npy": "2b75d902747079f3df6ec2d63609575b1e25204b58103e5e222a2b90c0d81358",
    "windows/search/validation-00000-of-00001.tfrecord": "88ef98c962c25347ff633e6b1b2449620141beb6ce76c1ccf3c54b33a0072249",
    "windows/search/validation-sizes.npy": "ae141d87a11b1802cf6337fd53e99034079f5d650adcd90f1c46f4f244f3cb08",
    "windows/unified/test-00000-of-00001.tfrecord": "cbddad3a589f14208efe8302d1b87ff8f67d2e45ace122d5711ce3505d30e2ab",
    "windows/unified/test-sizes.npy": "255eab17afc067e600a7ed4d3936de16a4d77644950174c818555eb15d8ef7d6",
    "windows/unified/train-00000-of-00001.tfrecord": "c57589bad1e9749d79d352b16fff2276e8a42ef96510835fb69b13619872d8ac",
    "windows/unified/train-sizes.npy": "5b70a6f8a8c8e00483f74a906793da32c0c2366fe2e02bc850f2721e846e716e",
    "windows/unified/validation-00000-of-00001.tfrecord": "41e3ee0ea72514ec546449274fb6ec87854773976e792d8e51f76481f9788c6a",
    "windows/unified/validation-sizes.npy": "e11b6677a356cdd40ce561b4900f4c32116e7253c3a9c4973d9cb04247a0a0ea",
    "word_vectors.npy": "a85aed453a04d9948dc2bf14c7f12b2a3c5093380efa3cacc45332d982ce41bd",
}


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request, quick_spark, tmp_path_factory):
    settings = PrepareSettings(engine=request.param, threads=1, memory_gib=0.5)
    with connect(settings, tmp_path_factory.mktemp("spill")) as engine:
        yield engine


def test_times_become_microseconds_since_the_epoch_and_null_stays_null(engine):
    time = datetime.datetime(2024, 2, 29, 23, 59, 59, 123457, tzinfo=datetime.UTC)
    table = engine.table(pa.table({"time": pa.array([time, None], pa.timestamp("us", tz="UTC"))}))
    found = engine.collect(table.select(time=engine.microseconds(table.time)), ["time"])
    assert found["time"].to_pylist() == [1_709_251_199_123_457, None]


def test_rows_come_in_the_order_asked_for(engine):
    table = engine.table(pa.table({"a": [2, 1, 2, 1], "b": [4, 3, 2, 1]}))
    assert engine.fetch(table, ["a", "b"])["b"].tolist() == [1, 3, 2, 4]


def test_strings_stand_in_the_order_of_their_code_points_and_null_last(engine):
    rows = pa.table({"a": [None, *reversed(STRINGS)]})
    expected = [*sorted(STRINGS), None]
    table = engine.table(pa.concat_tables([rows, rows]))
    distinct = engine.materialise(table.distinct())
    assert engine.collect(distinct, ["a"])["a"].to_pylist() == expected
    numbered = engine.collect(engine.number(distinct, "rank", ["a"]), ["rank"])
    assert numbered["a"].to_pylist() == expected
    assert numbered["rank"].to_pylist() == list(range(1, len(expected) + 1))


def test_integers_beside_nulls_and_numbers_of_rows_have_64_bits(engine):
    large = 2**62 + 1
    table = engine.table(pa.table({"a": pa.array([large, None], pa.int64())}))
    table = table.mutate(rank=ibis.row_number().over(order_by="a").cast("int64"))
    found = engine.collect(engine.materialise(table), ["a"])
    assert found["a"].to_pylist() == [large, None]
    assert found.schema.types == [pa.int64(), pa.int64()]


def test_rows_are_numbered_in_the_order_of_several_columns_and_none_in_an_empty_table(engine):
    rows = pa.table({"a": [n % 7 for n in range(99)], "b": [97 * n % 99 for n in range(99)]})
    kept = set(engine._kept.iterdir())
    numbered = engine.number(engine.table(rows), "number", ["a", "b"])
    written = set(engine._kept.iterdir()) - kept
    found = engine.fetch(engine.materialise(numbered), ["number"])
    expected = rows.sort_by([("a", "ascending"), ("b", "ascending")])
    assert [found[name].tolist() for name in "ab"] == [expected[name].to_pylist() for name in "ab"]
    assert found["number"].tolist() == list(range(1, 100))
    if isinstance(engine, SparkEngine):
        # Not by one partition that holds all rows.
        assert [len(list(folder.glob("part-*.parquet"))) > 1 for folder in written] == [True]
    assert engine.count(engine.number(engine.table(rows.slice(0, 0)), "number", ["a"])) == 0


def test_shards_have_the_same_bytes_with_every_engine(engine, tmp_path):
    with DuckDBEngine(threads=1, memory_gib=0.5) as other:
        expected = mapped(other, made_rows(), tmp_path / "expected", factor=3)
    assert mapped(engine, made_rows(shuffle=2), tmp_path / "found", factor=3) == expected


def test_a_materialised_table_keeps_its_rows(engine, tmp_path):
    rows, path = pa.table({"a": [1, 2]}), tmp_path / "rows.parquet"
    pq.write_table(rows, path)
    kept = engine.materialise(engine.parquet(path))
    path.unlink()
    assert engine.fetch(kept, ["a"])["a"].tolist() == [1, 2]


def test_duckdb_does_not_write_the_rows_of_a_materialised_table_again(tmp_path):
    with DuckDBEngine(threads=1, memory_gib=0.5, spill=tmp_path) as engine:
        kept = engine.materialise(engine.table(pa.table({"a": [1, 2], "b": [3, 4]})))
        engine.save(kept, tmp_path / "complete.parquet")
        engine.save(kept.select("a"), tmp_path / "part.parquet")
        links = [(tmp_path / f"{name}.parquet").stat().st_nlink for name in ("complete", "part")]
    assert links == [2, 1]
    assert pq.read_table(tmp_path / "complete.parquet").to_pydict() == {"a": [1, 2], "b": [3, 4]}
    assert pq.read_table(tmp_path / "part.parquet").to_pydict() == {"a": [1, 2]}


@pytest.mark.parametrize("column", [pa.array([1.5]), pa.array([None], pa.int64())])
def test_floats_and_nulls_do_not_leave_the_engine_as_integers(engine, column):
    with pytest.raises(TypeError, match=r"`a` must be a column of integers without nulls"):
        engine.fetch(engine.table(pa.table({"a": column})), ["a"])


def test_a_missing_table_is_named(engine, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"browses.parquet"):
        engine.parquet(tmp_path / "browses.parquet")


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"memory_gib": 0}])
def test_impossible_limits_are_refused(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be.*--"):
        DuckDBEngine(**wrong)


def test_an_unknown_engine_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`engine` must be .* Got 'sparc'"):
        connect(PrepareSettings(engine="sparc"), tmp_path)


def test_without_pyspark_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install '.\[spark\]'"):
        connect(PrepareSettings(engine="spark"), tmp_path)


def mixed_log(log_builder):
    """Users, documents, queries and request ids of several languages; lists are logged."""
    draw, log = random.Random(7), log_builder()
    documents = ["".join(pair) for pair in itertools.permutations(WORDS[:5], 2)]
    for doc in documents:
        title = " ".join(draw.choices(WORDS, k=3))
        log.document(doc, title, published=draw.choice([None, None, 5000]))
    number = 0
    for user, session in itertools.product(WORDS[2:8], range(6)):
        at = session * 7200 + draw.randrange(40) * 15
        for _ in range(3):
            # On a grid, so that equal times abound.
            at += draw.choice([0, 15, 30, 300])
            if draw.random() < 0.3:
                dwell = draw.choice([None, 10.0, 90.0])
                log.browse(user, at, draw.choice(documents), dwell)
                continue
            number += 1
            results = draw.sample(documents, 5)
            for place in draw.sample(range(5), 2):
                click = draw.choice([None, at + 15, at + 600])
                results[place] = (results[place], click, draw.choice([None, 10.0, 90.0]))
            query = draw.choice(["", draw.choice(WORDS), " ".join(draw.choices(WORDS, k=2))])
            log.request(f"{draw.choice(WORDS)}{number}", user, at, query, *results)
    return log


@pytest.fixture(scope="module")
def checksums(log_builder, small_settings, tmp_path_factory):
    """`checksums(log, engine, threads, shuffle, shards)`: SHA-256 of every file of the dataset made so.

    The mixed log holds lists; the simulated one browses, and its sessions are filtered.
    """
    root = tmp_path_factory.mktemp("logs")
    options = {
        "mixed": {"scenarios": ("unified", "search")},
        "simulated": {
            "scenarios": ("unified", "recommendation"),
            "sequence": {"filter_sessions": True},
        },
    }

    def prepared(log, engine, threads, shuffle=None, shards=1):
        folder = root / f"{log}-{engine}-{shards}"
        if log == "mixed":
            mixed_log(log_builder).write(folder / "log", shuffle)
        else:
            settings = SimulateSettings(users=12, shape="browses", mask_users=False)
            write_simulated_log(dataclasses.replace(settings, output=str(folder / "log")))
        dataset = folder / "dataset"
        settings = small_settings(
            folder / "log", dataset, engine=engine, shards=shards, **options[log]
        )
        prepare(dataclasses.replace(settings, threads=threads))
        files = sorted(path for path in dataset.rglob("*") if path.is_file())
        return {
            path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    return prepared


@pytest.fixture(scope="module")
def mixed_by_duckdb(checksums):
    return checksums("mixed", "duckdb", threads=1)


def test_the_bytes_are_those_of_earlier_versions(mixed_by_duckdb):
    found = {name: sha for name, sha in mixed_by_duckdb.items() if name != "manifest.json"}
    assert found == GOLDEN


def test_eight_shards_in_two_workers_give_the_same_bytes(checksums, mixed_by_duckdb):
    assert checksums("mixed", "duckdb", threads=2, shuffle=4, shards=8) == mixed_by_duckdb


def test_spark_two_threads_and_shuffled_rows_give_the_same_bytes(
    checksums, mixed_by_duckdb, quick_spark
):
    assert checksums("mixed", "spark", threads=2, shuffle=3) == mixed_by_duckdb


def test_spark_gives_the_same_bytes_of_a_log_of_browses_in_shards(checksums, quick_spark):
    spark = checksums("simulated", "spark", threads=1, shards=3)
    assert spark == checksums("simulated", "duckdb", threads=2)
