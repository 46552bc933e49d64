"""What the ledger costs on SQLite against doing the same raw, and how it grows from 10 to 1,000,000 complaints.

Raw means Python's sqlite3 with the same settings and tables, which runs the same statements with their values given,
and nothing of what makes a ledger: no chain is computed, nothing signed, nothing worked out. To see what the reading
is of it, it runs the statements that write by themselves, too.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ledgers import (
    DISTRICTS,
    FEW,
    MANIFEST,
    MONTHS,
    PART,
    START,
    ZONE,
    Office,
    moment,
    operations,
    receipt,
    timed,
)
from measure import Contender, Result, arguments, call, compare, machine, stopwatch, table, write_json

from fieldkit.events import COMPLAINT_LINKED, PLACE_CONFIRMED, RECORD_WRITTEN, Fact
from fieldkit.ledger import statements
from fieldkit.ledger.frames import Filters

DEEDS = ("record", "link", "place")
CONTENDERS = ("raw SQLite", "raw SQLite, writing only", "Ledger.append")
#: Its SQL, and the values that it is run with: once for each.
Statement = tuple[str, list[Any]]
WARMING = 20
MINUTE = timedelta(minutes=1)
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "ledger-growth.png"


def deed(kind: str, ids: list[str], n: int) -> Fact:
    """The *n*-th deed of this kind; each is about other complaints, which nothing was said of before."""
    if kind == "record":
        return Fact(ids[n], RECORD_WRITTEN, MANIFEST, START)
    if kind == "link":
        return Fact(ids[2 * n + 1], COMPLAINT_LINKED, {"case": ids[2 * n], "relation": "duplicate"}, START)
    place = {"lon": 105.7 + n / 1e4, "lat": 32.5, "method": "confirmed"}
    return Fact(ids[n], PLACE_CONFIRMED, {"place": place}, START)


def append(folder: str, kind: str, number: int, out: str) -> None:
    """Deed by deed in turns, each on disk before the next begins: the ledger's, and its statements run as they are.

    A minute passes between two, so that what was known before each is kept. In one process, unlike the other
    benchmarks, because the disk's mood changes from one second to the next.
    """
    office = Office(Path(folder) / "ours")
    facts = _facts(Path(folder), kind, number)
    noted = (Path(folder) / f"{kind}.pickle").read_bytes()
    deeds: list[list[Statement]] = pickle.loads(noted)  # noqa: S301 - written by this file
    raw, writing = (_raw(Path(folder) / name) for name in ("raw", "writing"))
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    for n, (fact, deed) in enumerate(zip(facts, deeds, strict=True)):
        office.now += MINUTE
        writes = [one for one in deed if not one[0].startswith("SELECT")]
        calls: tuple[Callable[[], object], ...] = (
            lambda deed=deed: _run(raw, deed),
            lambda writes=writes: _run(writing, writes),
            lambda fact=fact: office.ledger.append([fact]),
        )
        turns = list(zip(CONTENDERS, calls, strict=True))
        for name, call_it in turns[n % 3 :] + turns[: n % 3]:
            wall, cpu = time.perf_counter(), time.process_time()
            call_it()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    Path(out).write_text(json.dumps({name: some[WARMING:] for name, some in taken.items()}))


def _run(connection: sqlite3.Connection, statements: list[Statement]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for sql, values in statements:
        if len(values) == 1:
            connection.execute(sql, values[0]).fetchall()
        else:
            connection.executemany(sql, values)
    connection.execute("COMMIT")


def _facts(folder: Path, kind: str, number: int) -> list[Fact]:
    ids = json.loads((folder / "ids.json").read_text())
    return [deed(kind, ids, n) for n in range(number)]


def _raw(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    new = sqlite3.sqlite_version_info >= (3, 51, 3)  # as fieldkit.ledger.store has it
    connection.execute(f"PRAGMA journal_mode={'WAL' if new else 'DELETE'}")
    connection.execute(f"PRAGMA synchronous={'FULL' if new else 'EXTRA'}")
    connection.execute("PRAGMA cache_size=-65536")
    return connection


def note_deeds(folder: Path, kind: str, number: int) -> list[list[Statement]]:
    """Do the deeds once; returns every statement that the ledger runs for each, with its values."""
    noted: list[list[Statement]] = []
    run, run_many = statements.run, statements.run_many

    def noting(connection: Any, sql: str, values: Any) -> Any:
        noted[-1].append((sql, [tuple(values)]))
        return run(connection, sql, values)

    def noting_many(connection: Any, sql: str, rows: Any) -> None:
        if len(rows) > 1:
            noted[-1].append((sql, [tuple(row) for row in rows]))
        run_many(connection, sql, rows)

    statements.run, statements.run_many = noting, noting_many
    try:
        office = Office(folder)
        for fact in _facts(folder, kind, number):
            noted.append([])
            office.now += MINUTE
            office.ledger.append([fact])
        office.ledger.close()
    finally:
        statements.run, statements.run_many = run, run_many
    return noted


def appends(options: Namespace) -> dict[str, Any]:
    """One event, one transaction: at least 80 % as many a second as raw."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        whole, *places = (folder / part for part in ("whole", "ours", "raw", "writing"))
        whole.mkdir()
        office = Office(whole)
        (folder / "ids.json").write_text(json.dumps(office.receive(range(10_000), 10_000, persons=False)))
        office.ledger.close()
        number = options.deeds + WARMING
        for kind in DEEDS:
            shutil.copytree(whole, places[0])
            shutil.copy(folder / "ids.json", places[0])
            (folder / f"{kind}.pickle").write_bytes(pickle.dumps(note_deeds(places[0], kind, number)))
            for _ in range(options.rounds):
                for place in places:
                    shutil.rmtree(place, ignore_errors=True)
                    shutil.copytree(whole, place)
                out = folder / "out.json"
                subprocess.run(call(append, str(folder), kind, number, str(out)), check=True)
                for who, some in json.loads(out.read_text()).items():
                    found.setdefault(f"{kind}: {who}", []).extend(some)
            shutil.rmtree(places[0])
            _say_appends(kind, found)
    return found


