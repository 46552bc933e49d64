"""A disk under SQLite that remembers what was synced, so that its power can be cut, and whose calls can fail.

What the kit does goes to real files in a folder, as ever. Beside them the disk keeps what a platter would hold: the
bytes that were synced, and in order the writes that were not. After a cut each of those was kept, dropped or torn at
a sector; a file made, renamed or removed stays so with probability one half unless the folder was synced since.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
_numbers = itertools.count()

# Bits of xDeviceCharacteristics by which a disk promises more than this one keeps.
_PROMISES = (
    apsw.SQLITE_IOCAP_ATOMIC
    | apsw.SQLITE_IOCAP_SAFE_APPEND
    | apsw.SQLITE_IOCAP_SEQUENTIAL
    | apsw.SQLITE_IOCAP_BATCH_ATOMIC
    | apsw.SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN
)
# A folder is synced with the first sync of a file of these kinds that was opened to be made.
_SYNC_FOLDER = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


@dataclass(slots=True, eq=False)
class Content:
    """What a file holds: *synced* bytes, and the changes since, in order: (offset, data), or (size, None)."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.pending:
            _change(self.synced, offset, data)
        self.pending.clear()

    def after_cut(self, rng: random.Random, keep: float) -> bytes:
        """The bytes that a cut leaves; *keep* is the chance of each unsynced change to be there whole."""
        left = bytearray(self.synced)
        for offset, data in self.pending:
            if rng.random() < keep:
                _change(left, offset, data)
            elif data is not None and rng.random() < 1 / 2:
                for start in range(0, len(data), SECTOR):
                    if rng.random() < 1 / 2:
                        _change(left, offset + start, data[start : start + SECTOR])
        return bytes(left)


def _change(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """One folder's disk, registered with apsw under :attr:`name` until :meth:`remove`.

    :attr:`cut_at` is the number of the changing call at which the power fails. :attr:`failures` says which kinds of
    calls can fail and with which of SQLite's codes; of those, counted while it is set, the :attr:`fail_at`-th does,
    and with :attr:`stays_broken` every later one too.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"faults-{next(_numbers)}"
        self.folder = folder
        self.changes = self.calls = 0
        self.cut_at: int | None = None
        self.is_cut = False
        self.fail_at: int | None = None
        self.failures: dict[str, int] = {}
        self.stays_broken = False
        self.failed: list[str] = []
        self.live: dict[str, Content] = {}
        self.durable: dict[str, Content] = {}
        self.entries: list[tuple[str, Content | None]] = []
        for path in filter(Path.is_file, folder.iterdir()):
            # A shared-memory file is made anew by whoever opens the store first.
            if not path.name.endswith("-shm"):
                content = Content(bytearray(path.read_bytes()))
                self.live[path.name] = self.durable[path.name] = content
        super().__init__(self.name, "")

    def remove(self) -> None:
        self.unregister()

    # --- what happens to it

    def call(self, kind: str) -> None:
        """Count a call, and fail it when it is the one."""
        if self.is_cut:
            raise apsw.IOError
        if self.fail_at is None or kind not in self.failures:
            return
        self.calls += 1
        if self.calls == self.fail_at or (self.stays_broken and self.calls > self.fail_at):
            self.failed.append(kind)
            raise _failure(self.failures[kind])

    def change(self) -> None:
        """Count a call that changes something; at the one that :attr:`cut_at` names, the power fails."""
        self.changes += 1
        if self.cut_at is not None and self.changes >= self.cut_at:
            self.is_cut = True
            raise apsw.IOError

    def sync_folder(self) -> None:
        for name, content in self.entries:
            _enter(self.durable, name, content)
        self.entries.clear()

    def after_cut(self, rng: random.Random, folder: Path) -> None:
        """Write into *folder* what the disk shows when the power is back."""
        keep = rng.choice((0.0, 0.25, 0.5, 0.75, 1.0))
        shown = dict(self.durable)
        for name, content in self.entries:
            if rng.random() < 1 / 2:
                _enter(shown, name, content)
        for name, content in shown.items():
            (folder / name).write_bytes(content.after_cut(rng, keep))

    # --- what SQLite asks of it

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        self.call("xOpen")
        if name is None:
            return apsw.VFSFile("", None, flags)
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        if path.name not in self.live:
            content = Content()
            self.entries.append((path.name, content))
            self.live[path.name] = content
            self.change()
        return _File(self, path, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.call("xDelete")
        name = Path(filename).name
        if name in self.live:
            self.entries.append((name, None))
            del self.live[name]
            self.change()
        super().xDelete(filename, False)
        if syncdir:
            self.call("xSync of the folder")
            self.change()
            self.sync_folder()

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        self.call("xAccess")
        return super().xAccess(pathname, flags)


def _failure(code: int) -> apsw.Error:
    kind = type(apsw.exception_for(code & 0xFF))
    error: apsw.Error = kind()
    error.result, error.extendedresult = code & 0xFF, code
    return error


def _enter(names: dict[str, Content], name: str, content: Content | None) -> None:
    if content is None:
        names.pop(name, None)
    else:
        names[name] = content


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, path: Path, flags: list[int]) -> None:
        self._disk = disk
        self._content = disk.live[path.name]
        self.sync_folder = bool(flags[0] & _SYNC_FOLDER and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__("", str(path), flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.call("xRead")
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.call("xWrite")
        # Noted before the power may fail: what is being written then may be there in part.
        self._content.pending.append((offset, bytes(data)))
        self._disk.change()
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.call("xTruncate")
        self._content.pending.append((newsize, None))
        self._disk.change()
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.call("xSync")
        self._disk.change()
        self._content.sync()
        if self.sync_folder:
            self._disk.call("xSync of the folder")
            self._disk.change()
            self._disk.sync_folder()
            self.sync_folder = False

    def xLock(self, level: int) -> None:  # noqa: N802
        self._disk.call("xLock")
        super().xLock(level)

    def xFileSize(self) -> int:  # noqa: N802
        self._disk.call("xFileSize")
        return super().xFileSize()

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return super().xDeviceCharacteristics() & ~_PROMISES
