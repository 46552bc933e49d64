"""The folder that evidence is kept in: every file once, under the SHA-256 of its bytes, read-only, never changed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from fieldkit.errors import EvidenceError
from fieldkit.evidence import content, pictures
from fieldkit.evidence.exif import Shot, read_shot
from fieldkit.evidence.piece import Evidence, clean_name
from fieldkit.files import make_folder, private_folder, put_in_place, sweep, write_bytes

#: A larger file is refused; cameras cut their recordings at 4 GiB.
MOST_BYTES = 4 << 30

#: Where a case is shown, a file up to this size is hashed whole; of a larger one only presence and size are looked at.
HASHED_IN_VIEWS = 64 << 20

_PART = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OFFICE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A piece as a view shows it: its *number* (from 1) and its *state* (:data:`~fieldkit.evidence.STATES`)."""

    number: int
    piece: Evidence
    state: str

    @property
    def is_intact(self) -> bool:
        """Whether the piece is there as it was taken in."""
        return self.state == "present"


@dataclass(frozen=True, slots=True)
class EvidenceProblem:
    """A piece that is not as it was taken in: its digest and name, ``missing`` or ``altered``, and a sentence."""

    sha256: str
    name: str
    state: str
    message: str


class EvidenceFolder:
    """The evidence below *folder*: ``ab/<sha256>.<suffix by content>``, and thumbnails that may be thrown away."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._hashed: dict[tuple[str, int, int, int, int], str] = {}

    def __repr__(self) -> str:
        return f"EvidenceFolder({str(self.folder)!r})"

    # Taking in -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def staging(self) -> Iterator[Staging]:
        """Take several files in together: nothing is kept until :meth:`Staging.keep`, everything after it."""
        with contextlib.ExitStack() as stack:
            with _refusing("The evidence cannot be stored"):
                make_folder(self.folder)
                sweep(self.folder)
                temporary = stack.enter_context(private_folder(self.folder))
            yield Staging(self, temporary)

    def take(
        self,
        path: str | Path,
        *,
        zone: tzinfo = _OFFICE,
        finder: str = "",
        note: str = "",
        clock_offset_s: float | None = None,
    ) -> Evidence:
        """Take the file at *path* in, for good; the same bytes again change nothing. See :meth:`Staging.add`."""
        with self.staging() as staging:
            piece = staging.add(path, zone=zone, finder=finder, note=note, clock_offset_s=clock_offset_s)
            staging.keep()
        return piece

    # Looking at ----------------------------------------------------------------------------------------------

    def find(self, sha256: str) -> Path | None:
        """The file that should hold these bytes, or None; a link or a folder in its place is none."""
        if not _SHA256.fullmatch(sha256):
            raise EvidenceError(
                f"{clean_name(sha256)!r} names no evidence. Give a SHA-256 of 64 hexadecimal digits."
            )
        for path in sorted((self.folder / sha256[:2]).glob(f"{sha256}.*")):
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    return path
        return None

    def check(self, sha256: str, *, size: int | None = None, whole: bool = True) -> str:
        """Whether the piece is ``present`` as it was taken in, ``missing`` (or cannot be read) or ``altered``.

        With *whole* every byte is read. Without it, for views: a file up to :data:`HASHED_IN_VIEWS` is read once in
        the life of this object and again whenever its size or times change; a larger one only has its *size* compared.
        """
        path = self.find(sha256)
        if path is None:
            return "missing"
        try:
            now = path.stat()
            if size is not None and now.st_size != size:
                return "altered"
            if whole:
                return "present" if _digest(path) == sha256 else "altered"
            if now.st_size > HASHED_IN_VIEWS:
                return "present"
            key = (str(path), now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)
            if key not in self._hashed:
                self._hashed[key] = _digest(path)
            return "present" if self._hashed[key] == sha256 else "altered"
        except OSError:
            return "missing"

    def exhibits(self, pieces: Iterable[Evidence]) -> tuple[Exhibit, ...]:
        """The *pieces* numbered, each with its state as :meth:`check` finds it for views."""
        return tuple(
            Exhibit(number, piece, self.check(piece.sha256, size=piece.size, whole=False))
            for number, piece in enumerate(pieces, 1)
        )

    def intact(self, sha256: str, name: str = "") -> Path:
        """The file of a piece, every byte of it checked; raises :class:`EvidenceError` when it is not as it was."""
        state = self.check(sha256)
        path = self.find(sha256)
        if state != "present" or path is None:
            raise EvidenceError(
                f"The evidence {name or sha256[:12]} (SHA-256 {sha256[:12]}) is {state}. Put the original file back by "
                "adding it again."
            )
        return path

    def open(self, sha256: str) -> BinaryIO:
        """The bytes of a piece, checked; raises :class:`EvidenceError` when it is missing or altered."""
        return self.intact(sha256).open("rb")

    def verify(self, expected: Iterable[Evidence]) -> Iterator[EvidenceProblem]:
        """Read every byte of every expected piece; yields each that is missing, cut, altered or swapped."""
        names: dict[str, str] = {}
        pieces = list(expected)
        for piece in pieces:
            names.setdefault(piece.sha256, piece.name)
        for piece in {piece.sha256: piece for piece in pieces}.values():
            told = f"The evidence {clean_name(piece.name)} (SHA-256 {piece.short})"
            path = self.find(piece.sha256)
            if path is None:
                yield EvidenceProblem(piece.sha256, piece.name, "missing", f"{told} is missing.")
                continue
            try:
                size, digest = path.stat().st_size, _digest(path)
            except OSError as error:
                said = f"{told} cannot be read: {error.strerror}."
                yield EvidenceProblem(piece.sha256, piece.name, "missing", said)
                continue
            if digest == piece.sha256:
                continue
            what = "was altered"
            if digest in names:
                what = f"was altered: its file holds the bytes of {clean_name(names[digest])} ({digest[:12]})"
            elif size != piece.size:
                what = f"was altered: it had {piece.size:,} bytes and has {size:,}"
            yield EvidenceProblem(piece.sha256, piece.name, "altered", f"{told} {what}.")

    def strays(self, known: Iterable[str]) -> list[Path]:
        """Files in the folder that belong to none of the *known* digests; harmless, as a killed command leaves them."""
        names = set(known)
        found = (path for path in self.folder.glob("*/*") if path.parent.name != "thumbnails")
        return sorted(path for path in found if path.is_file() and path.stem not in names)

    # Thumbnails ----------------------------------------------------------------------------------------------

    def thumbnail(self, piece: Evidence) -> bytes | None:
        """The small picture of *piece* as a JPEG without metadata, or None where there is none to show.

        It comes from the folder of thumbnails only when it is, by its digest, the one made when the piece was taken
        in; else it is made anew from the original, which must be as it was.
        """
        if not piece.thumbnail:
            return None
        kept = self.thumbnail_path(piece.sha256)
        try:
            data = kept.read_bytes()
            if hashlib.sha256(data).hexdigest() == piece.thumbnail:
                return data
        except OSError:
            pass
        if self.check(piece.sha256) != "present":
            return None
        path = self.find(piece.sha256)
        with tempfile.TemporaryDirectory(prefix="fieldkit-thumbnail-") as folder:
            made = Path(folder) / "thumbnail.jpg"
            if path is None or not pictures.make_thumbnail(path, piece.type, made):
                return None
            data = made.read_bytes()
        with contextlib.suppress(OSError):  # only kept to be faster the next time
            write_bytes(kept, data)
        return data

    def thumbnail_path(self, sha256: str) -> Path:
        """Where the thumbnail of a piece is kept; the whole folder can be deleted."""
        return self.folder / "thumbnails" / sha256[:2] / f"{sha256}.jpg"


class Staging:
    """Files that are being taken in together; made by :meth:`EvidenceFolder.staging`."""

    def __init__(self, store: EvidenceFolder, temporary: Path) -> None:
        self.pieces: list[Evidence] = []
        self._store = store
        self._temporary = temporary

    def add(
        self,
        path: str | Path,
        *,
        zone: tzinfo = _OFFICE,
        finder: str = "",
        note: str = "",
        clock_offset_s: float | None = None,
    ) -> Evidence:
        """Copy the file at *path*, read what it is and what its camera says; a picture that cannot be read is flagged.

        *zone* is the office's, for a camera that names none; *clock_offset_s* by how many seconds the camera's clock
        was ahead. Raises :class:`EvidenceError` for what is no file, is empty, too large, or cannot be read or stored.
        """
        path = Path(path)
        name = clean_name(path.name or str(path))
        copy = self._temporary / str(len(self.pieces))
        with _refusing(f"{name} cannot be taken in"):
            sha256, size = _copied(path, copy, name)
            head, tail = _ends(copy, size)
        kind = content.type_of(head, tail, whole=size <= len(head))
        flags = ["unknown_type"] if kind == content.UNKNOWN else []
        flags += ["type_differs_from_name"] if content.differs_from_name(kind, path.name) else []
        piece = Evidence(
            sha256,
            size,
            kind,
            name,
            finder=finder,
            note=note,
            clock_offset_s=clock_offset_s,
            flags=tuple(flags),
        )
        if piece.is_picture:
            piece = self._with_picture(piece, copy, zone)
        self.pieces.append(piece)
        return piece

    def add_made(self, original: Evidence, derivation: str, made: Path) -> Evidence:
        """Add a picture that was made from *original*; it keeps the original's time and place, none of its notes."""
        copy = self._temporary / str(len(self.pieces))
        with _refusing(f"The copy of {original.name} cannot be stored"):
            sha256, size = _copied(made, copy, made.name)
        bare = Evidence(sha256, size, pictures.made_type(original.type), _made_name(original, derivation))
        said = self._with_picture(bare, copy, _OFFICE)
        piece = replace(
            bare,
            width=said.width,
            height=said.height,
            thumbnail=said.thumbnail,
            taken_at=original.taken_at,
            taken_at_source=original.taken_at_source,
            clock_offset_s=original.clock_offset_s,
            place=original.place,
            finder=original.finder,
            original=original.sha256,
            derivation=derivation,
        )
        self.pieces.append(piece)
        return piece

    def room(self, name: str) -> Path:
        """A path for a file that goes away with the staging."""
        return self._temporary / name

    def _with_picture(self, piece: Evidence, copy: Path, zone: tzinfo) -> Evidence:
        made = self._temporary / f"{piece.sha256}.thumbnail"
        reading = pictures.read_picture(copy, piece.type, made)
        shot = read_shot({name: tags for name, tags in reading.tags.items() if name != "damaged"}, zone)
        thumbnail = hashlib.sha256(made.read_bytes()).hexdigest() if reading.thumbnail else ""
        said = {name: getattr(shot, name) for name in Shot.__slots__ if name != "flags"}
        flags = (*piece.flags, *reading.flags, *shot.flags)
        return replace(
            piece, **said, width=reading.width, height=reading.height, thumbnail=thumbnail, flags=flags
        )

    def keep(self) -> None:
        """Put every file into its place and bring it to disk; one that is there as it should be stays untouched."""
        with _refusing("The evidence cannot be stored"):
            for number, piece in enumerate(self.pieces):
                copy = self._temporary / str(number)
                present = self._store.find(piece.sha256)
                if present is not None and _digest(present) == piece.sha256:
                    continue
                suffix = content.suffix_of(piece.type)
                target = present or self._store.folder / piece.sha256[:2] / f"{piece.sha256}.{suffix}"
                self._put(copy, target)
        for piece in self.pieces:
            made = self._temporary / f"{piece.sha256}.thumbnail"
            with contextlib.suppress(OSError):  # can be made anew at any time
                target = self._store.thumbnail_path(piece.sha256)
                make_folder(target.parent)
                put_in_place(made, target)

    def _put(self, copy: Path, target: Path) -> None:
        make_folder(target.parent)
        if target.exists():  # altered; Windows does not replace what is read-only
            target.chmod(0o644)
        put_in_place(copy, target, mode=0o444)


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn the system's refusals into one sentence; *what* says what cannot be done."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        reason = "the disk is full" if full else getattr(error, "strerror", None) or str(error)
        raise EvidenceError(f"{what}: {reason}. Nothing was changed.") from error


