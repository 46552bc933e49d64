"""Take complaints into the ledger by the thousand: each once, however often its file is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from fieldkit.cases import CaseComplaint
from fieldkit.complaints import Complaint, Person
from fieldkit.errors import LedgerError
from fieldkit.events import (
    COMPLAINT_RECEIVED,
    Event,
    canonical,
    complaint_payload,
    content_of,
    identifier,
)
from fieldkit.ledger import store, tables
from fieldkit.ledger.projection import CHUNK, RECEIVED_AT, complaint_row, project, project_new_cases
from fieldkit.ledger.store import chunks
from fieldkit.ledger.vault import Sealing

if TYPE_CHECKING:
    from fieldkit.ledger.appending import FactRow, Writer


@dataclass(frozen=True, slots=True)
class Receipt:
    """A complaint to be taken in: as the file had it (*read*), as it is to be kept (*complaint*), and who sent it.

    The two differ where the kit added a place or a district; what was added does not make a row a different one.
    """

    read: Complaint
    complaint: Complaint
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a receipt: ``added``, ``known`` (nothing to do) or ``changed`` (its number has other content)."""

    complaint_id: str
    state: str


class _Added(NamedTuple):
    id: str
    receipt: Receipt
    payload: str
    content: bytes


_seen = sa.Table(
    "fieldkit_seen",
    sa.MetaData(),
    sa.Column("content", sa.LargeBinary(8), primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
    prefixes=["TEMPORARY"],
)


class Receiving:
    """One import under way, in one transaction of the ledger; a complaint is told apart by its source and number.

    A complaint without a number is told apart by its content and by how often the same content came before it in
    this import: two equal rows are two complaints, and the same file again adds neither.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._broken = False
        self._sealing = Sealing(writer)
        _seen.create(self._connection, checkfirst=False)

    def close(self) -> None:
        """Forget what was seen; raises :class:`LedgerError` when an :meth:`add` failed, lest half of it be kept."""
        if self._broken:
            raise LedgerError(
                "Some complaints could not be taken in, so none of this import were. Import again."
            )
        _seen.drop(self._connection, checkfirst=False)

    def add(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """Take some thousand receipts in, in order; returns one outcome each."""
        broken, self._broken = self._broken, True
        payloads = [canonical(complaint_payload(receipt.read)) for receipt in receipts]
        contents = [content_of(payload) for payload in payloads]
        ids = self._identify(receipts, contents)
        known = self._known(ids)
        outcomes = []
        added: list[_Added] = []
        for receipt, payload, content, complaint_id in zip(receipts, payloads, contents, ids, strict=True):
            before = known.get(complaint_id)
            if complaint_id not in known:
                known[complaint_id] = content
                added.append(_Added(complaint_id, receipt, payload, content))
                outcomes.append(Outcome(complaint_id, "added"))
            else:
                # Without a note of what was imported (another device did) there is nothing to compare with.
                outcomes.append(Outcome(complaint_id, "known" if before in (None, content) else "changed"))
        for some in chunks(added, CHUNK):
            self._insert(some)
        self._broken = broken
        return outcomes

    def _identify(self, receipts: Sequence[Receipt], contents: Sequence[bytes]) -> list[str]:
        unnumbered = {c for r, c in zip(receipts, contents, strict=True) if not r.read.number}
        times = self._times(unnumbered)
        before = dict(times)
        ids = []
        for receipt, content in zip(receipts, contents, strict=True):
            if receipt.read.number:
                ids.append(identifier(f"{receipt.read.source}\n#{receipt.read.number}"))
            else:
                nth = times.get(content, 0)
                times[content] = nth + 1
                ids.append(identifier(f"{receipt.read.source}\n={content.hex()}\n{nth}"))
        self._remember(before, times)
        return ids

    def _times(self, contents: set[bytes]) -> dict[bytes, int]:
        times: dict[bytes, int] = {}
        for some in chunks(sorted(contents), CHUNK):
            rows = self._connection.execute(sa.select(_seen).where(_seen.c.content.in_(some)))
            times.update((bytes(content), n) for content, n in rows)
        return times

    def _remember(self, before: dict[bytes, int], times: dict[bytes, int]) -> None:
        changed = [content for content in before if times[content] != before[content]]
        for some in chunks(changed, CHUNK):
            self._connection.execute(sa.delete(_seen).where(_seen.c.content.in_(some)))
        store.insert(
            self._connection, _seen, [(c, n) for c, n in times.items() if c not in before or n != before[c]]
        )

    def _known(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        complaint, imported = tables.complaint, tables.imported
        both = complaint.outerjoin(imported, imported.c.complaint_id == complaint.c.id)
        known: dict[str, bytes | None] = {}
        for some in chunks(ids, CHUNK):
            statement = sa.select(complaint.c.id, imported.c.content).select_from(both)
            rows = self._connection.execute(statement.where(complaint.c.id.in_(some)))
            known.update((found, None if content is None else bytes(content)) for found, content in rows)
        return known

    def _insert(self, added: Sequence[_Added]) -> None:
        connection = self._connection
        early = self._early([one.id for one in added])
        facts: list[FactRow] = []
        rows: list[tuple[Any, ...]] = []
        persons: list[tuple[str, Person]] = []
        for complaint_id, receipt, payload, _ in added:
            complaint, person = receipt.complaint, receipt.person
            if complaint is not receipt.read:
                payload = canonical(complaint_payload(complaint))
            row = complaint_row(
                CaseComplaint(complaint_id, complaint, complaint_id), self._writer.recorded_at
            )
            if complaint_id not in early:
                rows.append(row)
            facts.append((complaint_id, COMPLAINT_RECEIVED, payload, row[RECEIVED_AT]))
            if person:
                persons.append((complaint_id, person))
        written = self._writer.write(facts)
        store.insert(connection, tables.complaint, rows)
        store.insert(connection, tables.imported, [(one.id, one.content) for one in added])
        self._sealing.add(persons)
        project_new_cases(connection, rows)
        project(connection, [Event(*event) for event in written if event[2] in early])

    def _early(self, ids: Sequence[str]) -> set[str]:
        # Complaints that something is said of already, on another device, before they were received here.
        subject = tables.event.c.subject
        return set(self._connection.scalars(sa.select(subject).where(subject.in_(ids))))
