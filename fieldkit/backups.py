"""Backups: all of a workspace that cannot be made again, copied while others write, restored before it counts.

A backup is a folder ``backup-…`` that is complete by itself and signed. It gets its name only after a copy of it was
opened, checked and found to give the same ledger; whatever is killed before leaves nothing that looks like a backup.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fieldkit import __version__
from fieldkit.errors import BackupError, ManifestError
from fieldkit.events import EVIDENCE_ADDED, EVIDENCE_DERIVED
from fieldkit.files import make_folder, private_folder, put_folder_in_place, sweep, write_text
from fieldkit.keys import Keys, RecoveryKey, StoreLock
from fieldkit.ledger import Head, Ledger
from fieldkit.ledger.heads import heads_text, read_heads
from fieldkit.ledger.migration import SCHEMA
from fieldkit.manifests import (
    Manifest,
    Packing,
    check_files,
    note_of,
    read_manifest,
    wrong_files,
)
from fieldkit.settings import FILE_NAME, read_settings, settings_text
from fieldkit.workspace import Workspace

KIND = "backup"
LEDGER, HEADS = "ledger.sqlite", "heads.jsonl"

_NAMED = re.compile(r"backup-\d{8}T\d{6}Z(-\d{6})?")
_LOCK = ".backup.lock"
# What a piece of evidence is called: its own SHA-256, whatever stands behind a full stop.
_CONTENT = re.compile(r"([0-9a-f]{64})(\.[\w.]*)?")
# Sealed to the office's recovery key, locked under the passphrase, or public; no other key may leave the workspace.
_KEY_COPIES = ("*.sealed", "*.pub", "store.key.json")
_STORE_KEY = "keys/store.key.json"


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A backup that was restored once and found good: its *folder*, and what is in it.

    *flags* are sentences about evidence that is missing or altered in the workspace itself.
    """

    folder: Path
    events: int
    complaints: int
    files: int
    bytes: int
    state_hash: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """A workspace made from a backup: its *folder*, its new *origin*, the origin that the backup was made under."""

    folder: Path
    origin: str
    backed_up_origin: str
    made_at: str
    events: int
    complaints: int


@dataclass(slots=True)
class PruneResult:
    """Which backups were *kept* and *deleted*, and sentences about those that are not good."""

    kept: list[Path] = field(default_factory=list)
    deleted: list[Path] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def back_up(ws: Workspace, target: str | Path | None = None, *, progress: bool = False) -> BackupResult:
    """Back *ws* up into a new folder in *target* (``backups`` of the workspace) while others go on writing.

    All that was acknowledged before the call is in it. Raises :class:`~fieldkit.errors.BackupError` when it could not
    be made or was not good; then nothing is left of it, and the workspace is as it was.
    """
    own = ws.settings.folder / "backups"
    folder = Path(target).expanduser().resolve() if target is not None else own
    try:
        # The ledger is copied and tested in the workspace's own folder: no database is opened on a stick or in a
        # folder that is synchronised.
        with contextlib.ExitStack() as stack:
            for place in dict.fromkeys((own, folder)):
                make_folder(place)
                stack.enter_context(_alone_in(place))
                sweep(place)
            step = stack.enter_context(_steps("Backing up", 6, progress))
            scratch = stack.enter_context(private_folder(own))
            unfinished = stack.enter_context(private_folder(folder))
            result = _made(ws, unfinished, scratch, step)
            name = put_folder_in_place(unfinished, _free_name(folder))
    except OSError as error:
        raise BackupError(
            f"The backup in {folder} could not be made: {error.strerror or error}. Make room there, or name another "
            "folder."
        ) from error
    return BackupResult(name, *result)


