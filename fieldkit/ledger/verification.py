"""Read every event again and recompute the chains: what was changed, removed, inserted or swapped is named."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.events import DEVICE_ENROLLED, GENESIS, NOT_DATA, digest_of
from fieldkit.ledger import cipher, statements, tables
from fieldkit.ledger.heads import Head


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written: which event (origin and sequence), and what is wrong, in a sentence."""

    origin: str
    sequence: int
    message: str


def check_chains(
    connection: Connection, kept: Iterable[Head], trusted: Mapping[str, bytes]
) -> Iterator[Problem]:
    """Yield every problem of every chain, in order of origin and sequence; an untouched ledger yields none.

    *kept* are heads that were kept elsewhere, *trusted* the keys by which devices are known, by origin.
    """
    if damaged := cipher.damaged_pages(connection):
        # What it holds cannot be read: SQLCipher gives out no page that is not as it was written.
        yield from (Problem("", 0, f"The encrypted file was changed: {page}.") for page in damaged)
        return
    if not _is_sound(connection):
        yield from _broken_chains(connection)
    yield from _wrong_signatures(connection, trusted)
    yield from _cut_tails(connection, kept, trusted)


def _is_sound(connection: Connection) -> bool:
    """Whether every chain is whole and ends at its head: in one quick pass, which does not say what is wrong."""
    ends: dict[str, list[Any]] = {}
    quoted: dict[str, str] = {}
    dumps, sha256, kinds = json.dumps, hashlib.sha256, NOT_DATA
    try:
        for rows in _partitions(connection):
            # A number kept as text would be hashed alike, but is not the same.
            if [set(map(type, column)) for column in zip(*rows, strict=True)] != [
                {type_} for type_ in _TYPES
            ]:
                return False
            for (
                origin,
                sequence,
                subject,
                kind,
                actor,
                occurred,
                recorded,
                tick,
                payload,
                previous,
                digest,
            ) in rows:
                end = ends.get(origin)
                if end is None:
                    end = ends[origin] = [0, GENESIS, 0, GENESIS, tick]
                if sequence != end[0] + 1 or previous != end[1]:
                    return False
                if actor not in quoted:
                    quoted[actor] = dumps(actor)
                # What fieldkit.events.digest_of hashes, written out here: a call for each would take as long again.
                when = recorded if tick == recorded else f"{recorded}@{tick}"
                text = f"{origin}\n{sequence}\n{subject}\n{kind}\n{quoted[actor]}\n{occurred}\n{when}\n"
                if sha256(f"{text}{previous.hex()}\n{payload}".encode()).digest() != digest:
                    return False
                end[0], end[1] = sequence, digest
                if tick > end[4]:  # those of a store of the first tables are what its clock said
                    end[4] = tick
                if kind not in kinds:
                    end[2], end[3] = sequence, digest
    except UnicodeError:  # bytes that are no UTF-8
        return False
    return {tuple(row) for row in _heads(connection)} == {(origin, *end) for origin, end in ends.items()}


