"""JSR against the equations of its two parts, and the weights each task trains."""

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import part
from tests.user_tf.models.baselines import hrnn_test, nrms_test
from tests.user_tf.models.ranker_testing import evaluate, score
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.models.baselines.jsr import Jsr

RECOMMENDATION, SEARCH = 1, 2
WORDS = "jsr/search/embedding/embeddings"


def make():
    return randomize(
        Jsr(nrms_test.SMALL, SIZES, dtype="float64", name="jsr").build_from_sizes(), seed=4
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_each_task_gets_the_scores_of_its_part_over_one_word_table(seed):
    model, batch = make(), random_batch(seed)
    weights = weights_of(model)
    of_search, of_recommendation = part(weights, "search"), part(weights, "recommendation")
    assert "embedding/embeddings" not in of_recommendation
    of_recommendation["embedding/embeddings"] = of_search["embedding/embeddings"]
    expected = np.where(
        (batch["task"] == SEARCH)[:, None],
        hrnn_test.scores(batch, of_search),
        nrms_test.oracle(batch, of_recommendation, searches=False),
    )
    real = batch["task"] > 0
    assert {RECOMMENDATION, SEARCH} <= set(batch["task"])
    np.testing.assert_allclose(score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("task", "mine", "other"),
    [(SEARCH, "search", "recommendation"), (RECOMMENDATION, "recommendation", "search")],
)
def test_a_target_trains_its_own_part_and_the_shared_words(task, mine, other):
    _, _, gradients = evaluate(make(), random_batch(1, tasks=(task,)))
    norms = {path: np.abs(gradient).max() for path, gradient in gradients.items()}
    assert norms.pop(WORDS) > 1e-4
    taught = [norm for path, norm in norms.items() if path.startswith(f"jsr/{mine}/")]
    untaught = [norm for path, norm in norms.items() if path.startswith(f"jsr/{other}/")]
    assert len(taught) + len(untaught) == len(norms) and len(taught) > 5 and len(untaught) > 5
    assert min(taught) > 1e-7
    assert max(untaught) == 0


def test_the_joint_loss_is_the_sum_of_the_losses_of_the_tasks():
    model, batch = make(), random_batch(2)
    _, loss, gradients = evaluate(model, batch)
    parts = []
    for task in (RECOMMENDATION, SEARCH):
        weight = batch["target_weight"] * (batch["task"] == task)
        parts.append(evaluate(model, {**batch, "target_weight": weight.astype(np.float32)}))
    np.testing.assert_allclose(loss, sum(part_loss for _, part_loss, _ in parts), rtol=1e-12)
    words = sum(part_gradients[WORDS] for _, _, part_gradients in parts)
    np.testing.assert_allclose(gradients[WORDS], words, rtol=1e-9, atol=1e-12)


def test_loading_weights_restores_both_parts(tmp_path):
    model, batch = make(), random_batch(3)
    path = tmp_path / "jsr.weights.h5"
    model.save_weights(path)
    copy = Jsr(nrms_test.SMALL, SIZES, dtype="float64", name="jsr").build_from_sizes()
    copy.load_weights(path)
    np.testing.assert_array_equal(score(copy, batch), score(model, batch))