def _copied(path: Path, copy: Path, name: str) -> tuple[str, int]:
    """Copy the file to *copy* and bring it to disk; returns the SHA-256 and the size of what was read, once."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    if path.is_symlink():
        raise EvidenceError(f"{name} is a link and no file. Nothing was changed; give the file itself.")
    with os.fdopen(os.open(path, flags), "rb") as source:
        before = os.fstat(source.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise EvidenceError(f"{name} is no file. Nothing was changed; give files, one by one.")
        if before.st_size > MOST_BYTES:
            raise EvidenceError(
                f"{name} has {before.st_size:,} bytes; a piece of evidence may have {MOST_BYTES:,}. Nothing was "
                "changed; keep the medium itself and add a note of it."
            )
        digest, size = hashlib.sha256(), 0
        with copy.open("xb") as target:
            while part := source.read(_PART):
                digest.update(part)
                target.write(part)
                size += len(part)
            target.flush()
            os.fsync(target.fileno())
        after = os.fstat(source.fileno())
    if size == 0:
        raise EvidenceError(f"{name} is empty. Nothing was changed; take the file from the camera again.")
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != before.st_size:
        raise EvidenceError(
            f"{name} changed while it was read. Nothing was changed; add it again when it is done."
        )
    return digest.hexdigest(), size


def _ends(path: Path, size: int) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(content.HEAD)
        file.seek(max(0, size - content.TAIL))
        return head, file.read(content.TAIL)


def _made_name(original: Evidence, derivation: str) -> str:
    stem = original.name.rpartition(".")[0] or original.name
    return f"{stem[:200]}-{derivation}.{content.suffix_of(pictures.made_type(original.type))}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
