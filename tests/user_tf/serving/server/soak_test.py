"""The soak and the run of a real server, in their reduced forms."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.serving.server import real_server
from tests.user_tf.serving.server.soak import GROWTH, WORDS, soak
from user_tf.serving.signatures import SIGNATURES


def model_of(scores):
    """Return signatures that check their arguments and answer with fixed values."""

    def signature(name):
        def serve(**tensors):
            assert set(tensors) == set(SIGNATURES[name])
            rows = {len(value) for value in tensors.values()}
            assert len(rows) == 1
            asked.add(name)
            return {"scores": tf.constant(scores), "state": tf.zeros([rows.pop(), 3], tf.int32)}

        return serve

    asked = set()
    return {name: signature(name) for name in SIGNATURES}, asked


@pytest.mark.parametrize(("step", "grows"), [(0, False), (2**20, True)])
def test_a_soak_measures_the_growth_of_memory(step, grows):
    size, lines = [2**20], []

    def memory():
        size[0] += step
        return size[0]

    signatures, asked = model_of([0.5])
    growth = soak(signatures, WORDS, 100, 2, memory, lines.append)
    assert (growth > GROWTH) == grows and asked == set(SIGNATURES)
    assert int(lines[-1].split()[0]) >= 100


def test_a_soak_refuses_values_that_are_not_finite():
    with pytest.raises(AssertionError, match="gave values that are not finite"):
        soak(model_of([np.nan])[0], WORDS, 40, 2, lambda: 1, lambda line: None)


def test_without_a_server_a_sentence_says_so(capsys, monkeypatch):
    monkeypatch.setattr(real_server, "server_command", lambda model: None)
    real_server.main("model")
    assert "No real server was run" in capsys.readouterr().out


def test_the_binary_or_docker_is_started_where_it_is():
    found = real_server.server_command("/m", lambda name: name)
    assert found[0] == "tensorflow_model_server" and "--model_base_path=/m" in found
    only_docker = {"docker": "docker"}.get
    for code, expected in ((0, "docker"), (1, None)):
        ended = types.SimpleNamespace(returncode=code)
        command = real_server.server_command("/m", only_docker, lambda *a, ended=ended, **k: ended)
        assert (command and command[0]) == expected
