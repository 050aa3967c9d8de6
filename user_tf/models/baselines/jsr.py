"""Rank both tasks by two models that share words: JSR (Zamani and Croft, DESIRES 2018)."""

import keras
from keras import ops

from data_pipeline.common.codes import Task
from user_tf.models.baselines.hrnn import Hrnn
from user_tf.models.baselines.nrms import Nrms
from user_tf.models.ranker import Ranker


@keras.saving.register_keras_serializable(package="user_tf")
class Jsr(Ranker):
    """Rank by a model of searches and a model of recommendations with one word table (JSR).

        p = HRNN(batch) for searches, NRMS(batch) for recommendations
        L = L_search + L_recommendation

    JSR is a framework of two scorers with a common representation of items; the two are those that
    the USER paper puts into it. A reconstruction: the paper does not say what they share. Here it is
    the word table, without which the sum of the losses would train two separate models. All other
    weights belong to one part, and targets of the other task give them gradients of 0.

    The joint loss needs no code: the training's loss is a sum over the targets of a Batch, both
    tasks in it. A group of either task weighs the same, the paper's lambda = 1; written with the
    means of the two tasks' losses it is n_s L_search + n_r L_recommendation for n_s searches and n_r
    recommendations, up to the learning rate. Fine-tuning on one task would not change the other
    part, so JSR is pre-trained only: `--data.scenario=unified --train.phases=pretrain`.

    HRNN reads the searches and NRMS the browses of the unified histories, in which both kinds of
    behaviors share the places of a session. Both parts score every target of a Batch, and the one
    of its task is chosen.

    Args:
        config: `ModelConfig`; the settings of `Hrnn` and `Nrms` are used.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Jsr(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.recommendation.embedding is ranker.search.embedding
        True

    Reference:
        Zamani and Croft, Joint Modeling and Optimization of Search and Recommendation, DESIRES 2018.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.search = Hrnn(config, sizes, dtype=policy, name="search")
        self.recommendation = Nrms(
            config, sizes, self.search.embedding, dtype=policy, name="recommendation"
        )

    @property
    def word_embedding(self):
        return self.search.embedding

    def build(self, batch_shape=None):
        """Make the weights of both parts; they do not depend on the sizes of a batch."""
        self.search.build_from_sizes()
        self.recommendation.build_from_sizes()

    def call(self, batch, training=False):
        return ops.where(
            (batch["task"] == Task.SEARCH)[:, None],
            self.search(batch, training=training),
            self.recommendation(batch, training=training),
        )
