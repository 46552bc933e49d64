"""Start a PostgreSQL server of our own in an empty folder, and stop it: for the tests and for the full run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def a_database() -> Iterator[str | None]:
    """The URL of an empty database on a server that lives as long as the block; None where none is installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(programs[-1]) if programs else shutil.which("initdb")
    if initdb is None:
        yield None
        return
    # Not among pytest's own folders: each run of pytest closes those to every other account again. And the path of a
    # socket may not be long.
    folder = Path(tempfile.mkdtemp(prefix="fieldkit-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(Path(initdb).with_name(program)), *arguments]
        subprocess.run(
            command,
            check=True,
            user=user,
            cwd=folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
        )

    data, socket = folder / "data", folder
    run("initdb", "-D", str(data), "-U", "fieldkit", "--auth=trust", "-E", "UTF8", "--no-sync")
    run(
        "pg_ctl",
        "-D",
        str(data),
        "-w",
        "-l",
        str(folder / "log"),
        "-o",
        f"-c listen_addresses='' -k {socket}",
        "start",
    )
    try:
        yield f"postgresql+psycopg://fieldkit@/postgres?host={socket}"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)
