"""Check the arguments of a request, inside the exported graph: nothing is dropped, cut or wrapped.

Axis letters: B requests, H history slots, K history titles, O documents opened, C candidates.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from data_pipeline.common.codes import TASK_LABELS
from user_tf.serving.graph.rules import Rules

HISTORY = ("history_session", "history_query", "history_title_count")
OPENED = ("opened_session", "opened_query", "opened_titles", "opened_together")


@dataclasses.dataclass(frozen=True)
class RequestCaps:
    """The largest request that a served model takes.

    Attributes:
        max_history: Past behaviors, titles of past behaviors, and documents opened, each.
        max_candidates: Candidates.
        max_text_bytes: UTF-8 bytes of a text or an id.
    """

    max_history: int = 10_000
    max_candidates: int = 1_000
    max_text_bytes: int = 10_000

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. Got {value!r}. Fix: set --{name} to 1 or more."
                )


# Arguments whose columns lie beside those of another one, and the fix.
_BESIDE = (
    ("features", "candidates", "give one list of values a candidate"),
    (
        "candidates",
        "document_ids",
        "give one title a document, an empty one where the model knows the id",
    ),
)


def check_request(request: Mapping[str, Any], caps: RequestCaps) -> dict[str, Any]:
    """Return the arguments of a request without columns that no request fills.

    Args:
        request: Arguments of a signature, by name. Those of the history and the candidates are
            checked where the signature has them.
        caps: Largest request.

    Raises:
        tf.errors.InvalidArgumentError: When run, if an argument breaks a rule.
    """
    request = _check_shapes(request, caps)
    rules = Rules()
    if "history_count" not in request:
        _check_texts(rules, request, caps)
        return rules.guard(request)
    request = _trim(request, HISTORY, tf.reduce_max(request["history_count"]))
    request = _trim(request, OPENED, tf.reduce_max(request["opened_count"]))
    _check_history(rules, request, caps)
    _check_texts(rules, request, caps)
    request = rules.guard(request)
    return _trim(request, ("history_titles",), tf.reduce_max(_count_titles(request)))


def _check_shapes(request: Mapping[str, Any], caps: RequestCaps) -> dict[str, Any]:
    """Check numbers of rows and columns, which everything else relies on."""
    rules = Rules()
    first = next(iter(request))
    found, columns = _sizes(request)
    rows = found[0]
    rules.need(first, "have at least 1 row", rows > 0, rows, "send at least one request")
    rule = f"have one row a request, as many as `{first}`"
    rules.need_each([*request], rule, tf.equal(found, rows), found, "give one row a request")
    lists: dict[str, tuple[str, ...]] = {"history_count": HISTORY, "opened_count": OPENED}
    lists["candidate_count"] = ("candidates", "document_ids")
    for count, names in lists.items():
        if count not in request:
            continue
        least = int(count == "candidate_count")
        value = request[count]
        rules.need(count, f"be at least {least}", value >= least, value, "count what you send")
        here = [name for name in names if name in request]
        fewest = tf.reduce_min([columns[name] for name in here])
        lists_here = " and ".join(f"`{name}`" for name in here)
        rule = f"be at most the number of columns of {lists_here}"
        rules.need(count, rule, value <= fewest, value, "count the items that you send")
        kind = "candidates" if least else "history"
        cap = getattr(caps, f"max_{kind}")
        rule = f"be at most {cap} for this model"
        fix = f"send fewer, the latest ones, or export with --max_{kind} set higher"
        if least:
            value = fewest
        rules.need(count, rule, value <= cap, value, fix)
    for name, beside, fix in _BESIDE:
        if name in request and beside in request:
            rule = f"have as many columns as `{beside}`"
            same = tf.equal(columns[name], columns[beside])
            rules.need(name, rule, same, columns[name], fix)
    return rules.guard(request)


def _sizes(request: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the rows of all arguments, int64 [arguments], and the columns of those that have some."""
    sizes = tf.concat([tf.shape(value, tf.int64) for value in request.values()], 0)
    ranks = [len(value.shape) for value in request.values()]
    starts = [sum(ranks[:place]) for place in range(len(ranks))]
    each = tf.unstack(sizes, num=sum(ranks))
    wide = zip(request, ranks, starts, strict=True)
    return tf.gather(sizes, starts), {name: each[at + 1] for name, rank, at in wide if rank > 1}


