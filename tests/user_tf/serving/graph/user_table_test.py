"""The user table: masked ids to rows of the user embedding."""

import pytest
import tensorflow as tf

from user_tf.serving.graph.user_table import UserTable, write_users


def test_a_user_table_may_be_empty(tmp_path):
    write_users(tmp_path / "users.txt", [""])
    assert UserTable(tmp_path / "users.txt").find(tf.constant(["", "alice"])).numpy().tolist() == [
        0,
        0,
    ]


def test_users_keep_their_rows(tmp_path):
    write_users(tmp_path / "users.txt", ["", "b", "ä c"])
    found = UserTable(tmp_path / "users.txt").find(tf.constant(["ä c", "x", "b"]))
    assert found.numpy().tolist() == [2, 0, 1]


@pytest.mark.parametrize("ids", [["", "a\nb"], ["", "a", ""], ["a"]])
def test_user_ids_that_fit_no_line_are_refused(tmp_path, ids):
    with pytest.raises(ValueError, match="`user_ids` must be non-empty and without line breaks"):
        write_users(tmp_path / "users.txt", ids)
