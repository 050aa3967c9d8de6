"""Settings of the simulated platform, with the reason for each default."""

import dataclasses

import numpy as np

from data_pipeline.common.flagtree import setting
from data_pipeline.simulator.readable_words import read_words

INTERESTS = 3
"""Topics of lasting interest of each user: enough that the current intent is never certain."""
KINDS = ("invented", "readable", "ids")
"""Kinds of words."""
GENERAL_WORDS, TOPIC_WORDS, SUBTOPIC_WORDS, FAMILY_WORDS, FACET_WORDS = 200, 30, 8, 6, 10
"""Words of each block: few enough that a small log holds each of them often."""


@dataclasses.dataclass(frozen=True)
class WorldSettings:
    """Topics, documents and words: few enough that some ten thousand groups teach the texts."""

    words: str = setting(
        "invented",
        "`invented`: made-up words, as in the published results; `readable`: English words; `ids`: "
        "a title is one token of its own, so that texts say nothing (queries are invented words).",
        choices=KINDS,
    )
    topics: int = setting(24, "Topics; few, so that a model meets each often enough to learn it.")
    subtopics: int = setting(6, "Sub-topics of each topic; an intent is a sub-topic.")
    senses: int = setting(
        4,
        "Sub-topics, each of another topic, that share their query words. With four, a short "
        "query has four readings; the user's interests and session decide between them.",
    )
    facets: int = setting(
        8, "Kinds of document (review, video, ...) across topics; users prefer some of them."
    )
    documents: int = setting(7200, "Documents; 50 for each of 144 sub-topics, so lists differ.")
    fresh_share: float = setting(
        0.2, "Share of documents published during the log, never shown earlier; 0: no times."
    )
    title_minimum: int = setting(5, "Fewest tokens of a title.")
    title_mean: float = setting(
        8.0, "Mean tokens of a title: enough to identify the sub-topic, cheap to encode."
    )
    title_maximum: int = setting(20, "Most tokens of a title.")
    width: int = setting(16, "Width of the latent topic space; topics are nearly orthogonal in it.")
    popularity: float = setting(0.7, "Zipf exponent of documents' popularity in their sub-topic.")


@dataclasses.dataclass(frozen=True)
class StrengthSettings:
    """Dependence between the two services; all 0: independent services."""

    shared_interests: float = setting(
        0.8, "Probability that a lasting interest or taste of a user holds in both services."
    )
    browse_to_search: float = setting(
        0.8, "Probability that a search right after browsing continues the browsed intent."
    )
    search_to_browse: float = setting(
        0.8, "Probability that browsing right after a search continues the searched intent."
    )


@dataclasses.dataclass(frozen=True)
class SessionSettings:
    """Times of sessions, and the intents in them."""

    start: str = setting("2024-01-01", "First day of the log, UTC.")
    days: float = setting(30.0, "Length of the log in days.")
    sessions: float = setting(
        9.0, "Mean sessions per user; with 4.5 requests each, about 10 satisfied targets per user."
    )
    requests: float = setting(
        4.5, "Mean requests per session; with their clicks some 3 to 6 behaviors."
    )
    carry_over: float = setting(
        0.5, "Probability that a session continues the intent of the session before."
    )
    newcomers: float = setting(
        0.0, "Share of users whose sessions all lie in the last tenth of the log."
    )
    exploration: float = setting(0.1, "Share of intents outside the user's interests.")
    refinding: float = setting(
        0.15, "Share of searches for a document that satisfied the user before."
    )


@dataclasses.dataclass(frozen=True)
class ListSettings:
    """Lists of the search engine and the feed."""

    results: int = setting(10, "Documents per list; 20 in the paper.")
    popularity_weight: float = setting(0.7, "Weight of log popularity in both rankings.")


@dataclasses.dataclass(frozen=True)
class SimulateSettings:
    """Settings of `python -m data_pipeline.simulate`."""

    output: str = setting("", "Folder of the behavior log to write; must not exist.", path=True)
    users: int = setting(2000, "Users; 2,000 give some 23,000 groups, enough for a quickstart.")
    seed: int = setting(1, "Seed of every draw; the same seed gives the same bytes.")
    shape: str = setting(
        "lists",
        "`lists`: recommendation lists are logged; `browses`: only the documents read from them, "
        "as in the paper.",
        choices=("lists", "browses"),
    )
    mask_users: bool = setting(
        False,
        "Mask user ids as an importer does. Off by default: simulated ids identify nobody, and "
        "every key would give other bytes for the same seed.",
    )
    key_file: str = setting(
        "",
        "File with the masking key; empty: the environment variable USER_TF_USER_KEY.",
        path=True,
    )
    block_users: int = setting(10_000, "Users simulated at once; bounds the memory.")
    world: WorldSettings = dataclasses.field(default_factory=WorldSettings)
    strength: StrengthSettings = dataclasses.field(default_factory=StrengthSettings)
    session: SessionSettings = dataclasses.field(default_factory=SessionSettings)
    list: ListSettings = dataclasses.field(default_factory=ListSettings)


