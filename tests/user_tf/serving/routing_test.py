"""Each request is scored by the copy of its task, and no other copy runs."""

import pytest
import tensorflow as tf

from tests.user_tf.serving.served_requests import RECOMMENDATION, SEARCH, tensors
from user_tf.serving.graph.ranking import WATCHED
from user_tf.serving.graph.request_batch import task_of
from user_tf.serving.graph.task_routing import route


def calling(calls, task):
    """Return a ranker that records its calls at run time and scores everything 1 or 2."""

    def ranker(batch, training):
        assert not training
        tf.py_function(lambda: calls.append(task), [], [])
        value = 1.0 if task == "search" else 2.0
        return tf.fill(tf.shape(batch["candidate_mask"]), value)

    return ranker


def compile_scores(graph, copies):
    """Return a compiled function of a request and its F that gives the scores."""

    def compute(ranker, part, task):
        return graph.score(ranker, part, part["features"], task)

    @tf.function
    def served(request, features):
        count = tf.shape(request["candidates"])[1]
        shapes = {"scores": ((count,), tf.float32), **WATCHED}
        arguments = {**request, "features": features}
        return route(copies, task_of(request["query"]), arguments, compute, shapes)["scores"]

    return served


def test_a_batch_of_one_task_runs_one_copy_only(graph):
    calls = []
    copies = {task: calling(calls, task) for task in ("search", "recommendation")}
    served = compile_scores(graph, copies)
    for requests, ran in (
        ([SEARCH, SEARCH], ["search"]),
        ([RECOMMENDATION], ["recommendation"]),
        ([RECOMMENDATION, SEARCH], ["recommendation", "search"]),
    ):
        calls.clear()
        found = served(
            tensors(requests), tf.zeros([len(requests), 5 if SEARCH in requests else 3, 2])
        )
        assert sorted(calls) == ran
        expected = [1.0 if request.query else 2.0 for request in requests]
        assert found[:, 0].numpy().tolist() == expected


def test_a_model_of_one_task_refuses_the_other(graph):
    copies = {"search": calling([], "search")}
    served = compile_scores(graph, copies)
    assert served(tensors([SEARCH]), tf.zeros([1, 5, 2])).numpy().tolist() == [[1.0] * 5]
    with pytest.raises(tf.errors.InvalidArgumentError, match="trained for search only"):
        served(tensors([SEARCH, RECOMMENDATION]), tf.zeros([2, 5, 2]))
