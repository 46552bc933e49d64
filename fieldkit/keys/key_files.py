"""The files that keys lie in: made so that only their owner may read them, and never one over another's."""

from __future__ import annotations

import re
from pathlib import Path

from fieldkit.errors import KeyFileError
from fieldkit.files import create, make_folder, write_text

_HEX = re.compile(r"(?:[0-9a-f]{2})+")


def read_parts(path: Path, *sizes: int) -> tuple[bytes, ...] | None:
    """The keys in the file, one of so many bytes a line; None where there is no file."""
    try:
        words = path.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(
            f"The key {path} cannot be read: {error.strerror}. Only the account that made it may read it; use that one."
        ) from error
    if [len(word) for word in words] != [2 * size for size in sizes] or not all(map(_HEX.fullmatch, words)):
        digits = f"{len(sizes)} × {2 * sizes[0]} hexadecimal digits"
        raise KeyFileError(
            f"{path} is not a key file: it must hold {digits}. Put the right file back from "
            "where the office keeps its copy."
        )
    return tuple(map(bytes.fromhex, words))


def make_parts(path: Path, *parts: bytes) -> tuple[bytes, ...]:
    """Write new keys, never over those that another process made in the same moment; returns those that count."""
    try:
        _make_folder(path.parent)
        create(path, hex_lines(*parts).encode(), mode=0o600)
    except OSError as error:
        raise _not_made(path, error) from error
    found = read_parts(path, *map(len, parts))
    assert found is not None
    return found


def hex_lines(*parts: bytes) -> str:
    """*parts* as :func:`read_parts` reads them."""
    return "".join(f"{part.hex()}\n" for part in parts)


def write_private(path: Path, text: str) -> None:
    """Write *text* durably to a file that only this account may read."""
    try:
        _make_folder(path.parent)
        write_text(path, text, mode=0o600)
    except OSError as error:
        raise _not_made(path, error) from error


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        make_folder(folder)
        folder.chmod(0o700)


def _not_made(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(
        f"The key {path} cannot be made: {error.strerror}. Make {path.parent} a folder that may be written."
    )
