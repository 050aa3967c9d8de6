"""The ground of all rooms: codes, flags, output folders with a lock, checksums, sorted arrays, hashes.

Front doors: `codes` for names and numbers, `flagtree` for flags, `output_folder.UnfinishedFolder`.
"""
