"""Take complaints into the ledger by the thousand: each once, however often its file is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fieldkit.complaints import Complaint, Person
from fieldkit.events import (
    COMPLAINT_RECEIVED,
    canonical,
    complaint_payload,
    content_of,
    identifier,
    microseconds,
)
from fieldkit.ledger import tables
from fieldkit.ledger.projection import new_complaint_row, project_cases

if TYPE_CHECKING:
    from fieldkit.ledger.appending import Writer


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
        _seen.create(self._connection)

    def close(self) -> None:
        """Forget what was seen."""
        _seen.drop(self._connection)

    def add(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """Take some thousand receipts in, in order; returns one outcome each."""
        contents = [content_of(canonical(complaint_payload(receipt.read))) for receipt in receipts]
        ids = self._identify(receipts, contents)
        known = self._known(ids)
        outcomes = []
        added: list[tuple[str, Receipt, bytes]] = []
        for receipt, content, complaint_id in zip(receipts, contents, ids, strict=True):
            before = known.get(complaint_id)
            if before is None:
                known[complaint_id] = content
                added.append((complaint_id, receipt, content))
                outcomes.append(Outcome(complaint_id, "added"))
            else:
                outcomes.append(Outcome(complaint_id, "known" if before == content else "changed"))
        if added:
            self._insert(added)
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
        if not contents:
            return {}
        rows = self._connection.execute(sa.select(_seen).where(_seen.c.content.in_(sorted(contents))))
        return {bytes(content): times for content, times in rows}

    def _remember(self, before: dict[bytes, int], times: dict[bytes, int]) -> None:
        changed = [content for content in before if times[content] != before[content]]
        if changed:
            self._connection.execute(sa.delete(_seen).where(_seen.c.content.in_(changed)))
        rows = [{"content": c, "times": n} for c, n in times.items() if c not in before or n != before[c]]
        if rows:
            self._connection.execute(sa.insert(_seen), rows)

    def _known(self, ids: Sequence[str]) -> dict[str, bytes]:
        imported = tables.imported
        rows = self._connection.execute(sa.select(imported).where(imported.c.complaint_id.in_(ids)))
        return {complaint_id: bytes(content) for complaint_id, content in rows}

    def _insert(self, added: list[tuple[str, Receipt, bytes]]) -> None:
        connection = self._connection
        facts: list[tuple[str, str, str, int]] = []
        rows: list[dict[str, Any]] = []
        persons: list[dict[str, str]] = []
        for complaint_id, receipt, _ in added:
            complaint = receipt.complaint
            payload = canonical(complaint_payload(complaint))
            facts.append((complaint_id, COMPLAINT_RECEIVED, payload, microseconds(complaint.received_at)))
            rows.append(new_complaint_row(complaint_id, complaint))
            if receipt.person:
                person = receipt.person
                persons.append(
                    {
                        "complaint_id": complaint_id,
                        "name": person.name,
                        "phone": person.phone,
                        "address": person.address,
                        "email": person.email,
                        "identity_number": person.identity_number,
                    }
                )
        self._writer.write(facts)
        connection.execute(sa.insert(tables.complaint), rows)
        connection.execute(
            sa.insert(tables.imported), [{"complaint_id": i, "content": content} for i, _, content in added]
        )
        if persons:
            connection.execute(sa.insert(tables.complainant), persons)
        project_cases(connection, [complaint_id for complaint_id, _, _ in added])
