"""The relational engines, DuckDB and Spark, behind one interface.

Front door: `connect.connect`.
"""
