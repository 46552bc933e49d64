"""Take files in as evidence of a case, make stamped and redacted copies, check that all are as they were taken in."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from fieldkit import events
from fieldkit.errors import EvidenceError
from fieldkit.events import Fact
from fieldkit.evidence import Evidence, EvidenceProblem, evidence_of, place_words, time_words
from fieldkit.evidence.pictures import redact_picture, stamp_picture
from fieldkit.workspace import Workspace

_BEGINNING = re.compile(r"[0-9a-f]{6,64}")
# No camera's clock is further off and still worth correcting: 30 years.
_MOST_OFFSET_S = 30 * 366 * 86_400


@dataclass(frozen=True, slots=True, repr=False)
class EvidenceResult:
    """What was taken in for the case with this id: pieces *added*, pieces *known* to it before, and of those the ones
    *restored*, whose file was missing or altered and is there again; *flags* counts those of what was added."""

    case: str
    added: tuple[Evidence, ...] = ()
    known: tuple[Evidence, ...] = ()
    restored: tuple[Evidence, ...] = ()
    flags: Counter[str] = field(default_factory=Counter)

    def __repr__(self) -> str:
        flags = ", ".join(f"{code} {count}" for code, count in self.flags.items())
        again = f", {len(self.restored)} of them restored" if self.restored else ""
        said = (
            f"{len(self.added)} added, {len(self.known)} known{again}{'; flags: ' + flags if flags else ''}"
        )
        return f"<Evidence of case {self.case}: {said}>"


@dataclass(frozen=True, slots=True)
class EvidenceVerification:
    """How many *pieces* were read, the *problems*, and as a note the *strays*: files that belong to no case."""

    pieces: int
    problems: tuple[EvidenceProblem, ...]
    strays: tuple[Path, ...]


def add_evidence(
    ws: Workspace,
    case: str,
    paths: Iterable[str | Path] | str | Path,
    *,
    finder: str = "",
    note: str = "",
    clock_offset_s: float | None = None,
    progress: bool = False,
) -> EvidenceResult:
    """Take the files at *paths* in as evidence of *case* (id or number), all or none.

    *finder* says who found or took them, *note* what they show; *clock_offset_s* by how many seconds the camera's
    clock was ahead. The bytes are on disk before the ledger says so; a file that the case has already adds nothing,
    and its bytes are put back where they were missing or altered. Doubts are flags of each piece.

    Raises :class:`~fieldkit.errors.EvidenceError` naming the file that cannot be taken in, and
    :class:`~fieldkit.errors.UnknownCase`; then nothing was changed.
    """
    from tqdm.auto import tqdm

    ws.ledger.check_writable()
    case_id = ws.ledger.find_case(case)
    if clock_offset_s is not None and not (
        math.isfinite(clock_offset_s) and abs(clock_offset_s) <= _MOST_OFFSET_S
    ):
        raise EvidenceError(
            f"A clock cannot be off by {clock_offset_s} seconds. Give seconds, positive where the camera was ahead."
        )
    chosen = [paths] if isinstance(paths, str | Path) else list(paths)
    zone = ws.settings.zone
    with ws.evidence.staging() as staging:
        for path in tqdm(chosen, desc="Evidence", unit=" files", disable=None if progress else True):
            staging.add(path, zone=zone, finder=finder, note=note, clock_offset_s=clock_offset_s)
        held = {piece.sha256 for piece in ws.case(case_id).evidence}
        known = [piece for piece in staging.pieces if piece.sha256 in held]
        restored = [piece for piece in known if ws.evidence.check(piece.sha256) != "present"]
        staging.keep()
    fresh = {piece.sha256: piece for piece in staging.pieces if piece.sha256 not in held}
    now = datetime.now(UTC)
    ws.ledger.append(Fact(case_id, events.EVIDENCE_ADDED, piece.payload(), now) for piece in fresh.values())
    flags = Counter(code for piece in fresh.values() for code in piece.flags)
    return EvidenceResult(case_id, tuple(fresh.values()), tuple(known), tuple(restored), flags)


def stamp_evidence(ws: Workspace, case: str, sha256: str) -> Evidence:
    """Make a copy of a picture with its time, its position, the case's number and its short hash in a bar below it.

    *sha256* is the digest of a piece of the case, or the beginning of one. The copy is evidence of the case too and
    names its original. Raises :class:`~fieldkit.errors.EvidenceError` when the piece is no picture that can be
    decoded, or is missing or altered.
    """
    found, original = _piece(ws, case, sha256)
    language = ws.settings.language

    def said(zh: str, en: str) -> str:
        return {"zh": zh, "en": en}.get(language, f"{zh} {en}")

    one = "zh" if language == "zh" else "en"
    lines = [
        time_words(original, one) or said("拍摄时间未知", "time not known"),
        place_words(original, one) or said("拍摄位置未知", "position not known"),
        f"{said('案件', 'Case')} {ws.case(found).number} · SHA-256 {original.short}",
    ]
    return _derive(ws, found, original, "stamped", lines=lines)


def redact_evidence(ws: Workspace, case: str, sha256: str, boxes: Iterable[Sequence[int]]) -> Evidence:
    """Make a copy of a picture with *boxes* black: (left, top, right, bottom) in pixels of the picture seen upright.

    Only pixels go into the copy: it has no metadata, comment or trailing bytes, which is checked before it is kept. It
    is evidence of the case too and names its original. Raises :class:`~fieldkit.errors.EvidenceError` for a box that
    is not within the picture, and as :func:`stamp_evidence`.
    """
    found, original = _piece(ws, case, sha256)
    wanted = []
    for box in boxes:
        if len(box) != 4 or not all(isinstance(side, int) for side in box):
            raise EvidenceError(
                f"The box {box!r} is none. Give four whole numbers: left, top, right, bottom in pixels."
            )
        wanted.append((box[0], box[1], box[2], box[3]))
    if not wanted:
        raise EvidenceError("No box was given, so nothing would be redacted. Give at least one.")
    return _derive(ws, found, original, "redacted", boxes=wanted)


def _piece(ws: Workspace, case: str, sha256: str) -> tuple[str, Evidence]:
    """The id of the case, and its one piece whose digest begins so."""
    ws.ledger.check_writable()
    found = ws.case(case)
    if not _BEGINNING.fullmatch(sha256):
        raise EvidenceError(
            f"{sha256!r} names no evidence. Give a SHA-256, or its first six hexadecimal digits or more."
        )
    fitting = [piece for piece in found.evidence if piece.sha256.startswith(sha256)]
    if len(fitting) != 1:
        what = "no evidence" if not fitting else f"{len(fitting)} pieces of evidence"
        raise EvidenceError(
            f"Case {found.number} has {what} whose SHA-256 begins with {sha256!r}. "
            f"`fieldkit evidence list {found.number}` lists what it has."
        )
    return found.id, fitting[0]


def _derive(
    ws: Workspace,
    case_id: str,
    original: Evidence,
    derivation: str,
    *,
    lines: Sequence[str] = (),
    boxes: Sequence[tuple[int, int, int, int]] = (),
) -> Evidence:
    if not original.is_picture:
        raise EvidenceError(
            f"{original.name} is no picture but {original.type}, so no copy of this kind can be made of it."
        )
    path = ws.evidence.intact(original.sha256, original.name)
    with ws.evidence.staging() as staging:
        made = staging.room("made")
        if derivation == "stamped":
            stamp_picture(path, original.type, lines, made)
        else:
            redact_picture(path, original.type, boxes, made)
        piece = staging.add_made(original, derivation, made)
        staging.keep()
    known = {one.sha256: one for one in ws.case(case_id).evidence}
    if piece.sha256 in known:
        return known[piece.sha256]
    ws.ledger.append([Fact(case_id, events.EVIDENCE_DERIVED, piece.payload(), datetime.now(UTC))])
    return piece


def verify_evidence(ws: Workspace) -> EvidenceVerification:
    """Read every byte of all evidence that the ledger names; what is missing, cut, altered or swapped is a problem."""
    by_case = ws.present.ledger.evidence()  # what lies on disk is of now
    cases: dict[str, list[str]] = {}
    pieces: list[Evidence] = []
    for case_id, payloads in by_case.items():
        for payload in payloads:
            pieces.append(evidence_of(payload))
            cases.setdefault(payload["sha256"], []).append(case_id)
    problems = [
        replace(problem, message=f"Case {', '.join(cases[problem.sha256])}: {problem.message}")
        for problem in ws.evidence.verify(pieces)
    ]
    return EvidenceVerification(len(cases), tuple(problems), tuple(ws.evidence.strays(cases)))
