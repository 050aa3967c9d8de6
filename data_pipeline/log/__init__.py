"""The behavior log: canonical tables with masked users, and a quarantine of rejected rows.

Front doors: `log_folder.open_log` and `log_folder.write_log`.
"""
