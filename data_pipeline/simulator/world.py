"""The world: topics, sub-topics, facets, documents; drawn once, the same for all users."""

import dataclasses

import numpy as np

from data_pipeline.common.codes import DAY
from data_pipeline.simulator.world_settings import WorldSettings
from data_pipeline.simulator.world_words import Words, build_words, zipf_weights

FACET_WEIGHT = 0.4
"""Weight of a document's facet: a liked facet raises the affinity of a document by that much."""


@dataclasses.dataclass(frozen=True)
class World:
    """The part of the platform that users and services share.

    K topics, G = K * S sub-topics, F facets, D documents.

    `document_vectors` [D, width + F + 1] are the latent vectors the click model reads: the topic
    part, the weighted facet, and the quality, which every state weights by 1.
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
        """Number of sub-topics of all topics together."""
        return len(self.family_of)

    @property
    def facets(self) -> int:
        """Number of facets."""
        return len(self.words.facet)

    def topic_of(self, subtopic: np.ndarray) -> np.ndarray:
        """Return the topic of each sub-topic."""
        return subtopic // (self.subtopics // self.topics)


def build_world(settings: WorldSettings, days: float, rng: np.random.Generator) -> World:
    """Draw a world.

    Args:
        settings: Sizes; checked before (`world_settings.check`).
        days: Length of the log, over which fresh documents are published.
        rng: Generator of the world alone, so that users do not change it.
    """
    subtopics, documents = settings.topics * settings.subtopics, settings.documents
    topic_vectors = _unit(rng.standard_normal((settings.topics, settings.width)))
    own = _unit(rng.standard_normal((subtopics, settings.width)))
    topic_of = np.arange(subtopics) // settings.subtopics
    subtopic_vectors = _unit(topic_vectors[topic_of] + 0.9 * own)

    families = _draw_families(settings, rng)
    family_of = np.empty(subtopics, np.int64)
    family_of[families.ravel()] = np.repeat(np.arange(len(families)), settings.senses)
    turns = (np.arange(settings.senses)[:, None] + np.arange(settings.senses)) % settings.senses
    senses = np.empty((subtopics, settings.senses), np.int64)
    senses[families.ravel()] = families[:, turns].reshape(-1, settings.senses)
    words = build_words(settings, families // settings.subtopics, rng)
    subtopic = rng.permutation(np.arange(documents) % subtopics)
    facet = rng.integers(settings.facets, size=documents)
    members = _members(subtopic, subtopics)
    published = _publication_times(settings, members, days, rng)
    quality = 0.1 * rng.standard_normal(documents)
    # Better documents become more popular, but far from always.
    luck = quality + 0.1 * rng.standard_normal(documents)
    log_popularity = _log_popularity(settings, members, luck)
    vectors = np.zeros((documents, settings.width + settings.facets + 1), np.float32)
    spread = _unit(rng.standard_normal((documents, settings.width)))
    vectors[:, : settings.width] = _unit(subtopic_vectors[subtopic] + 0.35 * spread)
    vectors[np.arange(documents), settings.width + facet] = FACET_WEIGHT
    vectors[:, -1] = quality
    titles = _titles(settings, words, subtopic, topic_of, family_of, facet, rng)
    if settings.words == "ids":
        titles = len(words.names) + np.arange(documents)[:, None]
        names = np.append(words.names, [f"item{number:06}" for number in range(documents)])
        words = dataclasses.replace(words, names=names)
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
        titles=titles,
    )


def _draw_families(settings: WorldSettings, rng: np.random.Generator) -> np.ndarray:
    """Draw families of sub-topics that share their query words, [families, senses].

    A family takes one sub-topic of each of `senses` topics, so its words reveal little of a topic.
    """
    layers = [
        rng.permutation(settings.topics) * settings.subtopics + layer
        for layer in range(settings.subtopics)
    ]
    return np.concatenate(layers).reshape(-1, settings.senses)


def _publication_times(
    settings: WorldSettings, members: np.ndarray, days: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the times of all documents in us; those of the fresh share lie within the log."""
    subtopics, each = members.shape
    documents = settings.documents
    fresh = rng.permuted(np.tile(np.arange(each), (subtopics, 1)), axis=1)
    is_fresh = np.zeros(documents, bool)
    chosen = (fresh < int(settings.fresh_share * (documents // subtopics))) & (members >= 0)
    is_fresh[members[chosen]] = True
    return np.where(
        is_fresh,
        rng.integers(1, max(int(days * DAY), 2), size=documents),
        -rng.integers(1, 60 * DAY, size=documents),
    )


def _log_popularity(settings: WorldSettings, members: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Return Zipf shares by the order of `luck` within each sub-topic, as logarithms."""
    log_popularity = np.empty(len(luck))
    for row in members:
        inside = row[row >= 0]
        log_popularity[inside[np.argsort(-luck[inside], kind="stable")]] = np.log(
            zipf_weights(len(inside), settings.popularity)
        )
    return log_popularity


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _members(subtopic: np.ndarray, subtopics: int) -> np.ndarray:
    """Return the documents of each sub-topic, -1 after the last."""
    order = np.argsort(subtopic, kind="stable")
    counts = np.bincount(subtopic, minlength=subtopics)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    members = np.full((subtopics, counts.max()), -1, np.int64)
    members[subtopic[order], place] = order
    return members


def _titles(
    settings: WorldSettings,
    words: Words,
    subtopic: np.ndarray,
    topic_of: np.ndarray,
    family_of: np.ndarray,
    facet: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw titles: at least one word of the sub-topic and one of the facet, in any order."""
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
