"""The Python interface; `user_tf` offers its names, and the commands call it."""
