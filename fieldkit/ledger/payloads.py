"""What the payload of an event may say: looked at where events come from elsewhere, before anything is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fieldkit import events
from fieldkit.cases import CaseComplaint
from fieldkit.errors import FieldkitError, LedgerError
from fieldkit.events import check_name, complaint_of, place_of
from fieldkit.evidence import evidence_of
from fieldkit.ledger.projection import complaint_row

_KEY = re.compile(r"[0-9a-f]{64}")
_PLACE_NUMBERS = ("lon", "lat", "score", "accuracy_m")


def check_payload(kind: str, subject: str, origin: str, payload: Any) -> None:
    """Raise :class:`LedgerError` unless *payload* is what the kit writes into an event of this *kind*."""
    if not isinstance(payload, dict):
        raise LedgerError("its payload is no object")
    if kind in _SUBJECT_IDS and len(subject) > 12:
        raise LedgerError(f"its subject {subject!r} is longer than an id")
    check = _CHECKS.get(kind)
    if check is None:
        return
    try:
        if kind == events.DEVICE_ENROLLED and subject != origin:
            raise LedgerError("it enrols another device than its own")
        check(payload)
    except FieldkitError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise LedgerError(f"its payload is not that of {kind}") from error


_SUBJECT_IDS = {kind for kind, sort in events.KINDS.items() if sort in ("complaint", "case", "complainant")}


def _received(payload: Mapping[str, Any]) -> None:
    texts = {name: value for name, value in payload.items() if name not in ("categories", "details", "place")}
    _need(all(isinstance(value, str) for value in texts.values()))
    categories = payload.get("categories", [])
    _need(isinstance(categories, list) and all(isinstance(one, str) for one in categories))
    _need(isinstance(payload.get("details", {}), dict))
    if "place" in payload:
        _place(payload["place"])
    complaint = complaint_of(payload)
    for moment in (complaint.received_at, complaint.occurred_at, complaint.closed_at):
        _need(moment is None or moment.utcoffset() is not None)
    # Longer ones a server would refuse, in words of its own.
    _need(len(complaint.channel) <= 40 and len(complaint.precision) <= 8)
    _need(len(complaint.category or "") <= 40 and len((*complaint.categories, "")[0]) <= 60)
    complaint_row(CaseComplaint("A" * 12, complaint, "A" * 12), 0)


def _linked(payload: Mapping[str, Any]) -> None:
    _need(isinstance(payload["case"], str) and len(payload["case"]) <= 12)
    check_name(payload["case"], "case")
    _need(payload["relation"] in events.RELATIONS)
    _need(payload.get("cause", "") in ("", *events.CAUSES))


def _confirmed(payload: Mapping[str, Any]) -> None:
    _place(payload["place"])
    _need(all(isinstance(payload.get(name, ""), str) for name in ("district", "community", "address")))


def _place(place: Any) -> None:
    for name in _PLACE_NUMBERS:
        _need(type(place.get(name, 0)) in (int, float))
    _need(isinstance(place.get("needs_confirming", False), bool))
    _need(isinstance(place.get("original_crs", ""), str) and len(place["method"]) <= 12)
    original = place.get("original", [0, 0])
    _need(isinstance(original, list) and len(original) == 2)
    _need(all(type(number) in (int, float) for number in original))
    place_of(place)


def _evidence(payload: Mapping[str, Any]) -> None:
    piece = evidence_of(payload)
    _need(all(isinstance(text, str) for text in (piece.name, piece.type, piece.finder, piece.note)))
    _need(type(piece.size) is int and all(isinstance(flag, str) for flag in piece.flags))
    for digest in (piece.sha256, piece.original or piece.sha256):
        _need(_KEY.fullmatch(digest) is not None)


def _looked(payload: Mapping[str, Any]) -> None:
    _need(isinstance(payload["reason"], str))


def _role(payload: Mapping[str, Any]) -> None:
    _need(isinstance(payload["actor"], str) and isinstance(payload["role"], str))


def _enrolled(payload: Mapping[str, Any]) -> None:
    _need(_KEY.fullmatch(payload["key"]) is not None)


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError


_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    events.COMPLAINT_RECEIVED: _received,
    events.COMPLAINT_LINKED: _linked,
    events.PLACE_CONFIRMED: _confirmed,
    events.EVIDENCE_ADDED: _evidence,
    events.EVIDENCE_DERIVED: _evidence,
    events.COMPLAINANT_OPENED: _looked,
    events.PERSON_FORGOTTEN: _looked,
    events.ROLE_GRANTED: _role,
    events.ROLE_REVOKED: _role,
    events.DEVICE_ENROLLED: _enrolled,
}
