"""The keys of a workspace: the one that signs what this device writes, and the one that opens who complained.

They lie in the folder ``keys`` of the workspace, each in a file that only its owner may read, and in no database,
event, notebook or log. All of it is libsodium's (PyNaCl): Ed25519 signatures, X25519 sealed boxes, XChaCha20-Poly1305.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
from pathlib import Path

import nacl.bindings
import nacl.exceptions
import nacl.public
import nacl.secret
import nacl.signing
import nacl.utils

from fieldkit.errors import KeyFileError
from fieldkit.files import replacing

FOLDER = "keys"
_DEVICE, _VAULT = "device.key", "vault.key"
_SEED = re.compile(r"[0-9a-f]{64}")


class Keys:
    """The keys of one device, in *folder*; those that are not there yet are made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._device: nacl.signing.SigningKey | None = None

    def __repr__(self) -> str:
        return f"Keys({str(self.folder)!r})"

    def __getstate__(self) -> dict[str, object]:
        # Another process reads the files itself: no key travels.
        return {"folder": self.folder, "_device": None}

    @property
    def public(self) -> bytes:
        """The 32 bytes with which others check what this device signed."""
        return bytes(self._signing.verify_key)

    def sign(self, message: bytes) -> bytes:
        """The device's signature (64 bytes) of *message*."""
        return self._signing.sign(message).signature

    @property
    def _signing(self) -> nacl.signing.SigningKey:
        if self._device is None:
            made = (nacl.utils.random(32),)
            (seed,) = _read(self.folder / _DEVICE, 1) or _make(self.folder / _DEVICE, made)
            self._device = nacl.signing.SigningKey(seed)
        return self._device

    def vault(self) -> VaultKey | None:
        """The key that opens who complained, or None where this device has none and so can only seal."""
        found = _read(self.folder / _VAULT, 2)
        return None if found is None else VaultKey(*found)

    def make_vault(self) -> VaultKey:
        """Make the vault's key, unless it is there."""
        made = (nacl.utils.random(32), nacl.utils.random(32))
        return self.vault() or VaultKey(*_make(self.folder / _VAULT, made))


class VaultKey:
    """Opens what was sealed to its *public* half, and recognises a person who complains again.

    Whoever holds the private half may open; whoever holds only the public one may seal. *index* makes the marks by
    which equal persons are told, which without it cannot be made by trying every telephone number.
    """

    def __init__(self, private: bytes, index: bytes) -> None:
        self._private = nacl.public.PrivateKey(private)
        self._index = index

    def __repr__(self) -> str:
        return "VaultKey(…)"

    @property
    def public(self) -> bytes:
        """The 32 bytes to which anybody may seal."""
        return bytes(self._private.public_key)

    def open(self, sealed: bytes) -> bytes:
        """What :func:`seal` sealed; raises :class:`~fieldkit.errors.KeyFileError` when it was to another key."""
        try:
            return nacl.public.SealedBox(self._private).decrypt(sealed)
        except nacl.exceptions.CryptoError as error:
            raise KeyFileError(
                "It was sealed to another key than this device's vault.key, or was changed since. "
                "Open it on the device that holds the right key."
            ) from error

    def mark(self, text: str) -> bytes:
        """Sixteen bytes that are equal for equal texts and say nothing about them without this key."""
        return hmac.digest(self._index, text.encode("utf-8", "surrogatepass"), hashlib.sha256)[:16]


def new_key() -> bytes:
    """Thirty-two random bytes."""
    return nacl.utils.random(32)


def seal(public: bytes, data: bytes) -> bytes:
    """Seal *data* so that only the holder of the private half of *public* can open it."""
    return nacl.public.SealedBox(nacl.public.PublicKey(public)).encrypt(data)


def lock(key: bytes, data: bytes, about: bytes) -> bytes:
    """Lock *data* with *key* (32 bytes); *about* is not kept in it, but must be the same at :func:`unlock`."""
    # What nacl.secret.Aead does, without an object for each of a million persons.
    nonce = nacl.utils.random(nacl.secret.Aead.NONCE_SIZE)
    return nonce + nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(data, about, nonce, key)


def unlock(key: bytes, locked: bytes, about: bytes) -> bytes:
    """What :func:`lock` locked; raises :class:`~fieldkit.errors.KeyFileError` when any of it differs."""
    try:
        return nacl.secret.Aead(key).decrypt(locked, about)
    except (nacl.exceptions.CryptoError, ValueError) as error:
        raise KeyFileError(
            "What is locked was changed since it was locked, or the key is another."
        ) from error


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether *signature* is that of *message* by the holder of the private half of *public*."""
    try:
        nacl.signing.VerifyKey(public).verify(message, signature)
    except (nacl.exceptions.CryptoError, nacl.exceptions.TypeError, nacl.exceptions.ValueError):
        return False
    return True


def _read(path: Path, parts: int) -> tuple[bytes, ...] | None:
    try:
        words = path.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(
            f"The key {path} cannot be read: {error.strerror}. Only the account that made it may read it; use that one."
        ) from error
    if len(words) != parts or not all(map(_SEED.fullmatch, words)):
        raise KeyFileError(
            f"{path} is not a key file: it must hold {parts} × 64 hexadecimal digits. Put the right file back from "
            "where the office keeps its copy."
        )
    return tuple(map(bytes.fromhex, words))


def _make(path: Path, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Write a new key, never over one that another process made in the same moment; returns the one that counts."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o700)
        mine = path.with_name(f".{path.name}-{os.getpid()}-{nacl.utils.random(4).hex()}")
        with (
            replacing(mine) as temporary,
            os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
        ):
            file.write("".join(f"{part.hex()}\n" for part in parts))
        try:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(mine)
        finally:
            mine.unlink()
    except OSError as error:
        raise KeyFileError(
            f"The key {path} cannot be made: {error.strerror}. Make {path.parent} a folder that may be written."
        ) from error
    found = _read(path, len(parts))
    assert found is not None
    return found
