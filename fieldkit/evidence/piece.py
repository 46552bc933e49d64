"""One piece of evidence as it is known: its bytes' digest, what it is, when and where it was taken, who found it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from fieldkit.places import Place

#: What can be the matter with a piece on disk.
STATES = ("present", "missing", "altered")

#: How a derived picture can have been made.
DERIVATIONS = ("stamped", "redacted")

_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file that was found and kept, told by the SHA-256 of its bytes (*sha256*, 64 hex digits).

    *type* is its MIME type by content, *name* how the finder's file was called (data only, never a path).
    *taken_at* carries a zone; *taken_at_source* says where from: ``exif`` (the camera named its zone), ``gps`` (the
    satellites' UTC) or ``office_zone`` (the camera's clock, in the office's zone); *camera_time* is what the camera
    wrote. *clock_offset_s* is by how much the camera's clock was ahead, as the finder said; *gps_offset_s* the same
    against the satellites, as the file says. *direction_deg* is where the camera looked, *direction_reference* ``T``
    (true) or ``M`` (magnetic north). *thumbnail* is the SHA-256 of the small picture that was made of it.
    *original* and *derivation* are set for a picture that was made from another piece.
    """

    sha256: str
    size: int
    type: str
    name: str
    width: int | None = None
    height: int | None = None
    taken_at: datetime | None = None
    taken_at_source: str = ""
    camera_time: str = ""
    clock_offset_s: float | None = None
    gps_offset_s: float | None = None
    place: Place | None = None
    altitude_m: float | None = None
    direction_deg: float | None = None
    direction_reference: str = ""
    datum: str = ""
    make: str = ""
    model: str = ""
    serial: str = ""
    finder: str = ""
    note: str = ""
    flags: tuple[str, ...] = ()
    thumbnail: str = ""
    original: str = ""
    derivation: str = ""

    @property
    def short(self) -> str:
        """The first twelve digits of the digest, for people."""
        return self.sha256[:12]

    @property
    def is_picture(self) -> bool:
        """Whether the bytes are a picture's."""
        return self.type.startswith("image/")

    @property
    def corrected_at(self) -> datetime | None:
        """*taken_at* without the error of the camera's clock that the finder named; satellites' time needs none."""
        if self.taken_at is None or self.clock_offset_s is None or self.taken_at_source == "gps":
            return self.taken_at
        return self.taken_at - timedelta(seconds=self.clock_offset_s)

    @property
    def device(self) -> str:
        """Maker and model, the maker once."""
        model = self.model.removeprefix(self.make).strip()
        return " ".join(filter(None, (self.make, model)))

    def payload(self) -> dict[str, Any]:
        """The piece as plain JSON, without what is not known."""
        said = {name: value for name, value in asdict(self).items() if value not in (None, "", ())}
        if self.taken_at is not None:
            said["taken_at"] = self.taken_at.isoformat()
        if self.place is not None:
            said["place"] = {name: value for name, value in said["place"].items() if value is not None}
            if self.place.original is not None:
                said["place"]["original"] = list(self.place.original)
        if self.flags:
            said["flags"] = list(self.flags)
        return said


def evidence_of(payload: Mapping[str, Any]) -> Evidence:
    """The piece that :meth:`Evidence.payload` wrote; what a later kit wrote besides is left out."""
    known = {name: payload[name] for name in _FIELDS if name in payload}
    if "taken_at" in known:
        known["taken_at"] = datetime.fromisoformat(known["taken_at"])
    if "place" in known:
        place = dict(known["place"])
        if place.get("original"):
            place["original"] = tuple(place["original"])
        known["place"] = Place(**place)
    known["flags"] = tuple(known.get("flags", ()))
    return Evidence(**known)


_FIELDS = tuple(field.name for field in fields(Evidence))


def clean_name(name: str, longest: int = _LONGEST_NAME) -> str:
    """*name* as one line that steers nothing: control, direction and broken characters become U+FFFD."""
    cleaned = "".join("\ufffd" if unicodedata.category(c)[0] == "C" else c for c in name)
    return cleaned[:longest]
