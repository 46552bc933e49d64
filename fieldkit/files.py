"""Write files so that a power cut leaves the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

#: A leftover whose owner cannot be asked (another machine's, or its number has gone to another process) is swept
#: after this many seconds.
LEFTOVER_SECONDS = 24 * 3600

_WINDOWS = os.name == "nt"
# Everything temporary beside a real file is in a folder of this name: the machine, the process, something random.
_TEMPORARY = re.compile(r"\.fieldkit-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}")
# On Windows a virus scanner or an indexer holds a new file for a moment; about two seconds in all.
_PATIENCE = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.6, 0.7)
# What file systems answer that cannot sync a folder at all (some network and FUSE ones).
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
# What file systems without hard links answer (FAT and exFAT, as on sticks and cards).
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# The temporary folders that this process is using: its own number may have been another's before.
_in_use: set[str] = set()


def write_bytes(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write *data* to *path* atomically: temporary name, write, flush, fsync, rename, fsync the folder.

    With *mode* (such as 0o600 for what only its owner may read) the file never has a wider one, not for a moment.
    """
    with replacing(path, mode=mode) as temporary:
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666 if mode is None else mode
        )
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)


def write_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write *text* to *path* as UTF-8, atomically, with the line ends as they are; *mode* as in :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"), mode=mode)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside *path*; when the block ends well, it takes *path*'s place on disk.

    For writers that insist on a path of their own (GDAL, openpyxl, matplotlib). The temporary file has the same name,
    since such writers choose the format by its suffix, and lies in a folder that is closed to everybody else. When
    the block raises, *path* is as it was. Raises :class:`OSError` when *path* is a link or no file.
    """
    make_folder(path.parent)
    _refuse_what_is_no_file(path)
    with private_folder(path.parent) as folder:
        temporary = folder / path.name
        yield temporary
        put_in_place(temporary, path, mode=mode)


def remove_file(path: Path) -> None:
    """Remove the file at *path*, if there is one, for good."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def put_in_place(written: Path, path: Path, *, mode: int | None = None) -> Path:
    """Let the file *written*, of the same file system, take the place of *path* for good; returns *path*.

    Without *mode* a file that was there before keeps its own. On Windows a file that another program holds is tried
    for about two seconds; then :class:`PermissionError` says so.
    """
    old = _refuse_what_is_no_file(path)
    if mode is None and old is not None:
        mode = stat.S_IMODE(old.st_mode)  # a file that was closed to others stays closed
    # Windows syncs only what is open for writing.
    handle = os.open(written, (os.O_RDWR if _WINDOWS else os.O_RDONLY) | _BINARY)
    try:
        if mode is not None and not _WINDOWS and stat.S_IMODE(os.fstat(handle).st_mode) != mode:
            os.fchmod(handle, mode)
        _sync(handle)
    finally:
        os.close(handle)
    _rename(written, path)
    sync_folder(path.parent)
    return path


def create(path: Path, data: bytes, *, mode: int) -> bool:
    """Write *data* to *path* atomically unless something is there already; returns whether it was made."""
    with private_folder(path.parent) as folder:
        written = folder / path.name
        write_bytes(written, data, mode=mode)
        try:
            path.hardlink_to(written)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if path.exists():
                return False
            put_in_place(written, path)
    sync_folder(path.parent)
    return True


def put_folder_in_place(made: Path, target: Path) -> Path:
    """Let the folder *made*, whose files are on disk, become *target*, which is absent or empty; returns *target*."""
    if target.exists():
        target.rmdir()
    for parent, _, _ in os.walk(made):
        sync_folder(Path(parent))
    _rename(made, target)
    sync_folder(target.parent)
    return target


def sync_file(file: IO[Any]) -> None:
    """Have on disk what was written to *file*."""
    file.flush()
    _sync(file.fileno())


