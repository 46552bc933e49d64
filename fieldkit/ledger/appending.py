"""Append events to this device's chain, inside one transaction, and sign where it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.events import DEVICE_ENROLLED, GENESIS, NOT_DATA, canonical, digest_of, microseconds
from fieldkit.keys import Keys
from fieldkit.ledger import store, tables
from fieldkit.ledger.heads import head_statement

#: Subject, kind, canonical payload, and when it occurred in microseconds.
FactRow = tuple[str, str, str, int]
#: The fields of :class:`fieldkit.events.Event`, which are the columns of the table *event*, in their order.
EventRow = tuple[str, int, str, str, str, int, int, int, str, bytes, bytes]


class Writer:
    """The end of one device's chain, held for the length of a transaction that writes; all of it has one time."""

    def __init__(
        self,
        connection: Connection,
        origin: str,
        actor: str,
        clock: Callable[[], datetime],
        keys: Keys | None,
    ) -> None:
        self.connection = connection
        self.keys = keys
        self.actor = actor
        self._origin = origin
        head = tables.head
        row = connection.execute(sa.select(head).where(head.c.origin == origin).with_for_update()).first()
        self._new = row is None
        self._sequence: int = 0 if row is None else row.sequence
        self._digest: bytes = GENESIS if row is None else row.digest
        self._data_sequence: int = 0 if row is None else row.data_sequence
        self._data_digest: bytes = GENESIS if row is None else row.data_digest
        self._key: bytes | None = None if row is None else row.key
        self.recorded_at = microseconds(clock())
        seen = connection.scalar(sa.select(sa.func.max(head.c.tick)))
        # Later than all that is known here, whatever the clock says.
        self._tick = self.recorded_at if seen is None else max(self.recorded_at, seen + 1)

    def write(self, facts: Iterable[FactRow]) -> list[EventRow]:
        """Write *facts* as the chain's next events; returns the rows of the table *event*."""
        facts = list(facts)
        if not facts:
            return []
        enrolled = self._enrol()
        rows = [self._next(*fact) for fact in facts]
        store.insert(self.connection, tables.event, enrolled + rows)
        self._move_head()
        return rows

    def _enrol(self) -> list[EventRow]:
        """The event that says with which key the device signs from here on, unless it was said."""
        if self.keys is None or self._key == self.keys.public:
            return []
        self._key = self.keys.public
        payload = canonical({"key": self._key.hex()})
        return [self._next(self._origin, DEVICE_ENROLLED, payload, self.recorded_at)]

    def _next(self, subject: str, kind: str, payload: str, occurred_at: int) -> EventRow:
        self._sequence += 1
        said = (self._origin, self._sequence, subject, kind, self.actor, occurred_at, self.recorded_at)
        previous = self._digest
        self._digest = digest_of(*said, self._tick, payload, previous)
        if kind not in NOT_DATA:
            self._data_sequence, self._data_digest = self._sequence, self._digest
        return (*said, self._tick, payload, previous, self._digest)

    def _move_head(self) -> None:
        values = {
            "sequence": self._sequence,
            "digest": self._digest,
            "data_sequence": self._data_sequence,
            "data_digest": self._data_digest,
            "tick": self._tick,
            "key": self._key,
            "signature": None,
        }
        if self.keys is not None:
            values["signature"] = self.keys.sign(head_statement(self._origin, self._sequence, self._digest))
        if self._new:
            self.connection.execute(sa.insert(tables.head).values(origin=self._origin, **values))
            self._new = False
        else:
            self.connection.execute(
                sa.update(tables.head).where(tables.head.c.origin == self._origin).values(**values)
            )


def data_version(connection: Connection, as_of: int | None) -> str:
    """Twelve hex digits over the last event of each device that figures are made from, now or at *as_of*."""
    head, event = tables.head.c, tables.event.c
    ends: list[tuple[str, int, bytes]] = []
    if as_of is None:
        ends += map(tuple, connection.execute(sa.select(head.origin, head.data_sequence, head.data_digest)))
    else:
        for origin in connection.scalars(sa.select(head.origin)).all():
            last = (
                sa.select(event.origin, event.sequence, event.digest)
                .where(event.origin == origin, event.recorded_at <= as_of, event.kind.not_in(NOT_DATA))
                .order_by(event.recorded_at.desc(), event.sequence.desc())
                .limit(1)
            )
            ends += map(tuple, connection.execute(last))
    # Sorted here: databases differ in the order of letters, and equal data must have one version.
    text = "\n".join(
        sorted(f"{origin} {sequence} {bytes(digest).hex()}" for origin, sequence, digest in ends if sequence)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]
