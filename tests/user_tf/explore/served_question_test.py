"""A question becomes a request, and the served model's answer."""

import dataclasses
import json

import pytest

from user_tf.api.served import ServedRanker
from user_tf.explore import served_question as lib
from user_tf.serving.request import RequestError

HISTORY = (
    lib.PastBehavior("search", "1", "hats", "Sun hat\nCap"),
    lib.PastBehavior("browse", "2", "Red shoe"),
)
QUESTION = lib.Question(
    query="Boot", session="2", history=HISTORY, candidates="Boot\nCap\nRed shoe\nSock"
)


@pytest.fixture(name="model", scope="module")
def _model(folder):
    return ServedRanker(folder / "model")


def test_a_form_is_read_as_it_was_written():
    fields = {"query": "Boot", "session": "2", "candidates": QUESTION.candidates, "user_id": ""}
    for number, item in enumerate(HISTORY):
        fields |= {f"{name}-{number}": value for name, value in vars(item).items()}
    assert lib.from_form(fields) == QUESTION


def test_a_request_becomes_a_form_and_the_same_request_again(exploration, targets):
    request = exploration.request(targets["search"][0])
    again = lib.from_request(request).to_request(30)
    assert again.history == request.history and again.session == request.session
    assert again.candidates == request.candidates and again.query == request.query


def test_the_answer_is_that_of_the_signatures(model):
    found = lib.answer(model, QUESTION)
    assert found.scores == (3, 10, 10, 0) and found.order == (1, 2, 0, 3)
    assert found.signals == ("in the history", "is the query")
    assert found.contributions == ((0, 3), (10, 0), (10, 0), (0, 0))
    assert found.attention == (0.5, 0.5) and found.notes == ()


def test_a_removed_behavior_changes_the_order(model):
    assert lib.answer(model, QUESTION.without(0)).order == (2, 0, 1, 3)


def test_a_new_behavior_counts_once_it_is_written(model):
    longer = QUESTION.with_new("browse")
    assert longer.history[2].session == "2" and longer.places == [0, 1]
    found = lib.answer(model, longer)
    assert found.order == (1, 2, 0, 3) and found.attention == (0.5, 0.5, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": " \n"}, "`candidates` must be a list of at least 1 title"),
        ({"session": "two"}, "`session` must"),
        ({"query": ""}, "trained for search only"),
        ({"session": "1"}, "`session` must not decrease"),
    ],
)
def test_a_mistake_is_a_sentence(model, changes, message):
    with pytest.raises(RequestError, match=rf"{message}.*Got.*Fix:"):
        lib.answer(model, lib.Question(**(vars(QUESTION) | changes)))


def test_a_model_that_cannot_explain_shows_what_each_behavior_does(model, monkeypatch):
    monkeypatch.setattr(model, "signature", lambda name: None)
    found = lib.answer(model, QUESTION)
    assert found.notes == (lib.WITHOUT_EXPLAIN,) and found.attention == ()
    assert found.signals == ("1. hats", "2. Red shoe")
    assert found.contributions == ((0, 0), (10, 0), (0, 10), (0, 0))
    alone = lib.answer(model, dataclasses.replace(QUESTION, history=()))
    assert alone.signals == () and alone.contributions == ()
    many = (lib.PastBehavior("browse", "1", "Sock"),) * 30
    longer = lib.answer(model, dataclasses.replace(QUESTION, history=many))
    assert longer.signals[0] == "11. Sock" and len(longer.contributions[0]) == lib.LEFT_OUT
    assert longer.contributions[3] == (10,) * lib.LEFT_OUT


def test_the_body_is_the_json_of_a_request():
    body = [item.to_item() for item in HISTORY]
    assert json.loads(json.dumps(body)) == [
        {"session": 1, "query": "hats", "clicked": ["Sun hat", "Cap"]},
        {"session": 2, "title": "Red shoe"},
    ]
