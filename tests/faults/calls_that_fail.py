"""Let the n-th call to the disk fail, for every n until a write succeeds: the old file or the new one, and no other."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fieldkit import files

from .files_model import Writer, patched

#: A full disk, a broken one, and one that says no.
CODES = (errno.ENOSPC, errno.EIO, errno.EACCES)
_CALLS = ("open", "write", "fsync", "replace", "mkdir", "rmdir", "unlink", "lstat", "stat", "fstat", "close")


def try_all(
    folder: Path, writer: Writer, old: bytes | None, new: bytes, *, code: int, lasting: bool
) -> dict[str, Any]:
    """Write *new* over *old* (None for no file) in the empty *folder*, the n-th call failing with *code*, for every n.

    *lasting* lets all later calls fail too; what then cannot be removed must go with the next sweep. Returns how many
    ``calls`` there are, how many of the tries ``raised``, and what was ``wrong``, in words.
    """
    target, wrong, raised = folder / "a.txt", [], 0
    for number in itertools.count(1):
        target.unlink(missing_ok=True)
        if old is not None:
            target.write_bytes(old)
        failed, error = _attempt(lambda: writer(target, new), number, code, lasting)
        raised += error is not None
        if error is not None and not isinstance(error, OSError):
            wrong.append(f"call {number}: {type(error).__name__} came out")
        found = target.read_bytes() if target.exists() else None
        if found != new and (error is None or found != old):
            wrong.append(f"call {number}: the file is neither the old one nor the new one")
        if lasting:
            files.sweep(folder)
        beside = sorted(path.name for path in folder.iterdir() if path != target)
        wrong += [f"call {number}: {name} is left beside it" for name in beside]
        for name in beside:
            path = folder / name
            path.unlink() if path.is_file() else files._remove(path)
        if not failed:
            return {"calls": number - 1, "raised": raised, "wrong": wrong}
    raise AssertionError  # counting has no end


def _attempt(
    write: Callable[[], None], number: int, code: int, lasting: bool
) -> tuple[bool, BaseException | None]:
    """Run *write* with its call *number* failing; whether it came to that, and what was raised."""
    count = 0

    def failing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == number or (lasting and count > number):
                if name == "close":
                    function(*arguments)  # a handle is closed, whatever close() says
                raise OSError(code, os.strerror(code))
            return function(*arguments, **named)

        return call

    error: BaseException | None = None
    with patched(**{name: failing(name, getattr(os, name)) for name in _CALLS}):
        try:
            write()
        except Exception as raised:
            error = raised
    return count >= number, error