def _made(ws: Workspace, unfinished: Path, scratch: Path, step: Callable[[str], None]) -> tuple[Any, ...]:
    """Make and test the backup in *unfinished*; what :class:`BackupResult` says of it."""
    before = ws.ledger.heads()
    packing = Packing(unfinished)
    step("copying the ledger")
    ws.ledger.copy_to(scratch / "copied.sqlite")
    packing.copy(scratch / "copied.sqlite", LEDGER)
    # Evidence after the ledger: whatever an event in the copy names had been kept before the event.
    step("copying files")
    flags = _pack_files(ws, packing, _newest(unfinished.parent, ws.settings.origin))
    step("restoring the copy")
    shutil.copyfile(unfinished / LEDGER, scratch / LEDGER)
    with contextlib.closing(ws.ledger.beside(scratch / LEDGER)) as copy:
        step("checking what was restored")
        about: dict[str, Any] = {
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "kit": __version__,
            "tables": SCHEMA,
            "origin": ws.settings.origin,
            "state_hash": _tested(copy, before),
            "counts": copy.count(),
            "data_version": copy.data_version(),
        }
        packing.write(HEADS, heads_text(copy.heads()).encode())
        flags += _missing(copy, packing)
    step("reading it again")
    manifest = packing.seal(KIND, about, Keys(ws.settings.keys))
    try:
        if read_manifest(unfinished, KIND, key=manifest.key) != manifest:
            raise BackupError("The backup was not good: the disk gives back another list than was written.")
        check_files(unfinished, manifest)
    except ManifestError as error:
        raise BackupError(f"The backup was not good: {error} The disk may be failing.") from error
    step("done")
    size = sum(note.size for note in manifest.files.values())
    counts = about["counts"]
    return (
        counts["events"],
        counts["complaints"],
        len(manifest.files),
        size,
        about["state_hash"],
        tuple(flags),
    )


def _tested(copy: Ledger, before: list[Head]) -> str:
    """The hash of *copy*'s state, after all that can be wrong with it was looked for.

    *before* are the heads of the ledger as the backup began: each event they name must be in the copy.
    """
    if found := copy.damage():
        raise BackupError(
            f"The backup was not good: SQLite says {found[0]!r}. Make it again, on another disk."
        )
    if problems := copy.verify(heads=before):
        raise BackupError(
            f"The backup was not good: {problems[0].message} `fieldkit verify` says whether the ledger itself is "
            "damaged; restore an earlier backup then."
        )
    state_hash = copy.state_hash()
    if copy.rebuild() != state_hash:
        raise BackupError(
            "The backup was not good: the ledger's tables differ from its events. Run `fieldkit rebuild`, then try "
            "again."
        )
    return state_hash


def _pack_files(ws: Workspace, packing: Packing, earlier: tuple[Path, Manifest] | None) -> list[str]:
    """Put everything but the ledger in; returns what is wrong with the evidence in the workspace."""
    settings = ws.settings
    # The address of a server may hold a password.
    if settings.ledger.startswith("sqlite"):
        packing.copy(settings.folder / FILE_NAME, FILE_NAME)
    else:
        packing.write(FILE_NAME, settings_text(settings.folder / FILE_NAME, ledger=None).encode())
    for folder in (settings.layers, settings.maps):
        for path in _files_below(folder):
            packing.copy(path, path.relative_to(settings.folder).as_posix())
    for pattern in _KEY_COPIES:
        for path in sorted(settings.keys.glob(pattern)):
            packing.copy(path, f"keys/{path.name}")
    flags = []
    for path in _files_below(settings.evidence):
        found = _CONTENT.fullmatch(path.name)
        # Thumbnails can be made again.
        if found is None or path.parent.name == "thumbnails":
            continue
        name = path.relative_to(settings.folder).as_posix()
        known = None if earlier is None else earlier[1].files.get(name)
        if (
            earlier is not None
            and known is not None
            and note_of(path) == known
            and packing.link(name, earlier[0] / name, known)
        ):
            note = known
        else:
            note = packing.copy(path, name)
        if note.sha256 != found[1]:
            flags.append(
                f"The evidence {name} was altered since it was taken in; it is in the backup as it is."
            )
    return flags


def _missing(copy: Ledger, packing: Packing) -> list[str]:
    """Evidence that events name but the workspace does not hold any more."""
    there = {note.sha256 for name, note in packing.files.items() if name.startswith("evidence/")}
    named: dict[str, None] = {}
    for kind in (EVIDENCE_ADDED, EVIDENCE_DERIVED):
        for event in copy.events(kind=kind):
            named[str(event.data.get("sha256"))] = None
    return [
        f"The evidence {sha256[:12]}… is missing in the workspace." for sha256 in named if sha256 not in there
    ]


