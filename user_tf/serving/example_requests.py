"""Choose the example request beside a served model."""

import itertools
from collections.abc import Sequence

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.serving.logged_requests import LoggedEvents, target_requests
from user_tf.serving.request import Behavior, Request

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
