"""Ledgers for the faults: deeds whose every record can be told apart, and what is found of them afterwards."""

from __future__ import annotations

import csv
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fieldkit import events
from fieldkit.complaints import Complaint, Person
from fieldkit.errors import FieldkitError
from fieldkit.events import Fact
from fieldkit.keys import Keys
from fieldkit.ledger import Ledger, Receipt, store
from fieldkit.places import Place
from fieldkit.workspace import Workspace, init_workspace

from .totals import Totals

ORIGIN = "device"
NOON = datetime(2018, 3, 5, 12, 0, tzinfo=UTC)
#: How many complaints a new store has, for the deeds to be about.
FIRST = 40
# Every complaint received must have a row in each of these, as far as this kit has the table.
_PARTS = ("complaint", "imported", "complainant")
_NOTES_EVERY = 3


@dataclass(slots=True)
class Deed:
    """Something done as a whole: its records are numbered from *first*, *count* of them."""

    sort: str
    first: int
    count: int
    acknowledged: bool = False

    @property
    def tokens(self) -> set[str]:
        return {f"{self.sort}{number}" for number in range(self.first, self.first + self.count)}


def moment(number: int) -> datetime:
    """Every record occurs at a moment of its own, by which it is told apart."""
    return NOON + timedelta(microseconds=number)


def receipts(first: int, count: int) -> list[Receipt]:
    made = []
    for number in range(first, first + count):
        complaint = Complaint(
            received_at=moment(number),
            source="faults",
            number=f"N{number}",
            text=f"第{number}号投诉：夜间噪声扰民。" * (1 + number % 5),
            categories=("noise.lowfreq.transformer",),
            place=Place(105.8 + number % 97 / 1000, 32.4 + number % 89 / 1000),
        )
        made.append(
            Receipt(complaint, complaint, Person(name=f"Resident {number}", phone=f"139{number:08d}"))
        )
    return made


def write_csv(path: Path, first: int, count: int) -> None:
    """The file of the same complaints as :func:`receipts`, with the microseconds in which they are told apart."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "received_at", "text", "address", "lon", "lat", "name", "phone"])
        for receipt in receipts(first, count):
            one, person = receipt.read, receipt.person
            assert one.place is not None
            assert person is not None
            at = one.received_at.isoformat()
            writer.writerow(
                [
                    one.number,
                    at,
                    one.text,
                    "Station Road",
                    one.place.lon,
                    one.place.lat,
                    person.name,
                    person.phone,
                ]
            )


def complaint_id(number: int) -> str:
    return events.identifier(f"faults\n#N{number}")


def facts(rng: random.Random, first: int, count: int) -> list[Fact]:
    """*count* facts about the store's first complaints, most about their records, some about their places."""
    made = []
    for number in range(first, first + count):
        subject, at = complaint_id(rng.randrange(FIRST)), moment(number)
        if number % _NOTES_EVERY:
            made.append(Fact(subject, events.RECORD_WRITTEN, {"files": {"html": f"{number}.html"}}, at))
        else:
            place = {"lon": 105.8 + rng.random() / 10, "lat": 32.4, "method": "confirmed"}
            made.append(Fact(subject, events.PLACE_CONFIRMED, {"place": place}, at))
    return made


def do(ledger: Ledger, rng: random.Random, deed: Deed) -> None:
    """Do *deed*: take complaints in (``R``), or append facts (``F``)."""
    if deed.sort == "R":
        with ledger.receiving() as receiving:
            receiving.add(receipts(deed.first, deed.count))
    else:
        ledger.append(facts(rng, deed.first, deed.count))


