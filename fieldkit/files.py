"""Write files so that a power cut leaves the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> None:
    """Write *data* to *path* atomically: temporary name, write, flush, fsync, rename, fsync the folder."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write *text* to *path* as UTF-8, atomically, with the line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside *path*; when the block ends well, it takes *path*'s place on disk.

    For writers that insist on a path of their own (GDAL, openpyxl, matplotlib). The temporary name keeps the
    suffix, since such writers choose the format by it. When the block raises, *path* is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        put_in_place(temporary, path)


def put_in_place(written: Path, path: Path) -> Path:
    """Let the file *written*, of the same file system, take the place of *path* for good; returns *path*."""
    with written.open("rb+") as file:
        os.fsync(file.fileno())
    written.replace(path)
    _sync_folder(path.parent)
    return path


def remove_file(path: Path) -> None:
    """Remove the file at *path*, if there is one, for good."""
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder for fsync; there the rename itself is journalled by the file system.
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
