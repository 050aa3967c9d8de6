"""Layers of USER+: what USER's one vector per user loses, read aspect by aspect."""
