"""Append events to this device's chain, inside one transaction, and sign where it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fieldkit.events import DEVICE_ENROLLED, GENESIS, NOT_DATA, canonical, digest_of, microseconds
from fieldkit.keys import Keys
from fieldkit.ledger import statements, store, tables
from fieldkit.ledger.heads import head_statement
from fieldkit.ledger.statements import Lookup

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
        heads = {row[0]: row[1:] for row in _HEADS.rows(connection)}
        self._new = origin not in heads
        self._sequence: int
        self._digest: bytes
        self._data_sequence: int
        self._data_digest: bytes
        self._key: bytes | None
        self._sequence, self._digest, self._data_sequence, self._data_digest, self._key, _ = heads.get(
            origin, (0, GENESIS, 0, GENESIS, None, 0)
        )
        self.recorded_at = microseconds(clock())
        # Later than all that is known here, whatever the clock says.
        self._tick = max([self.recorded_at, *(head[-1] + 1 for head in heads.values())])

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
        signature = None
        if self.keys is not None:
            signature = self.keys.sign(head_statement(self._origin, self._sequence, self._digest))
        ends = (self._sequence, self._digest, self._data_sequence, self._data_digest)
        values = (*ends, self._tick, self._key, signature)
        if self._new:
            store.insert(self.connection, tables.head, [(self._origin, *values)])
            self._new = False
        else:
            statements.update(self.connection, tables.head, _MOVED, [(*values, self._origin)])


_head = tables.head.c
# No lock on the rows: whoever writes holds the ledger's. There are as many as the office has devices.
_HEADS = Lookup(
    lambda _: sa.select(
        _head.origin,
        _head.sequence,
        _head.digest,
        _head.data_sequence,
        _head.data_digest,
        _head.key,
        _head.tick,
    )
)
_MOVED = tuple(column.name for column in tables.head.columns if not column.primary_key)


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
