"""A SavedModel whose scores are known, shared by the tests of ranking a file of requests."""

import json

import numpy as np
import pytest
import tensorflow as tf

SPECS = {
    "user_id": ([None], tf.string),
    "query": ([None], tf.string),
    "session": ([None], tf.int64),
    "history_count": ([None], tf.int64),
    "history_session": ([None, None], tf.int64),
    "history_query": ([None, None], tf.string),
    "history_title_count": ([None, None], tf.int64),
    "history_titles": ([None, None], tf.string),
    "opened_count": ([None], tf.int64),
    "opened_session": ([None, None], tf.int64),
    "opened_query": ([None, None], tf.string),
    "opened_titles": ([None, None], tf.string),
    "opened_together": ([None, None], tf.int64),
    "candidate_count": ([None], tf.int64),
    "candidates": ([None, None], tf.string),
}


class LengthRanker(tf.Module):
    """Scores a title by its length, 100 for each session number above the first, and F.

    It refuses the title "bad", and scores "nan" NaN.
    """

    @tf.function(autograph=False)
    def rank(self, **request):
        good = tf.reduce_all(request["candidates"] != "bad")
        tf.debugging.Assert(good, ["`candidates` must be good. Fix: improve them."])
        length = tf.cast(tf.strings.length(request["candidates"]), tf.float32)
        sessions = tf.cast(request["session"] - 1, tf.float32)
        extra = tf.reduce_sum(tf.where(tf.math.is_nan(f := request["features"]), 0.0, f), -1)
        length = tf.where(request["candidates"] == "nan", np.nan, length)
        return {"scores": length + 100 * sessions[:, None] + extra}

    @tf.function(autograph=False)
    def rank_without(self, **request):
        shape = tf.concat([tf.shape(request["candidates"]), [2]], 0)
        return self.rank(**request, features=tf.zeros(shape))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    module = LengthRanker()
    specs = {name: tf.TensorSpec(shape, kind, name) for name, (shape, kind) in SPECS.items()}
    wide = specs | {"features": tf.TensorSpec([None, None, 2], tf.float32, "features")}
    signatures = {
        "rank": module.rank_without.get_concrete_function(**specs),
        "rank_with_features": module.rank.get_concrete_function(**wide),
    }
    for version in ("2", "10"):
        tf.saved_model.save(module, str(folder / version), signatures)
    (folder / "10" / "assets.extra").mkdir()
    manifest = {"tasks": ["search"], "session_minutes": 10}
    (folder / "10" / "assets.extra" / "export.json").write_text(json.dumps(manifest))
    return folder
