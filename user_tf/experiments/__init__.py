"""Grids of training runs: what a system is, running commands side by side, means over seeds."""
