"""Ask the decoder's process about a picture, or for a new one made of it; whatever happens there is an answer here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fieldkit import fonts
from fieldkit.errors import EvidenceError
from fieldkit.evidence.content import PILLOW_FORMATS

#: A picture with more pixels is kept and not decoded; the largest sensors of telephones have 200 million.
MOST_PIXELS = 210_000_000

#: A larger picture file is kept and not decoded.
MOST_PICTURE_BYTES = 100 << 20

#: What the decoder's process may take: address space, and seconds of computing and of waiting.
MEMORY_BYTES, CPU_SECONDS, WAIT_SECONDS = 3 << 30, 60, 120

#: The longer side of a thumbnail, in pixels.
THUMBNAIL_SIDE = 640

_DECODER = Path(__file__).with_name("decoder.py")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the decoder found: the camera's notes (*tags*), size, whether *thumbnail* was made, and flags."""

    tags: dict[str, Any] = field(default_factory=dict)
    width: int | None = None
    height: int | None = None
    thumbnail: bool = False
    flags: tuple[str, ...] = ()


def read_picture(path: Path, kind: str, thumbnail: Path) -> Reading:
    """Read the picture at *path* of the MIME type *kind*: first the camera's notes, then pixels for *thumbnail*."""
    if path.stat().st_size > MOST_PICTURE_BYTES:
        return Reading(flags=("too_large_to_decode",))
    said, _ = _ask("read", path, kind, out=str(thumbnail), side=THUMBNAIL_SIDE)
    flags = []
    if said.get("no_decoder"):
        flags.append("no_decoder")
    elif said.get("too_many_pixels"):
        flags.append("too_many_pixels")
    elif not said.get("thumbnail"):
        # Also where the process died or was stopped before it could say so.
        flags.append("unreadable_picture")
    tags = said.get("exif", {})
    flags += [name for name in ("more_pictures",) if said.get(name)]
    flags += ["exif_damaged"] if tags.get("damaged") else []
    flags += ["trailing_data"] if said.get("trailing") else []
    made = bool(said.get("thumbnail")) and thumbnail.is_file()
    return Reading(tags, said.get("width"), said.get("height"), made, tuple(flags))


def make_thumbnail(path: Path, kind: str, out: Path) -> bool:
    """Make the thumbnail of a picture again; whether it could be made."""
    return read_picture(path, kind, out).thumbnail


def stamp_picture(path: Path, kind: str, lines: Sequence[str], out: Path) -> None:
    """Write a copy of the picture to *out* with *lines* in a bar below it; raises :class:`EvidenceError`."""
    shown = [fonts.printable(line) for line in lines]
    said, failure = _ask(
        "stamp", path, kind, out=str(out), lines=shown, font=str(fonts.chinese_font()), **_written(kind)
    )
    _require_bare(said, failure)


def redact_picture(path: Path, kind: str, boxes: Sequence[tuple[int, int, int, int]], out: Path) -> None:
    """Write the pixels of the picture, with *boxes* (left, top, right, bottom) black, into a new picture at *out*.

    Raises :class:`EvidenceError` for a box that is not within the picture.
    """
    said, failure = _ask(
        "redact", path, kind, out=str(out), boxes=[list(box) for box in boxes], **_written(kind)
    )
    if "outside" in said:
        raise EvidenceError(
            f"The box {','.join(map(str, said['outside']))} is not within the picture, which is {said['width']} x "
            f"{said['height']} pixels as it is seen upright. Give LEFT,TOP,RIGHT,BOTTOM from its upper left corner."
        )
    _require_bare(said, failure)


def made_type(kind: str) -> str:
    """The MIME type of a picture that is made from one of *kind*."""
    return "image/jpeg" if kind == "image/jpeg" else "image/png"


def _written(kind: str) -> dict[str, str]:
    return {"as": "JPEG" if made_type(kind) == "image/jpeg" else "PNG"}


def _require_bare(said: dict[str, Any], failure: str) -> None:
    if not said.get("done"):
        raise EvidenceError(
            f"The picture cannot be decoded ({failure or 'the decoder gave no answer'}), so no copy can be made of it. "
            "Make one from another piece."
        )
    if said["left"]:
        raise EvidenceError(
            f"The copy still held {said['left'][0]} and was thrown away. Report this picture to the kit's makers."
        )


def _ask(deed: str, path: Path, kind: str, **more: Any) -> tuple[dict[str, Any], str]:
    """Everything the decoder said, as one mapping, and why it ended early, '' when it did not."""
    request = {
        "deed": deed,
        "path": str(path),
        "formats": list(PILLOW_FORMATS.get(kind, ())),
        "pixels": MOST_PIXELS,
        "memory": MEMORY_BYTES,
        "seconds": CPU_SECONDS,
        **more,
    }
    command = [sys.executable, "-P", str(_DECODER)]  # -P: nothing is imported from the decoder's own folder
    try:
        done = subprocess.run(  # noqa: S603 - our own script; what people wrote comes in as data
            command,
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        output, failure = done.stdout, _last_line(done.stderr) if done.returncode else ""
    except subprocess.TimeoutExpired as late:
        output, failure = late.output or b"", f"it took longer than {WAIT_SECONDS} seconds"
    said: dict[str, Any] = {}
    for line in output.splitlines():
        try:
            said |= json.loads(line)
        except ValueError:
            break  # cut off when the process died
    return said, failure or str(said.get("unreadable", ""))


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "its process died"
