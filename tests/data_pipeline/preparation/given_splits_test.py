"""Given boundaries: the published split, and nothing learned from what comes after validation begins."""

import random

import numpy as np
import pyarrow.parquet as pq

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare

HOUR = 3600
BEGINS = {"validation_begins": "2024-01-03T00:10:00", "test_begins": "2024-01-04T00:10:00Z"}
FIRST = 2 * 24 * HOUR + 600


def write_log(log_builder, folder, later_seed):
    """Four days of two requests of each user within an hour around midnight; half a log by seed."""
    builder = log_builder()
    documents = [f"d{number}" for number in range(12)]
    for number, doc in enumerate(documents):
        builder.document(doc, f"title{number}")
    for day in range(4):
        for user in range(5):
            for turn in range(2):
                at = day * 24 * HOUR + user * 7 + turn * 1200
                later = at >= FIRST
                draw = random.Random(f"{at} {later_seed if later else 0}")
                listed = draw.sample(documents[: 12 if later else 6], 4)
                place = draw.randrange(4)
                listed[place] = (listed[place], at + 5, 60.0)
                query = "" if draw.random() < 0.4 else f"q{draw.randrange(3)}{'x' * later}"
                builder.request(f"r{day}{user}{turn}", f"u{user}", at, query, *listed)
    return builder.write(folder)


def test_a_given_split_is_followed_to_the_second_and_learned_from_before_it_only(
    log_builder, tmp_path, small_settings
):
    datasets = []
    for seed in (1, 2):
        log = write_log(log_builder, tmp_path / f"log{seed}", seed)
        prepare(small_settings(log, tmp_path / f"d{seed}", split=BEGINS))
        datasets.append(open_dataset(tmp_path / f"d{seed}"))
    one, two = datasets
    rows = one.targets(["time", "split", "session"]).to_pylist()
    begin, test = log_builder.micro(FIRST), log_builder.micro(FIRST + 24 * HOUR)
    for row in rows:
        expected = (
            "train" if row["time"] < begin else "test" if row["time"] >= test else "validation"
        )
        assert row["split"] == expected
    splits_of_session = {}
    for row in rows:
        splits_of_session.setdefault(row["session"], set()).add(row["split"])
    assert any(len(splits) > 1 for splits in splits_of_session.values())

    # What is learned does not depend on what happens later.
    assert one.vocabulary == two.vocabulary and len(one.vocabulary) > 5
    assert not any(word.endswith("x") for word in one.vocabulary)
    np.testing.assert_array_equal(one.word_vectors, two.word_vectors)
    assert one.user_ids == two.user_ids and len(one.user_ids) > 1
    assert one.manifest["features"] == two.manifest["features"]
    trained = [
        pq.read_table(d.path / "targets.parquet", filters=[("split", "==", "train")])
        for d in datasets
    ]
    names = [name for name in trained[0].column_names if name not in ("target_id", "session")]
    assert trained[0].select(names) == trained[1].select(names) and trained[0].num_rows
