"""One table describes a Batch: records, packed Batches and the documentation agree with it."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching import row_subsets, spec
from data_pipeline.batching.batches import evaluation_batches, tables_of, training_batches
from data_pipeline.batching.parsing import RECORD_DTYPES
from tests.data_pipeline.batching.random_windows import pack, windows

ROOT = pathlib.Path(__file__).parents[3]
KINDS = {"int64_list": tf.int64, "float_list": tf.float32}


@pytest.fixture(scope="module", params=["training", "evaluation"])
def element_spec(request, batch_dataset, batch_settings):
    if request.param == "training":
        return training_batches(batch_dataset, "unified", batch_settings, 1, 0).element_spec
    return evaluation_batches(batch_dataset, "unified", "test", batch_settings).element_spec


def test_names_are_unique_and_axes_are_known():
    fields = [*spec.FIELDS, *spec.ROW_SUBSETS]
    assert len({field.name for field in fields}) == len(fields)
    assert {letter for field in spec.FIELDS for letter in field.letters} == set(spec.AXES)
    assert {field.points_at for field in fields} - {""} < set(spec.TABLES.values())


def test_windows_hold_exactly_the_record_fields(batch_dataset):
    files = batch_dataset.window_files("unified", "train")
    record = next(iter(tf.data.TFRecordDataset(files))).numpy()
    features = tf.train.Example.FromString(record).features.feature
    # A list without values has no type.
    kinds = {name: feature.WhichOneof("kind") for name, feature in features.items()}
    assert set(kinds) == set(RECORD_DTYPES)
    assert all(RECORD_DTYPES[name] == KINDS[kind] for name, kind in kinds.items() if kind)


def test_batches_have_the_shapes_and_dtypes_of_the_table(element_spec, batch_dataset):
    fields = spec.batch_fields(tables_of(batch_dataset))
    for name, (shape, dtype) in fields.items():
        assert element_spec[name].dtype.name == dtype, name
        assert element_spec[name].shape.rank == len(shape), name
        for size, expected in zip(element_spec[name].shape, shape, strict=True):
            assert expected in (None, size), name


def test_row_subsets_of_batches_are_those_of_the_table(element_spec):
    places = {field.name for field in spec.ROW_SUBSETS if field.name.endswith("_place")}
    buckets = {spec.bucket_name(length) for length in spec.bucket_lengths(element_spec)}
    rows = {"clicked_searches", "search_targets"}
    assert set(row_subsets.names(element_spec)) == buckets | rows
    others = rows | places | {spec.HISTORY_SLOTS}
    assert set(element_spec) - set(spec.BY_NAME) == buckets | others
    described = {field.name for field in spec.ROW_SUBSETS}
    assert described == others | {spec.bucket_name("<l>")}
    assert all(element_spec[name].dtype == tf.int32 for name in buckets | others)


def test_pointers_stay_inside_the_table_they_point_at():
    batch = pack(windows())
    rows = {
        table: len(batch[spec.TABLE_SIZE_FIELDS[letter]]) for letter, table in spec.TABLES.items()
    }
    for field in spec.FIELDS:
        assert len(batch[field.name]) == rows[field.table], field.name
        if field.points_at:
            assert 0 <= batch[field.name].min() <= batch[field.name].max(), field.name
            assert batch[field.name].max() < rows[field.points_at], field.name


def test_an_empty_batch_is_padding_in_every_field(batch_dataset):
    empty = spec.empty_batch(tables_of(batch_dataset))
    assert set(empty) == set(spec.BY_NAME)
    for name, value in empty.items():
        assert (value == spec.BY_NAME[name].padding).all() and value.dtype == (
            np.dtype(spec.BY_NAME[name].dtype)
        )


def test_the_documentation_shows_every_field():
    table = spec.markdown_table()
    for field in [*spec.FIELDS, *spec.ROW_SUBSETS]:
        (line,) = [line for line in table.splitlines() if f"| `{field.name}` |" in line]
        assert field.meaning in line and field.dtype in line
        assert not field.points_at or f"-> {field.points_at}" in line


def test_the_page_of_the_batch_shows_the_table():
    page = (ROOT / "docs" / "batch.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- batch: begin -->\n")[2].partition("<!-- batch: end -->")[0]
    assert shown == spec.markdown_table()
