"""Choose the example request beside a served model, and write what a server needs of it."""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.serving.logged_requests import LoggedEvents, target_requests
from user_tf.serving.request import Behavior, Request, to_arrays
from user_tf.serving.server.example_files import write_example, write_expected, write_warm_up
from user_tf.serving.server.messages import Arrays
from user_tf.serving.signatures import SIGNATURES

_SPLIT_FOR_EXAMPLES = "test"


def example(dataset: Dataset, logged: LoggedEvents, scenario: str) -> Request | None:
    """Return the test target, among the first 200, with the most behaviors; a search if possible.

    Returns:
        None if the split is empty.
    """
    requests = target_requests(dataset, logged, scenario, _SPLIT_FOR_EXAMPLES)
    first = [request for _, request in itertools.islice(requests, 200)]
    return max(first, key=lambda request: (bool(request.query), len(request.history)), default=None)


def made_up(vocabulary: Sequence[str]) -> Request:
    """Return a request of a vocabulary's most frequent words, for a model without its log.

    Example:
        >>> made_up(["", "hat", "sun", "rain"]).candidates
        ('hat', 'sun', 'rain')
    """
    # A user types neither pieces of words nor the mark of unknown ones.
    complete = (word for word in vocabulary[1:] if not word.startswith(("##", "[")))
    words = [*itertools.islice(complete, 3), "word"]
    return Request(
        user_id="",
        query=words[0],
        session=2,
        history=(Behavior(1, words[0], (words[-1],)), Behavior(2, "", (words[0],))),
        candidates=tuple(words[:-1]) or (words[-1],),
        request_id="made-up",
    )


def write_server_files(
    extra: pathlib.Path,
    example: Request,
    manifest: Mapping[str, Any],
    compute: Callable[[str, Arrays], Mapping[str, Any]],
) -> None:
    """Write the example's bodies and expected scores, and the warm-up requests.

    Args:
        extra: assets.extra of a version.
        example: The example request.
        manifest: Content of export.json.
        compute: Returns the outputs of a signature.
    """
    example = dataclasses.replace(example, features=None)
    arrays = to_arrays([example])
    write_example(extra, arrays)
    write_expected(extra, compute("rank", arrays)["scores"].numpy()[0])
    write_warm_up(extra, _warm_up_requests(example, manifest, compute))


def _warm_up_requests(
    example: Request,
    manifest: Mapping[str, Any],
    compute: Callable[[str, Arrays], Mapping[str, Any]],
) -> Iterator[tuple[str, Arrays]]:
    """Yield (signature, arguments) for every signature and task of a model."""
    signatures = manifest["signatures"]
    for task in manifest["tasks"]:
        query = "" if task == "recommendation" else example.query or example.candidates[0] or "word"
        request = dataclasses.replace(example, query=query)
        values = dict(to_arrays([request], len(manifest["features"])))
        values["task"] = np.array([task], object)
        # Ids that no model knows: every document is then encoded from its title.
        values["document_ids"] = np.full_like(values["candidates"], "")
        if "encode_user" in signatures:
            user = {name: values[name] for name in SIGNATURES["encode_user"]}
            values["state"] = compute("encode_user", user)["state"].numpy()
        for signature in signatures:
            yield signature, {name: values[name] for name in SIGNATURES[signature]}
