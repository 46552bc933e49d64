"""Read every event again and recompute the chains: what was changed, removed, inserted or swapped is named."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.events import GENESIS, RECORD_WRITTEN, digest_of
from fieldkit.ledger import tables


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written: which event (origin and sequence), and what is wrong, in a sentence."""

    origin: str
    sequence: int
    message: str


def check_chains(connection: Connection) -> Iterator[Problem]:
    """Yield every problem of every chain, in order of origin and sequence; an untouched ledger yields none."""
    heads = {row.origin: row for row in connection.execute(sa.select(tables.head))}
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


@contextlib.contextmanager
def _any_bytes(connection: Connection) -> Iterator[None]:
    """Let SQLite hand out text that is no UTF-8 any more, so that the event can be named."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
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

    def follow(self, row: tuple[Any, ...]) -> Iterator[Problem]:
        sequence, kind, previous, digest = row[1], row[3], row[8], row[9]
        if not all(map(isinstance, row, _TYPES)):
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
        self._sequence, self._digest = sequence, digest
        if kind != RECORD_WRITTEN:
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

    def _problem(self, sequence: Any, message: str) -> Problem:
        return Problem(str(self.origin), sequence if isinstance(sequence, int) else 0, message)


_PAGE = 10_000
_TYPES = (str, int, str, str, str, int, int, str, bytes, bytes)


def _recomputed(row: tuple[Any, ...]) -> bytes | None:
    try:
        return digest_of(*row[:9])
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
        statement = sa.select(table).order_by(order)
        result = connection.execution_options(stream_results=True, yield_per=_PAGE).execute(statement)
        running.update(f"{table.name}\n".encode())
        for rows in result.partitions():
            running.update("\n".join([repr(tuple(row)) for row in rows]).encode())
    return running.hexdigest()
