"""Photographs with camera's notes, and pictures that mean harm, made on the spot."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational


def degrees(value: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    whole = int(value)
    minutes = (value - whole) * 60
    return (
        IFDRational(whole),
        IFDRational(int(minutes)),
        IFDRational(round((minutes - int(minutes)) * 60 * 10_000), 10_000),
    )


def camera_notes(
    *,
    taken: str = "2017:07:01 22:10:05",
    offset: str = "+08:00",
    orientation: int = 1,
    gps: bool = True,
    **more: Any,
) -> Image.Exif:
    notes = Image.Exif()
    notes[271], notes[272], notes[274] = "HUAWEI", "HUAWEI P10", orientation
    exif = notes.get_ifd(0x8769)
    if taken:
        exif[36867] = taken
    if offset:
        exif[36881] = offset
    exif[42033] = "SN-0042"
    if gps:
        block = notes.get_ifd(0x8825)
        block[1], block[2] = "N", degrees(32.435592)
        block[3], block[4] = "E", degrees(105.843625)
        block[5], block[6] = b"\x00", IFDRational(4877, 10)
        block[7], block[29] = (IFDRational(14), IFDRational(10), IFDRational(3)), "2017:07:01"
        block[16], block[17] = "T", IFDRational(1234, 10)
        block[18], block[31] = "WGS-84", IFDRational(48, 10)
        for name, value in more.items():
            if value is None:
                del block[int(name[1:])]
            else:
                block[int(name[1:])] = value
    return notes


def photo(path: Path, *, size: tuple[int, int] = (320, 240), comment: bytes = b"", **notes: Any) -> Path:
    """A JPEG whose left half is dark and right half light, with a camera's notes."""
    picture = Image.new("RGB", size, (40, 60, 90))
    picture.paste((220, 210, 190), (size[0] // 2, 0, *size))
    picture.save(path, "JPEG", quality=90, exif=camera_notes(**notes), comment=comment)
    return path


def notes_by_hand() -> bytes:
    """A JPEG with big-endian notes, south and west, put together without the library that reads it."""

    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack(">HHI", tag, kind, count) + value.ljust(4, b"\0")

    def ifd(entries: list[bytes]) -> bytes:
        return struct.pack(">H", len(entries)) + b"".join(entries) + b"\0\0\0\0"

    exif_at, gps_at = 8 + 2 + 2 * 12 + 4, 8 + 2 + 2 * 12 + 4 + 2 + 12 + 4
    data_at = gps_at + 2 + 4 * 12 + 4
    rationals = struct.pack(">6I", 33, 1, 30, 1, 0, 1) + struct.pack(">6I", 70, 1, 15, 1, 36, 1)
    time = b"2019:12:31 23:59:58\0"
    block = b"MM\0*" + struct.pack(">I", 8)
    block += ifd(
        [entry(0x8769, 4, 1, struct.pack(">I", exif_at)), entry(0x8825, 4, 1, struct.pack(">I", gps_at))]
    )
    block += ifd([entry(36867, 2, 20, struct.pack(">I", data_at + 48))])
    block += ifd(
        [
            entry(1, 2, 2, b"S\0"),
            entry(2, 5, 3, struct.pack(">I", data_at)),
            entry(3, 2, 2, b"W\0"),
            entry(4, 5, 3, struct.pack(">I", data_at + 24)),
        ]
    )
    return with_notes(block + rationals + time)


def with_notes(block: bytes) -> bytes:
    """A small JPEG whose notes are *block*, whatever that is."""
    plain = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(plain, "JPEG")
    body = b"Exif\0\0" + block
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain.getvalue()[2:]


def looping_notes() -> bytes:
    """Notes whose blocks lead back to themselves and whose entries claim four thousand million values."""
    entries = [
        struct.pack("<HHII", 0x8769, 4, 1, 8),
        struct.pack("<HHII", 0x8825, 4, 1, 8),
        struct.pack("<HHII", 271, 2, 0xFFFFFFFF, 8),
        struct.pack("<HHII", 36867, 5, 0xFFFFFFF0, 0xFFFFFFF0),
    ]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + struct.pack("<I", 8)


def bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of 400 million pixels in less than 50 KB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    row = b"\0" * (1 + width // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def endless_gif(frames: int = 100_000) -> bytes:
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\0" + b"\x02\x02\x44\x01\x00"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b"\x3b"


def looping_tiff() -> bytes:
    """A TIFF whose first directory names itself as the next."""
    plain = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(plain, "TIFF")
    data = bytearray(plain.getvalue())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    return bytes(data)


def archive(*names: str, stored: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in (stored or {}).items():
            file.writestr(name, text)
        for name in names:
            file.writestr(name, "x" * 100)
    return buffer.getvalue()


def encoded(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16), "red").save(buffer, kind, **options)
    return buffer.getvalue()
