"""Tests of the names of the package."""

import importlib
import subprocess
import sys
import types

import pytest

import user_tf


def run_python(code):
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout.strip()


def test_importing_the_package_imports_no_numerical_library():
    heavy = "{'numpy', 'pyarrow', 'keras', 'tensorflow', 'data_pipeline', 'absl'}"
    assert run_python(f"import sys, user_tf; print({heavy} & set(sys.modules))") == "set()"


def test_behaviors_and_runs_need_no_tensorflow():
    code = (
        "import sys, user_tf; user_tf.Search('a'), user_tf.Run('b'); print('keras' in sys.modules)"
    )
    assert run_python(code) == "False"


def test_every_name_is_listed_and_documented():
    for name in user_tf.__all__:
        value = getattr(user_tf, name)
        assert callable(value) and value.__doc__, name
        assert name in dir(user_tf)
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        _ = user_tf.evaluat


@pytest.mark.parametrize("name", ["evaluate", "export"])
def test_importing_a_command_does_not_replace_the_function_of_its_name(name):
    command = importlib.import_module(f"user_tf.{name}")
    assert isinstance(command, types.ModuleType) and command.main
    assert isinstance(getattr(user_tf, name), types.FunctionType)
