"""From windows to Batches with tf.data; front door: `batches`."""
