"""The simulated platform as Arrow tables: the canonical log of both shapes, and the latent truth."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_pipeline.simulator.behavior import Requests
from data_pipeline.simulator.world import World

TIME = pa.timestamp("us", tz="UTC")


def start_microseconds(start: str) -> int:
    """The first moment of a day, in us since the epoch.

    Example:
        >>> start_microseconds("1970-01-02")
        86400000000
    """
    return int(np.datetime64(start, "us").astype(np.int64))


def _numbered(prefix: str, numbers: np.ndarray, digits: int) -> pa.Array:
    text = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=digits, padding="0")
    return pc.binary_join_element_wise(pa.scalar(prefix), text, "")


def document_ids(count: int) -> pa.Array:
    """Ids of all documents by their number."""
    return _numbered("d", np.arange(count), 7)


def user_ids(numbers: np.ndarray) -> pa.Array:
    """Ids of users by their number, counted over all blocks."""
    return _numbered("user", numbers, 8)


def _texts(world: World, tokens: np.ndarray) -> pa.Array:
    """Words joined by blanks; `tokens` [rows, L] with -1 after the end; "" where there are none."""
    names = pa.array(world.words.names.tolist(), pa.string())
    columns = [
        names.take(pa.array(column, mask=column < 0)) for column in np.ascontiguousarray(tokens.T)
    ]
    # The join leaves out rows of nulls alone, so an empty text needs its one empty word.
    columns[0] = columns[0].fill_null("")
    return pc.binary_join_element_wise(*columns, " ", null_handling="skip")


def _times(microseconds: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    mask = None if known is None else ~known
    return pa.array(microseconds, pa.int64(), mask=mask).cast(TIME)


def documents_table(world: World, start: int) -> pa.Table:
    """Documents of the log; without times where the world has no fresh ones."""
    dated = bool((world.published > 0).any())
    topics = _numbered("topic", world.topic_of(world.document_subtopic), 3)
    known = np.full(len(world.published), dated)
    return pa.table(
        {
            "doc_id": document_ids(len(world.titles)),
            "title": _texts(world, world.titles),
            "category": topics,
            "published": _times(world.published + start, known),
        }
    )


def requests_table(
    world: World, requests: Requests, users: pa.Array, start: int, first: int
) -> pa.Table:
    """Requests of the log with their lists.

    Args:
        users: Id of each request's user.
        start: First moment of the log in us since the epoch.
        first: Number of the first request, for the request ids.
    """
    rows, places = requests.results.shape
    clicked = requests.clicked.ravel()
    results = pa.StructArray.from_arrays(
        [
            document_ids(len(world.titles)).take(pa.array(requests.results.ravel())),
            pa.array(clicked),
            _times(requests.click_times.ravel() + start, clicked),
            pa.array(requests.dwell.ravel(), mask=~clicked),
        ],
        names=["doc_id", "clicked", "click_time", "dwell_seconds"],
    )
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * places)
    return pa.table(
        {
            "request_id": _numbered("r", first + np.arange(rows), 10),
            "user_id": users,
            "time": _times(requests.times + start),
            "query": _texts(world, requests.queries),
            "results": pa.ListArray.from_arrays(offsets, results),
        }
    )


def browses_table(world: World, requests: Requests, users: pa.Array, start: int) -> pa.Table:
    """The articles read from recommendations, each at the time of its click."""
    rows, places = np.nonzero(requests.clicked)
    chosen = requests.results[rows, places]
    return pa.table(
        {
            "user_id": users.take(pa.array(rows)),
            "time": _times(requests.click_times[rows, places] + start),
            "doc_id": document_ids(len(world.titles)).take(pa.array(chosen)),
            "dwell_seconds": requests.dwell[rows, places],
        }
    )


def states_table(requests: Requests, users: pa.Array, start: int) -> pa.Table:
    """Latent states of all requests, at their time."""
    return _states(requests, np.arange(len(requests.users)), requests.times, users, start)


def browse_states_table(requests: Requests, users: pa.Array, start: int) -> pa.Table:
    """Latent states of the articles read, each at the time of its click."""
    rows, places = np.nonzero(requests.clicked)
    return _states(requests, rows, requests.click_times[rows, places], users, start)


def _states(
    requests: Requests, rows: np.ndarray, times: np.ndarray, users: pa.Array, start: int
) -> pa.Table:
    return pa.table(
        {
            "user_id": users.take(pa.array(rows)),
            "time": _times(times + start),
            "kind": pa.array(requests.kinds[rows], pa.int8()),
            "intent": pa.array(requests.intents[rows], pa.int32()),
            "state": vectors(requests.states[rows]),
        }
    )


def truth_documents_table(world: World) -> pa.Table:
    """Latent vectors of all documents."""
    return pa.table(
        {
            "doc_id": document_ids(len(world.titles)),
            "subtopic": pa.array(world.document_subtopic, pa.int32()),
            "facet": pa.array(world.document_facet, pa.int32()),
            "vector": vectors(world.document_vectors),
        }
    )


def vectors(rows: np.ndarray) -> pa.Array:
    """A float32 matrix as a column of lists of fixed size."""
    flat = pa.array(np.ascontiguousarray(rows, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
