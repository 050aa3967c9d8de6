"""Models that the program cannot rank with any more."""

import json

import pytest
import tensorflow as tf

from user_tf.serving import layout
from user_tf.serving.saved_ranker import SavedRanker


def test_a_model_of_an_earlier_version_is_refused_with_the_arguments_it_lacks(tmp_path):
    class Earlier(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "query")])
        def rank(self, query):
            return {"scores": tf.zeros([tf.shape(query)[0], 1])}

    module = Earlier()
    version = tmp_path / "1"
    tf.saved_model.save(module, version, signatures={"rank": module.rank})
    (version / layout.EXTRA).mkdir(exist_ok=True)
    (version / layout.EXTRA / layout.MANIFEST).write_text(json.dumps({}))
    with pytest.raises(ValueError, match=r"without candidate_count, .*opened_together.* Fix: "):
        SavedRanker(tmp_path)
