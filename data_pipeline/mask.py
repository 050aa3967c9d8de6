"""`python -m data_pipeline.mask`: mask user ids as a behavior log does.

    echo 4711 | python -m data_pipeline.mask --key_file=user.key

reads raw user ids from the standard input, one a line, and prints the masked id of each, one a line: that
of the log, and the `user_id` of a request to a served model. The key is that of the import.
"""

import dataclasses
import sys

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.log.user_ids import mask_user, read_key


@dataclasses.dataclass(frozen=True)
class MaskSettings:
    """Settings of `python -m data_pipeline.mask`."""

    key_file: str = setting(
        "",
        "File with the masking key; empty: the environment variable USER_TF_USER_KEY.",
        path=True,
    )


def main(arguments: list[str]) -> None:
    """Mask the ids of the standard input."""
    key = read_key(flagtree.read(MaskSettings).key_file)
    for number, line in enumerate(sys.stdin.buffer, start=1):
        user_id = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
        if not user_id or "\ufffd" in user_id:
            raise ValueError(
                f"Line {number} must be a user id in UTF-8. Got {len(line)} bytes. Fix: write one id a "
                "line, without empty lines."
            )
        print(mask_user(key, user_id), flush=True)


def run() -> None:
    """Define the flags and run: importing this file defines none."""
    flagtree.define(MaskSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
