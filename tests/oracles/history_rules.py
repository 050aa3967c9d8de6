"""State which past behaviors a target sees, in plain Python: slow, one target, one loop.

Preparation (`data_pipeline.events.visible_history`) and the served graph
(`user_tf.serving.graph.history_selection`) are both held to this file.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class PastBehavior:
    """One behavior of a user.

    Attributes:
        name: Anything that identifies it.
        session: Number of its session.
        task: `search` or `recommendation`.
        known_at: A target sees it if this is earlier than the target's time.
        clicks: (rank, title, known_at) of a search's satisfied clicks.
    """

    name: object
    session: int
    task: str
    known_at: int = 0
    clicks: tuple = ()


def seen_behaviors(behaviors, session, time, limits):
    """Return the current session and the past sessions a target sees.

    Args:
        behaviors: `PastBehavior`s of the target's user, oldest first.
        session: Session of the target.
        time: Time of the target.
        limits: scenario, session_behaviors, past_sessions and clicked_titles.

    Returns:
        List of (name, clicked titles) of the current session; list of such lists, one for each past
        session. All are oldest first.
    """
    sessions = {}
    for behavior in behaviors:
        of_scenario = limits.scenario in ("unified", behavior.task)
        if not of_scenario or behavior.known_at >= time or behavior.session > session:
            continue
        known = sorted(click for click in behavior.clicks if click[2] < time)
        titles = [title for _, title, _ in known[: limits.clicked_titles]]
        sessions.setdefault(behavior.session, []).append((behavior.name, titles))
    current = sessions.pop(session, [])
    # A session without a visible behavior is no past session.
    past = [sessions[number] for number in sorted(sessions)][-limits.past_sessions :]
    last = limits.session_behaviors
    return current[-last:], [members[-last:] for members in past]
