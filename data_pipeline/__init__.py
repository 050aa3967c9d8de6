"""From raw logs to the batches of USER: behavior log, dataset, tf.data pipeline."""
