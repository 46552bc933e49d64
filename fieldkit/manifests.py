"""The signed list of a folder's files: what a backup or an export holds, byte for byte, and who says so.

``manifest.json`` names every file with its size and SHA-256, ``manifest.signature`` is the device's signature of it.
Whatever is changed, missing, added or renamed afterwards is found and named.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fieldkit.errors import ManifestError
from fieldkit.files import make_folder, sync_file
from fieldkit.jsonlines import JsonRefused, strict_json
from fieldkit.keys import Keys, is_signed

#: The newest form of manifest that this kit knows; a newer one is refused.
FORMAT = 1
NAME, SIGNATURE = "manifest.json", "manifest.signature"

_STATEMENT = b"fieldkit manifest\n"
_HEX_256 = re.compile(r"[0-9a-f]{64}")
_HEX_512 = re.compile(rb"[0-9a-f]{128}\n")
_LARGEST = 256 << 20
_PART = 1 << 20
# What file managers leave on a stick; it is on no list, and nothing ever reads it.
_LITTER = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*")


@dataclass(frozen=True, slots=True)
class FileNote:
    """What is known of a file's content."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A list that was signed: *kind* says of what, *about* what else was said, *key* whose signature it is."""

    kind: str
    about: Mapping[str, Any]
    files: Mapping[str, FileNote]
    key: bytes


class Packing:
    """Puts files into a new *folder*, each on disk and its hash taken on the way, and signs the list at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, FileNote] = {}

    def write(self, name: str, data: bytes) -> None:
        """Put *data* in as the file *name*."""
        with self.writing(name) as write:
            write(data)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Callable[[bytes], object]]:
        """Put a file in part by part: what is given in the block is called with each."""
        path = self._path(name)
        running, size = hashlib.sha256(), 0

        def write(data: bytes) -> None:
            nonlocal size
            file.write(data)
            running.update(data)
            size += len(data)

        with path.open("xb") as file:
            yield write
            sync_file(file)
        self.files[name] = FileNote(running.hexdigest(), size)

    def copy(self, source: Path, name: str) -> FileNote:
        """Put a copy of *source* in."""
        with source.open("rb") as file, self.writing(name) as write:
            while part := file.read(_PART):
                write(part)
        return self.files[name]

    def link(self, name: str, earlier: Path, note: FileNote) -> bool:
        """Put the file *earlier*, which should hold what *note* says, in as a hard link; whether that could be done."""
        path = self._path(name)
        try:
            path.hardlink_to(earlier)
        except OSError:  # no such file, or a file system without hard links
            return False
        if note_of(path) == note:
            self.files[name] = note
            return True
        path.unlink()
        return False

    def seal(self, kind: str, about: Mapping[str, Any], keys: Keys) -> Manifest:
        """Write the manifest and its signature; the files are on disk then (their names: ``put_folder_in_place``)."""
        plain = {
            "format": FORMAT,
            "kind": kind,
            "key": keys.public.hex(),
            "about": about,
            "files": {name: asdict(self.files[name]) for name in sorted(self.files)},
        }
        data = (json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
        files = dict(self.files)
        self.write(NAME, data)
        self.write(SIGNATURE, f"{keys.sign(_STATEMENT + data).hex()}\n".encode())
        return Manifest(kind, about, files, keys.public)

    def _path(self, name: str) -> Path:
        if wrong := _wrong_name(name):
            raise ManifestError(f"The file {name!r} cannot be put in: {wrong}. Rename it.")
        path = self.folder / name
        make_folder(path.parent)
        return path


def note_of(path: Path) -> FileNote:
    """The hash and the size of the file at *path*."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileNote(digest, file.tell())


def read_manifest(folder: Path, kind: str, *, key: bytes | None = None) -> Manifest:
    """The manifest of *folder*, after its signature was checked: by the key it names, which must be *key* if given.

    Raises :class:`~fieldkit.errors.ManifestError`. The files themselves are for :func:`wrong_files` to look at.
    """
    data, signature = (_read(folder, name, kind) for name in (NAME, SIGNATURE))
    changed = ManifestError(
        f"{NAME} in {folder} and its signature in {SIGNATURE} do not belong together: one of them was changed. "
        "Use another copy."
    )
    try:
        plain = strict_json(data.decode("utf-8"))
        signer = bytes.fromhex(plain["key"])
    except (UnicodeDecodeError, JsonRefused, TypeError, KeyError, ValueError) as error:
        raise changed from error
    if not _HEX_512.fullmatch(signature):
        raise ManifestError(f"{SIGNATURE} in {folder} was changed: it is no signature. Use another copy.")
    if not is_signed(signer, _STATEMENT + data, bytes.fromhex(signature.decode())):
        raise changed
    if key is not None and signer != key:
        raise ManifestError(
            f"{NAME} in {folder} is signed with another key ({signer.hex()[:12]}…) than the one given "
            f"({key.hex()[:12]}…). Ask whose it is before you use it."
        )
    return _checked(folder, kind, plain, signer)


