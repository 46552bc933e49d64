"""When, where and in what state a piece of evidence is, in words for a record, a stamp or a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from fieldkit.evidence.piece import Evidence

_STATES = {
    "present": ("完好", "as taken in"),
    "missing": ("缺失", "missing"),
    "altered": ("已改动", "altered"),
}
_SOURCES = {
    "exif": ("", ""),
    "gps": ("卫星时间", "satellite time"),
    "office_zone": ("相机未记时区", "no zone in the file"),
}


def state_words(state: str, language: str = "en") -> str:
    """The *state* of a piece in *language* (``en`` or ``zh``)."""
    return _said(_STATES.get(state, (state, state)), language)


def spoilt_words(counted: Mapping[str, int], language: str = "en") -> str:
    """How many pieces are missing and altered, e.g. ``evidence: 1 missing, 2 altered``."""
    zh = language == "zh"
    said = [
        f"{counted[state]} {'件' if zh else ''}{state_words(state, language)}"
        for state in ("missing", "altered")
        if counted.get(state)
    ]
    return f"证据：{'，'.join(said)}" if zh else f"evidence: {', '.join(said)}"


def time_words(piece: Evidence, language: str = "en") -> str:
    """When the piece was taken, in its own zone, corrected by what the finder said of the clock; '' when not known."""
    taken = piece.corrected_at
    if taken is None:
        return ""
    offset = f"{taken:%z}"
    remarks = [_said(_SOURCES.get(piece.taken_at_source, ("", "")), language)]
    if taken != piece.taken_at and piece.clock_offset_s:
        by = f"{piece.clock_offset_s:+g}"
        remarks.append(_said((f"已按相机时差 {by} 秒更正", f"corrected for a clock off by {by} s"), language))
    said = ("，" if language == "zh" else ", ").join(filter(None, remarks))
    shown = f"{taken:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"
    return f"{shown}{f'（{said}）' if language == 'zh' else f' ({said})'}" if said else shown


def place_words(piece: Evidence, language: str = "en") -> str:
    """Where the piece was taken, in degrees of WGS-84, with the accuracy that the device claims; '' when not known."""
    place = piece.place
    if place is None:
        return ""
    east, north = "E" if place.lon >= 0 else "W", "N" if place.lat >= 0 else "S"
    about = "WGS-84" if place.accuracy_m is None else f"WGS-84, ±{place.accuracy_m:.0f} m"
    if place.original_crs != "wgs84":
        crs = place.original_crs.upper()
        about += _said((f"，由 {crs} 换算", f", converted from {crs}"), language)
    if place.needs_confirming:
        about += _said(("，存疑", ", doubtful"), language)
    return f"{abs(place.lon):.5f}° {east}, {abs(place.lat):.5f}° {north} ({about})"


def _said(pair: tuple[str, str], language: str) -> str:
    return pair[0] if language == "zh" else pair[1]
