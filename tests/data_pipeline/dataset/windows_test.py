import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.dataset.windows import TargetRows, WindowInputs, cut_windows, lay_out_windows
from data_pipeline.events.visible_history import BehaviorStates, VisibleHistory


def columns(**values):
    return {name: np.array(value, np.int64) for name, value in values.items()}


@pytest.fixture
def content():
    """Inputs, behaviors and states: the search (second) has a state with and without a click."""
    behaviors = columns(
        behavior=[1, 2, 3], known_at=[0, 10, 90], type=[1, 2, 1], text=[4, 5, 6], doc=[1, 0, 3]
    )
    satisfied_search_clicks = columns(behavior=[2], rank=[0], doc=[2], known_at=[40])
    inputs = WindowInputs(
        targets=columns(
            target_id=[0, 1], user=[7, 7], task=[2, 1], query=[5, 0], next_query=[9, 0]
        ),
        user_row=np.array([2, 2]),
        offsets=np.array([0, 2, 5]),
        candidate_doc=np.array([3, 1, 2, 1, 3]),
        candidate_label=np.array([0, 1, 1, 0, 0]),
        features=np.arange(10, dtype=np.float32).reshape(5, 2),
        document_text=np.array([0, 4, 8, 6]),
        group_row=np.array([0, 1]),
        positive=np.array([1, 0]),
    )
    return inputs, behaviors, BehaviorStates(behaviors, satisfied_search_clicks, 3)


# States 0: browse, 1: search alone, 2: search with its click, 3: browse; rows hold state + 1.
PAST = VisibleHistory(
    sessions=np.array([[1, 0], [3, 4]]),
    current=np.array([[2, 0], [3, 0]]),
    past=np.array([[1, 0, 0], [1, 2, 0]]),
)


def read_fields(record):
    feature = tf.train.Example.FromString(record).features.feature
    return {
        name: list(value.int64_list.value or value.float_list.value)
        for name, value in feature.items()
    }


def test_a_record_holds_every_field_of_the_contract(content):
    rows = np.array([0, 1])
    rows = TargetRows(rows, rows, np.array([1, 0]), np.array([0, 2]))
    lines, sizes = lay_out_windows(*content, PAST, rows)
    (record,) = [read_fields(line) for line in lines]
    assert record == {
        "user": [2],
        "behavior_type": [1, 2, 2, 1],
        "behavior_text": [4, 5, 5, 6],
        "behavior_doc": [1, 0, 0, 3],
        "behavior_clicked_docs": [0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0],
        "session_behaviors": [1, 0, 3, 4],
        "target_id": [0, 1],
        "target_task": [2, 1],
        "target_positive": [1, 0],
        "query_text": [5, 0],
        "next_query_text": [9, 0],
        "current_behaviors": [2, 0, 3, 0],
        "past_sessions": [1, 0, 0, 1, 2, 0],
        "candidate_count": [2, 3],
        "candidate_doc": [3, 1, 2, 1, 3],
        "candidate_label": [0, 1, 1, 0, 0],
        "candidate_features": [float(value) for value in range(10)],
    }
    # Texts 4, 5, 6 of behaviors, 8 of the clicked title, 9 the next query.
    assert sizes.tolist() == [[5, 4, 2, 2, 5]]


def test_windows_number_their_behaviors_and_sessions_on_their_own(content):
    rows = np.array([1, 0])
    rows = TargetRows(rows, rows, np.array([0, 1]), np.array([0, 1, 2]))
    lines, sizes = lay_out_windows(*content, PAST, rows)
    first, second = (read_fields(line) for line in lines)
    assert first["behavior_text"] == [4, 5, 6] and second["behavior_text"] == [4, 5]
    assert first["session_behaviors"] == [1, 0, 2, 3] and second["session_behaviors"] == [1, 0]
    assert first["current_behaviors"] == [2, 0] and second["current_behaviors"] == [2, 0]
    assert sizes[:, 1].tolist() == [3, 2]


def test_a_target_without_any_past_makes_empty_lists(content):
    empty = VisibleHistory(np.zeros((0, 2), int), np.zeros((1, 2), int), np.zeros((1, 3), int))
    one = np.array([0])
    rows = TargetRows(one, one, np.array([1]), np.array([0, 1]))
    lines, sizes = lay_out_windows(*content, empty, rows)
    (record,) = [read_fields(line) for line in lines]
    assert record["behavior_type"] == [] and record["past_sessions"] == [0, 0, 0]
    assert sizes.tolist() == [[2, 0, 0, 1, 2]]


def test_windows_end_with_their_user_or_when_they_are_full():
    assert cut_windows(np.array([1, 1, 1, 1, 1, 2, 2]), 2).tolist() == [0, 2, 4, 5, 7]
    assert cut_windows(np.zeros(0, np.int64), 2).tolist() == [0]
