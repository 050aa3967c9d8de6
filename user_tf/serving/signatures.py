"""Name the served signatures on raw strings, and write them as a SavedModel.

Arguments, with B requests, H history slots, K history titles, O documents opened, C candidates,
n features, S numbers of a state:

| argument | dtype, shape | meaning |
|---|---|---|
| user_id | string [B] | masked id as in the log; unknown ids share one row |
| query | string [B] | "" for a recommendation |
| task | string [B] | `search` or `recommendation`: the targets that a state is for |
| session | int64 [B] | number of the current session, from 1 |
| history_count | int64 [B] | past behaviors of each request |
| history_session | int64 [B, H] | number of each past behavior's session, oldest first |
| history_query | string [B, H] | "" for a browse |
| history_title_count | int64 [B, H] | titles of each past behavior: clicks of a search, 1 of a browse |
| history_titles | string [B, K] | the titles of all past behaviors, one behavior after the other |
| opened_count | int64 [B] | documents the user opened; 0: those of the history count |
| opened_session | int64 [B, O] | number of the session of each, 0: some earlier one; oldest first |
| opened_query | string [B, O] | query of the search of each, "" without one |
| opened_titles | string [B, O] | title of each |
| opened_together | int64 [B, O] | 1: it became known at the same time as the one before, 0: later |
| state | int32 [B, S] | result of `encode_user` |
| candidate_count | int64 [B] | candidates of each request |
| document_ids | string [B, C] | candidates by id |
| candidates | string [B, C] | titles; of `rank_documents` those of documents that the model does not know |
| features | float32 [B, C, n] | raw F instead of the graph's; NaN: the graph's |

`SIGNATURES` says which takes which. Results:

| result | dtype, shape | meaning |
|---|---|---|
| scores | float32 [B, C] | beyond `candidate_count` the lowest finite float32 (`request.PADDING_SCORE`), which JSON can carry and which sorts last |
| state | int32 [B, S] | for `rank_with_state` and `rank_documents` of this export |
| attention | float32 [B, H] | of each past behavior; past sessions and the current one sum to 1 each, 0: not seen |
| contributions | float32 [B, C, m] | part of each signal in the score; the manifest names them |
| known_user | bool [B] | whether the user has a row of the user table |
| history_kept | int32 [B] | behaviors of the history that the model sees |
| unknown_words | float32 [B] | share of the words of query and candidates outside the vocabulary |
| known_documents | float32 [B] | share of the candidates that the model knows by id |

The last four are for monitoring: a wrong masking key or a wrong language shows in them at once.

Nothing beyond the counts is read, whatever stands there: TensorFlow Serving
(`pad_variable_length_inputs`) pads each array with its own first value. No array has more axes for
a history than for none, so that an empty list of a REST request, [1, 0], has the rank of any other.
TensorFlow Serving knows no optional arguments, hence a signature for each set of them.

F is computed in the graph (`request_features`). What it cannot know, the counts over all users of a
model without a snapshot, is the mean. Values that are given count up to 100 standard deviations.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from user_tf.models.contributions import contribution_names
from user_tf.models.shared_weights import share_weights, stamp_of
from user_tf.serving.graph.document_table import DocumentTable
from user_tf.serving.graph.ranking import WATCHED, Graph
from user_tf.serving.graph.request_batch import task_of
from user_tf.serving.graph.request_checks import check_request
from user_tf.serving.graph.staged_ranking import StagedRanking
from user_tf.serving.graph.task_routing import route
from user_tf.serving.graph.user_state import StateLayout
from user_tf.serving.request import PADDING_SCORE

_COUNT = tf.TensorSpec([None], tf.int64)
_TEXT = tf.TensorSpec([None], tf.string)
_COUNTS = tf.TensorSpec([None, None], tf.int64)
_TEXTS = tf.TensorSpec([None, None], tf.string)

_USER = {
    "user_id": _TEXT,
    "session": _COUNT,
    "history_count": _COUNT,
    "history_session": _COUNTS,
    "history_query": _TEXTS,
    "history_title_count": _COUNTS,
    "history_titles": _TEXTS,
    "opened_count": _COUNT,
    "opened_session": _COUNTS,
    "opened_query": _TEXTS,
    "opened_titles": _TEXTS,
    "opened_together": _COUNTS,
}
_TARGET = {"query": _TEXT, "candidate_count": _COUNT, "candidates": _TEXTS}
_STATE = {"state": tf.TensorSpec([None, None], tf.int32)}

SIGNATURES: Mapping[str, Mapping[str, tf.TensorSpec]] = {
    "rank": {**_USER, **_TARGET},
    "rank_with_features": {
        **_USER,
        **_TARGET,
        "features": tf.TensorSpec([None, None, None], tf.float32),
    },
    "explain": {**_USER, **_TARGET},
    "encode_user": {**_USER, "task": _TEXT},
    "rank_with_state": {**_STATE, **_TARGET},
    "rank_documents": {**_STATE, **_TARGET, "document_ids": _TEXTS},
}
"""Arguments of each signature; a model has those that its ranker and its export can give."""


class ServedModel:
    """The signatures of a model, and what they read.

    Args:
        graph: Path from strings to the Batch.
        copies: Built rankers by task, one or both of `TASK_LABELS`; both may be the same object.
        documents: Encoded documents, for `rank_documents`. Default: none.
    """

    def __init__(
        self,
        graph: Graph,
        copies: Mapping[str, Any],
        documents: DocumentTable | None = None,
    ) -> None:
        self._graph, self._copies = graph, copies
        self._scope, self._weights, constants = share_weights(copies)
        self._tables = [graph.tokenizer, graph.users, graph.features, documents]
        self._ranker = next(iter(copies.values()))
        self._staged: Any = None
        if self._ranker.staged:
            stamp = stamp_of([*self._weights, *constants])
            layout = _make_layout(graph, self._ranker, stamp)
            self._staged = StagedRanking(graph, copies, self._scope, layout, documents)
        # One function under two signatures: the models are traced and stored once.
        self._scored = tf.function(
            self._score, input_signature=[self._specs("rank_with_features")], autograph=False
        )

    @property
    def names(self) -> list[str]:
        """Return the signatures that this model gives, `rank` first."""
        missing = set()
        if not self._graph.feature_count:
            missing |= {"rank_with_features"}
        if self._staged is None:
            missing |= {"explain", "encode_user", "rank_with_state"}
        if self._staged is None or self._staged.documents is None:
            missing |= {"rank_documents"}
        return [name for name in SIGNATURES if name not in missing]

    @property
    def contribution_names(self) -> list[str]:
        """Return the signals of `contributions`, in order; none for a model that cannot `explain`."""
        if self._staged is None:
            return []
        features = self._graph.features
        return contribution_names(self._ranker.config, features.names if features else ())

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write the SavedModel; `rank` is also its `serving_default`."""
        functions = {name: self.trace(name) for name in self.names}
        functions["serving_default"] = functions["rank"]
        # Plain variables only: of a Keras layer a SavedModel would store every value twice.
        root = tf.Module()
        root.weights = self._weights
        root.tables = [table for table in self._tables if table is not None]
        tf.saved_model.save(root, os.fspath(folder), signatures=functions)

    def compute(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a signature, operation by operation: no graph is made for it.

        Args:
            name: One of `names`.
            request: Tensors by argument.
        """
        before = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            return self._answer(name, request)
        finally:
            tf.config.run_functions_eagerly(before)

    def trace(self, name: str) -> Any:
        """Return the traced function of a signature.

        Args:
            name: One of `names`.
        """
        specs = {
            argument: tf.TensorSpec(spec.shape, spec.dtype, name=argument)
            for argument, spec in self._specs(name).items()
        }

        def serve(*arguments: Any) -> dict[str, Any]:
            return self._answer(name, dict(zip(specs, arguments, strict=True)))

        function = tf.function(serve, input_signature=[*specs.values()], autograph=False)
        return function.get_concrete_function()

    def _answer(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs of a signature for a request that may break rules."""
        request = check_request(request, self._graph.caps)
        found = getattr(self, f"_{name}")(request)
        if "scores" in found:
            real = tf.sequence_mask(request["candidate_count"], tf.shape(found["scores"])[1])
            found["scores"] = tf.where(real, found["scores"], PADDING_SCORE)
        return found

    def _specs(self, name: str) -> dict[str, tf.TensorSpec]:
        specs = dict(SIGNATURES[name])
        if "features" in specs:
            shape = [None, None, self._graph.feature_count]
            specs["features"] = tf.TensorSpec(shape, tf.float32)
        return specs

    def _rank(self, request: dict[str, Any]) -> dict[str, Any]:
        shape = tf.concat([tf.shape(request["candidates"]), [self._graph.feature_count]], 0)
        return self._rank_with_features({**request, "features": tf.fill(shape, float("nan"))})

    def _rank_with_features(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._scored(request)

    def _score(self, request: dict[str, Any]) -> dict[str, Any]:
        shapes = {"scores": ((tf.shape(request["candidates"])[1],), tf.float32)}
        return self._route(request, self._graph.score, shapes)

    def _explain(self, request: dict[str, Any]) -> dict[str, Any]:
        candidates, slots = (
            tf.shape(request[name])[1] for name in ("candidates", "history_session")
        )
        shape = [tf.shape(request["query"])[0], candidates, self._graph.feature_count]
        signals = len(self.contribution_names)
        shapes = {
            "scores": ((candidates,), tf.float32),
            "attention": ((slots,), tf.float32),
            "contributions": ((candidates, signals), tf.float32),
        }
        features = tf.fill(shape, float("nan"))
        return self._route({**request, "features": features}, self._graph.explain, shapes)

    def _route(
        self, request: dict[str, Any], compute: Callable[..., Any], shapes: Any
    ) -> dict[str, Any]:
        def compute_part(ranker: Any, part: Mapping[str, Any], task: Any) -> dict[str, Any]:
            return compute(ranker, part, part["features"], task)

        tasks, every = task_of(request["query"]), {**shapes, **WATCHED}
        return route(self._copies, tasks, request, compute_part, every, self._scope)

    def _encode_user(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._staged.encode_user(request)

    def _rank_with_state(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._staged.rank_with_state(request)

    def _rank_documents(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._staged.rank_documents(request)


def _make_layout(graph: Graph, ranker: Any, version: int) -> StateLayout:
    config, limits = ranker.config, graph.limits
    places = limits.past_sessions * limits.session_behaviors
    return StateLayout(
        version=version,
        history=places if config.history_encoder else 0,
        session=limits.session_behaviors if config.session_encoder else 0,
        types=limits.session_behaviors,
        width=config.width,
        word_width=graph.features.width if graph.features else 0,
    )
