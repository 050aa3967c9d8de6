"""The words by which a candidate is like a behavior."""

import numpy as np

from user_tf.reporting.seen_behaviors import SeenBehavior
from user_tf.reporting.shared_words import shared_words

VOCABULARY = ["", "red", "hat", "pasta", "recipe"]


def test_the_aspect_ahead_of_the_list_is_named_with_its_words():
    # Text 1: "red hat", text 2: "pasta recipe"; aspect 0 reads their first word, aspect 1 the second.
    shares = np.zeros((3, 2, 2))
    shares[1:] = [[0.9, 0.1], [0.2, 0.8]]
    batch = {
        "candidate_mask": np.array([[True, True, False]]),
        "candidate_text": np.array([[1, 2, 0]]),
        "text_tokens": np.array([[0, 0], [1, 2], [3, 4]]),
    }
    likeness = np.zeros((1, 3, 4, 2))
    # Candidate 1 is far ahead of the list in aspect 1 only; padding must not count.
    likeness[0, :, 2] = [[-1, -3], [-1, -1], [50, 50]]
    behavior = SeenBehavior("past sessions", "browse", "red hat", (), None, place=2, text_row=1)
    found = {"shares": shares, "likeness": likeness}
    assert shared_words(found, batch, VOCABULARY, candidate=1, behavior=behavior) == {
        "aspect": 2,
        "ahead": 1.0,
        "behavior_words": ["hat", "red"],
        "candidate_words": ["recipe", "pasta"],
    }
