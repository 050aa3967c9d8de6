"""Settings of the simulated platform, with the reason for each default."""

import dataclasses

import numpy as np

from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class WorldSettings:
    """Topics, documents and words: small enough that some ten thousand groups teach the texts."""

    topics: int = setting(24, "Topics; few, so that each is met often enough to be learned.")
    subtopics: int = setting(6, "Sub-topics of each topic: what a session's intent is about.")
    senses: int = setting(
        4,
        "Sub-topics, of as many topics, that share their query words. Four: a short query leaves "
        "four readings; the user's interests and session have to say which.",
    )
    facets: int = setting(
        8, "Kinds of document (review, video, ...) across topics, for which users have a taste."
    )
    documents: int = setting(7200, "Documents; 50 for each of 144 sub-topics, so lists differ.")
    fresh_share: float = setting(
        0.2, "Share of documents published during the log, never shown earlier; 0: no times."
    )
    title_minimum: int = setting(5, "Fewest tokens of a title.")
    title_mean: float = setting(
        8.0, "Mean tokens of a title: enough to tell the sub-topic, cheap to encode."
    )
    title_maximum: int = setting(20, "Most tokens of a title.")
    width: int = setting(16, "Width of the latent topic space; topics are nearly orthogonal in it.")
    zipf: float = setting(1.0, "Zipf exponent of words within their topic, as in natural text.")
    popularity: float = setting(0.7, "Zipf exponent of documents' popularity in their sub-topic.")


@dataclasses.dataclass(frozen=True)
class StrengthSettings:
    """How much the two services have to do with each other; all 0: independent services."""

    shared_interests: float = setting(
        0.8, "Probability that a lasting interest or taste of a user holds in both services."
    )
    browse_to_search: float = setting(
        0.8, "Probability that a search right after browsing takes up what was browsed."
    )
    search_to_browse: float = setting(
        0.8, "Probability that browsing right after a search takes up what was searched."
    )


@dataclasses.dataclass(frozen=True)
class SessionSettings:
    """When users come and what they want."""

    start: str = setting("2024-01-01", "First day of the log, UTC.")
    days: float = setting(30.0, "Length of the log in days.")
    sessions: float = setting(
        9.0, "Mean sessions a user; with 4.5 requests each about 10 satisfied targets a user."
    )
    requests: float = setting(4.5, "Mean requests a session; with clicks some 3 to 6 behaviors.")
    search_share: float = setting(0.5, "Share of requests that are searches: both tasks alike.")
    interests: int = setting(3, "Topics a user has a lasting interest in.")
    carry_over: float = setting(
        0.5, "Probability that a session goes on with the intent of the one before."
    )
    drift: float = setting(
        0.05, "Probability, at each request, that the intent changes within a session."
    )
    exploration: float = setting(0.1, "Share of intents outside the user's interests.")
    refinding: float = setting(
        0.15, "Share of searches that look for an article the user was satisfied with before."
    )
    query_ambiguity: float = setting(
        0.8, "Probability that a query's first word is one its sub-topic shares with others."
    )


@dataclasses.dataclass(frozen=True)
class ListSettings:
    """What the search engine and the feed show."""

    results: int = setting(10, "Documents of a list; 20 in the paper.")
    engine_relevance: float = setting(
        0.4,
        "What the engine knows of the sense meant, in units of its noise; little, so that there "
        "is something to gain for a personal ranking.",
    )
    feed_relevance: float = setting(
        1.0,
        "What the feed knows of what its user wants now, in units of its noise; more than the "
        "engine, so that both services satisfy about as often.",
    )
    feed_hit: float = setting(
        0.85, "Probability that the feed holds articles on what its user wants now."
    )
    popularity_weight: float = setting(0.7, "Weight of log popularity in both rankings.")


