"""Rank the requests of a JSON Lines file by a served model; a line that cannot be ranked gets an error."""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from data_pipeline.common.output_folder import unfinished_file
from user_tf.serving.request import Request, RequestError
from user_tf.serving.request_json import from_json
from user_tf.serving.saved_ranker import SavedRanker, rank


class RankedFile(NamedTuple):
    """Count the lines of a file of requests.

    Attributes:
        ranked: Lines that got scores.
        refused: Lines that got an error.
    """

    ranked: int
    refused: int


def rank_file(
    model: str | os.PathLike[str],
    requests: str | os.PathLike[str],
    output: str | os.PathLike[str] = "",
    batch_size: int = 32,
) -> RankedFile:
    """Rank a file of requests and print or write one JSON object for each line that is not blank.

    A line that cannot be ranked gets `{"line": 3, "file": "requests.jsonl", "error": "..."}`.

    Args:
        model: Folder made by user_tf.export, or one of its versions.
        requests: JSON Lines file of requests.
        output: JSON Lines file of answers to write, renamed when complete. Default: print them only.
        batch_size: Requests scored at once.

    Raises:
        FileNotFoundError: The model, the file of requests or the folder of `output` does not exist.
        FolderInUse: Another process writes `output`.
        ValueError: A setting is impossible.
    """
    for name, value in (("model", model), ("requests", requests)):
        if not value:
            raise ValueError(
                f"`{name}` must name a file or folder. Got {value!r}. Fix: set --{name}."
            )
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be at least 1. Got {batch_size!r}. Fix: set --batch_size."
        )
    path = pathlib.Path(requests)
    if not path.is_file():
        raise FileNotFoundError(
            f"`requests` must be a JSON Lines file. Got {os.fspath(requests)!r}, which does not "
            "exist. Fix: set --requests."
        )
    ranked, refused, last = 0, 0, None
    with unfinished_file(output) if output else contextlib.nullcontext(sys.stdout) as file:
        for answer in answers(SavedRanker(model), path, batch_size):
            if "error" in answer:
                refused += 1
            else:
                ranked, last = ranked + 1, (answer.pop("request"), answer["scores"])
            file.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")
    if (ranked, refused) == (1, 0) and last is not None:
        print(readable(*last))
    print(f"{ranked} requests ranked" + (f": {os.fspath(output)}" if output else ""), flush=True)
    return RankedFile(ranked, refused)


def read_requests(
    path: pathlib.Path, ranker: SavedRanker
) -> Iterator[tuple[int, Request | RequestError]]:
    """Yield (line number, request or its error) of every line that is not blank."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, _read_request(line, ranker)


def _read_request(line: bytes, ranker: SavedRanker) -> Request | RequestError:
    try:
        request = from_json(line.decode("utf-8"), ranker.session_minutes)
        ranker.check(request)
    except UnicodeDecodeError as error:
        return RequestError(
            f"A line must be UTF-8. Got {line[error.start : error.end]!r} at byte "
            f"{error.start + 1}. Fix: convert the file to UTF-8."
        )
    except RequestError as error:
        return error
    return request


def answers(ranker: SavedRanker, path: pathlib.Path, batch_size: int) -> Iterator[dict[str, Any]]:
    """Yield the answer, with its `request`, or the error of every line of a file, in their order."""
    lines: list[tuple[int, Request | RequestError]] = []
    for item in read_requests(path, ranker):
        lines.append(item)
        if len(lines) == batch_size:
            yield from _answer(ranker, path, lines)
            lines.clear()
    yield from _answer(ranker, path, lines)


def _answer(
    ranker: SavedRanker, path: pathlib.Path, lines: Sequence[tuple[int, Request | RequestError]]
) -> Iterator[dict[str, Any]]:
    """Yield the answers of some lines, scored together."""
    requests = [item for _, item in lines if isinstance(item, Request)]
    scored = iter(_score(ranker, requests))
    for number, item in lines:
        found = next(scored) if isinstance(item, Request) else item
        answer: dict[str, Any] = {"line": number}
        if isinstance(item, Request) and item.request_id is not None:
            answer["request_id"] = item.request_id
        if isinstance(found, RequestError):
            yield answer | {"file": os.fspath(path), "error": str(found)}
        else:
            yield answer | {"ranking": rank(found), "scores": found, "request": item}


def _score(ranker: SavedRanker, requests: Sequence[Request]) -> list[list[float] | RequestError]:
    """Return the scores or the error of each request; one that is refused takes no other with it."""
    if not requests:
        return []
    try:
        return list(ranker.scores(requests))
    except RequestError as error:
        if len(requests) == 1:
            return [error]
        return [found for request in requests for found in _score(ranker, [request])]


def readable(request: Request, scores: Sequence[float]) -> str:
    """Return one request and its ranking as text.

    Example:
        >>> print(readable(Request("", "hat", 1, (), ("Cap", "Sun hat")), [0.1, 0.5]))
        search 'hat' by an unnamed user, 0 past behaviors
          rank   score  given  title
             1  0.5000      2  Sun hat
             2  0.1000      1  Cap
    """
    asked = f"search {request.query!r}" if request.query else "recommendation"
    who = f"user {request.user_id[:12]}" if request.user_id else "an unnamed user"
    lines = [f"{asked} by {who}, {len(request.history)} past behaviors"]
    lines.append(f"  {'rank':>4}  {'score':>6}  {'given':>5}  title")
    for place, position in enumerate(rank(scores), start=1):
        title = request.candidates[position]
        lines.append(f"  {place:4}  {scores[position]:6.4f}  {position + 1:5}  {title}")
    return "\n".join(lines)
