"""Listwise loss and ranking metrics on TensorFlow Ranking."""