def wrong_files(
    folder: Path, manifest: Manifest, seen: Callable[[str], object] = lambda _name: None
) -> Iterator[tuple[str, str]]:
    """Yield the name of every file that is not as *manifest* says, and what is wrong, in a sentence.

    *seen* is called with the name of each file that has been looked at.
    """
    there = dict(_files_in(folder))
    for name, note in manifest.files.items():
        path = there.pop(name, None)
        if path is None:
            yield name, f"{name} is missing."
        elif path.is_symlink():
            yield name, f"{name} is a link now, not the file that was put in."
        elif not path.is_file():  # a pipe would be waited for
            yield name, f"{name} is no file any more."
        else:
            try:
                same = path.stat().st_size == note.size and note_of(path) == note
            except OSError as error:
                yield name, f"{name} cannot be read: {error.strerror or error}."
            else:
                if not same:
                    yield name, f"{name} was changed since it was put in."
        seen(name)
    for name in sorted(there):
        if name not in (NAME, SIGNATURE) and not _LITTER.fullmatch(name.rpartition("/")[2]):
            yield name, f"{name} is on no list: it was put in afterwards."


def check_files(folder: Path, manifest: Manifest, seen: Callable[[str], object] = lambda _name: None) -> None:
    """Raise :class:`~fieldkit.errors.ManifestError` naming the first file that is not as *manifest* says."""
    for _, message in wrong_files(folder, manifest, seen):
        raise ManifestError(f"{folder} was changed: {message} Use another copy.")


def public_key_of(given: str | Path) -> bytes:
    """A public key given as 64 hexadecimal digits, or as a file that holds them; raises :class:`ManifestError`."""
    text = str(given).strip()
    if not _HEX_256.fullmatch(text.lower()):
        try:
            text = Path(given).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise ManifestError(
                f"The key {str(given)!r} is neither 64 hexadecimal digits nor a file that can be read."
            ) from error
    if not _HEX_256.fullmatch(text.lower()):
        raise ManifestError(f"The file {given} holds no public key. It must hold 64 hexadecimal digits.")
    return bytes.fromhex(text)


def _read(folder: Path, name: str, kind: str) -> bytes:
    path = folder / name
    try:
        if path.exists() and not path.is_file():
            raise ManifestError(f"{path} is no file. Use another copy.")
        if path.stat().st_size > _LARGEST:
            raise ManifestError(f"{path} is far too large for what it should be. Use another copy.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ManifestError(f"{folder} is no {kind}, or not all of one: it has no {name}.") from error
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}.") from error


def _checked(folder: Path, kind: str, plain: Any, signer: bytes) -> Manifest:
    """The manifest in *plain*, which its signer did write: what may still be wrong is a newer kit's, or meant badly."""
    version, found = plain.get("format"), plain.get("kind")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ManifestError(f"{NAME} in {folder} does not say in which form it is. Use another copy.")
    if version > FORMAT:
        raise ManifestError(
            f"{folder} was made by a newer fieldkit (form {version}, this one knows {FORMAT}). Update the kit."
        )
    if found != kind:
        raise ManifestError(f"{folder} is no {kind}, but: {str(found)[:40]!r}.")
    about, files = plain.get("about"), plain.get("files")
    if not isinstance(about, dict) or not isinstance(files, dict):
        raise ManifestError(f"{NAME} in {folder} lacks its list of files. Use another copy.")
    notes: dict[str, FileNote] = {}
    spelled: set[str] = set()
    for name, note in files.items():
        wrong = "it is the list itself" if name in (NAME, SIGNATURE) else _wrong_name(name)
        # Two names that a Windows or Apple file system takes for one would overwrite each other.
        folded = unicodedata.normalize("NFC", name).casefold()
        if wrong is None and folded in spelled:
            wrong = "another file has the same name but for the case of its letters"
        if wrong is None and not _is_note(note):
            wrong = "its size or hash is none"
        if wrong is not None:
            raise ManifestError(
                f"{NAME} in {folder} names the file {name[:200]!r}, which is refused: {wrong}."
            )
        spelled.add(folded)
        notes[name] = FileNote(note["sha256"], note["size"])
    return Manifest(kind, about, notes, signer)


def _is_note(note: Any) -> bool:
    return (
        isinstance(note, dict)
        and set(note) == {"sha256", "size"}
        and isinstance(note["sha256"], str)
        and _HEX_256.fullmatch(note["sha256"]) is not None
        and type(note["size"]) is int
        and note["size"] >= 0
    )


def _wrong_name(name: str) -> str | None:
    """Why *name* cannot be that of a file in a folder that goes to any machine; None when it can."""
    parts = name.split("/")
    if len(name.encode("utf-8", "surrogatepass")) > 1_000:
        return "it is too long"
    if any(part in ("", ".", "..") for part in parts):
        return "it leads out of the folder"
    if any(c in '\\:*?"<>|' or unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "it has a character that not every machine takes"
    if any(part.endswith((" ", ".")) for part in parts):
        return "a part of it ends with a space or a full stop"
    return None


def _files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    for parent, folders, files in os.walk(folder):
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*files, *linked):
            path = Path(parent) / name
            yield path.relative_to(folder).as_posix(), path
