"""Nothing asks beyond this machine: every command runs under a guard that counts each attempt, and finds none.

The guard is an audit hook that Python itself calls before a name is looked up or a connection is opened. It comes
into every Python that the command starts, kernels and workers too, by a ``sitecustomize`` on ``PYTHONPATH``. What
browsers ask for is counted in the browser tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fieldkit.testing import sample_workspace

GUARD = """
import os, socket, sys

def _beyond(host):
    if host is None or isinstance(host, (int, tuple)):
        return False
    host = os.fsdecode(host).lower().split("%")[0]
    # The machine's own name is how Jupyter finds out which addresses are its own.
    own = ("", "localhost", "0.0.0.0", "::", "::1", socket.gethostname().lower())
    return host not in own and not host.startswith("127.")

def _watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[-1]
        host = address[0] if isinstance(address, tuple) else None  # a str is a Unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    elif event == "urllib.Request":
        host = None if arguments[0].startswith(("file:", "data:")) else arguments[0]
    else:
        return
    if _beyond(host):
        with open(os.environ["FIELDKIT_TEST_ASKED"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise OSError(f"the network is off: {event} {host}")

sys.addaudithook(_watch)
with open(os.environ["FIELDKIT_TEST_ASKED"] + ".started", "a") as file:
    file.write(f"{os.getpid()}\\n")
"""


IN_A_CHILD = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import socket; socket.getaddrinfo('tiles.example', 80)"])
"""


class Guarded:
    """Runs commands under the guard; *asked* is what they asked for beyond this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "asked.txt"
        (folder / "guard").mkdir(parents=True)
        (folder / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")

    def fieldkit(self, *arguments: str) -> None:
        done = self.run("-m", "fieldkit", *arguments)
        # 1 is "done with flags", and also what Python ends with after a traceback.
        assert done.returncode in (0, 1), done.stdout + done.stderr
        assert "Traceback" not in done.stderr

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "guard"),
            "PYTHONIOENCODING": "utf-8",
            "FIELDKIT_TEST_ASKED": str(self.log),
        }
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def started(self) -> int:
        """In how many Python processes the guard stood."""
        return len(Path(f"{self.log}.started").read_text().splitlines())


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path / "machine")


@pytest.fixture(scope="module")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ws = sample_workspace(tmp_path_factory.mktemp("offline") / "sample")
    ws.ledger.close()
    return ws.settings.folder


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 0.1)",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "import socket; socket.gethostbyname('tiles.example')",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/a.js', timeout=0.1)",
        IN_A_CHILD,
    ],
)
def test_the_guard_sees_who_asks(guarded: Guarded, program: str) -> None:
    guarded.run("-c", program)
    assert guarded.asked


def test_the_guard_lets_loopback_through(guarded: Guarded) -> None:
    program = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
socket.getaddrinfo("localhost", 80)
"""
    assert guarded.run("-c", program).returncode == 0
    assert guarded.asked == []


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["plugins", "--check"],
        ["cases"],
        ["verify"],
        ["rebuild"],
        ["backup", "stick"],
        ["export", "everything"],
        ["export", "town.gpkg"],
        ["analyse", "hotspots", "--out", "hotspots.html"],
        ["analyse", "clusters", "--out", "clusters.geojson"],
        ["analyse", "hotspots", "--out", "hotspots.png"],
        ["analyse", "rhythm", "--out", "rhythm.csv"],
    ],
    ids=" ".join,
)
def test_a_command_asks_for_nothing_beyond_this_machine(
    guarded: Guarded, sample_folder: Path, command: list[str]
) -> None:
    where = [] if command == ["--help"] else ["--workspace", str(sample_folder)]
    guarded.fieldkit(*command, *where)
    assert guarded.asked == []


def test_making_a_workspace_and_taking_complaints_in_asks_for_nothing(guarded: Guarded) -> None:
    rows = [f"2017-07-{day:02},105.84,32.43,噪声 noise {day}" for day in range(1, 21)]
    (guarded.folder / "complaints.csv").write_text(
        "\n".join(["date,lon,lat,description", *rows]), encoding="utf-8"
    )
    for command in (
        ["init", "office"],
        ["import", "complaints.csv", "--crs", "wgs84", "--workspace", "office"],
    ):
        done = guarded.run("-m", "fieldkit", *command)
        assert done.returncode in (0, 1), done.stdout + done.stderr
    assert guarded.asked == []


def test_a_record_is_written_without_asking_for_anything(guarded: Guarded, sample_folder: Path) -> None:
    import fieldkit as fk

    ws = fk.open(sample_folder)
    case = str(ws.cases()["case"].iloc[0])
    ws.ledger.close()
    guarded.fieldkit("records", "--case", case, "--workspace", str(sample_folder))
    assert guarded.asked == []
    assert guarded.started > 1, "the notebook ran in a kernel that the guard did not see"
