"""Strings to Batch: what is kept of a history, and how the tables point at each other."""

import numpy as np
import pytest
import tensorflow as tf

from user_tf.serving.request_batch import HistoryLimits, pack, select_history

LIMITS = HistoryLimits("unified", 5, 20, 3)


def select(session, history_session, history_query=None, limits=LIMITS):
    history_session = np.asarray(history_session, np.int64)
    if history_query is None:
        history_query = np.full(history_session.shape, "q")
    found = select_history(
        tf.constant(session, tf.int64),
        tf.constant(history_session),
        tf.constant(history_query, tf.string, history_session.shape),
        limits,
    )
    return {name: value.numpy() for name, value in found.items()}


def expected(session, history_session, kept_queries, limits):
    """What a target sees as lists of history slots: (past sessions, current session)."""
    seen = {}
    for slot, number in enumerate(history_session):
        if 1 <= number <= session and kept_queries(slot):
            seen.setdefault(number, []).append(slot)
    past = [seen[number] for number in sorted(seen) if number != session]
    last = limits.session_behaviors
    return [slots[-last:] for slots in past[-limits.past_sessions :]], seen.get(session, [])[-last:]


@pytest.mark.parametrize("scenario", ["unified", "search", "recommendation"])
def test_random_histories_keep_what_a_plain_loop_keeps(scenario):
    draw = np.random.default_rng(5)
    limits = HistoryLimits(scenario, 3, 4, 3)
    requests, slots = 12, 40
    numbers = np.sort(draw.integers(0, 14, [requests, slots]), axis=1)
    # Padding stands anywhere, and may be any number below 1.
    numbers[draw.random(numbers.shape) < 0.3] = -1
    queries = np.where(draw.random(numbers.shape) < 0.5, "q", "")
    session = draw.integers(3, 14, requests)
    found = select(session, numbers, queries, limits)
    # Pointers -> (request, slot); pad 0 -> nothing.
    rows = [None, *map(tuple, found["rows"].tolist())]
    for request in range(requests):

        def seen_at(slot, request=request):
            return scenario == "unified" or (queries[request, slot] == "q") == (
                scenario == "search"
            )

        past, current = expected(session[request], numbers[request], seen_at, limits)
        pointers = found["past_sessions"][request]
        assert (pointers > 0).tolist() == [True] * len(past) + [False] * (4 - len(past))
        members = [found["session_behaviors"][pointer] for pointer in pointers if pointer]
        assert [[rows[m] for m in member if m] for member in members] == [
            [(request, slot) for slot in slots_of] for slots_of in past
        ]
        for member, slots_of in zip(members, past, strict=True):
            assert (member > 0).tolist() == [True] * len(slots_of) + [False] * (3 - len(slots_of))
        own = found["current_behaviors"][request]
        assert [rows[m] for m in own if m] == [(request, slot) for slot in current]
        assert not own[len(current) :].any()
    # Nothing is kept that no target points at.
    pointed = set(found["session_behaviors"].ravel()) | set(found["current_behaviors"].ravel())
    assert pointed - {0} == set(range(1, len(rows)))


def test_of_a_long_history_the_last_20_sessions_with_their_last_5_behaviors_stay():
    found = select([40], [np.repeat(np.arange(1, 31), 7)])
    assert found["session_behaviors"].shape == (21, 5)
    assert (found["past_sessions"] == np.arange(1, 21)).all()
    first_kept = found["rows"][0]
    assert first_kept.tolist() == [0, 10 * 7 + 2]


def test_an_empty_history_leaves_only_the_pad_rows():
    for slots in (0, 3):
        found = select([1, 2], np.zeros([2, slots]))
        assert found["rows"].shape == (0, 2)
        assert found["session_behaviors"].tolist() == [[0] * 5]
        assert not found["current_behaviors"].any() and not found["past_sessions"].any()


def test_behaviors_of_a_later_session_are_not_seen():
    found = select([2], [[1, 2, 3]])
    assert found["rows"].tolist() == [[0, 0], [0, 1]]


def batch_of(**changes):
    request = {
        "user_id": ["a", "b"],
        "query": ["red hat", ""],
        "session": np.array([2, 1]),
        "history_session": np.array([[1, 2], [1, 0]]),
        "history_query": [["shoe", ""], ["hat", ""]],
        "history_titles": [
            [["big shoe", "", ""], ["sun", "", ""]],
            [["", "", ""], ["never seen", "", ""]],
        ],
        "candidates": [["sun", "red hat"], ["", "beyond the count"]],
        "candidate_count": np.array([2, 1]),
    } | changes
    tensors = {name: tf.constant(value) for name, value in request.items()}
    tokens = {"": 0, "red hat": 1, "shoe": 2, "big shoe": 3, "sun": 4, "hat": 5}

    def encode(texts):
        return tf.constant([[tokens[text.decode()], 0, 0] for text in texts.numpy()], tf.int32)

    def find_user(ids):
        return tf.constant([len(user) for user in ids.numpy()])

    return {
        name: value.numpy()
        for name, value in pack(tensors, tf.zeros([2, 2, 0]), LIMITS, encode, find_user).items()
    }


def test_a_batch_points_at_each_distinct_text_once():
    batch = batch_of()
    tokens = batch["text_tokens"][:, 0]
    assert tokens[0] == 0 and len(set(tokens)) == len(tokens) == 6
    assert batch["text_tokens"].shape[1] == 1, "columns that no text fills should go"
    assert tokens[batch["query_text"]].tolist() == [1, 0]
    assert tokens[batch["candidate_text"]].tolist() == [[4, 1], [0, 0]]
    assert tokens[batch["behavior_text"]].tolist() == [0, 2, 4, 5]
    assert tokens[batch["behavior_clicked"]].tolist() == [[0] * 3, [3, 0, 0], [0] * 3, [0] * 3]


def test_tasks_types_masks_and_ranks_follow_the_contract():
    batch = batch_of()
    assert batch["task"].tolist() == [2, 1]
    assert batch["behavior_type"].tolist() == [0, 2, 1, 2]
    assert batch["candidate_mask"].tolist() == [[True, True], [True, False]]
    assert batch["candidate_rank"].tolist() == [[1, 2], [1, 0]]
    assert batch["current_behaviors"][:, 0].tolist() == [2, 3]
    assert batch["session_behaviors"].tolist() == [[0] * 5, [1, 0, 0, 0, 0]]
    assert batch["past_sessions"][:, :2].tolist() == [[1, 0], [0, 0]]
