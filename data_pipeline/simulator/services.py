"""The search engine and the feed: imperfect rankings that answer requests."""

import numpy as np

from data_pipeline.simulator.people import People, Service
from data_pipeline.simulator.world import World
from data_pipeline.simulator.world_settings import ListSettings

QUERY_TOKENS = 4
"""Most tokens of a query."""
QUERY_AMBIGUITY = 0.8
"""Probability that the first word of a query is one its sub-topic shares with others: only the
user's interests and session show which sub-topic is meant."""
ENGINE_RELEVANCE = 0.4
"""Score, in units of the noise, that the engine adds for the sub-topic meant; little, so that a
personal ranking has something to gain."""
FEED_RELEVANCE = 1.0
"""Score, in units of the noise, that the feed adds for its user's current intent; more than the
engine's, so that both services satisfy about equally often."""
FEED_HIT = 0.85
"""Probability that the feed considers documents of its user's current intent at all."""


def draw_queries(
    world: World,
    intents: np.ndarray,
    facets: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw queries [Q, 4] (token ids, -1 after the end), and whether each names its sub-topic.

    Args:
        intents: Sub-topic meant, [Q].
        facets: A facet the user likes, [Q].
    """
    count, words = len(intents), world.words
    lengths = 1 + rng.choice(QUERY_TOKENS, p=[0.45, 0.35, 0.15, 0.05], size=count)
    # Kinds: family (ambiguous), sub-topic (plain), topic, facet, background.
    kinds = rng.choice(5, p=[0.5, 0.05, 0.1, 0.15, 0.2], size=(count, QUERY_TOKENS))
    kinds[:, 0] = rng.random(count) >= QUERY_AMBIGUITY
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
    wanted: np.ndarray,
    now: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return results [Q, R] of every sense of the query, with a small boost for the one meant.

    Args:
        intents: Sub-topic meant, [Q].
        plain: Whether the query names it, [Q].
        wanted: Document to find again, or -1, [Q].
        now: Time of the request in us since the start of the log, [Q].
    """
    sources = world.senses[intents]
    boosts = np.zeros(sources.shape)
    boosts[:, 0] = ENGINE_RELEVANCE * np.where(plain, 2.0, 1.0)
    return _best(world, settings, sources, boosts, wanted, now, rng)


def feed(
    world: World,
    settings: ListSettings,
    people: People,
    users: np.ndarray,
    intents: np.ndarray,
    now: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return results [Q, R] of the current intent (mostly), lasting interests and chance."""
    count = len(users)
    favorites = people.favorites[Service.FEED, users]
    chance = rng.integers(world.subtopics, size=(count, 2))
    hit = rng.random((count, 1)) < FEED_HIT
    other = rng.integers(world.subtopics, size=(count, 1))
    sources = np.concatenate([np.where(hit, intents[:, None], other), favorites, chance], axis=1)
    boosts = np.zeros(sources.shape)
    boosts[:, 0] = FEED_RELEVANCE
    boosts[:, 1 : 1 + favorites.shape[1]] = FEED_RELEVANCE / 2
    # A repeated sub-topic counts once, at its first place.
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
    wanted: np.ndarray,
    now: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the R documents of `sources` [Q, s] with the highest noisy scores, best first."""
    pool = world.members[sources]
    scores = rng.standard_normal(pool.shape, dtype=np.float32)
    scores += settings.popularity_weight * world.log_popularity[pool]
    scores += boosts[:, :, None].astype(np.float32)
    scores += np.where(pool == wanted[:, None, None], np.float32(2.0), np.float32(0.0))
    hidden = (pool < 0) | (world.published[pool] >= now[:, None, None])
    scores[hidden] = -np.inf
    pool, scores = pool.reshape(len(pool), -1), scores.reshape(len(pool), -1)
    best = np.argpartition(-scores, settings.results - 1, axis=1)[:, : settings.results]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(pool, np.take_along_axis(best, order, axis=1), axis=1)
