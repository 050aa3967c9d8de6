"""One layer of progressive layered extraction: experts of each task beside shared ones."""

import keras
from keras import ops

from data_pipeline.common.codes import Task


@keras.saving.register_keras_serializable(package="user_tf")
class ProgressiveExperts(keras.layers.Layer):
    """Mix experts by a gate of each task (PLE, Tang et al., RecSys 2020, one layer).

        y_t = tower_t( sum_i softmax_i(G_t x) E_i(x) ),   i over the shared experts and those of t

    Args:
        experts: Experts of each task, and as many shared ones. Default: 4.
        expert_dim: Width of an expert. Default: 64.
        tower: Widths of a task's tower. Default: (128, 64).
        dropout: Dropout between the layers of a tower. Default: 0.

    Call arguments:
        inputs: Float tensor `[T, C, m]`.
        tasks: int tensor `[T]`; padding gets 0.
        training: Whether dropout is on.

    Returns:
        Float tensor `[T, C, tower[-1]]`, of the target's own task.

    Example:
        >>> experts = ProgressiveExperts(experts=2, expert_dim=3, tower=(4,))
        >>> experts(ops.ones((2, 5, 6)), tasks=ops.array([1, 2])).shape
        TensorShape([2, 5, 4])
    """

    def __init__(self, experts=4, expert_dim=64, tower=(128, 64), dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.experts = experts
        self.expert_dim = expert_dim
        self.tower = tuple(tower)
        self.dropout = dropout
        policy = self.dtype_policy

        def experts_of(name):
            return keras.layers.Dense(
                experts * expert_dim, activation="relu", dtype=policy, name=f"{name}_experts"
            )

        self.shared_experts = experts_of("shared")
        self.task_experts = [experts_of(task.label) for task in Task]
        self.gates = [
            keras.layers.Dense(2 * experts, use_bias=False, dtype=policy, name=f"{task.label}_gate")
            for task in Task
        ]
        self.towers = [
            [
                keras.layers.Dense(
                    width, activation="relu", dtype=policy, name=f"{task.label}_tower_{number}"
                )
                for number, width in enumerate(self.tower)
            ]
            for task in Task
        ]
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=policy, name="dropout")

    def build(self, inputs_shape):
        for layer in (self.shared_experts, *self.task_experts, *self.gates):
            layer.build(inputs_shape)
        for tower in self.towers:
            widths = (self.expert_dim, *self.tower)
            for layer, width in zip(tower, widths, strict=False):
                layer.build((None, None, width))

    def call(self, inputs, tasks, training=False):
        shared = self.shared_experts(inputs)
        result = 0.0
        for task, experts, gate, tower in zip(
            Task, self.task_experts, self.gates, self.towers, strict=True
        ):
            split = (-1, ops.shape(inputs)[1], 2 * self.experts, self.expert_dim)
            found = ops.reshape(ops.concatenate([shared, experts(inputs)], axis=-1), split)
            weights = ops.softmax(gate(inputs), axis=-1)
            x = ops.einsum("tce,tcew->tcw", weights, found)
            for layer in tower:
                x = self.dropout_layer(layer(x), training=training)
            result = ops.where((tasks == task)[:, None, None], x, result)
        return result

    def get_config(self):
        return {
            **super().get_config(),
            "experts": self.experts,
            "expert_dim": self.expert_dim,
            "tower": list(self.tower),
            "dropout": self.dropout,
        }
