"""Sessions: intents, requests and clicks of users in time; vectorised over users.

The loops run over sessions and requests; every step serves all users at once. An intent is a
sub-topic, one for each service. A request right after one to the other service continues the
intent of that one, with the strength of that direction; nothing else passes between the services.
The number and the tasks of requests do not depend on the strengths: worlds of different strengths
hold equally much data, and differ in what data of both tasks reveals.
"""

import dataclasses

import numpy as np

from data_pipeline.common.codes import MINUTE, SECOND
from data_pipeline.simulator import people as people_lib
from data_pipeline.simulator import services
from data_pipeline.simulator.click_model import ClickModel
from data_pipeline.simulator.people import People, Service
from data_pipeline.simulator.world import World
from data_pipeline.simulator.world_settings import SimulateSettings

SESSION_BREAK = 45 * MINUTE
"""Least time between sessions in us: above the 30 min that end a session."""
SEARCH_SHARE = 0.5
"""Share of requests that are searches: equally much data for both tasks."""
DRIFT = 0.05
"""Probability, at each request, of a new intent within a session: sessions are mostly coherent."""
NEWCOMERS_PART = 10
"""Newcomers come in the last of so many parts of the log: that of the test targets."""
MEMORY = 8
"""Satisfied clicks of each service that a user remembers and may search again."""


@dataclasses.dataclass(frozen=True)
class Requests:
    """Q requests of both tasks, R results each, in order of user and time. Times are in us since
    the start of the log; `intents` and `states` are latent."""

    users: np.ndarray  # [Q]
    times: np.ndarray  # [Q]
    tasks: np.ndarray  # [Q] int8 `Task`
    queries: np.ndarray  # [Q, 4] token ids, -1 after the end
    results: np.ndarray  # [Q, R]
    clicked: np.ndarray  # [Q, R] bool
    click_times: np.ndarray  # [Q, R], meaningless where not clicked
    dwell: np.ndarray  # [Q, R] seconds, likewise
    intents: np.ndarray  # [Q]
    states: np.ndarray  # [Q, k]


