"""Messages and files of TensorFlow Serving: requests on the wire, warm-up, model card."""
