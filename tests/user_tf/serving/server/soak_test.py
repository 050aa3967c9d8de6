"""The soak and the run of a real server, in their reduced forms."""

import types

import numpy as np
import pytest

from tests.user_tf.serving.conftest import NAMES, WORDS
from tests.user_tf.serving.server import real_server
from tests.user_tf.serving.server.soak import GROWTH, soak


@pytest.mark.parametrize(("step", "grows"), [(0, False), (2**20, True)])
def test_a_soak_measures_the_growth_of_memory(served, step, grows):
    size, lines = [2**20], []

    def memory():
        size[0] += step
        return size[0]

    growth = soak(served, WORDS, 40, len(NAMES), memory, lines.append)
    assert (growth > GROWTH) == grows
    assert lines and lines[-1].split()[0].isdecimal() and int(lines[-1].split()[0]) >= 40


def test_a_soak_refuses_values_that_are_not_finite(served):
    broken = {"rank": lambda **tensors: {"scores": served["rank"](**tensors)["scores"] * np.inf}}
    with pytest.raises(AssertionError, match="rank gave values that are not finite"):
        soak(broken, WORDS, 40, len(NAMES), lambda: 1, lambda line: None)


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
