"""USER (CIKM 2021): one model for personalised search and recommendation, in Keras."""

__version__ = "0.1.0"
