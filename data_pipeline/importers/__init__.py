"""One file for each source format, each turning raw rows into canonical ones."""
