"""What `user_tf.report` and `user_tf.explain` make of results: tables, figures, pages."""
