"""Map masked user ids to rows of the user embedding, inside the exported graph."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

_UNKNOWN = "(unknown user)"


class UserTable(tf.Module):
    """Table from masked user ids to rows of the user embedding; unknown ids get row 0.

    Args:
        path: File of `write_users`. It becomes an asset of the SavedModel.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(name="users")
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                os.fspath(path),
                key_dtype=tf.string,
                key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
                value_dtype=tf.int64,
                value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            default_value=0,
        )

    def find(self, user_ids: Any) -> Any:
        """Return int32 [B], the rows of user ids string [B]."""
        return tf.cast(self.table.lookup(user_ids), tf.int32)


def write_users(path: str | os.PathLike[str], user_ids: Sequence[str]) -> None:
    """Write the ids of the user table, that of row n on line n (from 0), UTF-8.

    Args:
        path: File to write.
        user_ids: Ids of all rows; that of row 0, the unknown user, is empty. Its line holds a text
            that is no id, since the table's reader refuses empty lines.

    Raises:
        ValueError: An id is empty or holds a line break, which one line cannot hold.
    """
    for row, user_id in enumerate(user_ids):
        if (user_id == "") != (row == 0) or "\n" in user_id or "\r" in user_id:
            raise ValueError(
                "`user_ids` must be non-empty and without line breaks, except the first, which is "
                f"the unknown user's and empty. Got {user_id!r} in row {row}. Fix: mask the users "
                "of the log (--mask_users)."
            )
    lines = [_UNKNOWN, *user_ids[1:]]
    pathlib.Path(path).write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))
