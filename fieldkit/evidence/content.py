"""Tell what a file is by its bytes: a name can say anything.

A small table of our own. Of two libraries made for the job, one took a plain archive for a Word document and could not
name text, the other knew neither 3GP nor text and had not been released for four years; and what is decoded hangs on
the answer, so the list is better short and closed.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import PurePath

#: How much of a file's beginning and end the answer is made from.
HEAD, TAIL = 65_536, 65_536

#: What nothing is known about.
UNKNOWN = "application/octet-stream"

_OFFICE = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

#: Every type that is told apart, with the suffixes its files have; the first is the one the store gives.
TYPES: dict[str, tuple[str, ...]] = {
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "image/png": ("png",),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "image/tiff": ("tif", "tiff", "dng"),
    "image/heic": ("heic", "heif", "hif"),
    "image/avif": ("avif",),
    "image/bmp": ("bmp", "dib"),
    "application/pdf": ("pdf",),
    "application/zip": ("zip",),
    f"{_OFFICE}wordprocessingml.document": ("docx", "docm"),
    f"{_OFFICE}spreadsheetml.sheet": ("xlsx", "xlsm"),
    f"{_OFFICE}presentationml.presentation": ("pptx", "pptm"),
    f"{_ODF}text": ("odt",),
    f"{_ODF}spreadsheet": ("ods",),
    f"{_ODF}presentation": ("odp",),
    "audio/wav": ("wav", "wave"),
    "audio/mpeg": ("mp3",),
    "audio/mp4": ("m4a",),
    "audio/ogg": ("ogg", "oga", "opus"),
    "audio/flac": ("flac",),
    "video/mp4": ("mp4", "m4v"),
    "video/quicktime": ("mov", "qt"),
    "video/3gpp": ("3gp", "3g2"),
    "video/x-msvideo": ("avi",),
    "video/x-matroska": ("mkv", "webm", "mka"),
    "text/csv": ("csv", "tsv"),
    "application/json": ("json", "geojson"),
    "text/plain": ("txt", "log", "md", "htm", "html", "xml", "svg"),
    UNKNOWN: ("bin",),
}

#: The pictures that are decoded, and how Pillow calls them; nothing else is ever given to a decoder.
PILLOW_FORMATS: dict[str, tuple[str, ...]] = {
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/gif": ("GIF",),
    "image/webp": ("WEBP",),
    "image/tiff": ("TIFF",),
    "image/avif": ("AVIF",),
    "image/bmp": ("BMP",),
}

_BY_SUFFIX = {suffix: kind for kind, suffixes in TYPES.items() for suffix in suffixes}

_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
)
_RIFF = {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
# The brands of the ISO base media format: the first four letters after "ftyp", and the compatible ones after those.
_HEIF = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
# Local headers and central directory of an archive, each with the name of one entry behind a head of fixed length.
_ENTRY = re.compile(rb"PK\x03\x04.{26}([\w\[\]./-]{1,80})|PK\x01\x02.{42}([\w\[\]./-]{1,80})", re.DOTALL)


def type_of(head: bytes, tail: bytes = b"", *, whole: bool = False) -> str:
    """The MIME type of a file that begins with *head* and ends with *tail*; *whole* says that *head* is all of it."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _media(head)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _archive(head, tail)
    if head[:2] == b"BM" and head[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "image/bmp"
    if _is_mp3_frame(head):
        return "audio/mpeg"
    return _text(head, whole)


def suffix_of(kind: str) -> str:
    """The suffix that the store gives to files of the type *kind*, without the dot."""
    return TYPES.get(kind, TYPES[UNKNOWN])[0]


def differs_from_name(kind: str, name: str) -> bool:
    """Whether the suffix of *name* is known and belongs to another type than *kind*."""
    suffix = PurePath(name).suffix.lstrip(".").lower()
    said = _BY_SUFFIX.get(suffix)
    if said is None or suffix in TYPES.get(kind, ()):
        return False
    # Which of the plain texts something is, is a matter of opinion.
    texts = ("text/plain", "text/csv", "application/json")
    return not (kind in texts and said in texts)


def _media(head: bytes) -> str:
    brand = head[8:12]
    length = min(int.from_bytes(head[:4]), 256)
    brands = {brand} | {head[i : i + 4] for i in range(16, length, 4)}
    if brand in _AVIF or (brand in (b"mif1", b"msf1") and brands & _AVIF):
        return "image/avif"
    if brand in _HEIF:
        return "image/heic"
    if brand in (b"M4A ", b"M4B ", b"M4P "):
        return "audio/mp4"
    if brand == b"qt  ":
        return "video/quicktime"
    return "video/3gpp" if brand[:3] in (b"3gp", b"3g2") else "video/mp4"


def _archive(head: bytes, tail: bytes) -> str:
    # An archive of OpenDocument begins with an entry "mimetype" that is not compressed.
    if head[30:38] == b"mimetype":
        said = head[38:120].decode("latin-1")
        kinds = [kind for kind in TYPES if kind.startswith(_ODF) and said.startswith(kind)]
        return max(kinds, key=len, default="application/zip")
    names = {found[1] or found[2] for part in (head, tail) for found in _ENTRY.finditer(part)}
    if any(name.startswith(b"[Content_Types]") for name in names):
        for folder, kind in (
            (b"word/", "wordprocessingml.document"),
            (b"xl/", "spreadsheetml.sheet"),
            (b"ppt/", "presentationml.presentation"),
        ):
            if any(name.startswith(folder) for name in names):
                return _OFFICE + kind
    return "application/zip"


def _is_mp3_frame(head: bytes) -> bool:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer, rate, sampling = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer != 0 and rate not in (0, 15) and sampling != 3


def _text(head: bytes, whole: bool) -> str:
    text = _decoded(head, whole)
    if not text or any(c < " " and c not in "\t\n\r\f" for c in text):
        return UNKNOWN
    start = text.lstrip("\ufeff \t\r\n")
    if start[:1] in ("{", "["):
        try:
            json.loads(start)
        except (ValueError, RecursionError):
            # Cut off, it cannot be judged whole; a file that is whole and no JSON is text.
            return "text/plain" if whole else "application/json"
        return "application/json"
    return "text/csv" if _is_table(text) else "text/plain"


def _decoded(head: bytes, whole: bool) -> str:
    wide = head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    for encoding in ("utf-16",) if wide else ("utf-8", "gb18030"):
        try:
            return codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
        except UnicodeDecodeError:
            continue
    return ""


def _is_table(text: str) -> bool:
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    if len(lines) < 2:
        return False
    lines = lines[:-1] if len(lines) > 2 else lines  # the last may be cut off
    return any(lines[0].count(mark) and len({line.count(mark) for line in lines}) == 1 for mark in ",;\t")