class _Platform:
    """State of all users during their sessions; every method serves a set of distinct users."""

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
        self.intents = np.stack([self._draw_intents(s, everybody) for s in Service])
        self.left = np.full((2, users), -1)  # intent to continue, of this session
        self.previous = np.full(users, -1)  # service of the last request of this session
        self.clock = np.zeros(users, np.int64)
        self.remembered = np.full((2, users, MEMORY), -1)
        self.remembered_queries = np.full((users, MEMORY, services.QUERY_TOKENS), -1)
        self.memories = np.zeros((2, users), np.int64)
        self.served: list[Requests] = []

    def _draw_intents(self, service: Service, users: np.ndarray) -> np.ndarray:
        exploration = self.settings.session.exploration
        return people_lib.draw_intents(
            self.world, self.people, service, users, exploration, self.rng
        )

    def begin_session(self, users: np.ndarray, planned: np.ndarray) -> None:
        """Set the clock; each service's intent continues or is drawn anew, independently."""
        self.clock[users] = np.maximum(planned, self.clock[users] + SESSION_BREAK)
        self.previous[users] = -1
        for service in Service:
            anew = users[self.rng.random(len(users)) >= self.settings.session.carry_over]
            self.intents[service, anew] = self._draw_intents(service, anew)

    def serve(self, service: Service, users: np.ndarray) -> None:
        """Serve one request of each of `users` to one service, with its clicks."""
        rng, world = self.rng, self.world
        self._update_intents(service, users)
        intents = self.intents[service, users]
        goals = world.subtopic_vectors[intents]
        now = self.clock[users]
        if service == Service.SEARCH_ENGINE:
            facets = np.argmax(self.people.tastes[service, users], axis=1)
            queries, plain = services.draw_queries(world, intents, facets, rng)
            wanted = self._find_again(users, queries)
            again = wanted >= 0
            intents = np.where(again, world.document_subtopic[wanted], intents)
            self.intents[service, users] = intents
            wanted_goals = world.document_vectors[wanted, : goals.shape[1]]
            goals = np.where(again[:, None], wanted_goals, goals)
            results = services.search(world, self.settings.list, intents, plain, wanted, now, rng)
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
                tasks=np.full(len(users), service.task, np.int8),
                queries=queries.astype(np.int32),
                results=results.astype(np.int32),
                clicked=clicked,
                click_times=click_times,
                dwell=dwell,
                intents=intents.astype(np.int32),
                states=states,
            )
        )

    def _update_intents(self, service: Service, users: np.ndarray) -> None:
        """Draw some intents anew; continue the other service's where it had the request before."""
        rng, strength = self.rng, self.settings.strength
        drifting = users[rng.random(len(users)) < DRIFT]
        self.intents[service, drifting] = self._draw_intents(service, drifting)
        into = {
            Service.SEARCH_ENGINE: strength.browse_to_search,
            Service.FEED: strength.search_to_browse,
        }[service]
        follows = (self.previous[users] == service.other) & (rng.random(len(users)) < into)
        self.intents[service, users[follows]] = self.left[service.other, users[follows]]
        self.previous[users] = service

    def _find_again(self, users: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Draw documents to find again [Q], -1 for none, and change their `queries` in place."""
        rng, strength = self.rng, self.settings.strength
        searching = rng.random(len(users)) < self.settings.session.refinding
        slots = rng.integers(MEMORY, size=len(users))
        from_feed = rng.random(len(users)) < strength.browse_to_search / 2
        source = np.where(from_feed, Service.FEED, Service.SEARCH_ENGINE)
        wanted = np.where(searching, self.remembered[source, users, slots], -1)
        repeated = (wanted >= 0) & ~from_feed
        queries[repeated] = self.remembered_queries[users[repeated], slots[repeated]]
        # A document of the feed is searched by the first words of its title.
        new = np.nonzero((wanted >= 0) & from_feed)[0]
        words = self.world.titles[wanted[new], : services.QUERY_TOKENS]
        lengths = 1 + rng.integers(min(3, words.shape[1]), size=len(new))
        inside = np.arange(words.shape[1]) < lengths[:, None]
        queries[new] = -1
        queries[new, : words.shape[1]] = np.where(inside, words, -1)
        return wanted

    def _pass_time(self, users: np.ndarray, clicked: np.ndarray, dwell: np.ndarray) -> np.ndarray:
        """Return the times of the clicks: down the list, each after reading the one before."""
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
        service: Service,
        users: np.ndarray,
        intents: np.ndarray,
        queries: np.ndarray,
        results: np.ndarray,
        clicked: np.ndarray,
        dwell: np.ndarray,
    ) -> None:
        """Remember the last satisfied click; its intent is what the other service may continue."""
        satisfied = clicked & (dwell > self.model.satisfied_seconds)
        last = satisfied.shape[1] - 1 - np.argmax(satisfied[:, ::-1], axis=1)
        some = satisfied.any(axis=1)
        documents = results[np.arange(len(users)), last]
        self.left[service, users] = np.where(some, self.world.document_subtopic[documents], intents)
        satisfied_users = users[some]
        slots = self.memories[service, satisfied_users] % MEMORY
        self.remembered[service, satisfied_users, slots] = documents[some]
        if service == Service.SEARCH_ENGINE:
            self.remembered_queries[satisfied_users, slots] = queries[some]
        self.memories[service, satisfied_users] += 1


def simulate_users(
    world: World,
    settings: SimulateSettings,
    model: ClickModel,
    users: int,
    rng: np.random.Generator,
) -> Requests:
    """Simulate all sessions of `users` users, numbered from 0.

    Times of one user are distinct: every request and click comes after the one before.
    """
    session = settings.session
    platform = _Platform(world, settings, model, users, rng)
    # A Gamma mixture of Poisson counts: some users come far more often than others.
    rate = (session.sessions - 1) * rng.gamma(4.0, 0.25, size=users)
    counts = 1 + rng.poisson(rate)
    span = int(session.days * 24 * 3600) * SECOND
    times = rng.integers(1, span, size=(users, counts.max()))
    # The first ones: no other draw, so that all other users do the same with and without them.
    newcomers = np.arange(users) < round(session.newcomers * users)
    times[newcomers] = span - times[newcomers] // NEWCOMERS_PART
    planned = np.sort(
        np.where(np.arange(counts.max()) < counts[:, None], times, np.iinfo(np.int64).max), axis=1
    )
    for number in range(counts.max()):
        present = np.nonzero(counts > number)[0]
        platform.begin_session(present, planned[present, number])
        lengths = 1 + rng.poisson(session.requests - 1, len(present))
        for step in range(lengths.max()):
            going = present[lengths > step]
            searching = rng.random(len(going)) < SEARCH_SHARE
            for service, chosen in zip(Service, (going[~searching], going[searching]), strict=True):
                if len(chosen):
                    platform.serve(service, chosen)
    return _ordered(platform.served)


def select(requests: Requests, rows: np.ndarray) -> Requests:
    """Return the requests that `rows` (bool or int) selects."""
    names = [field.name for field in dataclasses.fields(Requests)]
    return Requests(**{name: getattr(requests, name)[rows] for name in names})


def _ordered(parts: list[Requests]) -> Requests:
    """Return all requests, sorted by user and time."""
    names = [field.name for field in dataclasses.fields(Requests)]
    all_requests = Requests(
        **{n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    )
    return select(all_requests, np.lexsort((all_requests.times, all_requests.users)))
