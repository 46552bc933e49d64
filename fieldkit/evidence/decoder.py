"""Decode a picture in a process of its own: run as a script, told what to do on standard input, answering line by line.

It imports nothing of the kit, so that it starts fast and holds nothing worth having. What a hostile picture can do is
bounded by the limits that it sets itself before the decoder is loaded, and by the time that its parent waits.
"""

from __future__ import annotations

import json
import mmap
import re
import sys
import warnings
from pathlib import Path
from typing import Any

#: The tags that are wanted, by their block; everything else stays in the file.
_WANTED = {
    "main": (271, 272, 306),
    "exif": (36867, 36868, 36880, 36881, 36882, 37520, 37521, 37522, 42033),
    "gps": (1, 2, 3, 4, 5, 6, 7, 9, 16, 17, 18, 29, 31),
}
_EXIF_BLOCK, _GPS_BLOCK = 0x8769, 0x8825
# A camera's notes are some tens of kilobytes, with a maker's own block a few hundred.
_LONGEST_EXIF = 1 << 20
_LONGEST_VALUE = 300
_SEARCHED = 4 << 20
_BARE_EXIF = re.compile(rb"Exif\x00\x00(?=II\*\x00|MM\x00\*)")
# After the compressed data of a JPEG: a mark that is neither stuffing nor a restart.
_MARK = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_BAR, _INK = (17, 24, 32), (255, 255, 255)


def main() -> None:
    """Do what standard input asks for."""
    request = json.load(sys.stdin)
    _limit(request["memory"], request["seconds"])
    warnings.simplefilter("ignore")
    {"read": _read, "stamp": _stamp, "redact": _redact}[request["deed"]](request)


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: there the number of pixels and the parent's patience are the limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _open(request: dict[str, Any]) -> Any:
    from PIL import Image

    # The header may be read whatever it claims; :func:`_within` comes before any pixel.
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = None
    return Image.open(request["path"], formats=request["formats"])


def _within(image: Any, request: dict[str, Any]) -> bool:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = request["pixels"]
    return bool(image.width * image.height <= request["pixels"])


# Reading ------------------------------------------------------------------------------------------------------


def _read(request: dict[str, Any]) -> None:
    """Say what the camera wrote, before anything is decoded; then make the thumbnail."""
    image = None
    try:
        image = _open(request) if request["formats"] else None
    except Exception as error:
        _say(exif=_searched(request["path"]), unreadable=_reason(error))
        return
    if image is None:
        _say(exif=_searched(request["path"]), no_decoder=True)
        return
    allowed = _within(image, request)
    _say(exif=_tags(image, allowed), width=image.width, height=image.height, too_many_pixels=not allowed)
    if not allowed:
        return
    try:
        _thumbnail(image, request)
    except Exception as error:
        _say(unreadable=_reason(error))
        return
    _say(thumbnail=True, trailing=_trailing(request["path"], image.format), more_pictures=_has_more(image))


