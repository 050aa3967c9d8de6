"""Other implementations of the same work, which the project is compared with."""
