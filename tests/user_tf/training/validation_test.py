"""Validation chooses among the variants of a ranker."""

import pytest

from user_tf.training.validation import choose_variant

MAPS = {"a": 0.3, "b": 0.6, "c": 0.5}


class Variants:
    """Stand in for a ranker that has variants."""

    def __init__(self, *names):
        self.variants = names
        self.chosen = []

    def choose_variant(self, name):
        self.chosen.append(name)


@pytest.mark.parametrize("names", [("a", "b", "c"), ("b", "c", "a"), ("c", "a")])
def test_the_variant_of_the_best_map_is_kept(names):
    model = Variants(*names)
    maps = choose_variant(model, lambda: {"map": MAPS[model.chosen[-1]]})
    best = max(names, key=MAPS.get)
    assert maps == {"map": MAPS[best]}
    assert model.chosen == [*names, best]


def test_a_ranker_without_variants_is_measured_once():
    calls = []
    assert choose_variant(Variants(), lambda: calls.append(1) or {"map": 0.5}) == {"map": 0.5}
    assert calls == [1]