def _partitions(connection: Connection) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Every event, in the order of each chain, past what SQLAlchemy does with each row."""
    columns = [column.name for column in tables.event.columns]
    if connection.dialect.name == "sqlite":
        # In the order of writing, which is each chain's too; sorted, every row would be sought by itself.
        with _any_bytes(connection):
            driver = statements.driver(connection)
            cursor = driver.cursor()
            cursor.execute(f"SELECT {', '.join(columns)} FROM event NOT INDEXED")  # noqa: S608 - our own names
            while rows := cursor.fetchmany(_PAGE):
                yield rows
    else:
        statement = sa.select(tables.event).order_by(tables.event.c.origin, tables.event.c.sequence)
        result = connection.execution_options(stream_results=True, yield_per=_PAGE).execute(statement)
        for rows in result.partitions():
            yield [tuple(row) for row in rows]


def _heads(connection: Connection) -> list[Any]:
    head = tables.head.c
    columns = (head.origin, head.sequence, head.digest, head.data_sequence, head.data_digest, head.tick)
    return list(connection.execute(sa.select(*columns)))


def _broken_chains(connection: Connection) -> Iterator[Problem]:
    heads = {row.origin: row for row in _heads(connection)}
    statement = sa.select(tables.event).order_by(tables.event.c.origin, tables.event.c.sequence)
    chain: _Chain | None = None
    with _any_bytes(connection):
        result = connection.execution_options(stream_results=True, yield_per=_PAGE).execute(statement)
        for row in result.partitions():
            for event in row:
                if chain is None or event[0] != chain.origin:
                    if chain is not None:
                        yield from chain.end(heads.pop(chain.origin, None))
                    chain = _Chain(event[0])
                yield from chain.follow(tuple(event))
    if chain is not None:
        yield from chain.end(heads.pop(chain.origin, None))
    for left in heads.values():
        yield Problem(str(left.origin), 1, f"All {left.sequence} events of {left.origin} are missing.")


def _wrong_signatures(connection: Connection, trusted: Mapping[str, bytes]) -> Iterator[Problem]:
    """Heads that the device did not sign with the key it said it would, or with another than it is known by."""
    said = _enrolled(connection)
    head = tables.head.c
    for row in connection.execute(sa.select(tables.head).order_by(head.origin)):
        key = said.get(row.origin)
        known = trusted.get(row.origin)
        if key is None and known is None and row.key is None and row.signature is None:
            continue  # a device without keys, which never said it had one
        found = Head(row.origin, row.sequence, row.digest, row.key or b"", row.signature or b"")
        if found.key != key or not found.is_genuine:
            message = (
                f"The end of the chain of {row.origin} is not signed with the key that the device named."
            )
            yield Problem(row.origin, row.sequence, message)
        elif known is not None and key is not None and key != known:
            message = (
                f"The chain of {row.origin} is signed with another key ({key.hex()[:12]}…) than the device is "
                f"known by here ({known.hex()[:12]}…)."
            )
            yield Problem(row.origin, row.sequence, message)


def _enrolled(connection: Connection) -> dict[str, bytes]:
    """The key that each device last said it signs with."""
    event = tables.event.c
    statement = sa.select(event.origin, event.payload).where(event.kind == DEVICE_ENROLLED, tables.LATER)
    said: dict[str, bytes] = {}
    for origin, payload in connection.execute(statement.order_by(event.origin, event.sequence)):
        with contextlib.suppress(ValueError, KeyError, TypeError):  # changed, which the chain shows
            said[origin] = bytes.fromhex(json.loads(payload)["key"])
    return said


def _cut_tails(
    connection: Connection, kept: Iterable[Head], trusted: Mapping[str, bytes]
) -> Iterator[Problem]:
    event = tables.event.c
    for head in sorted(kept, key=lambda head: (head.origin, head.sequence)):
        at = (event.origin == head.origin) & (event.sequence == head.sequence)
        digest = connection.scalar(sa.select(event.digest).where(at))
        if head.signature and not head.is_genuine:
            message = (
                f"The head kept elsewhere, of {head.origin} at event {head.sequence}, was changed since."
            )
        elif head.origin in trusted and head.key != trusted[head.origin]:
            message = f"The head kept elsewhere, of {head.origin}, is not signed with that device's key."
        elif digest is None:
            last = connection.scalar(
                sa.select(sa.func.max(event.sequence)).where(event.origin == head.origin)
            )
            message = (
                f"Events {(last or 0) + 1} to {head.sequence} of {head.origin} are missing: "
                "a head kept elsewhere names them."
            )
        elif bytes(digest) != head.digest:
            message = (
                f"Event {head.sequence} of {head.origin} is not the one that a head kept elsewhere names."
            )
        else:
            continue
        yield Problem(head.origin, head.sequence, message)


@contextlib.contextmanager
def _any_bytes(connection: Connection) -> Iterator[None]:
    """Let SQLite hand out text that is no UTF-8 any more, so that the event can be named."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = statements.driver(connection)
    usual = driver.text_factory
    driver.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = usual