def _say_appends(kind: str, found: dict[str, Any]) -> None:
    (raw, raw_cpu), (writing, _), (ours, cpu) = (
        [statistics.median(values) for values in zip(*found[f"{kind}: {who}"], strict=True)]
        for who in CONTENDERS
    )
    print(
        f"{kind}: {1 / ours:,.0f} a second, raw {1 / raw:,.0f}, which is {raw / ours:.0%}; the bar is 80 %. "
        f"One takes {ours * 1000:.2f} ms ({cpu * 1000:.2f} of CPU), raw {raw * 1000:.2f} ({raw_cpu * 1000:.2f}); "
        f"of the statements that write alone it would be {writing / ours:.0%}."
    )


def take_in(folder: str, complaints: int, persons: bool) -> None:
    """An import, with who complained or without."""
    office = Office(Path(folder))
    office.ledger.count()
    with stopwatch(), office.ledger.receiving() as receiving:
        for first in range(0, complaints, PART):
            some = range(first, min(first + PART, complaints))
            receiving.add([receipt(n, complaints, with_person=persons) for n in some])


def imports(options: Namespace) -> list[Result]:
    """What it costs to take complaints in, and what sealing who complained adds."""
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name) / "office"

        def anew() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

        results = compare(
            [
                Contender(
                    f"import of {options.rows:,}: {what}", call(take_in, str(folder), options.rows, p), anew
                )
                for what, p in (("without complainants", False), ("with them", True))
            ],
            rounds=options.rounds,
        )
    print("\n" + table(results))
    return results


def grow(folder: str, complaints: int) -> None:
    """Make the ledger that is read."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    Office(Path(folder)).grow(complaints)


def read_and_hash(folder: str) -> None:
    """The peer of verify: every event read in the same order, its fields joined as bytes and hashed, and no more."""
    connection = _raw(Path(folder))
    sha256 = hashlib.sha256
    with stopwatch():
        for row in connection.execute("SELECT * FROM event NOT INDEXED"):
            sha256(b"\n".join([v if type(v) is bytes else str(v).encode() for v in row])).digest()


def verify(folder: str) -> None:
    """The ledger's own check of every chain."""
    ledger = Office(Path(folder)).ledger
    ledger.heads()
    with stopwatch():
        problems = ledger.verify()
    if problems:
        raise RuntimeError(problems[0].message)


def rebuild(folder: str) -> None:
    """Make the projections anew, and hash them."""
    ledger = Office(Path(folder)).ledger
    ledger.heads()
    with stopwatch():
        ledger.rebuild()


def verifying(options: Namespace, folder: Path) -> list[Result]:
    """Verify against reading and hashing: at most twice; rebuild beside it, which has no peer."""
    results = compare(
        [
            Contender("read and hash every event", call(read_and_hash, str(folder))),
            Contender("verify", call(verify, str(folder))),
            Contender("rebuild", call(rebuild, str(folder))),
        ],
        rounds=options.rounds,
    )
    print("\n" + table(results))
    times = results[1].median("cpu_s") / results[0].median("cpu_s")
    print(f"verify takes {times:.2f} times the CPU of reading and hashing; the bar is 2")
    return results


