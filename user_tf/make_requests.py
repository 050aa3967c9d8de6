"""Make JSON requests for a served model of the targets of a dataset.

    python -m user_tf.make_requests --dataset=DATASET --log=LOG --output=requests.jsonl
    python -m user_tf.predict --model=DIR --requests=requests.jsonl

One request a line, in the form that `user_tf.predict` reads (`user_tf.serving.request_json`): the masked
user, the query, the history and the documents opened as of the target's time, and the list to rank. Its
id is that of the request in the log. The split `unlabeled` holds the requests whose answers are
withheld. Strings come from the log, which the dataset was prepared from.
"""

import dataclasses
import itertools

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.codes import Scenario, Split
from data_pipeline.common.flagtree import setting
from data_pipeline.common.output_folder import unfinished_file


@dataclasses.dataclass(frozen=True)
class MakeRequestsSettings:
    """Settings of `python -m user_tf.make_requests`."""

    dataset: str = setting("", "Dataset with the targets.", path=True)
    log: str = setting("", "Behavior log the dataset was prepared from.", path=True)
    split: str = setting("test", "Targets to make requests of.", choices=tuple(Split))
    scenario: str = setting(
        "unified",
        "Behaviors in the history: those the model was trained on (data.scenario of its run).",
        choices=tuple(Scenario),
    )
    limit: int = setting(0, "Requests at most, the first ones; 0: all.")
    output: str = setting("", "JSON Lines file to write, in an existing folder.", path=True)


def main(arguments: list[str]) -> None:
    """Write the requests."""
    settings = flagtree.read(MakeRequestsSettings)
    for name in ("dataset", "log"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` must be given. Got ''. Fix: set --{name}.")
    from data_pipeline.dataset.dataset_folder import open_dataset
    from data_pipeline.log.log_folder import open_log
    from user_tf.serving.logged_requests import read_dataset_events, target_requests
    from user_tf.serving.request_json import to_json

    with unfinished_file(settings.output) as file:
        dataset, log = open_dataset(settings.dataset), open_log(settings.log, checksums=False)
        ids = dataset.targets(["request_id"])["request_id"].to_pylist()
        logged, count = read_dataset_events(dataset, log.folder), 0
        requests = target_requests(dataset, logged, settings.scenario, settings.split)
        for target, request in itertools.islice(requests, settings.limit or None):
            # The model computes F itself, and a browse has no id of its own.
            request_id = ids[target] or request.request_id
            asked = dataclasses.replace(request, features=None, request_id=request_id)
            file.write(to_json(asked) + "\n")
            count += 1
        if not count:
            raise ValueError(
                f"`split` must have targets. Got {settings.split!r}, which has none in "
                f"{settings.dataset!r}. Fix: choose another split, or prepare a longer log."
            )
    print(f"{count:,} requests of {settings.split}: {settings.output}", flush=True)


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(MakeRequestsSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
