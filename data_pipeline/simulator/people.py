"""Users: lasting interests in each service, tastes, and the intents drawn from them.

The strength `shared_interests` decides once, interest by interest, whether both services share it.
"""

import dataclasses
import enum

import numpy as np

from data_pipeline.common.codes import Task
from data_pipeline.simulator.world import World
from data_pipeline.simulator.world_settings import INTERESTS, SimulateSettings

INTENT_WEIGHT, LASTING_WEIGHT = 1.0, 0.35
"""Weights in a state's topic part: the current intent counts more than lasting interests."""
RELATED_SHARE = 0.35
"""Share of intents that move from the favorite sub-topic to any sub-topic of its topic."""


class Service(enum.IntEnum):
    """A service of the platform; its number is its row in arrays with an axis of services."""

    FEED = 0
    SEARCH_ENGINE = 1

    @property
    def task(self) -> Task:
        """Task of the service's requests."""
        return Task.SEARCH if self is Service.SEARCH_ENGINE else Task.RECOMMENDATION

    @property
    def other(self) -> "Service":
        """The other of the two services."""
        return Service(1 - self)


@dataclasses.dataclass(frozen=True)
class People:
    """U users with I interests each, for each `Service`."""

    favorites: np.ndarray  # [2, U, I] the favorite sub-topic of each topic of interest
    weights: np.ndarray  # [2, U, I] cumulative shares of the interests
    lasting: np.ndarray  # [2, U, width] lasting interests as a vector
    tastes: np.ndarray  # [2, U, F] 1 for each of the two liked facets, otherwise 0


def draw_people(
    world: World, settings: SimulateSettings, users: int, rng: np.random.Generator
) -> People:
    """Draw users; the feed's interests are the search engine's with `shared_interests` each."""
    sharing = settings.strength.shared_interests
    favorites, shares, tastes = [], [], []
    for _ in Service:
        # Gumbel keys draw distinct topics in proportion to their share.
        keys = np.log(world.topic_share) + rng.gumbel(size=(users, world.topics))
        topics = np.argsort(-keys, axis=1)[:, :INTERESTS]
        each = world.subtopics // world.topics
        favorites.append(topics * each + rng.integers(each, size=topics.shape))
        shares.append(rng.dirichlet(np.full(INTERESTS, 2.0), size=users))
        liked = np.zeros((users, world.facets))
        order = np.argsort(rng.random((users, world.facets)), axis=1)
        np.put_along_axis(liked, order[:, :2], 1.0, axis=1)
        tastes.append(liked)
    feed, engine = Service.FEED, Service.SEARCH_ENGINE
    shared = rng.random((users, INTERESTS)) < sharing
    favorites[feed] = np.where(shared, favorites[engine], favorites[feed])
    alike = rng.random((users, 1)) < sharing
    shares[feed] = np.where(alike, shares[engine], shares[feed])
    tastes[feed] = np.where(rng.random((users, 1)) < sharing, tastes[engine], tastes[feed])
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
    service: Service,
    users: np.ndarray,
    exploration: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw a sub-topic for each of `users`: mostly a favorite, otherwise of its topic, or any."""
    weights = people.weights[service, users]
    slot = (rng.random((len(users), 1)) > weights[:, :-1]).sum(axis=1)
    intents = people.favorites[service, users, slot]
    each = world.subtopics // world.topics
    related = world.topic_of(intents) * each + rng.integers(each, size=len(users))
    intents = np.where(rng.random(len(users)) < RELATED_SHARE, related, intents)
    anything = rng.integers(world.subtopics, size=len(users))
    return np.where(rng.random(len(users)) < exploration, anything, intents)


def latent_states(
    people: People, service: Service, users: np.ndarray, goals: np.ndarray
) -> np.ndarray:
    """Return states [Q, width + F + 1]: `goals` [Q, width] and lasting interests, tastes, a 1."""
    topic = INTENT_WEIGHT * goals + LASTING_WEIGHT * people.lasting[service, users]
    one = np.ones((len(users), 1), np.float32)
    return np.concatenate([topic, people.tastes[service, users], one], axis=1).astype(np.float32)
