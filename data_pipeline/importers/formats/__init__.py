"""The file formats that importers share: delimited text, JSON Lines, Parquet, and SQL over raw text.

Front doors: `delimited_text.read_csv`, `sql_mapping.map_files`.
"""
