"""Serve the dashboards on this machine: a token, one address, and nothing but what the pages need.

The server runs as a process of its own (:mod:`fieldkit.dashboards.jupyter_app`), so that its settings, its working
folder and its end do not touch the program that calls.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fieldkit.dashboards.gate import IN_USE
from fieldkit.errors import ServeError
from fieldkit.files import make_folder
from fieldkit.settings import asset

if TYPE_CHECKING:
    from fieldkit.workspace import Workspace

#: The port that is tried first.
PORT = 8866

_PATIENCE_S = 90.0
_SHORTEST_TOKEN = 16
_NEW_PROCESS_GROUP = 0x200  # of the Windows API


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: its *port*, the *token* that opens it, and its *process*."""

    port: int
    token: str
    process: subprocess.Popen[str]

    @property
    def address(self) -> str:
        """The server's address without the token."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def url(self) -> str:
        """The address to open in a browser; the token in it disappears from the address bar at once."""
        return f"{self.address}?token={self.token}"


def serve(
    ws: Workspace,
    *,
    port: int | None = None,
    open_browser: bool = True,
    token: str | None = None,
    tell: Callable[[str], object] | None = None,
) -> None:
    """Serve the dashboards of *ws* until Ctrl-C; prints the address with its token.

    *port* None takes 8866 or, when that is in use, the next free one; 0 takes any free one. *token* None makes a
    new one. *tell* gets the lines instead of standard output. Raises :class:`~fieldkit.errors.ServeError` when the
    port given is in use, the token is too short, or the server does not start.
    """
    say = tell or _print
    code = 0
    try:
        with running(ws, port=port, token=token) as server:
            if port is None and server.port != PORT:
                say(f"Port {PORT} is in use; using {server.port} instead.")
            say(f"The symposium dashboard: {server.url}")
            say("Only this machine can open it. Stop with Ctrl-C.")
            if open_browser:
                _open_browser(server.url)
            code = server.process.wait()
    except KeyboardInterrupt:
        say("Stopped.")
    if code:
        raise ServeError(f"The server ended by itself (code {code}). See {_log_path(ws)}.")


@contextmanager
def running(ws: Workspace, *, port: int | None = None, token: str | None = None) -> Iterator[Serving]:
    """Serve the dashboards of *ws* while the ``with`` block runs; parameters and errors are those of :func:`serve`."""
    if token is not None and (len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise ServeError(
            f"A token must have at least {_SHORTEST_TOKEN} plain characters. Leave it out to get a new one."
        )
    ws.ledger.open()  # a ledger that is locked or gone is better said here than on a page
    chosen = token or secrets.token_urlsafe(24)
    folder = Path(tempfile.mkdtemp(prefix="fieldkit-serve-"))
    process = _start(ws, folder, port, chosen)
    try:
        yield Serving(_wait_for_port(process, ws, port), chosen, process)
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _start(ws: Workspace, folder: Path, port: int | None, token: str) -> subprocess.Popen[str]:
    # The empty folder is where the server works and keeps its sockets' keys: no setting, program or notebook that
    # happens to lie in the caller's folder or home is picked up.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_")}
    environment |= {
        "JUPYTER_CONFIG_DIR": str(folder),
        "JUPYTER_NO_CONFIG": "1",
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "FIELDKIT_WORKSPACE": str(ws.settings.folder),
        "FIELDKIT_AS_OF": "" if ws.as_of is None else ws.as_of.isoformat(),
        "PYTHONWARNINGS": "ignore",
    }
    log_path = _log_path(ws)
    make_folder(log_path.parent)
    with log_path.open("a", encoding="utf-8") as log:
        # A session of its own: Ctrl-C reaches the caller, who closes the pipe, on which the server ends in order.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fieldkit.dashboards.jupyter_app"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=environment,
            text=True,
            start_new_session=sys.platform != "win32",
            creationflags=_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
        )
    orders = {"port": PORT if port is None else port, "retries": 20 if port is None else 0, "token": token}
    orders["dashboards"] = str(asset("dashboards/symposium.ipynb").parent)
    assert process.stdin is not None
    process.stdin.write(json.dumps(orders) + "\n")
    process.stdin.flush()
    return process


def _wait_for_port(process: subprocess.Popen[str], ws: Workspace, port: int | None) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()  # the server's one line, or nothing when it has ended
    if line:
        return int(json.loads(line)["port"])
    process.wait(timeout=_PATIENCE_S)
    if process.returncode == IN_USE:
        raise ServeError(
            f"Port {port or PORT} is in use. Give another one with --port, or none to take the next free one."
        )
    raise ServeError(f"The server did not start. See {_log_path(ws)}.")


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018
    try:
        process.stdin.close()
        process.wait(timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
    finally:
        process.stdout.close()


def _log_path(ws: Workspace) -> Path:
    return ws.settings.out / "dashboard-server.log"


def _open_browser(url: str) -> None:
    import webbrowser

    try:
        webbrowser.open(url)
    except webbrowser.Error:
        return  # the address has been printed


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
