"""Open a local page of rankings.

    python -m user_tf.explore --run=work/run,work/user_plus --log=work/log --model=work/model

Three pages. Targets: choose a request, see the user's past, and rank its list by every run side by
side, with the reasons. Ask: change query, history and candidates, and see the exported model rank.
Evaluations: two systems query by query. The command prints the address; Ctrl-C ends it. Only this
machine can open the page, unless --host says otherwise. docs/explore.md shows the pages.
"""

import dataclasses
import ipaddress
import socket

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclasses.dataclass(frozen=True)
class ExploreSettings:
    """Settings of `python -m user_tf.explore`; the others are saved with the runs."""

    run: tuple[str, ...] = dataclasses.field(
        default=(),
        metadata={
            "help": "Folders made by user_tf.train or user_tf.lambdamart, of one dataset.",
            "path": True,
        },
    )
    model: str = setting("", "Folder made by user_tf.export, to ask; empty: none.", path=True)
    log: tuple[str, ...] = dataclasses.field(
        default=(),
        metadata={
            "help": "Folders of the log of the dataset, for times, dwell and titles; empty: none.",
            "path": True,
        },
    )
    dataset: str = setting("", "The dataset of the runs, if it was moved.", path=True)
    host: str = setting("127.0.0.1", "Address to listen on; by default this machine only.")
    port: int = setting(8780, "Port to listen on; 0: a free one.")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ValueError: The address is not of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"`host` and `port` must be free on this machine. Got {host}:{port} ({error}). Fix: set "
            "--port to another one, or 0."
        ) from error


def check_flask() -> None:
    """Check that Flask is installed.

    Raises:
        ModuleNotFoundError: It is not; the error names the extra to install.
    """
    try:
        import flask  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"`flask` must be installed for user_tf.explore. Got {error}. Fix: pip install "
            "'.[explore]'."
        ) from error


def main(arguments: list[str]) -> None:
    """Run the command; TensorFlow is imported after the flags are parsed."""
    settings = flagtree.read(ExploreSettings)
    check_flask()
    from werkzeug.serving import make_server

    from user_tf.explore.exploration import open_exploration
    from user_tf.explore.site import make_site

    local = is_loopback(settings.host)
    print("Loading, some 10 seconds for each model", flush=True)
    found = open_exploration(
        settings.run, settings.model, settings.log, settings.dataset, compiled=True
    )
    with listen(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        site = make_site(found, LOOPBACK if local else ())
        server = make_server(settings.host, port, site, threaded=True, fd=listener.fileno())
        if not local:
            print("Warning: whoever reaches this address sees the log's requests.", flush=True)
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"Open http://{name}:{port} (Ctrl-C ends)", flush=True)
        server.serve_forever()


def run() -> None:
    """Define the flags and run; importing this file defines none."""
    flagtree.define(ExploreSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