_SHARES = ("fresh_share", "newcomers", "carry_over", "exploration", "refinding")


def demand(holds: bool, name: str, rule: str, value: object, fix: str = "") -> None:
    """Raise a `ValueError` that names a setting, unless `holds`.

    Example:
        >>> demand(False, "users", "be at least 1", 0)
        Traceback (most recent call last):
        ...
        ValueError: `users` must be at least 1. Got 0. Fix: change --users.
    """
    if not holds:
        raise ValueError(f"`{name}` must {rule}. Got {value!r}. Fix: {fix or f'change --{name}'}.")


def check(settings: SimulateSettings) -> None:
    """Raise an error that names the flag if no world can have these settings.

    Raises:
        ValueError: A setting is out of its range, or two settings contradict each other.
    """
    world, session, lists = settings.world, settings.session, settings.list
    demand(bool(settings.output), "output", "name the folder to write", settings.output)
    at_least_1 = {
        "users": settings.users,
        "block_users": settings.block_users,
        "world.subtopics": world.subtopics,
        "world.senses": world.senses,
        "world.facets": world.facets,
        "world.width": world.width,
        "world.title_minimum": world.title_minimum,
        "session.sessions": session.sessions,
        "session.requests": session.requests,
        "list.results": lists.results,
    }
    for name, value in at_least_1.items():
        demand(value >= 1, name, "be at least 1", value)
    for part in ("strength", "session", "world", "list"):
        branch = getattr(settings, part)
        for field in dataclasses.fields(branch):
            if field.name in _SHARES or part == "strength":
                value = getattr(branch, field.name)
                demand(0 <= value <= 1, f"{part}.{field.name}", "be in [0, 1]", value)
    demand(settings.seed >= 0, "seed", "be 0 or more", settings.seed)
    demand(settings.shape in ("lists", "browses"), "shape", "be lists or browses", settings.shape)
    _check_world(world)
    each = world.documents // (world.topics * world.subtopics)
    old = each - int(np.ceil(world.fresh_share * each))
    demand(
        old * min(world.senses, INTERESTS) >= lists.results,
        "world.documents",
        f"give the sub-topics of a query (`world.senses` = {world.senses}) and of a user's "
        f"interests ({INTERESTS}) at least `list.results` = {lists.results} documents at the "
        f"start of the log; each sub-topic has {old}",
        world.documents,
        fix="raise --world.documents",
    )
    demand(
        session.days * 24 / max(session.sessions, 1) >= 4,
        "session.days",
        f"be at least {session.sessions / 6:.1f} for `session.sessions` = {session.sessions}",
        session.days,
    )
    try:
        np.datetime64(session.start, "D")
    except ValueError:
        demand(False, "session.start", "be a day such as 2024-01-01", session.start)


def _check_world(world: WorldSettings) -> None:
    """Check the numbers of topics and words, which must fit together."""
    rule = f"be at least {INTERESTS}, the interests of a user"
    demand(world.topics >= INTERESTS, "world.topics", rule, world.topics)
    rule = f"divide `world.topics` = {world.topics}"
    demand(world.topics % world.senses == 0, "world.senses", rule, world.senses)
    demand(
        world.title_minimum <= world.title_mean <= world.title_maximum,
        "world.title_mean",
        f"be between `world.title_minimum` = {world.title_minimum} and `world.title_maximum` = "
        f"{world.title_maximum}",
        world.title_mean,
    )
    demand(world.words in KINDS, "world.words", f"be one of {', '.join(KINDS)}", world.words)
    if world.words == "readable":
        words = read_words()
        limits = {
            "topics": len(words.topics),
            "subtopics": len(words.subtopics[0]),
            "facets": len(words.facets),
        }
        invented = "or use --world.words=invented"
        for name, limit in limits.items():
            demand(
                getattr(world, name) <= limit,
                f"world.{name}",
                f"be at most {limit} with `world.words` = readable, which has no more words",
                getattr(world, name),
                fix=f"lower --world.{name}, {invented}",
            )
        families, limit = world.topics * world.subtopics // world.senses, len(words.shared)
        demand(
            families * FAMILY_WORDS <= limit,
            "world.senses",
            f"give at most {limit // FAMILY_WORDS} families of sub-topics with `world.words` = "
            f"readable, which has no more ambiguous words; there are {families}",
            world.senses,
            fix=f"raise --world.senses, {invented}",
        )
