"""Serve a trained model: SavedModel, signatures, requests."""
