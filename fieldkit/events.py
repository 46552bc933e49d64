"""Everything that can happen, as frozen facts in the past tense, and the chain that holds them together.

An event is identified by ``(origin, sequence)``: the device that wrote it and that device's own counter. Its digest
covers all it says and the digest of the same device's previous event, so that no byte can change unnoticed. Names of
kinds are short strings, never import paths: a module may be renamed, a ledger may not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from fieldkit.complaints import Complaint
from fieldkit.errors import LedgerError
from fieldkit.places import Place

#: A complaint came in; it opens a case of its own, which has the same id.
COMPLAINT_RECEIVED = "complaint_received"
#: A complaint was found to belong to an earlier case, with a relation and, for a recurrence, a cause.
COMPLAINT_LINKED = "complaint_linked"
#: A link was a mistake; the complaint has its own case again.
COMPLAINT_UNLINKED = "complaint_unlinked"
#: An officer said where a complaint's place really is.
PLACE_CONFIRMED = "place_confirmed"
#: A record of a case was written; the payload is its manifest.
RECORD_WRITTEN = "record_written"
#: A device said with which key it signs; the subject is its origin.
DEVICE_ENROLLED = "device_enrolled"
#: Somebody looked at who sent a complaint, and said why; the subject is the complaint.
COMPLAINANT_OPENED = "complainant_opened"
#: The key of a person was destroyed; the subject is the person's id in the vault.
PERSON_FORGOTTEN = "person_forgotten"
#: Somebody was given a role in the office.
ROLE_GRANTED = "role_granted"
#: A role was taken back.
ROLE_REVOKED = "role_revoked"
#: A file was taken in as evidence of a case; the payload is the piece (:class:`fieldkit.evidence.Evidence`).
EVIDENCE_ADDED = "evidence_added"
#: A stamped or redacted picture was made from a piece of evidence, which the payload names as its original.
EVIDENCE_DERIVED = "evidence_derived"

#: Every kind with the sort of thing it is about.
KINDS = {
    COMPLAINT_RECEIVED: "complaint",
    COMPLAINT_LINKED: "complaint",
    COMPLAINT_UNLINKED: "complaint",
    PLACE_CONFIRMED: "complaint",
    RECORD_WRITTEN: "case",
    DEVICE_ENROLLED: "device",
    COMPLAINANT_OPENED: "complainant",
    PERSON_FORGOTTEN: "complainant",
    ROLE_GRANTED: "office",
    ROLE_REVOKED: "office",
    EVIDENCE_ADDED: "case",
    EVIDENCE_DERIVED: "case",
}
#: Kinds that change nothing a figure, a map or a record is made from.
NOT_DATA = frozenset(
    {
        RECORD_WRITTEN,
        DEVICE_ENROLLED,
        COMPLAINANT_OPENED,
        PERSON_FORGOTTEN,
        ROLE_GRANTED,
        ROLE_REVOKED,
    }
)
#: The subject of what is about the office as a whole.
OFFICE = "office"

_SURROGATE = re.compile("[\ud800-\udfff]")
# What stands unquoted in the bytes that are hashed: no separator may be part of it.
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,32}")

RELATIONS = ("duplicate", "follow_up", "recurrence")
CAUSES = ("late", "incomplete_rectification", "new_event", "dissatisfied")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The digest that the first event of a device names as its previous one.
GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened, before it has a place in the ledger; *payload* is plain JSON, *occurred_at* has a zone.

    Raises :class:`LedgerError` for a kind, subject or time that cannot be written down.
    """

    subject: str
    kind: str
    payload: Mapping[str, Any]
    occurred_at: datetime

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise LedgerError(f"The kind of event {self.kind!r} is not known. Known are: {', '.join(KINDS)}.")
        check_name(self.subject, "subject")
        if self.occurred_at.utcoffset() is None:
            raise LedgerError(
                f"What occurred at {self.occurred_at} has no time zone. Give a zone-aware time."
            )


@dataclass(frozen=True, slots=True)
class Event:
    """A fact as the ledger holds it; times are microseconds since 1970 in UTC, *payload* is canonical JSON text.

    *recorded_at* is what the device's clock said, right or wrong. *tick* is the same, but always later than every tick
    that the device had seen before, its own and others': a hybrid logical clock (Kulkarni and others, 2014, "Logical
    physical clocks"), so that whoever knew of an event comes after it, whatever the clocks do.
    """

    origin: str
    sequence: int
    subject: str
    kind: str
    actor: str
    occurred_at: int
    recorded_at: int
    tick: int
    payload: str
    previous: bytes
    digest: bytes

    @property
    def data(self) -> dict[str, Any]:
        """The payload as Python objects."""
        result: dict[str, Any] = _loads(self.payload)
        return result

    @property
    def order(self) -> tuple[int, str, int]:
        """The key that puts events of one subject into the same order on every device."""
        return (self.tick, self.origin, self.sequence)

    def plain(self) -> dict[str, Any]:
        """Every field as JSON has it, bytes in hexadecimal digits, the payload as the text that was hashed."""
        names = (field.name for field in fields(self))
        return {name: _hexed(getattr(self, name)) for name in names}


def event_of(plain: Mapping[str, Any]) -> Event:
    """The event that :meth:`Event.plain` wrote; raises :class:`LedgerError` when it is none.

    Only the form is looked at: whether it is genuine, its digest and its chain say.
    """
    wrong = [
        field.name for field in fields(Event) if not _is_field(field.type, plain.get(field.name, _MISSING))
    ]
    wrong += sorted(set(plain) - {field.name for field in fields(Event)})
    if wrong:
        raise LedgerError(f"It is no event: {wrong[0][:40]!r} is missing, or not what it should be.")
    values: dict[str, Any] = {
        field.name: bytes.fromhex(plain[field.name]) if field.type == "bytes" else plain[field.name]
        for field in fields(Event)
    }
    return Event(**values)


