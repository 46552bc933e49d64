"""How long an import of complaints takes against pandas reading the same file into an SQLite table.

The peers do less: they check nothing, keep no history and make no cases. They are the floor, not an equal.
"""

from __future__ import annotations

import csv
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from measure import Contender, Result, arguments, call, compare, machine, table, write_json

STREETS = ["利州东路", "蜀门北路", "Riverside Road", "老城巷", "Station Road", "万源路"]
KINDS = ["noise", "air", "water", "solid_waste", "radiation", "other"]
WORDS = ["夜间施工噪声扰民", "油烟味很大", "河水发黑发臭", "变压器嗡嗡响", "垃圾堆放多日", "广场音响声音太大"]


def write_csv(path: Path, rows: int) -> None:
    """Write *rows* complaints, the same for the same number."""
    chance = random.Random(20171130)  # noqa: S311 - data for a benchmark
    start = datetime(2010, 1, 1)  # local time without a zone, as files have it
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["number", "received_at", "channel", "category", "description", "address", "lon", "lat"]
        )
        for n in range(rows):
            received = start + timedelta(minutes=chance.randrange(60 * 24 * 365 * 8))
            street = chance.choice(STREETS)
            writer.writerow(
                [
                    f"B-{n:08}",
                    received.isoformat(sep=" "),
                    chance.choice(["phone_12345", "wechat", "visit"]),
                    chance.choice(KINDS),
                    f"{street}{chance.randrange(1, 400)}号，{chance.choice(WORDS)}，第{n}次反映，请尽快处理。",
                    f"{street}{chance.randrange(1, 400)}号",
                    round(105.70 + chance.random() / 4, 6),
                    round(32.35 + chance.random() / 5, 6),
                ]
            )


def with_pandas(source: str, target: str) -> None:
    """The peer: the whole file into a frame, the frame into a table."""
    import pandas as pd

    with sqlite3.connect(target) as connection:
        pd.read_csv(source, parse_dates=["received_at"]).to_sql("complaint", connection, index=False)


def with_pandas_in_parts(source: str, target: str) -> None:
    """The same peer, 50,000 rows at a time, as one does when the file is larger than the memory."""
    import pandas as pd

    with sqlite3.connect(target) as connection:
        for part in pd.read_csv(source, parse_dates=["received_at"], chunksize=50_000):
            part.to_sql("complaint", connection, index=False, if_exists="append")


def contenders(folder: Path, source: Path, rows: int) -> list[Contender]:
    office, database = folder / "office", folder / "peer.sqlite"
    fieldkit = [sys.executable, "-m", "fieldkit"]

    def new_office() -> None:
        shutil.rmtree(office, ignore_errors=True)
        subprocess.run([*fieldkit, "init", str(office)], check=True, capture_output=True)

    def no_database() -> None:
        database.unlink(missing_ok=True)

    def all_there(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            (found,) = connection.execute("SELECT count(*) FROM complaint").fetchone()
        if found != rows:
            raise RuntimeError(f"{path.name} has {found} complaints of {rows}")

    take_in = [*fieldkit, "import", str(source), "--crs", "wgs84", "--workspace", str(office)]
    return [
        Contender(
            "pandas.read_csv + to_sql",
            call(with_pandas, str(source), str(database)),
            no_database,
            lambda: all_there(database),
        ),
        Contender(
            "the same, 50,000 rows at a time",
            call(with_pandas_in_parts, str(source), str(database)),
            no_database,
            lambda: all_there(database),
        ),
        Contender("fieldkit import", take_in, new_office, lambda: all_there(office / "ledger.sqlite")),
    ]


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the file")
    options = parser.parse_args()
    measured: list[Result] = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "complaints.csv"
            write_csv(source, rows)
            print(f"\n{rows:,} rows, {source.stat().st_size / 2**20:.0f} MB")
            results = compare(contenders(Path(name), source, rows), rounds=options.rounds)
        print("\n" + table(results))
        measured += [Result(f"{rows:,} rows: {one.name}", one.runs) for one in results]
    print(machine())
    if options.json:
        write_json(options.json, "imports", measured)


if __name__ == "__main__":
    main()
