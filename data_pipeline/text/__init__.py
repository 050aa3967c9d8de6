"""Tokenizers, vocabulary, word vectors; front door: `corpus`."""
