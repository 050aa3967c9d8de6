"""Sessions: what users want, where they turn, what they click, and when; vectorised over users.

The loops run over sessions and requests; every step serves all users at once. An intent is a
sub-topic, kept for each service. A request right after one to the other service takes up what
that one left, with the strength of that direction; nothing else passes between the services.
The number and the kinds of requests do not depend on the strengths, so worlds of different
strengths differ in what unified data tells, not in how much of it there is.
"""

import dataclasses

import numpy as np

from data_pipeline.common.codes import MINUTE, SECOND
from data_pipeline.simulator import people as people_lib
from data_pipeline.simulator import services
from data_pipeline.simulator.click_model import ClickModel
from data_pipeline.simulator.people import BROWSE, SEARCH, SERVICES, People
from data_pipeline.simulator.world import World
from data_pipeline.simulator.world_settings import SimulateSettings

SESSION_BREAK = 45 * MINUTE
"""Least time between sessions in us: above the 30 min that end a session."""
MEMORY = 8
"""Satisfied clicks of each service a user remembers and may look for again."""


@dataclasses.dataclass(frozen=True)
class Requests:
    """Q requests of both kinds, R results each, in order of user and time. Times are in us since
    the start of the log; `intents` and `states` are latent."""

    users: np.ndarray  # [Q]
    times: np.ndarray  # [Q]
    kinds: np.ndarray  # [Q] 1 recommendation, 2 search
    queries: np.ndarray  # [Q, 4] token ids, -1 after the end
    results: np.ndarray  # [Q, R]
    clicked: np.ndarray  # [Q, R] bool
    click_times: np.ndarray  # [Q, R], without meaning where not clicked
    dwell: np.ndarray  # [Q, R] seconds, likewise
    intents: np.ndarray  # [Q]
    states: np.ndarray  # [Q, k]


