"""JSR: joint search and recommendation by the sum of two losses (Zamani and Croft, DESIRES 2018)."""

from keras import ops

from data_pipeline.common.codes import Task
from user_tf.models.baselines.hrnn import Hrnn
from user_tf.models.baselines.nrms import Nrms
from user_tf.models.ranker import Ranker


class Jsr(Ranker):
    """A model of searches and a model of recommendations that learn one word table together.

        p = HRNN(batch) for searches, NRMS(batch) for recommendations
        L = L_search + L_recommendation

    JSR is a framework of two scorers with a common representation of items; the two are those that
    USER's paper puts into it. A reconstruction: the paper does not say what they share. Here it is
    the word table, without which the sum of the losses would train two models side by side. All
    other weights belong to one part, and targets of the other task give them gradients of 0.

    The joint loss needs no code: the training's loss is a sum over the targets of a Batch, both
    tasks in it. A group of either task weighs the same, the paper's lambda = 1; written with the
    means of the two tasks' losses it is n_s L_search + n_r L_recommendation for n_s searches and n_r
    recommendations, up to the learning rate. Fine-tuning on one task would leave the other part as
    it is, so that JSR is pre-trained only: `--data.scenario=unified --train.phases=pretrain`.

    HRNN reads the searches and NRMS the browses of the unified histories, in which both kinds of
    behaviors share the places of a session. Both parts score every target of a Batch, and the one
    of its task is chosen.

    Args:
        config: `ModelConfig`; what `Hrnn` and `Nrms` use is used.
        sizes: `Sizes` of the dataset.
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
        """Makes the weights of both parts; they do not depend on the sizes of a batch."""
        self.search.build_from_sizes()
        self.recommendation.build_from_sizes()

    def call(self, batch, training=False):
        return ops.where(
            (batch["task"] == Task.SEARCH)[:, None],
            self.search(batch, training=training),
            self.recommendation(batch, training=training),
        )