class _Chain:
    """One device's events being followed, one after the other."""

    def __init__(self, origin: Any) -> None:
        self.origin = origin
        self._sequence, self._digest = 0, GENESIS
        self._data_sequence, self._data_digest = 0, GENESIS
        self._tick = -(1 << 63)

    def follow(self, row: tuple[Any, ...]) -> Iterator[Problem]:
        sequence, kind, tick, previous, digest = row[1], row[3], row[7], row[9], row[10]
        if tuple(map(type, row)) != _TYPES:
            yield self._problem(
                sequence, f"Event {sequence} of {self.origin} was changed: it is no event any more."
            )
            self._sequence = sequence if isinstance(sequence, int) else self._sequence + 1
            self._digest = digest if isinstance(digest, bytes) else GENESIS
            return
        if sequence > self._sequence + 1:
            missing = f"{self._sequence + 1} to {sequence - 1}"
            yield self._problem(self._sequence + 1, f"Events {missing} of {self.origin} are missing.")
        elif sequence <= self._sequence or previous != self._digest:
            yield self._problem(
                sequence, f"Event {sequence} of {self.origin} does not follow the one before it."
            )
        if _recomputed(row) != digest:
            yield self._problem(
                sequence, f"Event {sequence} of {self.origin} was changed after it was written."
            )
        self._sequence, self._digest, self._tick = sequence, digest, max(self._tick, tick)
        if kind not in NOT_DATA:
            self._data_sequence, self._data_digest = sequence, digest

    def end(self, head: Any) -> Iterator[Problem]:
        if head is None:
            yield self._problem(self._sequence, f"The chain of {self.origin} has events but no head.")
        elif (head.sequence, head.digest) != (self._sequence, self._digest):
            yield self._problem(
                self._sequence,
                f"The chain of {self.origin} ends at event {self._sequence}, but its head names another end "
                f"({head.sequence}).",
            )
        elif (head.data_sequence, head.data_digest) != (self._data_sequence, self._data_digest):
            yield self._problem(
                self._data_sequence,
                f"The head of {self.origin} does not name the last event that changed the data.",
            )
        elif head.tick != self._tick:
            yield self._problem(
                self._sequence, f"The head of {self.origin} does not bear the last tick of its events."
            )

    def _problem(self, sequence: Any, message: str) -> Problem:
        return Problem(str(self.origin), sequence if isinstance(sequence, int) else 0, message)


_PAGE = 10_000
_TYPES = (str, int, str, str, str, int, int, int, str, bytes, bytes)


def _recomputed(row: tuple[Any, ...]) -> bytes | None:
    try:
        return digest_of(*row[:10])
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return None


def state_hash(connection: Connection) -> str:
    """The SHA-256 (hex) over every row of the projections in order of id: equal states have equal hashes.

    The text of a row is the same on SQLite and PostgreSQL, so the hash is too.
    """
    running = hashlib.sha256()
    for table in tables.PROJECTIONS:
        # Ordered by bytes, not by a database's collation.
        order = sa.collate(table.c.id, "C") if connection.dialect.name == "postgresql" else table.c.id
        statement = sa.select(table).order_by(order, table.c.known_from)
        result = connection.execution_options(stream_results=True, yield_per=_PAGE).execute(statement)
        running.update(f"{table.name}\n".encode())
        for rows in result.partitions():
            running.update("\n".join([repr(tuple(row)) for row in rows]).encode())
    return running.hexdigest()


def tables_hash(connection: Connection) -> str:
    """The SHA-256 (hex) over every row of every table of an SQLite ledger, in the order in which they lie."""
    running = hashlib.sha256()
    for name in sorted(sa.inspect(connection).get_table_names()):
        running.update(f"{name}\n".encode())
        quoted = name.replace('"', '""')
        result = connection.exec_driver_sql(f'SELECT * FROM "{quoted}" NOT INDEXED')  # noqa: S608 - quoted
        for rows in result.partitions(_PAGE):
            running.update(repr([tuple(row) for row in rows]).encode("utf-8", "surrogatepass"))
    return running.hexdigest()