def restore(
    backup: str | Path,
    folder: str | Path,
    *,
    ledger: str | None = None,
    key: bytes | None = None,
    passphrase: str | None = None,
    recovery: RecoveryKey | None = None,
    progress: bool = False,
) -> RestoreResult:
    """Make a new workspace in *folder*, empty or absent, from *backup*; with *ledger* into that empty database.

    It writes under an origin of its own from now on: the device that was backed up may still be writing under the old
    one, whose chain stays as it is. *key* is the public key that must have signed the backup. One of an encrypted
    ledger (:func:`is_encrypted`) needs its *passphrase* or its *recovery* key, and stays encrypted, unless it goes into
    a database. Raises :class:`~fieldkit.errors.BackupError`, :class:`~fieldkit.errors.ManifestError` or
    :class:`~fieldkit.errors.KeyFileError`; then nothing was made.
    """
    source, target = Path(backup).expanduser().resolve(), Path(folder).expanduser().resolve()
    manifest = read_manifest(source, KIND, key=key)
    _check_form(source, manifest)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is not empty, and nothing is written over. Name a new folder.")
    if _STORE_KEY in manifest.files and passphrase is None and recovery is None:
        raise BackupError(
            f"{source} is encrypted. Give its passphrase, or the recovery key, to have it opened and checked."
        )
    if target.is_relative_to(source):
        raise BackupError(f"{target} lies in the backup itself. Name a folder elsewhere.")
    try:
        with _steps("Restoring", 4, progress) as step:
            step("checking the backup")
            check_files(source, manifest)
            make_folder(target.parent)
            sweep(target.parent)
            with private_folder(target.parent) as unfinished:
                step("copying files")
                origin = _refill(source, manifest, unfinished, ledger)
                step("checking the copy")
                keys = Keys(unfinished / "keys")
                if keys.store.is_settled:
                    _open(keys.store, passphrase, recovery)
                counts = _check_restored(source, manifest, unfinished, ledger, keys)
                put_folder_in_place(unfinished, target)
                step("done")
    except OSError as error:
        raise BackupError(
            f"{target} could not be made: {error.strerror or error}. Nothing was restored."
        ) from error
    return RestoreResult(
        target,
        origin,
        str(manifest.about["origin"]),
        str(manifest.about["made_at"]),
        counts["events"],
        counts["complaints"],
    )


def _check_form(source: Path, manifest: Manifest) -> None:
    about, files = manifest.about, manifest.files
    if {LEDGER, HEADS, FILE_NAME} - files.keys() or not all(
        isinstance(about.get(name), str) for name in ("made_at", "origin", "state_hash", "tables")
    ):
        raise ManifestError(f"{source} is not all of a backup: its list lacks what every backup has.")
    if about["tables"] > SCHEMA:
        raise BackupError(
            f"{source} was made by a newer fieldkit (tables {about['tables']}, this one knows {SCHEMA}). "
            "Update the kit."
        )


def _refill(source: Path, manifest: Manifest, unfinished: Path, ledger: str | None) -> str:
    """Copy the backup into *unfinished*; returns the origin that the copy writes under."""
    packing = Packing(unfinished)
    for name, note in manifest.files.items():
        if name == HEADS or (name == LEDGER and ledger is not None):
            continue
        if packing.copy(source / name, name) != note:
            raise BackupError(f"{name} was changed while it was being read. Try again, from another copy.")
    for part in ("layers", "maps", "records", "out", "keys"):
        make_folder(unfinished / part)
    (unfinished / "keys").chmod(0o700)
    for path in ((unfinished / LEDGER), *(unfinished / "keys").iterdir()):
        if path.exists():
            path.chmod(0o600)
    origin = uuid.uuid4().hex[:12]
    text = settings_text(source / FILE_NAME, origin=origin, ledger=ledger)
    (unfinished / FILE_NAME).unlink()
    write_text(unfinished / FILE_NAME, text)
    return origin


def is_encrypted(backup: str | Path) -> bool:
    """Whether the ledger in *backup* is encrypted, so that restoring it needs a passphrase or the recovery key."""
    return _STORE_KEY in read_manifest(Path(backup).expanduser().resolve(), KIND).files


