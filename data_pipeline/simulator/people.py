"""Users: lasting interests of each service, tastes, and the intents they draw from them.

Service 0 is browsing (recommendation), service 1 search. What the services share of a user is
decided once, interest by interest, by the strength `shared_interests`.
"""

import dataclasses

import numpy as np

from data_pipeline.simulator.world import World
from data_pipeline.simulator.world_settings import SimulateSettings

BROWSE, SEARCH = 0, 1
SERVICES = (BROWSE, SEARCH)

INTENT_WEIGHT, LASTING_WEIGHT = 1.0, 0.35
"""Weights in a state's topic part: what is wanted now counts most, lasting interests somewhat."""


@dataclasses.dataclass(frozen=True)
class People:
    """U users with I interests each, for each of the two services."""

    favorites: np.ndarray  # [2, U, I] the sub-topic liked best of each topic of interest
    weights: np.ndarray  # [2, U, I] cumulative shares of the interests
    lasting: np.ndarray  # [2, U, width] lasting interests as a vector
    tastes: np.ndarray  # [2, U, F] liking of each facet, two liked ones


def draw_people(
    world: World, settings: SimulateSettings, users: int, rng: np.random.Generator
) -> People:
    """Draws users; interest by interest, browsing's is search's with `shared_interests`."""
    count, sharing = settings.session.interests, settings.strength.shared_interests
    favorites, shares, tastes = [], [], []
    for _ in SERVICES:
        # Gumbel keys draw distinct topics in proportion to their share.
        keys = np.log(world.topic_share) + rng.gumbel(size=(users, world.topics))
        topics = np.argsort(-keys, axis=1)[:, :count]
        each = world.subtopics // world.topics
        favorites.append(topics * each + rng.integers(each, size=topics.shape))
        shares.append(rng.dirichlet(np.full(count, 2.0), size=users))
        liked = np.zeros((users, world.facets))
        order = np.argsort(rng.random((users, world.facets)), axis=1)
        np.put_along_axis(liked, order[:, :2], 1.0, axis=1)
        tastes.append(liked)
    shared = rng.random((users, count)) < sharing
    favorites[BROWSE] = np.where(shared, favorites[SEARCH], favorites[BROWSE])
    alike = rng.random((users, 1)) < sharing
    shares[BROWSE] = np.where(alike, shares[SEARCH], shares[BROWSE])
    tastes[BROWSE] = np.where(rng.random((users, 1)) < sharing, tastes[SEARCH], tastes[BROWSE])
    picked, weights = np.stack(favorites), np.stack(shares)
    lasting = np.einsum("sui,suiw->suw", weights, world.subtopic_vectors[picked])
    lasting /= np.linalg.norm(lasting, axis=-1, keepdims=True)
    return People(
        favorites=picked,
        weights=np.cumsum(weights, axis=-1),
        lasting=lasting.astype(np.float32),
        tastes=np.stack(tastes).astype(np.float32),
    )


def draw_intents(
    world: World,
    people: People,
    service: int,
    users: np.ndarray,
    exploration: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """A sub-topic for each of `users`: mostly a favorite, else one beside it, else any."""
    weights = people.weights[service, users]
    slot = (rng.random((len(users), 1)) > weights[:, :-1]).sum(axis=1)
    intents = people.favorites[service, users, slot]
    each = world.subtopics // world.topics
    beside = world.topic_of(intents) * each + rng.integers(each, size=len(users))
    intents = np.where(rng.random(len(users)) < 0.35, beside, intents)
    anything = rng.integers(world.subtopics, size=len(users))
    return np.where(rng.random(len(users)) < exploration, anything, intents)


def latent_states(people: People, service: int, users: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """States [Q, width + F + 1]: `goals` [Q, width] and lasting interests, tastes, and a 1."""
    topic = INTENT_WEIGHT * goals + LASTING_WEIGHT * people.lasting[service, users]
    one = np.ones((len(users), 1), np.float32)
    return np.concatenate([topic, people.tastes[service, users], one], axis=1).astype(np.float32)
