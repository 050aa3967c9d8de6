import hashlib

import pyarrow as pa
import pytest

from data_pipeline.log.user_ids import KEY_VARIABLE, Masker, mask_user, read_key
from data_pipeline.settings import LogSettings


def _hmac_sha256(key: bytes, message: bytes) -> str:
    """RFC 2104 written out."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()


def test_mask_is_hmac_sha256_of_the_utf8_id():
    assert mask_user(b"secret", "Zoë 用户") == _hmac_sha256(b"secret", "Zoë 用户".encode())


def test_equal_ids_get_equal_masks_over_batches_and_others_do_not():
    masker = Masker(b"k")
    first = masker(pa.array(["anna", "bert", "anna"])).to_pylist()
    second = masker(pa.array(["bert", "carl"])).to_pylist()
    assert first[0] == first[2] and first[1] == second[0]
    assert len({*first, *second}) == 3 and all(len(mask) == 64 for mask in first)


def test_another_key_gives_other_masks():
    assert mask_user(b"k", "anna") != mask_user(b"l", "anna")


def test_without_masking_no_key_is_read_and_ids_stay(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    masker = Masker.from_settings(LogSettings(mask_users=False))
    assert masker(pa.array(["anna"])).to_pylist() == ["anna"]


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_or_empty_key_is_an_error_that_says_how_to_make_one(monkeypatch, value):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(KEY_VARIABLE, value)
    with pytest.raises(ValueError, match=r"secrets\.token_hex.*--key_file.*USER_TF_USER_KEY"):
        Masker.from_settings(LogSettings())


def test_the_key_file_wins_over_the_variable_and_its_line_end_is_removed(monkeypatch, tmp_path):
    monkeypatch.setenv(KEY_VARIABLE, "other")
    (tmp_path / "user.key").write_bytes(b"secret\n")
    assert read_key(str(tmp_path / "user.key")) == b"secret"
    assert read_key() == b"other"


def test_a_missing_key_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match=r"none\.key.*does not exist"):
        read_key(str(tmp_path / "none.key"))
