"""The world: topics, sub-topics, facets, words, documents; drawn once, the same for all users."""

import dataclasses

import numpy as np

from data_pipeline.common.codes import DAY
from data_pipeline.simulator.world_settings import WorldSettings

FACET_WEIGHT = 0.4
"""Weight of a document's facet beside its topic: a liked facet lifts a document by that much."""


@dataclasses.dataclass(frozen=True)
class Words:
    """Token ids of each block of words; within a block, earlier words are more frequent.

    `family`: words shared by the `senses` sub-topics of a family, which make queries ambiguous.
    """

    names: np.ndarray  # [V] str
    background: np.ndarray  # [1, w]
    topic: np.ndarray  # [K, w]
    subtopic: np.ndarray  # [G, w]
    family: np.ndarray  # [G / senses, w]
    facet: np.ndarray  # [F, w]
    zipf: float

    def draw(self, block: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One word of each block row, by Zipf's law."""
        weights = zipf_weights(block.shape[1], self.zipf)
        ranks = np.searchsorted(np.cumsum(weights)[:-1], rng.random(len(rows)), side="right")
        return block[rows, ranks]


@dataclasses.dataclass(frozen=True)
class World:
    """Everything users and services share. K topics, G = K * S sub-topics, F facets, D documents.

    `document_vectors` [D, width + F + 1] are the latent vectors the click model reads: the topic
    part, the weighted facet, and the quality, against which every state has a 1.
    """

    topics: int
    family_of: np.ndarray  # [G]
    senses: np.ndarray  # [G, senses] the sub-topics of a sub-topic's family, itself first
    topic_share: np.ndarray  # [K]
    subtopic_vectors: np.ndarray  # [G, width]
    words: Words
    members: np.ndarray  # [G, M] the documents of each sub-topic
    log_popularity: np.ndarray  # [D]
    published: np.ndarray  # [D] us since the start of the log; at most 0: before it
    document_subtopic: np.ndarray  # [D]
    document_facet: np.ndarray  # [D]
    document_vectors: np.ndarray  # [D, width + F + 1]
    titles: np.ndarray  # [D, title_maximum] token ids, -1 after the end

    @property
    def subtopics(self) -> int:
        """Sub-topics of all topics together."""
        return len(self.family_of)

    @property
    def facets(self) -> int:
        """Facets."""
        return len(self.words.facet)

    def topic_of(self, subtopic: np.ndarray) -> np.ndarray:
        """Topic of each sub-topic."""
        return subtopic // (self.subtopics // self.topics)


def zipf_weights(count: int, exponent: float) -> np.ndarray:
    """Probabilities of ranks 1 to `count`.

    Example:
        >>> zipf_weights(2, 1.0).round(3).tolist()
        [0.667, 0.333]
    """
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return weights / weights.sum()


def build_world(settings: WorldSettings, days: float, rng: np.random.Generator) -> World:
    """Draws a world.

    Args:
        settings: Sizes; checked before (`settings.check`).
        days: Length of the log, over which fresh documents are published.
        rng: Generator of the world alone, so that users do not change it.
    """
    subtopics, documents = settings.topics * settings.subtopics, settings.documents
    topic_vectors = _unit(rng.standard_normal((settings.topics, settings.width)))
    own = _unit(rng.standard_normal((subtopics, settings.width)))
    topic_of = np.arange(subtopics) // settings.subtopics
    subtopic_vectors = _unit(topic_vectors[topic_of] + 0.9 * own)

    # A family takes one sub-topic of each of `senses` topics, so its words say little of a topic.
    layers = [
        rng.permutation(settings.topics) * settings.subtopics + layer
        for layer in range(settings.subtopics)
    ]
    families = np.concatenate(layers).reshape(-1, settings.senses)
    family_of = np.empty(subtopics, np.int64)
    family_of[families.ravel()] = np.repeat(np.arange(len(families)), settings.senses)
    turns = (np.arange(settings.senses)[:, None] + np.arange(settings.senses)) % settings.senses
    senses = np.empty((subtopics, settings.senses), np.int64)
    senses[families.ravel()] = families[:, turns].reshape(-1, settings.senses)

    words = _words(settings, subtopics, len(families), rng)
    subtopic = rng.permutation(np.arange(documents) % subtopics)
    facet = rng.integers(settings.facets, size=documents)
    members = _members(subtopic, subtopics)
    each = members.shape[1]
    fresh = rng.permuted(np.tile(np.arange(each), (subtopics, 1)), axis=1)
    is_fresh = np.zeros(documents, bool)
    chosen = (fresh < int(settings.fresh_share * (documents // subtopics))) & (members >= 0)
    is_fresh[members[chosen]] = True
    published = np.where(
        is_fresh,
        rng.integers(1, max(int(days * DAY), 2), size=documents),
        -rng.integers(1, 60 * DAY, size=documents),
    )
    quality = 0.1 * rng.standard_normal(documents)
    # Better documents become more popular, but far from always.
    luck = quality + 0.1 * rng.standard_normal(documents)
    log_popularity = np.empty(documents)
    for row in members:
        inside = row[row >= 0]
        log_popularity[inside[np.argsort(-luck[inside], kind="stable")]] = np.log(
            zipf_weights(len(inside), settings.popularity)
        )
    vectors = np.zeros((documents, settings.width + settings.facets + 1), np.float32)
    spread = _unit(rng.standard_normal((documents, settings.width)))
    vectors[:, : settings.width] = _unit(subtopic_vectors[subtopic] + 0.35 * spread)
    vectors[np.arange(documents), settings.width + facet] = FACET_WEIGHT
    vectors[:, -1] = quality
    return World(
        topics=settings.topics,
        family_of=family_of,
        senses=senses,
        topic_share=zipf_weights(settings.topics, 0.5),
        subtopic_vectors=subtopic_vectors.astype(np.float32),
        words=words,
        members=members,
        log_popularity=log_popularity.astype(np.float32),
        published=published,
        document_subtopic=subtopic,
        document_facet=facet,
        document_vectors=vectors,
        titles=_titles(settings, words, subtopic, topic_of, family_of, facet, rng),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _members(subtopic: np.ndarray, subtopics: int) -> np.ndarray:
    """Documents of each sub-topic, -1 after the last."""
    order = np.argsort(subtopic, kind="stable")
    counts = np.bincount(subtopic, minlength=subtopics)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    members = np.full((subtopics, counts.max()), -1, np.int64)
    members[subtopic[order], place] = order
    return members


def _words(
    settings: WorldSettings, subtopics: int, families: int, rng: np.random.Generator
) -> Words:
    """Blocks of words with pronounceable names that tell nothing of their block."""
    shapes = {
        "background": (1, 200),
        "topic": (settings.topics, 30),
        "subtopic": (subtopics, 8),
        "family": (families, 6),
        "facet": (settings.facets, 10),
    }
    total = sum(rows * width for rows, width in shapes.values())
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    numbers = rng.permutation(total)
    names = np.array(
        [
            syllables[n % 70]
            + syllables[n // 70 % 70]
            + (syllables[n // 4900] if n >= 4900 else "")
            for n in numbers.tolist()
        ]
    )
    blocks, first = {}, 0
    for name, (rows, width) in shapes.items():
        blocks[name] = np.arange(first, first + rows * width).reshape(rows, width)
        first += rows * width
    return Words(names=names, zipf=settings.zipf, **blocks)


def _titles(
    settings: WorldSettings,
    words: Words,
    subtopic: np.ndarray,
    topic_of: np.ndarray,
    family_of: np.ndarray,
    facet: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Titles: one word of the sub-topic and one of the facet at least, in any order."""
    count = len(subtopic)
    extra = rng.poisson(settings.title_mean - settings.title_minimum, count)
    lengths = np.minimum(settings.title_minimum + extra, settings.title_maximum)
    kinds = rng.choice(5, p=[0.2, 0.2, 0.25, 0.2, 0.15], size=(count, settings.title_maximum))
    kinds[:, 0] = 2
    if settings.title_minimum > 1:
        kinds[:, 1] = 4
    sources = (
        (words.background, np.zeros(count, np.int64)),
        (words.topic, topic_of[subtopic]),
        (words.subtopic, subtopic),
        (words.family, family_of[subtopic]),
        (words.facet, facet),
    )
    titles = np.empty(kinds.shape, np.int64)
    for kind, (block, rows) in enumerate(sources):
        at = np.nonzero(kinds == kind)
        titles[at] = words.draw(block, rows[at[0]], rng)
    places = np.arange(settings.title_maximum)
    keys = np.where(places < lengths[:, None], rng.random(titles.shape), 2.0)
    titles = np.take_along_axis(titles, np.argsort(keys, axis=1), axis=1)
    return np.where(places < lengths[:, None], titles, -1)
