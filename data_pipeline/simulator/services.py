"""The search engine and the feed: which documents a request is answered with, imperfectly."""

import numpy as np

from data_pipeline.simulator.people import BROWSE, People
from data_pipeline.simulator.world import World
from data_pipeline.simulator.world_settings import ListSettings

QUERY_TOKENS = 4
"""Most tokens of a query."""


def draw_queries(
    world: World,
    intents: np.ndarray,
    facets: np.ndarray,
    ambiguity: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Queries [Q, 4] (token ids, -1 after the end) and whether a word of the sub-topic is in.

    Args:
        intents: Sub-topic meant, [Q].
        facets: A facet the user likes, [Q].
        ambiguity: Probability that the first word is one shared by the family's sub-topics.
    """
    count, words = len(intents), world.words
    lengths = 1 + rng.choice(QUERY_TOKENS, p=[0.45, 0.35, 0.15, 0.05], size=count)
    # Kinds: family (ambiguous), sub-topic (plain), topic, facet, background.
    kinds = rng.choice(5, p=[0.5, 0.05, 0.1, 0.15, 0.2], size=(count, QUERY_TOKENS))
    kinds[:, 0] = rng.random(count) >= ambiguity
    sources = (
        (words.family, world.family_of[intents]),
        (words.subtopic, intents),
        (words.topic, world.topic_of(intents)),
        (words.facet, facets),
        (words.background, np.zeros(count, np.int64)),
    )
    queries = np.empty(kinds.shape, np.int64)
    for kind, (block, rows) in enumerate(sources):
        at = np.nonzero(kinds == kind)
        queries[at] = words.draw(block, rows[at[0]], rng)
    inside = np.arange(QUERY_TOKENS) < lengths[:, None]
    return np.where(inside, queries, -1), ((kinds == 1) & inside).any(axis=1)


def search(
    world: World,
    settings: ListSettings,
    intents: np.ndarray,
    plain: np.ndarray,
    sought: np.ndarray,
    now: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Results [Q, R]: documents of every sense of the query, those of the one meant a bit higher.

    Args:
        intents: Sub-topic meant, [Q].
        plain: Whether the query names it, [Q].
        sought: The one document looked for again, or -1, [Q].
        now: Time of the request in us since the start of the log, [Q].
    """
    sources = world.senses[intents]
    boosts = np.zeros(sources.shape)
    boosts[:, 0] = settings.engine_relevance * np.where(plain, 2.0, 1.0)
    return _best(world, settings, sources, boosts, sought, now, rng)


def feed(
    world: World,
    settings: ListSettings,
    people: People,
    users: np.ndarray,
    intents: np.ndarray,
    now: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Results [Q, R] from what the user wants now (at times), lasting interests and chance."""
    count = len(users)
    favorites = people.favorites[BROWSE, users]
    chance = rng.integers(world.subtopics, size=(count, 2))
    hit = rng.random((count, 1)) < settings.feed_hit
    other = rng.integers(world.subtopics, size=(count, 1))
    sources = np.concatenate([np.where(hit, intents[:, None], other), favorites, chance], axis=1)
    boosts = np.zeros(sources.shape)
    boosts[:, 0] = settings.feed_relevance
    boosts[:, 1 : 1 + favorites.shape[1]] = settings.feed_relevance / 2
    # A sub-topic that comes up twice counts once, where it comes up first.
    for column in range(1, sources.shape[1]):
        again = (sources[:, :column] == sources[:, column : column + 1]).any(axis=1)
        boosts[again, column] = -np.inf
    nothing = np.full(count, -1)
    return _best(world, settings, sources, boosts, nothing, now, rng)


def _best(
    world: World,
    settings: ListSettings,
    sources: np.ndarray,
    boosts: np.ndarray,
    sought: np.ndarray,
    now: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The R documents of the sub-topics `sources` [Q, s] with the best noisy scores, best first."""
    pool = world.members[sources]
    scores = rng.standard_normal(pool.shape, dtype=np.float32)
    scores += settings.popularity_weight * world.log_popularity[pool]
    scores += boosts[:, :, None].astype(np.float32)
    scores += np.where(pool == sought[:, None, None], np.float32(2.0), np.float32(0.0))
    hidden = (pool < 0) | (world.published[pool] >= now[:, None, None])
    scores[hidden] = -np.inf
    pool, scores = pool.reshape(len(pool), -1), scores.reshape(len(pool), -1)
    best = np.argpartition(-scores, settings.results - 1, axis=1)[:, : settings.results]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(pool, np.take_along_axis(best, order, axis=1), axis=1)
