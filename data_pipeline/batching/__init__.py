"""Build Batches from windows with tf.data; front doors: `batches` and `spec`."""