@dataclasses.dataclass(frozen=True)
class SimulateSettings:
    """Everything `python -m data_pipeline.simulate` can be told."""

    output: str = setting("", "Folder of the behavior log to write; must not exist.")
    users: int = setting(2000, "Users; 2,000 give some 23,000 groups, a quickstart's worth.")
    seed: int = setting(1, "Seed of every draw; the same seed gives the same bytes.")
    shape: str = setting(
        "lists",
        "`lists`: recommendation lists are logged; `browses`: only the articles read from them, "
        "as in the paper.",
        choices=("lists", "browses"),
    )
    mask_users: bool = setting(
        False,
        "Mask user ids as an importer does. Off: simulated ids name nobody, and a key of one's "
        "own would change the bytes that a seed gives.",
    )
    key_file: str = setting(
        "", "File with the masking key; empty: the environment variable USER_TF_USER_KEY."
    )
    block_users: int = setting(10_000, "Users simulated side by side; bounds the memory.")
    world: WorldSettings = dataclasses.field(default_factory=WorldSettings)
    strength: StrengthSettings = dataclasses.field(default_factory=StrengthSettings)
    session: SessionSettings = dataclasses.field(default_factory=SessionSettings)
    list: ListSettings = dataclasses.field(default_factory=ListSettings)


def check(settings: SimulateSettings) -> None:
    """Raises an error that names the flag for settings no world can have.

    Raises:
        ValueError: A setting is out of its range or two do not fit together.

    Example:
        >>> check(SimulateSettings(output="log", users=0))
        Traceback (most recent call last):
        ...
        ValueError: `users` must be at least 1. Received: 0. Set --users accordingly.
    """
    world, session, lists = settings.world, settings.session, settings.list

    def demand(holds: bool, name: str, rule: str, value: object) -> None:
        if not holds:
            raise ValueError(
                f"`{name}` must be {rule}. Received: {value}. Set --{name} accordingly."
            )

    demand(bool(settings.output), "output", "the folder to write", repr(settings.output))
    at_least_1 = {
        "users": settings.users,
        "block_users": settings.block_users,
        "world.topics": world.topics,
        "world.subtopics": world.subtopics,
        "world.senses": world.senses,
        "world.facets": world.facets,
        "world.width": world.width,
        "world.title_minimum": world.title_minimum,
        "session.sessions": session.sessions,
        "session.requests": session.requests,
        "session.interests": session.interests,
        "list.results": lists.results,
    }
    for name, value in at_least_1.items():
        demand(value >= 1, name, "at least 1", value)
    for part in ("strength", "session", "world", "list"):
        branch = getattr(settings, part)
        for field in dataclasses.fields(branch):
            if field.name in _SHARES or part == "strength":
                value = getattr(branch, field.name)
                demand(0 <= value <= 1, f"{part}.{field.name}", "in [0, 1]", value)
    demand(settings.seed >= 0, "seed", "0 or more", settings.seed)
    demand(settings.shape in ("lists", "browses"), "shape", "lists or browses", settings.shape)
    demand(
        world.topics % world.senses == 0,
        "world.senses",
        f"a divisor of `world.topics` = {world.topics}",
        world.senses,
    )
    demand(
        world.title_minimum <= world.title_mean <= world.title_maximum,
        "world.title_mean",
        f"between `world.title_minimum` = {world.title_minimum} and `world.title_maximum` = "
        f"{world.title_maximum}",
        world.title_mean,
    )
    demand(
        session.interests <= world.topics,
        "session.interests",
        f"at most `world.topics` = {world.topics}",
        session.interests,
    )
    each = world.documents // (world.topics * world.subtopics)
    old = each - int(np.ceil(world.fresh_share * each))
    demand(
        old * min(world.senses, session.interests) >= lists.results,
        "world.documents",
        f"enough that the sub-topics of a query ({world.senses}) and of a user's interests "
        f"({session.interests}) hold `list.results` = {lists.results} documents at the start of "
        f"the log (they hold {old} each)",
        world.documents,
    )
    room = session.days * 24 / max(session.sessions, 1)
    demand(
        room >= 4,
        "session.days",
        f"at least {session.sessions / 6:.1f} for `session.sessions` = {session.sessions}",
        session.days,
    )
    try:
        np.datetime64(session.start, "D")
    except ValueError:
        demand(False, "session.start", "a day such as 2024-01-01", repr(session.start))


_SHARES = (
    "fresh_share",
    "search_share",
    "carry_over",
    "drift",
    "exploration",
    "refinding",
    "query_ambiguity",
    "feed_hit",
)
