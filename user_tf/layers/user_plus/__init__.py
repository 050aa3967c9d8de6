"""Layers of USER+: compare single behaviors with candidates, aspect by aspect."""
