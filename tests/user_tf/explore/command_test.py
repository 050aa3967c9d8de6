"""The command `python -m user_tf.explore`: addresses, mistakes, and a real start."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from user_tf.explore.__main__ import ExploreSettings, check_flask, is_loopback, listen


def test_only_this_machine_is_listened_to_unless_told_otherwise():
    assert is_loopback(ExploreSettings().host) and is_loopback("::1")
    assert not is_loopback("192.168.0.1") and not is_loopback("example.org")
    with listen(ExploreSettings().host, 0) as found:
        assert found.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_a_mistake():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"must be free.*127.0.0.1:{port}.*Fix: set --port"):
            listen("127.0.0.1", port)
    with pytest.raises(ValueError, match=r"must be free.*70000.*Fix:"):
        listen("127.0.0.1", 70000)


def test_without_flask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", None)
    with pytest.raises(ModuleNotFoundError, match=r"`flask` must be installed.*\[explore\]"):
        check_flask()


def test_flags_are_parsed_before_tensorflow_is_imported():
    code = "import sys, user_tf.explore.__main__; print('tensorflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


@pytest.mark.slow
def test_the_command_serves_compiled_models_until_ctrl_c(folder, targets, exploration):
    target = targets["search"][0]
    arguments = [f"--run={folder / 'user'}", f"--log={folder / 'log'}", "--port=0"]
    command = [sys.executable, "-m", "user_tf.explore", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        lines = iter(process.stdout.readline, "")
        address = next(filter(None, (re.search(r"http://[\d.:]+", line) for line in lines)))[0]
        with urllib.request.urlopen(f"{address}/target/{target.target_id}?with=user") as answer:
            page = answer.read().decode()
        process.send_signal(signal.SIGINT)
        # Werkzeug ends by itself; between two of its calls the command does.
        assert process.wait() in (0, 128 + signal.SIGINT)
    shown = [float(score) for score in re.findall(r"<small>(-?\d+\.\d{3})</small>", page)]
    expected = exploration.rankers["user"].rank(target).scores
    assert shown == pytest.approx(sorted(expected, reverse=True), abs=2e-3)
