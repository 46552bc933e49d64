"""The signed end of a device's chain: what makes a removed tail, or a chain written anew, show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fieldkit.errors import LedgerError
from fieldkit.jsonlines import line_of
from fieldkit.keys import is_signed

_HEX = re.compile(r"(?:[0-9a-f]{2})*")


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of the device *origin*, signed by it with *key*; both are empty where it has no keys."""

    origin: str
    sequence: int
    digest: bytes
    key: bytes = b""
    signature: bytes = b""

    @property
    def is_genuine(self) -> bool:
        """Whether the holder of *key* signed this head."""
        return is_signed(self.key, head_statement(self.origin, self.sequence, self.digest), self.signature)

    def plain(self) -> dict[str, Any]:
        """The head as JSON has it, bytes in hexadecimal digits."""
        return {
            "origin": self.origin,
            "sequence": self.sequence,
            "digest": self.digest.hex(),
            "key": self.key.hex(),
            "signature": self.signature.hex(),
        }


def head_statement(origin: str, sequence: int, digest: bytes) -> bytes:
    """The bytes that a device signs to say where its chain ends."""
    return f"fieldkit head\n{origin}\n{sequence}\n{digest.hex()}\n".encode()


def head_of(plain: Any) -> Head:
    """The head that :meth:`Head.plain` wrote; raises :class:`LedgerError` when it is none."""
    try:
        texts = [plain[name] for name in ("digest", "key", "signature")]
        origin, sequence = plain["origin"], plain["sequence"]
        if not (isinstance(origin, str) and isinstance(sequence, int) and all(map(_HEX.fullmatch, texts))):
            raise ValueError
        return Head(origin, sequence, *map(bytes.fromhex, texts))
    except (TypeError, KeyError, ValueError) as error:
        raise LedgerError(
            "What was given is no head of a chain. Give what `fieldkit heads` printed, unchanged."
        ) from error


def heads_text(heads: Iterable[Head]) -> str:
    """*heads* as a text to be kept elsewhere, one a line."""
    return b"".join(line_of(head.plain()) for head in heads).decode()


def read_heads(path: Path) -> list[Head]:
    """The heads that a file of :func:`heads_text` holds; raises :class:`LedgerError` in a sentence."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [head_of(json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, RecursionError, LedgerError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not what `fieldkit heads` printed"
        raise LedgerError(
            f"The heads in {path} cannot be read: {why}. Give the file as it was kept."
        ) from error
