"""Words of the world: blocks of token ids for topics, sub-topics, families and facets."""

import dataclasses

import numpy as np
from scipy import optimize

from data_pipeline.simulator.readable_words import read_words
from data_pipeline.simulator.world_settings import (
    FACET_WORDS,
    FAMILY_WORDS,
    GENERAL_WORDS,
    SUBTOPIC_WORDS,
    TOPIC_WORDS,
    WorldSettings,
)

ZIPF = 1.0
"""Zipf exponent of words within their block, as in natural text."""


@dataclasses.dataclass(frozen=True)
class Words:
    """Token ids of each block of words; within a block, earlier words are more frequent.

    `family`: words shared by the `senses` sub-topics of a family, which make queries ambiguous.
    """

    names: np.ndarray  # [V] str
    topic_names: list[str]  # [K]
    background: np.ndarray  # [1, w]
    topic: np.ndarray  # [K, w]
    subtopic: np.ndarray  # [G, w]
    family: np.ndarray  # [G / senses, w]
    facet: np.ndarray  # [F, w]

    def draw(self, block: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw one word of each block row, by Zipf's law."""
        weights = zipf_weights(block.shape[1], ZIPF)
        ranks = np.searchsorted(np.cumsum(weights)[:-1], rng.random(len(rows)), side="right")
        return block[rows, ranks]


def zipf_weights(count: int, exponent: float) -> np.ndarray:
    """Return the probabilities of ranks 1 to `count`.

    Example:
        >>> zipf_weights(2, 1.0).round(3).tolist()
        [0.667, 0.333]
    """
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return weights / weights.sum()


def build_words(settings: WorldSettings, families: np.ndarray, rng: np.random.Generator) -> Words:
    """Build all blocks and name their words.

    Args:
        settings: Sizes and the kind of words; checked before (`world_settings.check`).
        families: Topics of each family of sub-topics, [families, senses].
        rng: Generator of the world; both kinds of words use it alike, so that worlds of one seed
            differ in their strings alone.
    """
    shapes = {
        "background": (1, GENERAL_WORDS),
        "topic": (settings.topics, TOPIC_WORDS),
        "subtopic": (settings.topics * settings.subtopics, SUBTOPIC_WORDS),
        "family": (len(families), FAMILY_WORDS),
        "facet": (settings.facets, FACET_WORDS),
    }
    blocks, first = {}, 0
    for name, (rows, width) in shapes.items():
        blocks[name] = np.arange(first, first + rows * width).reshape(rows, width)
        first += rows * width
    numbers = rng.permutation(first)
    if settings.words == "readable":
        topics = [topic[0] for topic in read_words().topics[: settings.topics]]
        names = _readable_names(settings, [[topics[t] for t in row] for row in families.tolist()])
    else:
        topics = [f"topic{number:03}" for number in range(settings.topics)]
        names = _invented_names(numbers)
    return Words(names=np.array(names), topic_names=topics, **blocks)


def _readable_names(settings: WorldSettings, families: list[list[str]]) -> list[str]:
    """Return English words for all blocks, in their order."""
    words = read_words()
    lines = [*words.general, *words.topics[: settings.topics]]
    for topic in words.subtopics[: settings.topics]:
        lines += topic[: settings.subtopics]
    lines += _assign_shared(families, words.shared)
    lines += words.facets[: settings.facets]
    return [word for line in lines for word in line]


def _assign_shared(families: list[list[str]], shared: dict[str, list[str]]) -> list[list[str]]:
    """Give each family the ambiguous words with most meanings among its topics, best first.

    Example:
        >>> shared = {"match": ["sport", "tools"], "leaf": ["trees"]}
        >>> shared |= dict.fromkeys("abcdefghij", [])
        >>> [line[0] for line in _assign_shared([["trees", "food"], ["tools", "sport"]], shared)]
        ['leaf', 'match']
    """
    meanings = np.array(
        [[len(set(family) & set(topics)) for topics in shared.values()] for family in families]
    )
    places = np.repeat(np.arange(len(families)), FAMILY_WORDS)
    chosen = optimize.linear_sum_assignment(meanings[places], maximize=True)[1]
    names = np.array(list(shared))
    return [
        names[row[np.argsort(-meanings[family, row], kind="stable")]].tolist()
        for family, row in enumerate(chosen.reshape(len(families), FAMILY_WORDS))
    ]


def _invented_names(numbers: np.ndarray) -> list[str]:
    """Return pronounceable names that reveal nothing of a word's block."""
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    return [
        syllables[n % 70] + syllables[n // 70 % 70] + (syllables[n // 4900] if n >= 4900 else "")
        for n in numbers.tolist()
    ]
