"""Link a complaint to the case it repeats, confirm a place, note that a record was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fieldkit import events
from fieldkit.complaints import Person
from fieldkit.errors import FieldkitError
from fieldkit.events import Fact
from fieldkit.places import Place
from fieldkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Link:
    """A complaint that belongs to an earlier case: ids or numbers, a relation, a cause for a recurrence, and when."""

    complaint: str
    case: str
    relation: str
    cause: str = ""
    at: datetime | None = None


def link_complaints(ws: Workspace, links: Iterable[Link]) -> int:
    """Link complaints to the cases they repeat, all or nothing; returns how many.

    Where the case named was itself linked to another, the complaint goes there. Raises
    :class:`~fieldkit.errors.UnknownCase` for an unknown id or number and :class:`~fieldkit.errors.FieldkitError` for
    an unknown relation or a complaint linked to itself.
    """
    now = datetime.now(UTC)
    moved: dict[str, str] = {}
    facts = []
    for link in links:
        complaint, case = ws.ledger.find_case(link.complaint), _final_case(ws, link.case, moved)
        if link.relation not in events.RELATIONS:
            raise FieldkitError(
                f"The relation {link.relation!r} is not one of: {', '.join(events.RELATIONS)}."
            )
        if link.cause and (link.relation != "recurrence" or link.cause not in events.CAUSES):
            raise FieldkitError(
                f"The cause {link.cause!r} does not fit. A recurrence has one of: {', '.join(events.CAUSES)}."
            )
        if complaint == case:
            raise FieldkitError(
                f"Complaint {link.complaint} cannot be linked to {link.case}, which is its own case. "
                "Name the earlier case."
            )
        moved[complaint] = case
        payload = {"case": case, "relation": link.relation}
        if link.cause:
            payload["cause"] = link.cause
        facts.append(Fact(complaint, events.COMPLAINT_LINKED, payload, link.at or now))
    ws.ledger.append(facts)
    return len(facts)


def _final_case(ws: Workspace, name: str, moved: Mapping[str, str]) -> str:
    case = ws.ledger.find_case(name)
    seen = {case}
    # Two devices may each have linked the other's case; then the one named is as good as any.
    while (onward := moved.get(case) or ws.ledger.case_of(case)) not in seen:
        seen.add(onward)
        case = onward
    return case


def confirm_place(
    ws: Workspace,
    complaint: str,
    lon: float,
    lat: float,
    *,
    district: str = "",
    community: str = "",
    address: str = "",
) -> None:
    """Say where the place of *complaint* (id or number) is, in WGS-84, and what else is known of it.

    Raises :class:`~fieldkit.errors.UnknownCase` for an unknown complaint and
    :class:`~fieldkit.errors.PlaceError` for a point that is none.
    """
    place = Place(lon, lat, method="confirmed")
    known = {"district": district, "community": community, "address": address}
    payload = {"place": events.place_payload(place)} | {name: text for name, text in known.items() if text}
    ws.ledger.append(
        [Fact(ws.ledger.find_case(complaint), events.PLACE_CONFIRMED, payload, datetime.now(UTC))]
    )


def note_record(ws: Workspace, case_id: str, manifest: Mapping[str, Any]) -> None:
    """Note in the ledger that a record of the case was written; *manifest* is plain JSON.

    Raises :class:`~fieldkit.errors.UnknownCase` when there is no such case.
    """
    ws.ledger.append([Fact(ws.ledger.find_case(case_id), events.RECORD_WRITTEN, manifest, datetime.now(UTC))])


def open_complainant(ws: Workspace, complaint: str, *, reason: str) -> Person | None:
    """Show who sent *complaint* (id or number); None where nobody is known, or the person was forgotten.

    That somebody looked, and why, is in the ledger before it is shown. Raises
    :class:`~fieldkit.errors.UnknownCase`, :class:`~fieldkit.errors.NotAllowed` without a role or a reason, and
    :class:`~fieldkit.errors.KeyFileError` on a device that does not hold the vault's key.
    """
    return ws.ledger.complainant(ws.ledger.find_case(complaint), reason=reason)


def forget_complainant(ws: Workspace, complaint: str, *, reason: str) -> int:
    """Forget for good whoever sent *complaint* (id or number), and who sent all else that this person sent.

    Returns how many complaints those are; they stay, as do the figures. Raises
    :class:`~fieldkit.errors.UnknownCase`, and :class:`~fieldkit.errors.NotAllowed` for anybody but a keeper, without
    a reason, or where nobody is known.
    """
    return ws.ledger.forget(ws.ledger.find_case(complaint), reason=reason)
