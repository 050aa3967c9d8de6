"""Texts as tokens: tokenizers, vocabulary, word vectors.

Front door: `corpus.encode_texts`; `tokenizers.build_tokenizer` for serving.
"""
