"""The simulated platform as Arrow tables: the log in both shapes, and the latent truth."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_pipeline.simulator.behavior import Requests
from data_pipeline.simulator.world import World

TIME = pa.timestamp("us", tz="UTC")


def start_microseconds(start: str) -> int:
    """Return the start of a day in us since the epoch.

    Example:
        >>> start_microseconds("1970-01-02")
        86400000000
    """
    return int(np.datetime64(start, "us").astype(np.int64))


def _numbered(prefix: str, numbers: np.ndarray, digits: int) -> pa.Array:
    text = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=digits, padding="0")
    return pc.binary_join_element_wise(pa.scalar(prefix), text, "")


def document_ids(count: int) -> pa.Array:
    """Return the ids of all documents by their number."""
    return _numbered("d", np.arange(count), 7)


def user_ids(numbers: np.ndarray) -> pa.Array:
    """Return the ids of users by their number, counted over all blocks."""
    return _numbered("user", numbers, 8)


def _texts(world: World, tokens: np.ndarray) -> pa.Array:
    """Join words by blanks; `tokens` [rows, L] has -1 after the end; no words give ""."""
    names = pa.array(world.words.names.tolist(), pa.string())
    columns = [
        names.take(pa.array(column, mask=column < 0)) for column in np.ascontiguousarray(tokens.T)
    ]
    # The join skips nulls and gives null if all are null, so an empty text needs one empty word.
    columns[0] = columns[0].fill_null("")
    return pc.binary_join_element_wise(*columns, " ", null_handling="skip")


def _times(microseconds: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    mask = None if known is None else ~known
    return pa.array(microseconds, pa.int64(), mask=mask).cast(TIME)


def documents_table(world: World, start: int) -> pa.Table:
    """Return the documents of the log; without times if none is published during the log."""
    dated = bool((world.published > 0).any())
    topics = pa.array(world.words.topic_names).take(
        pa.array(world.topic_of(world.document_subtopic))
    )
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
    """Return the requests of the log with their lists.

    Args:
        users: User id of each request.
        start: Start of the log in us since the epoch.
        first: Number of the first request, for the request ids.
    """
    rows, positions = requests.results.shape
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
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * positions)
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
    """Return the documents read from recommendations, each at the time of its click."""
    rows, positions = np.nonzero(requests.clicked)
    chosen = requests.results[rows, positions]
    return pa.table(
        {
            "user_id": users.take(pa.array(rows)),
            "time": _times(requests.click_times[rows, positions] + start),
            "doc_id": document_ids(len(world.titles)).take(pa.array(chosen)),
            "dwell_seconds": requests.dwell[rows, positions],
        }
    )


def states_table(requests: Requests, users: pa.Array, start: int) -> pa.Table:
    """Return the latent states of all requests, at their times."""
    return _states(requests, np.arange(len(requests.users)), requests.times, users, start)


def browse_states_table(requests: Requests, users: pa.Array, start: int) -> pa.Table:
    """Return the latent states of the documents read, each at the time of its click."""
    rows, positions = np.nonzero(requests.clicked)
    return _states(requests, rows, requests.click_times[rows, positions], users, start)


def _states(
    requests: Requests, rows: np.ndarray, times: np.ndarray, users: pa.Array, start: int
) -> pa.Table:
    return pa.table(
        {
            "user_id": users.take(pa.array(rows)),
            "time": _times(times + start),
            "kind": pa.array(requests.tasks[rows], pa.int8()),
            "intent": pa.array(requests.intents[rows], pa.int32()),
            "state": vectors(requests.states[rows]),
        }
    )


def truth_documents_table(world: World) -> pa.Table:
    """Return the latent vectors of all documents."""
    return pa.table(
        {
            "doc_id": document_ids(len(world.titles)),
            "subtopic": pa.array(world.document_subtopic, pa.int32()),
            "facet": pa.array(world.document_facet, pa.int32()),
            "vector": vectors(world.document_vectors),
        }
    )


def vectors(rows: np.ndarray) -> pa.Array:
    """Return a float32 matrix as a column of lists of fixed size."""
    flat = pa.array(np.ascontiguousarray(rows, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