def _tags(image: Any, allowed: bool) -> dict[str, Any]:
    block = image.info.get("exif", b"")
    if len(block) > _LONGEST_EXIF:
        return {"damaged": True}
    if not allowed and not block and image.format == "PNG":  # it would be decoded in search of one
        return {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = _chosen(image.getexif())
        except Exception:
            return {"damaged": True}
    return found | ({"damaged": True} if caught else {})


def _searched(path: str) -> dict[str, Any]:
    """The notes of a picture whose frame cannot be read (HEIC, or one that is damaged), found by their first bytes."""
    from PIL import Image

    with Path(path).open("rb") as file:
        head = file.read(_SEARCHED)
    found = _BARE_EXIF.search(head)
    if found is None:
        return {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            notes = Image.Exif()
            notes.load(head[found.start() : found.start() + _LONGEST_EXIF])
            tags = _chosen(notes)
        except Exception:
            return {"damaged": True}
    return tags | ({"damaged": True} if caught else {})


def _chosen(notes: Any) -> dict[str, Any]:
    blocks = {"main": notes, "exif": notes.get_ifd(_EXIF_BLOCK), "gps": notes.get_ifd(_GPS_BLOCK)}
    return {
        name: {str(tag): _plain(block[tag]) for tag in _WANTED[name] if tag in block}
        for name, block in blocks.items()
    }


def _plain(value: Any) -> Any:
    """A value as JSON can carry it, cut to a sane length; a fraction as two whole numbers."""
    if isinstance(value, bytes):
        return value[:_LONGEST_VALUE].decode("latin-1")
    if isinstance(value, str):
        return value[:_LONGEST_VALUE]
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value[:16]]
    if hasattr(value, "numerator") and hasattr(value, "denominator") and not isinstance(value, int):
        return [int(value.numerator), int(value.denominator)]
    return value if isinstance(value, int | float) else str(value)[:_LONGEST_VALUE]


def _has_more(image: Any) -> bool:
    if image.format == "MPO":  # a phone's second picture is a part of the first
        return False
    try:
        image.seek(1)
    except Exception:
        return False
    return True


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


# Where a picture ends -------------------------------------------------------------------------------------------


def _trailing(path: str, kind: str) -> int:
    """How many bytes follow the picture in its file; 0 where that cannot be told."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if kind == "JPEG":
            end = _jpeg(data)[1]
        elif kind == "PNG":
            end = _png(data)[1]
        elif kind == "WEBP":
            end = 8 + int.from_bytes(data[4:8], "little")
        else:
            return 0
        return max(0, len(data) - end)


def _jpeg(data: Any) -> tuple[set[int], int]:
    """The marks that a JPEG is made of, and where it ends."""
    marks, at = set[int](), 2
    while at < len(data):
        found = _MARK.search(data, at)
        if found is None:
            return marks, len(data)
        mark, at = data[found.end() - 1], found.end()
        if mark == 0xD9:
            return marks, at
        marks.add(mark)
        if mark != 0x01:
            at += int.from_bytes(data[at : at + 2])
    return marks, len(data)


def _png(data: Any) -> tuple[set[bytes], int]:
    """The chunks that a PNG is made of, and where it ends."""
    chunks, at = set[bytes](), 8
    while at + 8 <= len(data):
        length, name = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + 8])
        chunks.add(name)
        at += 12 + length
        if name == b"IEND":
            return chunks, at
    return chunks, len(data)


# Making new pictures --------------------------------------------------------------------------------------------


def _bare(image: Any) -> Any:
    """The pixels alone, upright, in a new picture that has never seen a metadatum."""
    from PIL import Image, ImageOps

    try:
        ImageOps.exif_transpose(image, in_place=True)  # a copy of 200 million pixels would take 800 MB more
    except Exception:  # the notes are damaged: then nobody knows which way is up
        image.load()
    new = Image.new("RGB", image.size, "white")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        new.paste(layer, mask=layer.getchannel("A"))
    else:
        new.paste(image if image.mode == "RGB" else image.convert("RGB"))
    return new


def _thumbnail(image: Any, request: dict[str, Any]) -> None:
    side = request["side"]
    image.draft("RGB", (side, side))  # a JPEG is decoded smaller from the start
    image.thumbnail((side, side))
    _bare(image).save(request["out"], "JPEG", quality=82)


def _whole(request: dict[str, Any]) -> Any:
    image = _open(request)
    if not _within(image, request):
        raise ValueError(f"it has {image.width * image.height} pixels")
    return _bare(image)


def _stamp(request: dict[str, Any]) -> None:
    from PIL import Image, ImageDraw, ImageFont

    picture, lines = _whole(request), request["lines"]
    size = max(14, picture.width // 42)
    while True:
        font = ImageFont.truetype(request["font"], size)
        widest = max(int(font.getlength(line)) for line in lines)
        if size <= 14 or widest + 2 * size <= picture.width:
            break
        size = max(14, size - max(1, size // 12))
    height = round(len(lines) * size * 1.5 + size)
    # Below the picture and not upon it; wider than the picture where the words need it.
    new = Image.new("RGB", (max(picture.width, widest + 2 * size), picture.height + height), _BAR)
    new.paste(picture)
    draw = ImageDraw.Draw(new)
    for number, line in enumerate(lines):
        draw.text((size, picture.height + size // 2 + round(number * size * 1.5)), line, font=font, fill=_INK)
    _save(new, request)


def _redact(request: dict[str, Any]) -> None:
    from PIL import ImageDraw

    picture = _whole(request)
    for left, top, right, bottom in request["boxes"]:
        if not (0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height):
            _say(outside=[left, top, right, bottom], width=picture.width, height=picture.height)
            return
    draw = ImageDraw.Draw(picture)
    for left, top, right, bottom in request["boxes"]:
        draw.rectangle((left, top, right - 1, bottom - 1), fill=(0, 0, 0))
    _save(picture, request)


def _save(picture: Any, request: dict[str, Any]) -> None:
    kind = request["as"]
    picture.save(request["out"], kind, **({"quality": 92} if kind == "JPEG" else {}))
    _say(done=True, width=picture.width, height=picture.height, left=_left(request["out"], kind))


def _left(path: str, kind: str) -> list[str]:
    """What else than pixels is in the file that was written, by two readers; nothing may be."""
    from PIL import Image

    data = Path(path).read_bytes()
    if kind == "JPEG":
        marks, end = _jpeg(data)
        # JFIF's own mark, tables, the frame, the scan: no other application's data, no comment.
        left = [f"mark {mark:#x}" for mark in marks - {0xE0, 0xDB, 0xC0, 0xC2, 0xC4, 0xDA, 0xDD}]
    else:
        chunks, end = _png(data)
        left = [f"chunk {name!r}" for name in chunks - {b"IHDR", b"IDAT", b"IEND"}]
    if end != len(data):
        left.append(f"{len(data) - end} bytes behind the end")
    Image.MAX_IMAGE_PIXELS = None  # our own picture, which a bar may have made larger than what is taken in
    with Image.open(path, formats=[kind]) as image:
        image.load()
        usual = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
        left += [str(name) for name in image.info if name not in usual]
        left += [f"tag {tag}" for tag in image.getexif()]
    return left


if __name__ == "__main__":
    main()
