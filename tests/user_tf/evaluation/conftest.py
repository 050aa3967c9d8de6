"""Hand-made targets of a split."""

import numpy as np
import pyarrow as pa
import pytest


def table_of(queries, seed=1, candidates=10):
    """targets.parquet with two tasks: lists of 2 to `candidates`, some without a choice."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(2, candidates + 1, queries)
    labels = [(draw.random(n) < 0.3).astype(int).tolist() for n in lengths]

    def lists(low, high):
        return [draw.integers(low, high, n).tolist() for n in lengths]

    def flags():
        return (draw.random(queries) < 0.5).tolist()

    return pa.table(
        {
            "target_id": pa.array(draw.permutation(queries) + 100, pa.int64()),
            "split": ["test"] * queries,
            "task": pa.array(draw.choice([2, 1], queries), pa.int8()),
            "user_id": [f"user-{n}" for n in draw.integers(0, queries // 4 + 1, queries)],
            "query_tokens": pa.array([n % 5 for n in range(queries)], pa.int32()),
            "candidates": [[f"d{i}" for i in range(n)] for n in lengths],
            "labels": pa.array(labels, pa.list_(pa.int8())),
            "popularity": pa.array(lists(0, 5), pa.list_(pa.int64())),
            "last_touch": pa.array(lists(-1, 3), pa.list_(pa.int64())),
            "first_of_task": flags(),
            "session_has_both": flags(),
            "known_user": flags(),
            "query_seen": flags(),
            "past_behaviors": pa.array(draw.integers(0, 9, queries), pa.int32()),
            "pseudo": flags(),
        }
    )


@pytest.fixture(name="table_of")
def _table_of():
    return table_of
