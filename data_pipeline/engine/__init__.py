"""Relational work on DuckDB or Spark; front door: `connect.connect`."""