def _check_history(rules: Rules, request: Mapping[str, Any], caps: RequestCaps) -> None:
    """Add the rules of session numbers and numbers of titles."""
    session = request["session"]
    rules.need("session", "be at least 1", session >= 1, session, "number sessions from 1")
    current = session[:, tf.newaxis]
    numbers, titles = request["history_session"], request["history_title_count"]
    real = tf.sequence_mask(request["history_count"], tf.shape(numbers)[1])
    holds = (numbers >= 1) & (numbers <= current) | ~real
    fix = "number sessions from 1; that of the request is the last one"
    rules.need("history_session", "be from 1 to `session`", holds, numbers, fix)
    holds = (numbers[:, 1:] >= numbers[:, :-1]) | ~real[:, 1:]
    fix = "give the history oldest first"
    rules.need("history_session", "not decrease", holds, numbers[:, 1:], fix)
    columns = tf.shape(request["history_titles"], tf.int64)[1]
    holds = (titles >= 0) & (titles <= columns) | ~real
    rule = "be from 0 to the number of columns of `history_titles`"
    fix = "count the titles of each behavior"
    rules.need("history_title_count", rule, holds, titles, fix)
    holds = tf.equal(titles, 1) | tf.not_equal(request["history_query"], "") | ~real
    fix = "give the title of the browse, or the query of the search"
    rules.need("history_title_count", "be 1 for a behavior without query", holds, titles, fix)
    total = _count_titles(request)
    rule = "sum up to at most the number of columns of `history_titles`"
    fix = "give the titles of all behaviors one after the other"
    rules.need("history_title_count", rule, total <= columns, total, fix)
    rule = f"sum up to at most {caps.max_history} for this model"
    fix = "send a shorter history, or export with --max_history set higher"
    rules.need("history_title_count", rule, total <= caps.max_history, total, fix)
    opened = request["opened_session"]
    real = tf.sequence_mask(request["opened_count"], tf.shape(opened)[1])
    holds = (opened >= 0) & (opened <= current) | ~real
    fix = "give 0 for earlier sessions, `session` for the current one"
    rules.need("opened_session", "be from 0 to `session`", holds, opened, fix)
    together = request["opened_together"]
    holds = tf.equal(together, 0) | tf.equal(together, 1) | ~real
    fix = "give 1 where a document became known at the same time as the one before, otherwise 0"
    rules.need("opened_together", "be 0 or 1", holds, together, fix)


def _check_texts(rules: Rules, request: Mapping[str, Any], caps: RequestCaps) -> None:
    """Add the rules of the bytes of texts and of the names of tasks."""
    texts = {name: value for name, value in request.items() if value.dtype == tf.string}
    bytes_of = {name: tf.strings.length(value) for name, value in texts.items()}
    if "task" in request:
        task = request["task"]
        holds = tf.reduce_any([tf.equal(task, label) for label in TASK_LABELS], axis=0)
        fix = "name the task whose targets will be ranked"
        rule = f"be one of {', '.join(TASK_LABELS)}; the length is shown"
        rules.need("task", rule, holds, bytes_of["task"], fix)

    def add() -> None:
        counts = {name: request.get("history_count") for name in HISTORY}
        counts |= {name: request.get("opened_count") for name in OPENED}
        counts |= dict.fromkeys(("candidates", "document_ids"), request.get("candidate_count"))
        if "history_count" in request:
            counts["history_titles"] = _count_titles(request)
        rule = f"hold texts of at most {caps.max_text_bytes} bytes for this model"
        fix = "shorten the text, or export with --max_text_bytes set higher"
        for name, size in bytes_of.items():
            holds = size <= caps.max_text_bytes
            if name in counts:
                holds |= ~tf.sequence_mask(counts[name], tf.shape(size)[1])
            rules.need(name, rule, holds, size, fix)

    # Mostly no text is too long, not even where nothing is read.
    longest = tf.reduce_max(tf.concat([tf.reshape(size, [-1]) for size in bytes_of.values()], 0))
    rules.need_unless(longest <= caps.max_text_bytes, add)


def _count_titles(request: Mapping[str, Any]) -> Any:
    """Return int64 [B], titles of each request's history."""
    counts = request["history_title_count"]
    real = tf.sequence_mask(request["history_count"], tf.shape(counts)[1])
    return tf.reduce_sum(tf.where(real, counts, 0), axis=1)


def _trim(request: Mapping[str, Any], names: Sequence[str], columns: Any) -> dict[str, Any]:
    """Return the request with the first columns of some arguments."""
    return {**request, **{name: request[name][:, :columns] for name in names}}