def _hexed(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


_MISSING = object()
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _is_field(kind: Any, value: Any) -> bool:
    if kind == "bytes":
        return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
    return type(value) is {"str": str, "int": int}[kind]


def canonical(value: object) -> str:
    """Write *value* as canonical JSON: sorted keys, no spaces, Unicode as it is, text as :func:`kept` keeps it.

    Raises :class:`LedgerError` for what JSON cannot say: NaN, infinity, or an object that is no plain data.
    """
    try:
        text = _dumps(value)
        # A NUL is written as an escape; a text that merely spells the escape out is cleaned for nothing.
        if "\\u0000" in text or _SURROGATE.search(text):
            text = _dumps(_cleaned(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise LedgerError(
            f"What happened cannot be written down as JSON: {error}. Give plain texts, numbers, lists and mappings."
        ) from error
    return text


_loads = json.JSONDecoder().decode
_dumps = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return kept(value)
    if isinstance(value, Mapping):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


def kept(text: str) -> str:
    """*text* as every database can keep it: a NUL and each lone surrogate become U+FFFD, all else stays."""
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    if _SURROGATE.search(text):
        # By way of UTF-16 two halves that belong together become the one character they stand for.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\x00", "\ufffd")


def check_name(name: str, what: str) -> None:
    """Raise :class:`LedgerError` unless *name* can stand for a device or a subject: 1 to 32 of A-Z a-z 0-9 _ . : -."""
    if not _NAME.fullmatch(name):
        raise LedgerError(
            f"The {what} {name!r} cannot be written into the ledger. Use 1 to 32 letters, digits or _ . : - of ASCII."
        )


def digest_of(
    origin: str,
    sequence: int,
    subject: str,
    kind: str,
    actor: str,
    occurred_at: int,
    recorded_at: int,
    tick: int,
    payload: str,
    previous: bytes,
) -> bytes:
    """The SHA-256 that chains an event to its device's previous one.

    The payload comes last and every other field is a number, a name (:func:`check_name`) or JSON-quoted, so no two
    different events share the bytes that are hashed. The tick is among them where it is not the time of recording.
    """
    recorded = f"{recorded_at}" if tick == recorded_at else f"{recorded_at}@{tick}"
    head = f"{origin}\n{sequence}\n{subject}\n{kind}\n{_quoted(actor)}\n{occurred_at}\n{recorded}\n"
    return hashlib.sha256(f"{head}{previous.hex()}\n{payload}".encode()).digest()


# What json.dumps makes of a text, without its looking first at what it is.
_quoted = json.encoder.encode_basestring_ascii
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC; exact, also before 1970."""
    return (moment - EPOCH) // _MICROSECOND


def moment_of(value: int) -> datetime:
    """The UTC time of *value* microseconds since 1970."""
    return EPOCH + timedelta(microseconds=value)


def complaint_payload(complaint: Complaint) -> dict[str, Any]:
    """What the event of a complaint's receipt says: all of it but empty fields, and nothing of who sent it."""
    payload: dict[str, Any] = {"received_at": complaint.received_at.isoformat(), "source": complaint.source}
    for name in _TEXTS:
        value = getattr(complaint, name)
        if value:
            payload[name] = value
    if complaint.precision != "second":
        payload["precision"] = complaint.precision
    for name in ("occurred_at", "closed_at"):
        moment = getattr(complaint, name)
        if moment is not None:
            payload[name] = moment.isoformat()
    if complaint.categories:
        payload["categories"] = list(complaint.categories)
    if complaint.details:
        payload["details"] = dict(complaint.details)
    if complaint.place is not None:
        payload["place"] = place_payload(complaint.place)
    return payload


_TEXTS = (
    "number",
    "channel",
    "text",
    "translation",
    "reported_type",
    "address",
    "district",
    "community",
    "suspected_source",
)


def place_payload(place: Place) -> dict[str, Any]:
    """A place as JSON, without what is not known."""
    payload: dict[str, Any] = {"lon": place.lon, "lat": place.lat, "method": place.method}
    if place.score is not None:
        payload["score"] = place.score
    if place.needs_confirming:
        payload["needs_confirming"] = True
    if place.accuracy_m is not None:
        payload["accuracy_m"] = place.accuracy_m
    if place.original is not None:
        payload["original"] = list(place.original)
        payload["original_crs"] = place.original_crs
    return payload


def place_of(payload: Mapping[str, Any]) -> Place:
    """The place that :func:`place_payload` wrote."""
    known = dict(payload)
    if "original" in known:
        known["original"] = tuple(known["original"])
    return Place(**known)


def complaint_of(payload: Mapping[str, Any]) -> Complaint:
    """The complaint that :func:`complaint_payload` wrote."""
    known = dict(payload)
    for name in ("received_at", "occurred_at", "closed_at"):
        if name in known:
            known[name] = datetime.fromisoformat(known[name])
    if "place" in known:
        known["place"] = place_of(known["place"])
    known["categories"] = tuple(known.get("categories", ()))
    return Complaint(**known)


def identifier(key: str) -> str:
    """Twelve characters (A-Z, 2-7) that stand for *key*, the same on every device."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    number = (
        int.from_bytes(digest[:8]) >> 4
    )  # 60 bits, five a letter: base 32, but ten times as fast as its module
    return "".join([_LETTERS[number >> shift & 1023] for shift in (50, 40, 30, 20, 10, 0)])


_BASE_32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LETTERS = [first + second for first in _BASE_32 for second in _BASE_32]


def content_of(payload: str) -> bytes:
    """Eight bytes that tell one canonical payload from another."""
    return hashlib.sha256(payload.encode()).digest()[:8]
