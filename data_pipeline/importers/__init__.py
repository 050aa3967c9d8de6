"""One importer for each source of logs, which turns its files into rows of the canonical tables.

Front door: `registry.read_source`.
"""
