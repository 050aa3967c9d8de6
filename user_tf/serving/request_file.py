"""Rank the requests of a JSON Lines file by a served model."""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from data_pipeline.common.output_folder import unfinished_file
from user_tf.serving.request import Request, RequestError
from user_tf.serving.request_json import from_json
from user_tf.serving.saved_ranker import SavedRanker, rank


def rank_file(
    model: str | os.PathLike[str],
    requests: str | os.PathLike[str],
    output: str | os.PathLike[str] = "",
    batch_size: int = 32,
) -> int:
    """Rank a file of requests and print or write the answers; return the number of requests.

    Args:
        model: Folder made by user_tf.export, or one of its versions.
        requests: JSON Lines file of requests.
        output: JSON Lines file of answers to write, all or none. Default: print them only.
        batch_size: Requests scored at once.

    Raises:
        FileNotFoundError: The model, the file of requests or the folder of `output` does not exist.
        FolderInUse: Another process writes `output`.
        ValueError: A setting is impossible, or a line is malformed (`RequestError`).
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
    count, last = 0, None
    with unfinished_file(output) if output else contextlib.nullcontext(sys.stdout) as file:
        for answer in answers(SavedRanker(model), path, batch_size):
            request = answer.pop("request")
            count, last = count + 1, (request, answer["scores"])
            file.write(json.dumps(answer, ensure_ascii=False) + "\n")
    if count == 1 and last is not None:
        print(readable(*last))
    print(f"{count} requests ranked" + (f": {os.fspath(output)}" if output else ""), flush=True)
    return count


def read_requests(path: pathlib.Path, ranker: SavedRanker) -> Iterator[tuple[int, Request]]:
    """Yield (line number, request) of every line that is not blank.

    Raises:
        RequestError: A line is malformed; file and line are named.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise RequestError(
                    f"{path}, line {number}: a line must be UTF-8. Got "
                    f"{line[error.start : error.end]!r} at byte {error.start + 1}. Fix: convert "
                    "the file to UTF-8."
                ) from error
            if not text.strip():
                continue
            try:
                request = from_json(text, ranker.session_minutes)
                ranker.check(request)
            except RequestError as error:
                raise RequestError(f"{path}, line {number}: {error}") from error
            yield number, request


def answers(ranker: SavedRanker, path: pathlib.Path, batch_size: int) -> Iterator[dict[str, Any]]:
    """Yield the answer, with its `request`, of every request of a file, in their order."""
    batch: list[tuple[int, Request]] = []

    def flush() -> Iterator[dict[str, Any]]:
        requests = [request for _, request in batch]
        for (number, request), scores in zip(batch, ranker.scores(requests), strict=True):
            answer: dict[str, Any] = {"line": number}
            if request.request_id is not None:
                answer["request_id"] = request.request_id
            yield answer | {"ranking": rank(scores), "scores": scores, "request": request}
        batch.clear()

    for item in read_requests(path, ranker):
        batch.append(item)
        if len(batch) == batch_size:
            yield from flush()
    if batch:
        yield from flush()


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
