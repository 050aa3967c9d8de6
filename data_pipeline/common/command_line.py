"""Run a command: flags, positional arguments, and mistakes of users as one paragraph.

    def run() -> None:
        flagtree.define(Settings)
        command_line.run(main)

A mistake of a user ends with `error: ...` on the standard error and the exit code 2. A defect of the
program shows its traceback, and so does every error with --verbosity=1. Ctrl-C ends with 130.
"""

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging

from data_pipeline.common import flagfiles, remote_folders

EXIT_CODE = 2
"""Exit code of a mistake of the user."""


def run(main: Callable[[list[str]], Any], positional: str = "") -> None:
    """Parse the flags of the process, then call `main`; the process ends with it.

    TensorFlow runs without oneDNN on a CPU, unless TF_ENABLE_ONEDNN_OPTS says otherwise.

    Args:
        main: Takes the program's name and the positional argument, if there is one.
        positional: Name of the one argument that is no flag, such as `DATASET`. Default: every
            argument must be a flag.
    """
    turn_onednn_off()
    app.run(functools.partial(_call, main, positional), flags_parser=_parse)


def turn_onednn_off() -> None:
    """Let TensorFlow run without oneDNN in this process, unless TF_ENABLE_ONEDNN_OPTS is set.

    oneDNN makes kernels for every new size of a batch and keeps them: slower, and memory grows. Call it
    before TensorFlow is imported.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def is_mistake(error: BaseException) -> bool:
    """Return whether an error is a mistake of the user, not a defect of the program.

    The project's own messages say what to do; the system's errors name a file.

    Example:
        >>> is_mistake(ValueError("`seed` must be positive. Got -1. Fix: set --seed."))
        True
        >>> is_mistake(ValueError("shapes do not broadcast")), is_mistake(PermissionError(13, "x", "y"))
        (False, True)
    """
    if isinstance(error, OSError) and error.filename is not None:
        return True
    known = isinstance(error, ValueError | OSError | ImportError | RuntimeError)
    return known and " Fix: " in str(error)


def paragraph(error: BaseException) -> str:
    """Return the message of an error with its notes, without line breaks.

    Example:
        >>> paragraph(FileNotFoundError(2, "No such file or directory", "a.txt"))
        "error: 'a.txt': No such file or directory."
    """
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename!r}: {error.strerror}."
    return " ".join(["error:", *text.split(), *" ".join(getattr(error, "__notes__", ())).split()])


def _parse(arguments: Sequence[str]) -> list[str]:
    """Parse the arguments with those of their flagfiles; a wrong flag ends the process."""
    try:
        return flags.FLAGS([arguments[0], *flagfiles.expand(arguments[1:])])
    except (flags.Error, ValueError) as error:
        fix = "" if " Fix: " in str(error) else " Fix: see --help, or --helpfull for all flags."
        _end(f"error: {' '.join(str(error).split())}{fix}")


def _call(main: Callable[[list[str]], Any], positional: str, arguments: list[str]) -> Any:
    # Read before `main`, which may make the libraries quieter.
    verbose = logging.get_verbosity() >= logging.DEBUG
    try:
        _check_arguments(positional, arguments[1:])
        result = main(arguments)
        remote_folders.send_changes()
        return result
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if not is_mistake(error):
            raise
        if verbose:
            traceback.print_exc()
        _end(paragraph(error))


def _check_arguments(positional: str, arguments: Sequence[str]) -> None:
    if positional and len(arguments) != 1:
        raise ValueError(
            f"`{positional}` must be one folder. Got {list(arguments)}. Fix: name it once, without "
            "a flag."
        )
    if not positional and arguments:
        raise ValueError(f"`arguments` must be flags. Got {arguments}. Fix: write --name=value.")


def _end(text: str) -> NoReturn:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)
    sys.exit(EXIT_CODE)