def next_deed(rng: random.Random, first: int, most: int) -> Deed:
    """A deed by chance: half are of a single record, one in eight is an import."""
    sort = "R" if rng.random() < 1 / 8 else "F"
    count = (
        1
        if sort == "F" and rng.random() < 1 / 2
        else rng.randint(2, most if sort == "F" else max(2, most // 8))
    )
    return Deed(sort, first, count)


def new_workspace(folder: Path) -> Workspace:
    """A workspace whose ledger has :data:`FIRST` complaints, numbered from 0."""
    ws = init_workspace(folder, time_zone="Asia/Shanghai", crs="wgs84", origin=ORIGIN, actor="officer")
    with ws.ledger.receiving() as receiving:
        receiving.add(receipts(0, FIRST))
    ws.ledger.close()
    return ws


def ledger_at(path: Path, origin: str = ORIGIN, *, stopped: bool = False) -> Ledger:
    """The ledger in the file *path*, with the keys beside it; its clock may be *stopped*.

    A state tells when it came about, so two are equal only when the same was done at the same time.
    """
    keys = Keys(path.parent / "keys")
    clock = {"clock": lambda: NOON} if stopped else {}
    return Ledger(f"sqlite:///{path}", origin=origin, actor="officer", keys=keys, **clock)


def examine(ledger: Ledger, deeds: Sequence[Deed], totals: Totals, where: str) -> set[str]:
    """Look for every record of *deeds* in *ledger* and add what is wrong to *totals*; returns the tokens found.

    The store must open, its chains verify, its file be sound, its tables follow from its events, and it must take
    another record.
    """
    try:
        found = {token for event in ledger.events() for token in _tokens(event)}
        for deed in deeds:
            missing = deed.tokens - found
            if deed.acknowledged and missing:
                totals.lost += len(missing)
                totals.notes.append(f"{where}: {len(missing)} acknowledged records of {deed} are missing")
            elif missing and len(missing) < deed.count:
                totals.half += 1
                totals.notes.append(f"{where}: {deed} is there in part, {len(missing)} are missing")
        totals.half += _half(ledger, totals, where)
        wrong = list(_unsound(ledger))
        ledger.append([Fact(complaint_id(0), events.RECORD_WRITTEN, {"files": {}}, NOON)])
        # The new record hangs on the last of those before it, so one look at the chains is for all.
        wrong += [problem.message for problem in ledger.verify()]
        if wrong:
            totals.unreadable += 1
            totals.notes.append(f"{where}: {wrong[0]}")
    except (FieldkitError, sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        totals.unreadable += 1
        totals.notes.append(f"{where}: {error}")
        # Nothing of it can be had any more.
        totals.lost += sum(deed.count for deed in deeds if deed.acknowledged)
        return set()
    return found


def _tokens(event: events.Event) -> Iterator[str]:
    number = event.occurred_at - events.microseconds(NOON)
    if event.kind == events.PLACE_CONFIRMED and (said := event.data.get("address")):
        yield said  # it occurred when the officer said so
    else:
        yield {events.COMPLAINT_RECEIVED: "R", events.COMPLAINT_LINKED: "L"}.get(event.kind, "F") + str(
            number
        )


def _half(ledger: Ledger, totals: Totals, where: str) -> int:
    """How many things are there in part: tables that do not follow from the events, receipts without their rows."""
    half = 0
    with store.reading(ledger._engine) as connection:
        received = set(
            connection.scalars(sa.text("SELECT subject FROM event WHERE kind = 'complaint_received'"))
        )
        for name in set(_PARTS) & set(sa.inspect(connection).get_table_names()):
            column = "id" if name == "complaint" else "complaint_id"
            there = set(connection.scalars(sa.text(f"SELECT {column} FROM {name}")))  # noqa: S608
            if there != received:
                half += len(there ^ received)
                totals.notes.append(f"{where}: {name} and the receipts differ by {len(there ^ received)}")
    before = ledger.state_hash()
    if ledger.rebuild() != before:
        half += 1
        totals.notes.append(f"{where}: the tables do not follow from the events")
    return half


def _unsound(ledger: Ledger) -> list[str]:
    with store.reading(ledger._engine) as connection:
        if connection.dialect.name != "sqlite":
            return []
        said = [str(line) for line in connection.execute(sa.text("PRAGMA integrity_check")).scalars()]
    return [] if said == ["ok"] else said


def state_of(path: Path) -> dict[str, Any]:
    """Every row of every table of the file, read with Python's own SQLite and no part of the kit."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in names}  # noqa: S608
