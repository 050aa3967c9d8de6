"""Ranks the requests of a JSON Lines file by an exported model.

    python -m user_tf.predict --model=DIR --requests=FILE.jsonl --output=FILE.jsonl

One request a line, in the format of `user_tf.serving.request_json`; one answer a line, in the order of
the requests:

    {"line": 1, "request_id": "r17", "ranking": [2, 0, 1], "scores": [0.3, -1.2, 0.9]}

`scores` are in the order of the candidates, `ranking` holds their positions (from 0), best first,
ties in the order given. Only the SavedModel is loaded: no checkpoint, dataset or model code. A
malformed line stops the command, and no output is written. A single request is also printed.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.serving import layout
from user_tf.serving.loading import load
from user_tf.serving.request import Request, RequestError, to_arrays
from user_tf.serving.request_json import SESSION_MINUTES, from_json


@dataclasses.dataclass(frozen=True)
class PredictSettings:
    """Everything `python -m user_tf.predict` can be told."""

    model: str = setting("", "Folder made by user_tf.export, or one of its versions.")
    requests: str = setting("", "JSON Lines file of requests.")
    output: str = setting("", "JSON Lines file of answers to write; empty: print them only.")
    batch_size: int = setting(32, "Requests scored at once.")


class SavedRanker:
    """A SavedModel of user_tf.export, ready to score requests.

    Args:
        model: Folder made by user_tf.export, or one of its versions.

    Attributes:
        manifest: Contents of export.json; {} where the model was copied without it.

    Raises:
        FileNotFoundError: `model` holds no SavedModel.
        ImportError: The model cuts wordpieces and TensorFlow Text is not installed.
    """

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.version = layout.find_version(model)
        self.manifest = layout.read_manifest(self.version)
        self._loaded = load(self.version)
        self._plain = self._loaded.signatures["rank"]
        self._wide = self._loaded.signatures.get("rank_with_features")
        arguments = self._plain.structured_input_signature[1]
        self.clicked_titles = int(arguments["history_titles"].shape[2])
        self.features = (
            int(self._wide.structured_input_signature[1]["features"].shape[2]) if self._wide else 0
        )

    @property
    def session_minutes(self) -> float:
        """Longest gap inside a session, where requests carry times."""
        return float(self.manifest.get("session_minutes", SESSION_MINUTES))

    def check(self, request: Request) -> None:
        """Refuses a request this model cannot rank.

        Raises:
            RequestError: Names the rule, the value and the mend.
        """
        tasks = self.manifest.get("tasks", [request.task])
        if request.task not in tasks:
            raise RequestError(
                f"`query` should fit the model, which was trained for {tasks[0]} only. Received: "
                f"{request.query!r}. Use a model of both tasks."
            )
        if request.features is not None and len(request.features[0]) != self.features:
            raise RequestError(
                f"`features` should hold {self.features} values a candidate for this model. "
                f"Received: {len(request.features[0])}. Give them in the order of `features` in "
                f"{layout.EXTRA}/{layout.MANIFEST}, or leave `features` out."
            )

    def scores(self, requests: Sequence[Request]) -> list[list[float]]:
        """Scores of each request's candidates, in their order."""
        import tensorflow as tf

        wide = any(request.features is not None for request in requests)
        arrays = to_arrays(requests, self.clicked_titles, self.features if wide else None)
        tensors = {
            name: tf.constant(
                value.tolist(), tf.string if value.dtype == object else value.dtype, value.shape
            )
            for name, value in arrays.items()
        }
        found = (self._wide if wide else self._plain)(**tensors)["scores"].numpy()
        return [
            row[: len(request.candidates)].tolist()
            for row, request in zip(found, requests, strict=True)
        ]


def rank(scores: Sequence[float]) -> list[int]:
    """Positions of the candidates, best first; ties keep the order given.

    Example:
        >>> rank([0.1, 0.7, 0.7])
        [1, 2, 0]
    """
    return sorted(range(len(scores)), key=lambda position: -scores[position])


def read_requests(path: pathlib.Path, ranker: SavedRanker) -> Iterator[tuple[int, Request]]:
    """Yields (line number, request) of every line that is not blank.

    Raises:
        RequestError: A line is malformed; file and line are named.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise RequestError(
                    f"{path}, line {number}: a line should be UTF-8. Received: "
                    f"{line[error.start : error.end]!r} at byte {error.start + 1}. Convert the "
                    "file to UTF-8."
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
    """Yields the answer, with its `request`, of every request of a file, in their order."""
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
    """One request and its ranking, for people.

    Example:
        >>> print(readable(Request("", "hat", 1, (), ("Cap", "Sun hat")), [0.1, 0.5]))
        search 'hat' by an unnamed user, 0 past behaviors
          rank   score  given  title
             1  0.5000      2  Sun hat
             2  0.1000      1  Cap
    """
    what = f"search {request.query!r}" if request.query else "recommendation"
    who = f"user {request.user_id[:12]}" if request.user_id else "an unnamed user"
    lines = [f"{what} by {who}, {len(request.history)} past behaviors"]
    lines.append(f"  {'rank':>4}  {'score':>6}  {'given':>5}  title")
    for place, position in enumerate(rank(scores), start=1):
        title = request.candidates[position]
        lines.append(f"  {place:4}  {scores[position]:6.4f}  {position + 1:5}  {title}")
    return "\n".join(lines)


def predict(settings: PredictSettings) -> int:
    """Scores a file of requests; returns their number.

    Args:
        settings: Files and batch size.

    Raises:
        FileNotFoundError: The model or the file of requests does not exist.
        ValueError: A setting is impossible, or a line is malformed (`RequestError`).
    """
    for name in ("model", "requests"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` should name a file or folder. Received: ''. Set --{name}.")
    if settings.batch_size < 1:
        raise ValueError(
            f"`batch_size` should be at least 1. Received: {settings.batch_size}. Set --batch_size."
        )
    path = pathlib.Path(settings.requests)
    if not path.is_file():
        raise FileNotFoundError(
            f"`requests` should be a JSON Lines file. Received: {settings.requests!r}, which does "
            "not exist. Set --requests."
        )
    ranker = SavedRanker(settings.model)
    output = pathlib.Path(settings.output or os.devnull)
    unfinished = output.with_name(output.name + ".unfinished") if settings.output else output
    count, last = 0, None
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            for answer in answers(ranker, path, settings.batch_size):
                request = answer.pop("request")
                count, last = count + 1, (request, answer["scores"])
                line = json.dumps(answer, ensure_ascii=False)
                file.write(line + "\n")
                if not settings.output:
                    print(line)
        if settings.output:
            unfinished.replace(output)
    finally:
        if settings.output:
            unfinished.unlink(missing_ok=True)
    if count == 1 and last is not None:
        print(readable(*last))
    print(f"{count} requests ranked" + (f": {output}" if settings.output else ""), flush=True)
    return count


def main(arguments: list[str]) -> None:
    """Runs the command line; TensorFlow is imported after the flags are parsed."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Arguments should be flags. Received: {arguments[1:]}. Write --model=FOLDER."
        )
    predict(flagtree.read(PredictSettings))


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(PredictSettings)
    app.run(main)


if __name__ == "__main__":
    run()