class _Platform:
    """Users in the course of their sessions; every method serves a set of distinct users."""

    def __init__(
        self,
        world: World,
        settings: SimulateSettings,
        model: ClickModel,
        users: int,
        rng: np.random.Generator,
    ) -> None:
        self.world, self.settings, self.model, self.rng = world, settings, model, rng
        self.people: People = people_lib.draw_people(world, settings, users, rng)
        everybody = np.arange(users)
        self.intents = np.stack([self._draw_intents(s, everybody) for s in SERVICES])
        self.left = np.full((2, users), -1)  # what each service leaves to take up, this session
        self.previous = np.full(users, -1)  # service of the request before, this session
        self.clock = np.zeros(users, np.int64)
        self.remembered = np.full((2, users, MEMORY), -1)
        self.remembered_queries = np.full((users, MEMORY, services.QUERY_TOKENS), -1)
        self.memories = np.zeros((2, users), np.int64)
        self.served: list[Requests] = []

    def _draw_intents(self, service: int, users: np.ndarray) -> np.ndarray:
        exploration = self.settings.session.exploration
        return people_lib.draw_intents(
            self.world, self.people, service, users, exploration, self.rng
        )

    def begin_session(self, users: np.ndarray, planned: np.ndarray) -> None:
        """Sets the clock; each service's intent goes on or is drawn anew, independently."""
        self.clock[users] = np.maximum(planned, self.clock[users] + SESSION_BREAK)
        self.previous[users] = -1
        for service in SERVICES:
            anew = users[self.rng.random(len(users)) >= self.settings.session.carry_over]
            self.intents[service, anew] = self._draw_intents(service, anew)

    def serve(self, service: int, users: np.ndarray) -> None:
        """One request of each of `users` to one service, with its clicks."""
        rng, world, session = self.rng, self.world, self.settings.session
        self._turn(service, users)
        intents = self.intents[service, users]
        goals = world.subtopic_vectors[intents]
        now = self.clock[users]
        if service == SEARCH:
            facets = np.argmax(self.people.tastes[SEARCH, users], axis=1)
            queries, plain = services.draw_queries(
                world, intents, facets, session.query_ambiguity, rng
            )
            sought = self._look_for(users, queries)
            again = sought >= 0
            intents = np.where(again, world.document_subtopic[sought], intents)
            self.intents[service, users] = intents
            sought_goals = world.document_vectors[sought, : goals.shape[1]]
            goals = np.where(again[:, None], sought_goals, goals)
            results = services.search(world, self.settings.list, intents, plain, sought, now, rng)
        else:
            queries = np.full((len(users), services.QUERY_TOKENS), -1)
            results = services.feed(
                world, self.settings.list, self.people, users, intents, now, rng
            )
        states = people_lib.latent_states(self.people, service, users, goals)
        positions = np.broadcast_to(np.arange(1, results.shape[1] + 1), results.shape)
        affinity = self.model.affinity(states, world.document_vectors[results])
        clicked, dwell = self.model.draw_clicks(affinity, positions, rng)
        click_times = self._pass_time(users, clicked, dwell)
        self._remember(service, users, intents, queries, results, clicked, dwell)
        self.served.append(
            Requests(
                users=users,
                times=now,
                kinds=np.full(len(users), service + 1, np.int8),
                queries=queries.astype(np.int32),
                results=results.astype(np.int32),
                clicked=clicked,
                click_times=click_times,
                dwell=dwell,
                intents=intents.astype(np.int32),
                states=states,
            )
        )

    def _turn(self, service: int, users: np.ndarray) -> None:
        """Lets intents drift, and lets the other service's last request pass its own on."""
        rng, strength = self.rng, self.settings.strength
        drifting = users[rng.random(len(users)) < self.settings.session.drift]
        self.intents[service, drifting] = self._draw_intents(service, drifting)
        other = SEARCH - service
        into = strength.browse_to_search if service == SEARCH else strength.search_to_browse
        follows = (self.previous[users] == other) & (rng.random(len(users)) < into)
        self.intents[service, users[follows]] = self.left[other, users[follows]]
        self.previous[users] = service

    def _look_for(self, users: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Documents to find again [Q], -1 for none; their searches' `queries` change in place."""
        rng, strength = self.rng, self.settings.strength
        wanted = rng.random(len(users)) < self.settings.session.refinding
        slots = rng.integers(MEMORY, size=len(users))
        from_browsing = rng.random(len(users)) < strength.browse_to_search / 2
        source = np.where(from_browsing, BROWSE, SEARCH)
        sought = np.where(wanted, self.remembered[source, users, slots], -1)
        repeated = (sought >= 0) & ~from_browsing
        queries[repeated] = self.remembered_queries[users[repeated], slots[repeated]]
        # An article met while browsing is searched by the first words of its title.
        new = np.nonzero((sought >= 0) & from_browsing)[0]
        words = self.world.titles[sought[new], : services.QUERY_TOKENS]
        lengths = 1 + rng.integers(min(3, words.shape[1]), size=len(new))
        inside = np.arange(words.shape[1]) < lengths[:, None]
        queries[new] = -1
        queries[new, : words.shape[1]] = np.where(inside, words, -1)
        return sought

    def _pass_time(self, users: np.ndarray, clicked: np.ndarray, dwell: np.ndarray) -> np.ndarray:
        """Times of the clicks: down the list, each after the one before was read."""
        rng = self.rng
        looking = rng.integers(SECOND, 4 * SECOND, size=clicked.shape)
        reading = np.where(clicked, np.ceil(dwell * SECOND).astype(np.int64), 0)
        passed = np.cumsum(looking + reading, axis=1)
        times = self.clock[users][:, None] + passed - reading
        pause = rng.integers(5 * SECOND, 90 * SECOND, size=len(users))
        self.clock[users] += passed[:, -1] + pause
        return times

    def _remember(
        self,
        service: int,
        users: np.ndarray,
        intents: np.ndarray,
        queries: np.ndarray,
        results: np.ndarray,
        clicked: np.ndarray,
        dwell: np.ndarray,
    ) -> None:
        """Keeps the last satisfied click: what a request leaves to the other service."""
        satisfied = clicked & (dwell > self.model.satisfied_seconds)
        last = satisfied.shape[1] - 1 - np.argmax(satisfied[:, ::-1], axis=1)
        some = satisfied.any(axis=1)
        documents = results[np.arange(len(users)), last]
        self.left[service, users] = np.where(some, self.world.document_subtopic[documents], intents)
        pleased = users[some]
        slots = self.memories[service, pleased] % MEMORY
        self.remembered[service, pleased, slots] = documents[some]
        if service == SEARCH:
            self.remembered_queries[pleased, slots] = queries[some]
        self.memories[service, pleased] += 1


def simulate_users(
    world: World,
    settings: SimulateSettings,
    model: ClickModel,
    users: int,
    rng: np.random.Generator,
) -> Requests:
    """Simulates all sessions of `users` users, numbered from 0.

    Times of one user are distinct: every request and click comes after the one before.
    """
    session = settings.session
    platform = _Platform(world, settings, model, users, rng)
    # Some users come far more often than others: a Gamma mixture of Poisson counts.
    rate = (session.sessions - 1) * rng.gamma(4.0, 0.25, size=users)
    counts = 1 + rng.poisson(rate)
    span = int(session.days * 24 * 3600) * SECOND
    planned = np.sort(
        np.where(
            np.arange(counts.max()) < counts[:, None],
            rng.integers(1, span, size=(users, counts.max())),
            np.iinfo(np.int64).max,
        ),
        axis=1,
    )
    for number in range(counts.max()):
        present = np.nonzero(counts > number)[0]
        platform.begin_session(present, planned[present, number])
        lengths = 1 + rng.poisson(session.requests - 1, len(present))
        for step in range(lengths.max()):
            going = present[lengths > step]
            searching = rng.random(len(going)) < session.search_share
            for service, chosen in ((BROWSE, going[~searching]), (SEARCH, going[searching])):
                if len(chosen):
                    platform.serve(service, chosen)
    return _ordered(platform.served)


def select(requests: Requests, rows: np.ndarray) -> Requests:
    """The requests that `rows` (bool or int) picks."""
    names = [field.name for field in dataclasses.fields(Requests)]
    return Requests(**{name: getattr(requests, name)[rows] for name in names})


def _ordered(parts: list[Requests]) -> Requests:
    """All requests by user and time."""
    names = [field.name for field in dataclasses.fields(Requests)]
    whole = Requests(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})
    return select(whole, np.lexsort((whole.times, whole.users)))