def _open(store: StoreLock, passphrase: str | None, recovery: RecoveryKey | None) -> None:
    if recovery is not None:
        store.recovered(recovery)
    elif passphrase is not None:
        store.open(passphrase)


def _check_restored(
    source: Path, manifest: Manifest, unfinished: Path, ledger: str | None, keys: Keys
) -> dict[str, int]:
    """Open the restored ledger, filling the database at *ledger* where one is given; returns what it holds."""
    settings = read_settings(unfinished, {})
    restored = Ledger(settings.ledger, origin=settings.origin, keys=keys, lock=keys.store)
    try:
        if ledger is not None:
            # Opening may write, and the backup stays as it is.
            with private_folder(unfinished) as scratch:
                shutil.copyfile(source / LEDGER, scratch / LEDGER)
                with contextlib.closing(restored.beside(scratch / LEDGER)) as copy:
                    restored.fill_from(copy)
            if keys.store.is_settled:
                keys.store.remove()  # the server's files are not the kit's to encrypt
        if found := restored.damage():
            raise BackupError(f"{source} is not good: SQLite says {found[0]!r}. Use another backup.")
        problems = restored.verify(heads=read_heads(source / HEADS))
        if problems:
            raise BackupError(f"{source} is not good: {problems[0].message} Use another backup.")
        # An older backup is of older tables; their hash was another.
        if manifest.about["tables"] == SCHEMA and restored.state_hash() != manifest.about["state_hash"]:
            raise BackupError(
                f"{source} is not good: it gives another state than it had. Use another backup."
            )
        return restored.count()
    finally:
        restored.close()


def prune(ws: Workspace, target: str | Path | None = None, *, keep: int) -> PruneResult:
    """Delete the backups of *ws* in *target* that are older than the newest *keep* good ones.

    Each of those is checked first, byte for byte: where there are not so many good ones, nothing is deleted. Backups of
    other workspaces, and those that are not good, stay.
    """
    if keep < 1:
        raise BackupError(f"{keep} backups cannot be kept. Keep at least one.")
    folder = Path(target).expanduser().resolve() if target is not None else ws.settings.folder / "backups"
    result = PruneResult()
    with _alone_in(folder):
        sweep(folder)
        for path in _backups(folder):
            try:
                manifest = read_manifest(path, KIND)
            except ManifestError as error:
                result.flags.append(str(error))
                continue
            if manifest.about.get("origin") != ws.settings.origin:
                continue
            if len(result.kept) == keep:
                with private_folder(folder) as gone:
                    put_folder_in_place(path, gone / path.name)
                result.deleted.append(path)
            elif wrong := next(wrong_files(path, manifest), None):
                result.flags.append(f"{path.name} is not good: {wrong[1]}")
            else:
                result.kept.append(path)
    return result


def _backups(folder: Path) -> list[Path]:
    """The backups in *folder*, the newest first."""
    found = [path for path in folder.iterdir() if _NAMED.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: path.name, reverse=True)


def _newest(folder: Path, origin: str) -> tuple[Path, Manifest] | None:
    for path in _backups(folder):
        with contextlib.suppress(ManifestError):
            manifest = read_manifest(path, KIND)
            if manifest.about.get("origin") == origin:
                return path, manifest
    return None


def _free_name(folder: Path) -> Path:
    now = datetime.now(UTC)
    name = folder / f"backup-{now:%Y%m%dT%H%M%SZ}"
    return name if not name.exists() else folder / f"{name.name}-{now:%f}"


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file in *folder* and below, links followed, hidden ones (half-written ones are) left out."""
    entered: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and real not in entered)
        entered.add(real)
        yield from (Path(parent) / name for name in sorted(files) if not name.startswith("."))


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Have *folder* for oneself; the system takes the lock back from whoever is killed."""
    try:
        file = (folder / _LOCK).open("ab")
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror}. Name another folder.") from error
    with file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BackupError(
                f"Another backup is being made in {folder}. Wait until it is done, or name another folder."
            ) from error
        yield


@contextlib.contextmanager
def _steps(title: str, total: int, progress: bool) -> Iterator[Callable[[str], None]]:
    """A progress bar that is told each step by its name."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=title, unit="step", disable=None if progress else True) as bar:

        def step(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update(1)

        yield step
