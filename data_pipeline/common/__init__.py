"""Ground floor: flags, codes, output folders with a lock, checksums, sorted arrays, keyed hashes."""
