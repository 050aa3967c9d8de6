"""Run as a program by jax_run_test: `user_tf.train` whose Adam has betas that float32 can hold.

Under TensorFlow Keras rounds a beta to float32 before it takes its powers, in float64 too; under JAX
it does not.
"""

import functools
import os

from data_pipeline.common import command_line, flagtree
from user_tf import train
from user_tf.config import Config


def main(arguments):
    """Train with other betas."""
    os.environ["KERAS_BACKEND"] = flagtree.read(Config).runtime.backend
    from user_tf.training import trainer
    from user_tf.training.steps.optimizer import SummedGradientAdam

    trainer.SummedGradientAdam = functools.partial(SummedGradientAdam, beta_1=0.875, beta_2=0.9375)
    train.main(arguments)


if __name__ == "__main__":
    flagtree.define(Config)
    command_line.run(main)
