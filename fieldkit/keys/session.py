"""Where a store's key lies while it is unlocked: a file of this account's alone, in memory where there is such a place.

The file's time says when it was last used; one that nobody used for its number of hours is dropped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from fieldkit.errors import KeyFileError
from fieldkit.keys import key_files

#: After so many hours without use a store is locked again.
IDLE_HOURS = 12.0
_IN_MEMORY = ("tmpfs", "ramfs")


def hold(folder: Path, key: bytes, idle_hours: float, environment: Mapping[str, str] = os.environ) -> Path:
    """Keep *key* for the workspace whose keys lie in *folder*; returns the file."""
    if not 0 < idle_hours < 24 * 366:
        raise KeyFileError(f"{idle_hours:g} hours is no time to stay unlocked. Give between 0 and 8784.")
    drop(folder, environment)
    place = next(_places(environment))
    _make_private(place)
    path = place / _name(folder)
    key_files.write_private(path, json.dumps({"key": key.hex(), "hours": idle_hours}))
    return path


def load(folder: Path, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The key that is kept for the workspace, which counts as a use of it; None where there is none any more."""
    for place in _places(environment):
        path = place / _name(folder)
        if not _is_private(place):
            continue
        try:
            kept = json.loads(path.read_bytes())
            key, hours = bytes.fromhex(kept["key"]), float(kept["hours"])
            # A clock that was put back far makes it too old as well.
            if abs(time.time() - path.stat().st_mtime) < hours * 3600:
                os.utime(path)
                return key
            drop(folder, environment)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError):  # no file of ours: as good as none
            continue
    return None


def drop(folder: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Forget the key that is kept for the workspace, wherever it lies; returns whether there was one."""
    found = False
    for place in _places(environment):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path = place / _name(folder)
            # Overwritten first: where the place is a disk, it would stay there.
            with path.open("r+b") as file:
                file.write(b"\0" * path.stat().st_size)
            path.unlink()
            found = True
    return found


def _name(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where a key may lie, the best first: memory of this session, memory, the folder of temporary files."""
    if sys.platform == "win32":
        yield Path(tempfile.gettempdir()) / "fieldkit"  # the account's own there
        return
    account = os.getuid()
    mounts = _mounts()
    session = Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{account}")
    if in_memory(session, mounts) and _is_own(session):
        yield session / "fieldkit"
    shared = Path("/dev/shm")  # noqa: S108 - only a folder in it that is checked to be this account's alone
    if in_memory(shared, mounts):
        yield shared / f"fieldkit-{account}"
    yield Path(tempfile.gettempdir()) / f"fieldkit-{account}"


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # a system that has no such list
        return ""


def in_memory(path: Path, mounts: str) -> bool:
    """Whether the folder is kept in memory and not on a disk, by the system's list of *mounts*."""
    return path.is_dir() and mounted_on(path, mounts)[1] in _IN_MEMORY


def mounted_on(path: Path, mounts: str) -> tuple[str, str]:
    """The device and the kind of file system that hold *path*, by the system's list of *mounts*."""
    best = ("", "", "")
    resolved = path.resolve()
    for line in mounts.splitlines():
        device, where, kind, *_ = [*line.split(), "", "", ""]
        # Blanks are written as octal numbers there.
        where = where.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if where and resolved.is_relative_to(where) and len(where) >= len(best[0]):
            best = (where, device, kind)
    return best[1], best[2]


def _make_private(place: Path) -> None:
    try:
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise KeyFileError(
            f"The ledger cannot be unlocked for the session: {place} cannot be made ({error.strerror})."
        ) from error
    if not _is_private(place):
        raise KeyFileError(
            f"The ledger cannot be unlocked for the session: {place} is not a folder that only this account can read. "
            "Remove it and try again."
        )


def _is_private(place: Path) -> bool:
    try:
        found = place.lstat()
    except OSError:
        return False
    if sys.platform == "win32":
        return stat.S_ISDIR(found.st_mode)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _is_own(place: Path) -> bool:
    return sys.platform == "win32" or place.stat().st_uid == os.getuid()
