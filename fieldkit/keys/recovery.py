"""The recovery key: kept on paper, it alone opens what a lost passphrase or a lost key file would close for good."""

from __future__ import annotations

import hashlib
import re

import nacl.exceptions
import nacl.public
import nacl.utils

from fieldkit.errors import KeyFileError
from fieldkit.keys.vault import unseal

# Crockford's: no I, L, O or U, which look like others.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKE = str.maketrans("OIL", "011")
_GROUPS, _SIZE = 13, 5


class RecoveryKey:
    """The private half (X25519) of what store and vault keys are sealed to; *text* is what a person writes down."""

    def __init__(self, private: bytes) -> None:
        self._private = nacl.public.PrivateKey(private)

    def __repr__(self) -> str:
        return "RecoveryKey(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("A recovery key does not travel to another process.")

    @classmethod
    def new(cls) -> RecoveryKey:
        """A new one, which is nowhere but here until its text is written down."""
        return cls(nacl.utils.random(32))

    @classmethod
    def read(cls, text: str) -> RecoveryKey:
        """The key whose :attr:`text` this is, as a person typed it: small letters, blanks, O for 0 and I for 1 will do.

        Raises :class:`~fieldkit.errors.KeyFileError`, which names the group that was mistyped.
        """
        groups = _groups_in(text)
        values: list[int] = []
        for n, group in enumerate(groups):
            found = [_LETTERS.find(letter) for letter in group]
            if len(found) != _SIZE or -1 in found or _check(n, found[:-1]) != found[-1]:
                raise KeyFileError(
                    f"Group {n + 1} of the recovery key is mistyped. It has {_GROUPS} groups of {_SIZE} letters and "
                    "digits; compare that group with the paper and type the key again."
                )
            values += found[:-1]
        number = 0
        for value in values:
            number = number * 32 + value
        private = (number >> 4).to_bytes(32, "big")
        if number & 15 != _rest(private):
            raise KeyFileError(
                "The recovery key is mistyped in more than one place. Compare it with the paper and type it again."
            )
        return cls(private)

    @property
    def groups(self) -> tuple[str, ...]:
        """Thirteen groups of five letters and digits, the last of each being a check of the four and their place."""
        private = bytes(self._private)
        number = (int.from_bytes(private, "big") << 4) | _rest(private)
        values = [(number >> shift) & 31 for shift in range(5 * (4 * _GROUPS - 1), -1, -5)]
        parts = (values[start : start + 4] for start in range(0, len(values), 4))
        return tuple(
            "".join(_LETTERS[value] for value in [*part, _check(n, part)]) for n, part in enumerate(parts)
        )

    @property
    def text(self) -> str:
        """The groups with hyphens between."""
        return "-".join(self.groups)

    @property
    def public(self) -> bytes:
        """The 32 bytes to which anybody may seal."""
        return bytes(self._private.public_key)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed to this key; raises :class:`~fieldkit.errors.KeyFileError` when it was to another."""
        return unseal(
            self._private,
            sealed,
            "This is not the recovery key of this workspace: what is kept here was sealed to another. "
            "Look for the paper with the workspace's own.",
        )


def _groups_in(text: str) -> list[str]:
    groups = re.findall(r"[^\W_]+", text.upper().translate(_LOOK_ALIKE))
    if len(groups) == _GROUPS:
        return groups
    letters = "".join(groups)
    if len(letters) != _GROUPS * _SIZE:
        raise KeyFileError(
            f"A recovery key has {_GROUPS} groups of {_SIZE} letters and digits, {_GROUPS * _SIZE} in all; "
            f"this has {len(letters)}. Type all of it."
        )
    return [letters[start : start + _SIZE] for start in range(0, len(letters), _SIZE)]


def _check(place: int, values: list[int]) -> int:
    """A check over GF(32): one wrong letter, two swapped ones or two swapped groups always show."""
    check = place + 1
    for value in values:
        check ^= value
        check = (check << 1) ^ (0b100101 if check & 16 else 0)
    return check


def _rest(private: bytes) -> int:
    """Four bits that fill the last group, and are a check of the whole."""
    return hashlib.sha256(private).digest()[0] >> 4
