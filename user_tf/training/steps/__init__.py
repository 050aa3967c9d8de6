"""One training step: loss, gradient, sum over the replicas, Adam."""
