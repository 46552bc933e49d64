"""The keys of one device: the one that signs what it writes, and the files in which it finds the others."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path

import nacl.bindings
import nacl.exceptions
import nacl.signing

from fieldkit.errors import KeyFileError
from fieldkit.keys import key_files
from fieldkit.keys.recovery import RecoveryKey
from fieldkit.keys.store import StoreKey, StoreLock
from fieldkit.keys.vault import VaultKey, new_key

_DEVICE, _VAULT = "device.key", "vault.key"
_RECOVERY, _VAULT_COPY = "recovery.pub", "vault.key.sealed"
_COPY_SIZE = 32 + 32 + 48  # both halves of a vault key, and what a sealed box adds


class Keys:
    """The keys of one device, in *folder*; those that are not there yet are made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._device: tuple[bytes, bytes] | None = None

    def __repr__(self) -> str:
        return f"Keys({str(self.folder)!r})"

    def __getstate__(self) -> dict[str, object]:
        # Another process reads the files itself: no key travels.
        return {"folder": self.folder, "_device": None}

    @property
    def public(self) -> bytes:
        """The 32 bytes with which others check what this device signed."""
        return self._signing[0]

    def sign(self, message: bytes) -> bytes:
        """The device's signature (64 bytes) of *message*."""
        return nacl.bindings.crypto_sign(message, self._signing[1])[: nacl.bindings.crypto_sign_BYTES]

    @property
    def _signing(self) -> tuple[bytes, bytes]:
        """The public and the secret half; as bytes, since every deed is signed and objects around them cost as much."""
        if self._device is None:
            path = self.folder / _DEVICE
            (seed,) = key_files.read_parts(path, 32) or key_files.make_parts(path, new_key())
            self._device = nacl.bindings.crypto_sign_seed_keypair(seed)
        return self._device

    @cached_property
    def store(self) -> StoreLock:
        """What locks the ledger's file, where it is encrypted."""
        return StoreLock(self.folder)

    def vault(self) -> VaultKey | None:
        """The key that opens who complained, or None where this device has none and so can only seal."""
        found = key_files.read_parts(self.folder / _VAULT, 32, 32)
        return None if found is None else VaultKey(*found)

    def make_vault(self) -> VaultKey:
        """Make the vault's key, unless it is there, with a copy for the recovery key where there is one."""
        made = self.vault() or VaultKey(*key_files.make_parts(self.folder / _VAULT, new_key(), new_key()))
        self._copy_vault()
        return made

    @property
    def recovery(self) -> bytes | None:
        """The public half of the workspace's recovery key, or None where none was made."""
        found = key_files.read_parts(self.folder / _RECOVERY, 32)
        return None if found is None else found[0]

    def set_recovery(self, recovery: RecoveryKey) -> None:
        """Have *recovery*, and no earlier one, open what is kept here: the vault's key and the store's.

        Raises :class:`~fieldkit.errors.KeyFileError` as :meth:`check_no_recovery_lost` does.
        """
        key = self.check_no_recovery_lost()
        # Before the vault's key is looked for: whoever makes one from now on sees it, and seals the copy.
        key_files.write_private(self.folder / _RECOVERY, key_files.hex_lines(recovery.public))
        self._copy_vault()
        if key is not None:
            self.store.seal(key, recovery.public)

    def check_no_recovery_lost(self) -> StoreKey | None:
        """The store's key, where there is one, which a new recovery key is to open too.

        Raises :class:`~fieldkit.errors.KeyFileError` when the store is locked, or the vault's key is only there as
        a copy for an earlier recovery key, which would be lost.
        """
        if self.vault() is None and (self.folder / _VAULT_COPY).exists():
            raise KeyFileError(
                f"{self.folder / _VAULT} is missing, and its copy is sealed to the recovery key that there is. "
                "Put it back with `fieldkit recover` first."
            )
        return self.store.key() if self.store.is_settled else None

    def _copy_vault(self) -> None:
        vault, recovery = self.vault(), self.recovery
        if vault is not None and recovery is not None:
            key_files.write_private(self.folder / _VAULT_COPY, key_files.hex_lines(vault.sealed_to(recovery)))

    def check_recovery(self, recovery: RecoveryKey) -> None:
        """Raise :class:`~fieldkit.errors.KeyFileError` when nothing that is kept here opens with *recovery*."""
        self._recovered(recovery)

    def recover(self, recovery: RecoveryKey, passphrase: str | None = None) -> list[str]:
        """Open with the recovery key alone what is kept here; returns the names of the files that were made anew.

        An encrypted store gets the new *passphrase*; ``vault.key`` is put back where it is missing. Raises
        :class:`~fieldkit.errors.KeyFileError` when it is another workspace's, with nothing changed.
        """
        key, vault = self._recovered(recovery)
        made = []
        if key is not None:
            if passphrase is None:
                raise KeyFileError("The encrypted ledger needs a new passphrase. Give one.")
            self.store.set_passphrase(key, passphrase)
            made.append(self.store.path.name)
        if vault is not None and self.vault() is None:
            key_files.make_parts(self.folder / _VAULT, vault[:32], vault[32:])
            made.append(_VAULT)
        if self.recovery != recovery.public:
            key_files.write_private(self.folder / _RECOVERY, key_files.hex_lines(recovery.public))
            made.append(_RECOVERY)
        return made

    def _recovered(self, recovery: RecoveryKey) -> tuple[StoreKey | None, bytes | None]:
        """The store's key and the vault's, those of them that *recovery* opens."""
        copy = key_files.read_parts(self.folder / _VAULT_COPY, _COPY_SIZE)
        if copy is None and not self.store.exists:
            raise KeyFileError(
                f"Nothing in {self.folder} is sealed to a recovery key. Put the folder back from where the office "
                "keeps its copy, with recovery.pub and what lies beside it."
            )
        key = vault = None
        if self.store.exists:
            # One that is not in force was left by an encryption that was cut off, and may be another key's.
            with contextlib.suppress(*([] if self.store.is_settled else [KeyFileError])):
                key = self.store.recovered(recovery)
        if copy is not None:
            # Sealed to another than the store's only where setting a new recovery key was cut off.
            with contextlib.suppress(*([KeyFileError] if key is not None else [])):
                vault = recovery.open(copy[0])
        if key is None and vault is None:
            raise KeyFileError(
                "This is not the recovery key of this workspace. Look for the paper with its own."
            )
        return key, vault


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether *signature* is that of *message* by the holder of the private half of *public*."""
    try:
        nacl.signing.VerifyKey(public).verify(message, signature)
    except (nacl.exceptions.CryptoError, nacl.exceptions.TypeError, nacl.exceptions.ValueError):
        return False
    return True
