"""What a resident sends: the complaint, who sent it, and the flags that doubtful data carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fieldkit import vocabulary
from fieldkit.errors import FieldkitError
from fieldkit.places import Place

#: How exactly the time of receipt is known, from the finest to the coarsest.
PRECISIONS = ("second", "hour", "day", "month", "year")

_SHOWN = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def time_text(moment: datetime, precision: str = "second") -> str:
    """*moment*, in its own zone, as exactly as it is known: to the minute, the hour, or only the day, month or year."""
    return moment.strftime(_SHOWN.get(precision, "%Y-%m-%d %H:%M"))


@dataclass(frozen=True, slots=True)
class Flag:
    """A doubt about one value of one row: a short *code*, the *field*, the *value*, the *row* and a sentence.

    Codes are stable and lower-case, e.g. ``no_place``, ``bad_time``; *row* counts from 1 as the file's reader
    would count (a header line is row 1 of a table).
    """

    code: str
    field: str
    value: str
    row: int
    message: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who complained. Kept apart from everything else: never in events, frames, maps or records."""

    name: str = ""
    phone: str = ""
    address: str = ""
    email: str = ""
    identity_number: str = ""

    def __bool__(self) -> bool:
        return any((self.name, self.phone, self.address, self.email, self.identity_number))

    def __repr__(self) -> str:
        # A person must not end up in a log or a traceback by way of a dataclass repr.
        return "Person(…)"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One report by one person through one channel, as it was received; who sent it is a :class:`Person` apart.

    *received_at* and *occurred_at* carry a time zone; *precision* says how exactly *received_at* is known
    (:data:`PRECISIONS`). *channel* and *categories* are codes of :mod:`fieldkit.vocabulary`; categories may be
    empty, the first is the main one. *source* names whose numbering *number* belongs to (an office, a portal);
    *reported_type* is the category in the source's own words. *details* holds further columns that the person
    importing asked to keep.
    """

    received_at: datetime
    source: str
    number: str = ""
    channel: str = "unknown"
    occurred_at: datetime | None = None
    precision: str = "second"
    text: str = ""
    translation: str = ""
    categories: tuple[str, ...] = ()
    reported_type: str = ""
    address: str = ""
    district: str = ""
    community: str = ""
    suspected_source: str = ""
    place: Place | None = None
    closed_at: datetime | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("received_at", "occurred_at", "closed_at"):
            moment = getattr(self, name)
            if moment is not None and moment.utcoffset() is None:
                raise FieldkitError(f"{name} {moment} has no time zone. Give a zone-aware time.")
        if self.channel not in vocabulary.channels():
            known = ", ".join(vocabulary.channels())
            raise FieldkitError(f"The channel {self.channel!r} is not known. Use one of: {known}.")
        for code in self.categories:
            if code not in vocabulary.categories():
                known = ", ".join(vocabulary.main_categories())
                raise FieldkitError(
                    f"The category {code!r} is not known. Use one of: {known}, or a finer one of theirs."
                )
        if self.precision not in PRECISIONS:
            raise FieldkitError(f"The precision {self.precision!r} is not one of: {', '.join(PRECISIONS)}.")

    @property
    def category(self) -> str | None:
        """The code of the main category, or None when the complaint has no category."""
        return vocabulary.main_category(self.categories[0]) if self.categories else None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a reader made of one row: a complaint and who sent it, or None where the row is refused, and why.

    *raw* is the row as it stood in the file, so that refused rows can be written out, mended and imported again.
    """

    row: int
    complaint: Complaint | None
    person: Person | None
    flags: tuple[Flag, ...]
    # Not in the repr: the row may name who complained.
    raw: Mapping[str, object] = field(repr=False)
