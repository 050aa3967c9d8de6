"""Events of one scenario: both kinds of behavior, or those of one task in sessions of their own."""

import dataclasses

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import BehaviorType, Scenario
from data_pipeline.events import sessions
from data_pipeline.events.user_events import UserEvents
from data_pipeline.settings import SequenceSettings


@dataclasses.dataclass(frozen=True)
class ScenarioEvents:
    """Events of one scenario.

    Attributes:
        behaviors: Columns behavior (1, 2, ... in the scenario), user, time, known_at, type, text,
            doc, activity, session (of the scenario), in the order of `behavior`.
        satisfied_search_clicks: Columns behavior, rank, doc, known_at, order (behavior, rank).
        session: int64 [activities], session of the scenario at each activity, 0 outside of it.
    """

    behaviors: Columns
    satisfied_search_clicks: Columns
    session: Integers


def select_scenario(
    events: UserEvents, scenario: str, settings: SequenceSettings
) -> ScenarioEvents:
    """Return the events of a scenario: all of them, or those of its task numbered again.

    Args:
        events: Events of the unified log.
        scenario: A `Scenario`.
        settings: When a session ends.
    """
    session = cut_scenario_sessions(events, scenario, settings)
    behaviors, clicks = events.behaviors, events.satisfied_search_clicks
    if scenario != Scenario.UNIFIED:
        behaviors, clicks = _select_task(behaviors, clicks, scenario)
    return ScenarioEvents(behaviors | {"session": session[behaviors["activity"]]}, clicks, session)


def cut_scenario_sessions(
    events: UserEvents, scenario: str, settings: SequenceSettings
) -> Integers:
    """Return the session of a scenario at each activity: int64 [activities], 0 outside of it.

    The other scenarios' sessions are cut again, on the searches alone or on all other activities,
    and numbered from 1 on.
    """
    activities, requests = events.activities, events.requests
    inside = np.zeros(len(activities["user"]), bool)
    if scenario != Scenario.RECOMMENDATION:
        inside[requests["activity"][requests["query"] > 0]] = True
    if scenario != Scenario.SEARCH:
        clicks = events.clicks
        inside[requests["activity"][requests["query"] == 0]] = True
        inside[events.browses["activity"]] = True
        inside[clicks["activity"][clicks["query"] == 0]] = True
    place = np.flatnonzero(inside)
    session = np.zeros(len(inside), np.int64)
    session[place] = sessions.cut(activities["user"][place], activities["time"][place], settings)
    return session


def _select_task(behaviors: Columns, clicks: Columns, scenario: str) -> tuple[Columns, Columns]:
    """Return one task's behaviors and satisfied search clicks, numbered again."""
    search = scenario == Scenario.SEARCH
    inside = behaviors["type"] == (BehaviorType.SEARCH if search else BehaviorType.BROWSE)
    number = np.where(inside, np.cumsum(inside), 0)
    behaviors = {name: column[inside] for name, column in behaviors.items()}
    owner = number[clicks["behavior"] - 1]
    clicks = {name: column[owner > 0] for name, column in clicks.items()}
    return (
        behaviors | {"behavior": np.arange(1, len(behaviors["type"]) + 1)},
        clicks | {"behavior": owner[owner > 0]},
    )
