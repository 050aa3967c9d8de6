"""User ids masked by HMAC-SHA256 with the owner's key.

Distinct ids are masked in Python before anything is written. The same key gives the same masked ids
in every log and in a serving client. Without the key, masked ids cannot be computed from raw ids.
"""

import hmac
import os
import pathlib

import pyarrow as pa

from data_pipeline.settings import LogSettings

KEY_VARIABLE = "USER_TF_USER_KEY"


def read_key(key_file: str = "") -> bytes:
    """Return the masking key: content of the file, or of the environment variable without a file.

    Blanks and line ends around the key are removed.

    Raises:
        ValueError: There is no key, or it is empty.
    """
    fix = (
        'Fix: make a key with: python -c "import secrets; print(secrets.token_hex(32))" > user.key, '
        f"keep it, and set --key_file=user.key or {KEY_VARIABLE}; or set --nomask_users if the ids "
        "identify nobody."
    )
    if key_file:
        path = pathlib.Path(key_file)
        if not path.is_file():
            raise ValueError(
                "`key_file` must be a file with the masking key. Got "
                f"{key_file!r}, which does not exist. {fix}"
            )
        key, origin = path.read_bytes().strip(), f"the file {key_file!r}"
    else:
        key = os.environ.get(KEY_VARIABLE, "").encode().strip()
        origin = f"the environment variable {KEY_VARIABLE}"
    if not key:
        raise ValueError(
            f"`key_file` must hold a masking key that is not empty. Got none in {origin}. {fix}"
        )
    return key


def mask_user(key: bytes, user_id: str) -> str:
    """Return the HMAC-SHA256 of one raw user id, 64 hexadecimal digits.

    Example:
        >>> mask_user(b"test", "anna")[:16]
        'ed86f492d762a25c'
    """
    return hmac.digest(key, user_id.encode("utf-8"), "sha256").hex()


def key_fingerprint(key: bytes) -> str:
    """Return 16 hexadecimal digits that identify a key and do not give it away.

    A log, a dataset and a served model carry them, so that a client with another key is refused.

    Example:
        >>> key_fingerprint(b"test"), key_fingerprint(b"other") == key_fingerprint(b"test")
        ('14cce1747682e9ca', False)
    """
    return hmac.digest(key, b"user_tf: fingerprint of the masking key", "sha256").hex()[:16]


class Masker:
    """Mask columns of user ids; each distinct id is computed once.

    Args:
        key: The owner's key; with None, ids stay as they are.

    Attributes:
        fingerprint: `key_fingerprint` of the key; None without one.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self.fingerprint = None if key is None else key_fingerprint(key)
        self._masked: dict[str, str] = {}

    @classmethod
    def from_settings(cls, settings: LogSettings) -> "Masker":
        """Make a masker from the log settings; the key is read only if masking is on.

        Raises:
            ValueError: Masking is on and there is no key.
        """
        return cls(read_key(settings.key_file) if settings.mask_users else None)

    def __call__(self, column: pa.Array) -> pa.Array:
        """Return the masked ids [rows] of raw ids [rows] without nulls."""
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
