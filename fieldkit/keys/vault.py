"""What seals who complained, and the boxes that keys and data are sealed and locked in."""

from __future__ import annotations

import hashlib
import hmac

import nacl.bindings
import nacl.exceptions
import nacl.public
import nacl.secret
import nacl.utils

from fieldkit.errors import KeyFileError


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

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("A key does not travel to another process, which reads the file itself.")

    @property
    def public(self) -> bytes:
        """The 32 bytes to which anybody may seal."""
        return bytes(self._private.public_key)

    def open(self, sealed: bytes) -> bytes:
        """What :func:`seal` sealed; raises :class:`~fieldkit.errors.KeyFileError` when it was to another key."""
        return unseal(
            self._private,
            sealed,
            "It was sealed to another key than this device's vault.key, or was changed since. "
            "Open it on the device that holds the right key.",
        )

    def mark(self, text: str) -> bytes:
        """Sixteen bytes that are equal for equal texts and say nothing about them without this key."""
        return hmac.digest(self._index, text.encode("utf-8", "surrogatepass"), hashlib.sha256)[:16]

    def sealed_to(self, public: bytes) -> bytes:
        """A copy of this key that only the holder of the private half of *public* can open."""
        return seal(public, bytes(self._private) + self._index)


def new_key() -> bytes:
    """Thirty-two random bytes."""
    return nacl.utils.random(32)


def seal(public: bytes, data: bytes) -> bytes:
    """Seal *data* so that only the holder of the private half of *public* can open it."""
    return nacl.public.SealedBox(nacl.public.PublicKey(public)).encrypt(data)


def unseal(private: nacl.public.PrivateKey, sealed: bytes, otherwise: str) -> bytes:
    """What :func:`seal` sealed; raises :class:`~fieldkit.errors.KeyFileError` that says *otherwise* for another key."""
    try:
        return nacl.public.SealedBox(private).decrypt(sealed)
    except (nacl.exceptions.CryptoError, ValueError, nacl.exceptions.TypeError) as error:
        raise KeyFileError(otherwise) from error


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