@contextlib.contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder in *parent*, closed to everybody else and gone after the block.

    What a killed process leaves of it is taken away by :func:`sweep`.
    """
    folder = parent / f".fieldkit-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    _in_use.add(folder.name)
    try:
        folder.mkdir(0o700)
        yield folder
    finally:
        _remove(folder)
        _in_use.discard(folder.name)


def make_folder(folder: Path) -> None:
    """Make *folder* and those above it that are missing, each of them for good."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder.parent == folder:
            break
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)  # raises where a file stands
        sync_folder(one.parent)


def sweep(folder: Path) -> list[Path]:
    """Remove from *folder* what killed processes left of :func:`replacing` and :func:`private_folder`; returns it.

    What a living process of this machine is using stays, unless it has not been touched for
    :data:`LEFTOVER_SECONDS`; so does what cannot be removed.
    """
    try:
        found = [one for one in folder.iterdir() if _TEMPORARY.fullmatch(one.name)]
    except OSError:
        return []
    left = [one for one in found if one.is_dir() and not one.is_symlink() and not _has_owner(one)]
    for one in left:
        _remove(one)
    return [one for one in left if not one.exists()]


def _refuse_what_is_no_file(path: Path) -> os.stat_result | None:
    """What stands at *path*, None when nothing does; a link or a folder is not written over."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    # A link in a workspace that somebody handed on may lead to any file of who opens it.
    if stat.S_ISLNK(found.st_mode):
        why = "it is a link, and the kit writes through none; name the file it leads to, or delete the link"
        raise OSError(errno.ELOOP, why, str(path))
    if not stat.S_ISREG(found.st_mode):
        why = "something stands there that is no file; choose another name"
        raise OSError(errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL, why, str(path))
    return found


def _rename(source: Path, target: Path) -> None:
    for seconds in _PATIENCE:
        try:
            _replace(source, target)
        except PermissionError:
            if not _WINDOWS:
                raise
            time.sleep(seconds)
        else:
            return
    try:
        _replace(source, target)
    except PermissionError as error:
        why = "another program holds the file open; close it there and try again"
        raise PermissionError(error.errno, why, str(target)) from error


def _replace(source: Path, target: Path) -> None:
    if sys.platform == "win32":
        import ctypes

        # os.replace() returns before the new name is on the disk; with the second flag (WRITE_THROUGH) it is.
        move = ctypes.WinDLL("kernel32", use_last_error=True).MoveFileExW
        move.argtypes = (ctypes.c_wchar_p, ctypes.c_wchar_p, ctypes.c_uint32)
        if not move(str(source), str(target), 0x1 | 0x8):
            raise ctypes.WinError(ctypes.get_last_error())
    else:
        source.replace(target)


def _sync(handle: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        # There fsync() ends when the drive has the data, which it may still lose. Not every file system knows better.
        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Have the names in *folder* on disk."""
    # Windows cannot open a folder for fsync; there a name that is written through (see _replace) takes along what was
    # made before it, for the file system's journal is in order.
    if _WINDOWS:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _sync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a temporary folder; what cannot be removed now is left to :func:`sweep`."""
    with contextlib.suppress(OSError):
        folder.rmdir()  # it is empty when all went well
        return
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _has_owner(leftover: Path) -> bool:
    found = _TEMPORARY.fullmatch(leftover.name)
    assert found is not None
    try:
        fresh = time.time() - leftover.stat().st_mtime < LEFTOVER_SECONDS
    except OSError:
        return True  # gone meanwhile
    if found["machine"] != _machine():
        return fresh
    process = int(found["process"])
    if process == os.getpid():
        return leftover.name in _in_use
    return fresh and _is_alive(process)


def _machine() -> str:
    """Eight hex digits for this machine, or this container: the same process number means the same process here."""
    space = 0
    with contextlib.suppress(OSError):  # Linux only
        space = Path("/proc/self/ns/pid").stat().st_ino
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        import ctypes

        # os.kill() would end it there. 0x1000: ask what every account may know; 5: it is another account's; 259: runs.
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = kernel.OpenProcess(0x1000, False, process)
        if not handle:
            return ctypes.get_last_error() == 5
        code = ctypes.c_uint32()
        known = kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
        kernel.CloseHandle(ctypes.c_void_p(handle))
        return not known or code.value == 259
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
