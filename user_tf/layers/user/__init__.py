"""Provide the encoders and the scorer of USER: texts, behaviors, sessions, history, score."""
