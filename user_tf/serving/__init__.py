"""SavedModel for TensorFlow Serving: signatures and requests."""
