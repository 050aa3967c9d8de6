"""One importer for each source of logs, which turns its files into rows of the canonical tables.

Front door: `sources.read_source`.
"""
