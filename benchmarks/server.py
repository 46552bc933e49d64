"""What people wait for on PostgreSQL, at 200,000 and 2,000,000 complaints: the small things should stay as they are.

The server is Debian's, started here in a folder of its own and reached by a socket in it alone, with the settings it
comes with; `--set NAME=VALUE` gives it others.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from ledger import growth_table
from ledgers import Office, operations, receipt, timed
from measure import arguments, call, machine, write_json

from fieldkit.cases import CaseComplaint
from fieldkit.events import identifier
from fieldkit.ledger import statements, store, tables
from fieldkit.ledger.projection import complaint_row


@contextlib.contextmanager
def server(settings: list[str], parent: Path | None) -> Iterator[str]:
    """A PostgreSQL server of our own; gives the address of its databases, but for their name."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(programs[-1]) if programs else shutil.which("initdb")
    if initdb is None:
        raise SystemExit(
            "There is no PostgreSQL server on this machine. Install the system's package postgresql."
        )
    # The path of a socket may not be long.
    folder = Path(tempfile.mkdtemp(prefix="fieldkit-server-", dir=parent))
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [str(Path(initdb).with_name(program)), *arguments],
            check=True,
            user=user,
            cwd=folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
        )

    data = str(folder / "data")
    options = "".join(f" -c {setting}" for setting in ["listen_addresses=''", *settings])
    run("initdb", "-D", data, "-U", "fieldkit", "--auth=trust", "-E", "UTF8")
    run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-k {folder}{options}", "start")
    try:
        yield f"postgresql://fieldkit@/{{}}?host={folder}"
    finally:
        run("pg_ctl", "-D", data, "-m", "fast", "stop")
        shutil.rmtree(folder)


def make_database(address: str, name: str) -> None:
    """An empty database."""
    import psycopg

    with psycopg.connect(address.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")


def grow(folder: str, url: str, complaints: int) -> None:
    """Fill a ledger, and have the server look at what is in it, as its autovacuum would within minutes."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    office = Office(Path(folder), url)
    office.grow(complaints)
    print(
        f"{complaints:,} complaints and what is said of them later: {time.perf_counter() - start:,.0f} s",
        flush=True,
    )
    raw = office.ledger._engine.raw_connection()
    raw.driver_connection.autocommit = True  # type: ignore[union-attr]
    raw.cursor().execute("VACUUM ANALYZE")
    raw.invalidate()


def measured(folder: str, url: str, complaints: int, rounds: int, slow: bool, out: str) -> None:
    """Everything that people wait for."""
    done = operations(Office(Path(folder), url), complaints)
    if not slow:
        done = {name: one for name, one in done.items() if name not in ("verify", "state hash", "rebuild")}
    Path(out).write_text(json.dumps(timed(done, rounds=rounds)))


def bulk(url: str, rows: int) -> None:
    """Rows of *complaint* by COPY and as inserts, in turns, each undone."""
    ledger = Office(Path(), url).ledger
    made = []
    for n in range(rows):
        one, known = f"{n:012}", receipt(n, rows).complaint
        made.append(complaint_row(CaseComplaint(identifier(one), known, identifier(one)), 0))
    for turn in range(4):
        for name, send in (("inserts", statements.insert), ("COPY", store.insert)):
            with contextlib.suppress(InterruptedError), store.writing(ledger._engine) as connection:
                start, cpu = time.perf_counter(), time.process_time()
                send(connection, tables.complaint, made)
                if turn:
                    taken = time.perf_counter() - start
                    print(
                        f"{rows:,} rows as {name}: {taken:.2f} s, {time.process_time() - cpu:.2f} CPU s here"
                    )
                raise InterruptedError  # nothing is kept


def all_sizes(options: Namespace, folder: Path, address: str) -> dict[int, dict[str, tuple[float, float]]]:
    """The operations at each size, each size in a database and a process of its own."""
    found: dict[int, dict[str, tuple[float, float]]] = {}
    for size in options.sizes:
        name, out = f"of_{size}", folder / "out.json"
        make_database(address, name)
        mine = (str(folder / name), address.format(name), size)
        subprocess.run(call(grow, *mine), check=True)
        subprocess.run(call(measured, *mine, options.rounds, not options.quick, str(out)), check=True)
        found[size] = json.loads(out.read_text())
    return found


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200_000, 2_000_000])
    parser.add_argument("--quick", action="store_true", help="leave out verify, state hash and rebuild")
    parser.add_argument(
        "--bulk", type=int, default=50_000, metavar="ROWS", help="rows sent by COPY and as inserts"
    )
    parser.add_argument("--folder", type=Path, help="where the server keeps its data; a short path")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the server")
    options = parser.parse_args()
    with server(options.set, options.folder) as address, tempfile.TemporaryDirectory() as name:
        make_database(address, "bulk")
        subprocess.run(call(bulk, address.format("bulk"), options.bulk), check=True)
        found = all_sizes(options, Path(name), address)
    print("\n" + growth_table(found))
    print(machine())
    if options.json:
        write_json(options.json, "server", [], settings=options.set, operations=found)


if __name__ == "__main__":
    main()
