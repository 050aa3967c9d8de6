"""User ids masked by HMAC-SHA256 with the owner's key.

Masking is done in Python over the distinct ids before anything is written. The same key gives the
same masked ids in every log and in a serving client; without the key they cannot be found out from
the raw ids.
"""

import hmac
import os
import pathlib

import pyarrow as pa

from data_pipeline.settings import LogSettings

KEY_VARIABLE = "USER_TF_USER_KEY"


def read_key(key_file: str = "") -> bytes:
    """The masking key: the file's content, or the environment variable's where no file is named.

    Blanks and line ends around the key are no part of it.

    Raises:
        ValueError: There is no key, or an empty one.
    """
    make = (
        'Make one with: python -c "import secrets; print(secrets.token_hex(32))" > user.key, keep '
        f"it, and set --key_file=user.key or {KEY_VARIABLE}; or set --nomask_users if the ids name "
        "nobody."
    )
    if key_file:
        path = pathlib.Path(key_file)
        if not path.is_file():
            raise ValueError(
                f"`key_file` must be a file with the masking key. Received: `key_file` = "
                f"{key_file!r}, which does not exist. {make}"
            )
        key, origin = path.read_bytes().strip(), f"the file {key_file!r}"
    else:
        key = os.environ.get(KEY_VARIABLE, "").encode().strip()
        origin = f"the environment variable {KEY_VARIABLE}"
    if not key:
        raise ValueError(
            f"Masking user ids needs a key that is not empty. Received: none in {origin}. {make}"
        )
    return key


def mask_user(key: bytes, user_id: str) -> str:
    """HMAC-SHA256 of one raw user id, 64 hexadecimal digits.

    Example:
        >>> mask_user(b"test", "anna")[:16]
        'ed86f492d762a25c'
    """
    return hmac.digest(key, user_id.encode("utf-8"), "sha256").hex()


class Masker:
    """Masks columns of user ids, each distinct id once.

    Args:
        key: The owner's key; None leaves ids as they are.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._masked: dict[str, str] = {}

    @classmethod
    def from_settings(cls, settings: LogSettings) -> "Masker":
        """A masker by the log settings; reads the key only where masking is on.

        Raises:
            ValueError: Masking is on and there is no key.
        """
        return cls(read_key(settings.key_file) if settings.mask_users else None)

    def __call__(self, column: pa.Array) -> pa.Array:
        """Masked ids [rows] of raw ids [rows] without nulls."""
        if self._key is None:
            return column
        coded = column.dictionary_encode()
        known = self._masked
        masked = []
        for user_id in coded.dictionary.to_pylist():
            if user_id not in known:
                known[user_id] = mask_user(self._key, user_id)
            masked.append(known[user_id])
        return pa.array(masked, pa.string()).take(coded.indices)
