"""The evidence of a case as a part of its record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from fieldkit.evidence import (
    Evidence,
    EvidenceFolder,
    Exhibit,
    flag_words,
    place_words,
    state_words,
    time_words,
)
from fieldkit.records import parts
from fieldkit.records.parts import Part, Wording, both

_ALARMS = {
    "missing": both("缺失：原件已不在证据库中", "missing: the original is no longer among the evidence"),
    "altered": both("已改动：文件与入卷时不同", "altered: the file is not what was taken in"),
}
_MADE = {"stamped": both("盖印副本", "stamped copy"), "redacted": both("遮盖副本", "redacted copy")}


def exhibits_part(exhibits: Sequence[Exhibit], folder: EvidenceFolder, language: str) -> Part:
    """The *exhibits* of a case with their small pictures from *folder*; of a spoilt one no picture is shown."""
    spoilt = sum(not one.is_intact for one in exhibits)
    alarm: Wording = ""
    if spoilt:
        en = f"{spoilt} of {len(exhibits)} pieces of evidence {'is' if spoilt == 1 else 'are'} missing or altered."
        alarm = both(f"{len(exhibits)} 件证据中有 {spoilt} 件缺失或已改动。", en)
    return parts.exhibits(
        both("证据", "Evidence"),
        [_item(one, folder) for one in exhibits],
        none=both("台账中没有证据。", "The ledger holds no evidence."),
        alarm=alarm,
        language=language,
    )


def _item(exhibit: Exhibit, folder: EvidenceFolder) -> dict[str, Any]:
    piece = exhibit.piece
    title = both(f"证据 {exhibit.number}", f"Evidence {exhibit.number}")
    sort = PurePath(piece.name).suffix.lstrip(".").upper()[:8] or piece.type
    if not exhibit.is_intact:
        sort = f"{state_words(exhibit.state, 'zh')} {state_words(exhibit.state)}"
        alarm: Wording = _ALARMS.get(exhibit.state, exhibit.state)
        return parts.exhibit(title, _rows(piece), sort=sort, alarm=alarm)
    return parts.exhibit(title, _rows(piece), jpeg=folder.thumbnail(piece), sort=sort)


def _rows(piece: Evidence) -> list[tuple[Wording, Wording]]:
    made: Wording = ""
    if piece.derivation:
        how = _MADE.get(piece.derivation, both(piece.derivation, piece.derivation))
        made = both(f"{piece.original[:12]} 的{how['zh']}", f"{how['en']} of {piece.original[:12]}")
    size = f" · {piece.width} × {piece.height}" if piece.width and piece.height else ""
    return [
        (both("名称", "Name"), piece.name),
        (both("时间", "Taken"), _both_or(time_words(piece, "zh"), time_words(piece))),
        (both("位置", "Where"), _both_or(place_words(piece, "zh"), place_words(piece))),
        (both("方向", "Direction"), _direction(piece)),
        (both("发现人", "Found by"), piece.finder),
        (both("内容", "Shows"), piece.note),
        (both("设备", "Device"), " · ".join(filter(None, (piece.device, piece.serial)))),
        (both("文件", "File"), f"{piece.type} · {piece.size:,} B{size}"),
        (both("制作", "Made"), made),
        (both("存疑", "Doubts"), _doubts(piece)),
        (both("摘要", "Digest"), f"{piece.short}\nSHA-256 {piece.sha256}"),
    ]


def _both_or(zh: str, en: str) -> Wording:
    """One text where both languages say the same, which figures do; '' where nothing is known."""
    return zh if zh == en else both(zh, en)


def _direction(piece: Evidence) -> Wording:
    if piece.direction_deg is None:
        return ""
    if piece.direction_reference == "M":
        return both(f"{piece.direction_deg:.0f}°（磁北）", f"{piece.direction_deg:.0f}° (magnetic)")
    return f"{piece.direction_deg:.0f}°"


def _doubts(piece: Evidence) -> Wording:
    zh, en = [], []
    for code in piece.flags:
        ahead = piece.gps_offset_s if code == "clock_differs_from_gps" else None
        by = ("", "") if ahead is None else (f"（{ahead:+.0f} 秒）", f" ({ahead:+.0f} s)")
        zh.append(flag_words(code, "zh") + by[0])
        en.append(flag_words(code) + by[1])
    return both("；".join(zh), "; ".join(en)) if zh else ""
