"""The command that masks user ids as the log does."""

import io
import types

import pyarrow as pa
import pytest

from data_pipeline import mask
from data_pipeline.common import flagtree
from data_pipeline.log.user_ids import Masker

KEY = b"a key"


def _run(monkeypatch, tmp_path, text):
    (tmp_path / "user.key").write_bytes(KEY + b"\n")
    settings = mask.MaskSettings(key_file=str(tmp_path / "user.key"))
    monkeypatch.setattr(flagtree, "read", lambda _: settings)
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(text)))
    mask.main([])


def test_every_line_is_masked_as_in_a_log(monkeypatch, tmp_path, capsys):
    ids = ["anna", " with spaces ", "Zoë", "4711"]
    _run(monkeypatch, tmp_path, "\r\n".join(ids).encode())
    assert capsys.readouterr().out.splitlines() == Masker(KEY)(pa.array(ids)).to_pylist()


@pytest.mark.parametrize("text", [b"anna\n\nbert\n", b"\xff\xfe\n"])
def test_a_line_without_an_id_is_refused_and_not_shown(monkeypatch, tmp_path, text):
    with pytest.raises(
        ValueError, match=r"^Line [12] must be a user id in UTF-8. Got \d bytes. Fix: "
    ):
        _run(monkeypatch, tmp_path, text)