def as_of(options: Namespace, folder: Path) -> dict[str, dict[str, float]]:
    """Reads as of now, of the middle and of near the start against the present state: at most twice."""
    ledger = Office(folder).ledger
    when: dict[str, datetime | None] = {
        "present": None,
        "as of now": moment(MONTHS + 6),
        "the middle": moment(MONTHS // 2),
        "the start": moment(2),
    }
    month = {"since": moment(1), "until": moment(2)}
    one = str(ledger.cases(Filters(**month), zone=ZONE)["case"].iloc[0])
    filters = {
        "all": Filters(),
        "a district": Filters(district=DISTRICTS[0]),
        "a category": Filters(category="noise"),
        "near 500 m": Filters(near=(105.9, 32.5, 500.0)),
        "a month": Filters(**month),
        "a case": Filters(case=one),
    }
    asked: dict[str, Callable[[datetime | None], object]] = {}
    for name, some in filters.items():
        for how, columns in (("few columns", FEW), ("every column", None)):
            if name not in ("all", "a category", "a district") or columns is not None:
                asked[f"complaints of {name}, {how}"] = lambda at, some=some, columns=columns: (
                    ledger.complaints(some, columns=columns, zone=ZONE, as_of=at)
                )
        asked[f"cases of {name}"] = lambda at, some=some: ledger.cases(some, zone=ZONE, as_of=at)
    for name, some in (
        ("cases", "all"),
        ("cases of a category", "a category"),
        ("cases of a month", "a month"),
    ):
        asked[f"newest 30 {name}"] = lambda at, some=filters[some]: ledger.cases(
            some, zone=ZONE, as_of=at, limit=30
        )
    asked["count"] = lambda at: ledger.count(as_of=at)
    found: dict[str, dict[str, float]] = {}
    print(f"\n{'CPU s':40}" + "".join(f"{name:>12}" for name in when) + f"{'worst':>8}")
    for name, ask in asked.items():
        calls = {label: lambda at=at, ask=ask: ask(at) for label, at in when.items()}
        taken = {label: cpu for label, (_, cpu) in timed(calls, rounds=options.rounds).items()}
        worst = max(taken.values()) / taken["present"]
        print(f"{name:40}" + "".join(f"{cpu:12.4f}" for cpu in taken.values()) + f"{worst:7.2f}x", flush=True)
        found[name] = taken
    return found


def growth_of(folder: str, complaints: int, rounds: int, out: str) -> None:
    """Everything that people wait for, on a ledger of this size."""
    office = Office(Path(folder))
    taken = timed(operations(office, complaints), rounds=rounds)
    Path(out).write_text(json.dumps(taken))


def growth(options: Namespace, whole: Path | None) -> dict[int, dict[str, tuple[float, float]]]:
    """All operations at all sizes; each size in a process of its own."""
    found: dict[int, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for size in options.sizes:
            folder, out = Path(name) / str(size), Path(name) / f"{size}.json"
            if whole is not None and size == options.rows:
                folder = whole
            else:
                subprocess.run(call(grow, str(folder), size), check=True)
            subprocess.run(call(growth_of, str(folder), size, options.rounds, str(out)), check=True)
            found[size] = json.loads(out.read_text())
            print(f"measured at {size:,}", flush=True)
    print("\n" + growth_table(found))
    return found


def growth_table(found: dict[int, dict[str, tuple[float, float]]]) -> str:
    """The wall-clock medians in milliseconds, a size a column."""
    head = "ms".ljust(24) + "".join(f"{size:>12,}" for size in found)
    rows = [
        name.ljust(24) + "".join(f"{taken[name][0] * 1000:>12,.1f}" for taken in found.values())
        for name in next(iter(found.values()))
    ]
    return "\n".join([head, *rows])


def draw(found: dict[int, dict[str, tuple[float, float]]], path: Path, title: str) -> None:
    """Draw how each operation grows, both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    colours = plt.get_cmap("tab20")
    for n, name in enumerate(next(iter(found.values()))):
        times = [taken[name][0] * 1000 for taken in found.values()]
        axes.plot(list(found), times, marker="o", markersize=3, color=colours(n), label=name)
    axes.set(
        xscale="log", yscale="log", xlabel="complaints in the ledger", ylabel="milliseconds", title=title
    )
    axes.grid(alpha=0.3, which="major")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


PARTS = ("append", "import", "verify", "as-of", "growth")


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="which parts to measure")
    parser.add_argument("--deeds", type=int, default=500, help="how many deeds are appended one by one")
    parser.add_argument("--rows", type=int, default=1_000_000, help="complaints in the large ledger")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**n for n in range(1, 7)])
    parser.add_argument("--folder", type=Path, help="where the ledgers are made, on the disk to be measured")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to draw the growth")
    options = parser.parse_args()
    measured: list[Result] = []
    more: dict[str, Any] = {}
    if "append" in options.only:
        more["append"] = appends(options)
    if "import" in options.only:
        measured += imports(options)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        whole: Path | None = None
        if {"verify", "as-of"}.intersection(options.only):
            whole = Path(name) / "whole"
            print(f"\nmaking a ledger of {options.rows:,} complaints", flush=True)
            subprocess.run(call(grow, str(whole), options.rows), check=True)
            if "verify" in options.only:
                measured += verifying(options, whole)
            if "as-of" in options.only:
                more["as_of"] = as_of(options, whole)
        if "growth" in options.only:
            more["growth"] = growth(options, whole)
            draw(more["growth"], options.picture, "The ledger on SQLite, median of each operation")
    print(machine())
    if options.json:
        write_json(options.json, "ledger", measured, **more)


if __name__ == "__main__":
    main()
