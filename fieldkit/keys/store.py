"""The key of an encrypted ledger: in a file that a passphrase opens, and the recovery key; and open for a session."""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from pathlib import Path
from typing import Any

import nacl.exceptions
import nacl.pwhash

from fieldkit.errors import KeyFileError
from fieldkit.files import remove_file
from fieldkit.keys import key_files, session
from fieldkit.keys.recovery import RecoveryKey
from fieldkit.keys.vault import lock, new_key, seal, unlock

#: The fewest characters of a passphrase.
SHORTEST = 10
_FILE, _PENDING = "store.key.json", "store.key.next.json"
_FORMAT = "fieldkit store key 1"
_ABOUT = b"fieldkit store key"
# Argon2id's moderate limits: 256 MiB, and some tenths of a second for whoever knows the passphrase.
_OPS, _MEMORY = nacl.pwhash.argon2id.OPSLIMIT_MODERATE, nacl.pwhash.argon2id.MEMLIMIT_MODERATE
# What a file may ask for at most: a damaged one must not take the machine's memory.
_MOST_OPS, _MOST_MEMORY = 16, 2**30


class StoreKey:
    """The 32 bytes with which SQLCipher encrypts; shown nowhere, and not to be sent to another process."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "StoreKey(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("A key does not travel to another process, which finds it in the session.")

    @classmethod
    def new(cls) -> StoreKey:
        """A new random one."""
        return cls(new_key())

    @property
    def raw(self) -> str:
        """The key as SQLCipher takes one that is no passphrase."""
        return f"x'{self._key.hex()}'"

    @property
    def secret(self) -> bytes:
        """The bytes themselves."""
        return self._key

    @property
    def mark(self) -> str:
        """Tells this key from others without saying what it is."""
        return hmac.digest(self._key, b"fieldkit store mark", hashlib.sha256)[:16].hex()


class StoreLock:
    """The file ``store.key.json`` in the folder of keys: that it is there says that the ledger's file is encrypted.

    While a ledger is being encrypted or decrypted the file has another name, and which the ledger is says its own
    file: see :mod:`fieldkit.ledger.encryption`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key: StoreKey | None = None

    def __repr__(self) -> str:
        return f"StoreLock({str(self.folder)!r})"

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "_key": None}

    @property
    def path(self) -> Path:
        """Where the key lies, locked."""
        return self.folder / _FILE

    @property
    def pending(self) -> Path:
        """Where it lies while the ledger's file is being changed for the other."""
        return self.folder / _PENDING

    @property
    def exists(self) -> bool:
        """Whether there is a key, whatever state the ledger is in."""
        return self.path.exists() or self.pending.exists()

    @property
    def is_settled(self) -> bool:
        """Whether the ledger is encrypted, and not only about to be."""
        return self.path.exists()

    def make(self, passphrase: str, recovery: RecoveryKey) -> StoreKey:
        """Make a new key for a ledger that is about to be encrypted; it counts once it is :meth:`settled <settle>`."""
        key = StoreKey.new()
        self._write(
            self.pending,
            {"locked": _locked(key, passphrase), "sealed": seal(recovery.public, key.secret).hex()},
            key,
        )
        self._key = key
        return key

    def settle(self) -> None:
        """The ledger is encrypted from now on."""
        self._rename(self.pending, self.path)

    def unsettle(self) -> None:
        """The ledger is about to be decrypted, or not to be: its own file says which."""
        self._rename(self.path, self.pending)

    def remove(self) -> None:
        """The ledger is no longer encrypted: forget its key."""
        self.close()
        for path in (self.path, self.pending):
            if path.exists():
                remove_file(path)

    @property
    def is_locked(self) -> bool:
        """Whether the ledger is encrypted, and a passphrase is needed to open it."""
        return self.is_settled and self._open_key() is None

    def key(self) -> StoreKey:
        """The store's key; raises :class:`~fieldkit.errors.KeyFileError` in a sentence while it is locked."""
        key = self._open_key()
        if key is None:
            raise KeyFileError(
                "The ledger is encrypted and locked. Unlock it for this session with `fieldkit unlock`, in a terminal "
                "of the same account."
            )
        return key

    def _open_key(self) -> StoreKey | None:
        mark = self._read()["mark"]
        if self._key is None or self._key.mark != mark:
            kept = session.load(self.folder)
            self._key = None if kept is None else StoreKey(kept)
        return self._key if self._key is not None and self._key.mark == mark else None

    def open(self, passphrase: str) -> StoreKey:
        """Open the store's key for this process; raises :class:`~fieldkit.errors.KeyFileError` in a sentence."""
        locked = self._read()["locked"]
        kek = _stretched(passphrase, bytes.fromhex(locked["salt"]), locked["ops"], locked["memory"])
        try:
            key = StoreKey(unlock(kek, bytes.fromhex(locked["key"]), _ABOUT))
        except KeyFileError:
            # The file is whole (see _read), so it is the passphrase.
            raise KeyFileError(
                "The passphrase is not the right one. Try again; if it is lost, `fieldkit recover` sets a new one with "
                "the recovery key."
            ) from None
        self._key = key
        return key

    def recovered(self, recovery: RecoveryKey) -> StoreKey:
        """The store's key by the recovery key; raises :class:`~fieldkit.errors.KeyFileError` when it is another's."""
        self._key = StoreKey(recovery.open(bytes.fromhex(self._read()["sealed"])))
        return self._key

    def set_passphrase(self, key: StoreKey, passphrase: str) -> None:
        """Lock *key* under another passphrase; the recovery key stays."""
        self._write(self._present, {**self._read(), "locked": _locked(key, passphrase)}, key)

    def seal(self, key: StoreKey, recovery: bytes) -> None:
        """Seal *key* to another recovery key; the passphrase stays."""
        self._write(self._present, {**self._read(), "sealed": seal(recovery, key.secret).hex()}, key)

    def hold(self, idle_hours: float = session.IDLE_HOURS) -> Path:
        """Keep the key open for every program of this account, until nobody has used it for so many hours.

        Returns the file that it lies in.
        """
        return session.hold(self.folder, self.key().secret, idle_hours)

    def close(self) -> bool:
        """Lock again: drop the key that is kept for the session; returns whether there was one."""
        self._key = None
        return session.drop(self.folder)

    @property
    def _present(self) -> Path:
        return self.path if self.path.exists() or not self.pending.exists() else self.pending

    def _read(self) -> dict[str, Any]:
        path = self._present
        try:
            content = json.loads(path.read_bytes())
            whole = content.pop("whole")
            sound = content["format"] == _FORMAT and hmac.compare_digest(whole, _digest(content))
            locked = content["locked"]
            sound &= 1 <= locked["ops"] <= _MOST_OPS and 8192 <= locked["memory"] <= _MOST_MEMORY
        except OSError as error:
            raise KeyFileError(
                f"The key {path} cannot be read: {error.strerror}. Only the account that made it may read it; "
                "use that one."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            sound = False
        if not sound:
            raise KeyFileError(
                f"{path} is damaged: it is not as fieldkit wrote it. Put it back from where the office keeps its copy; "
                "without it the ledger cannot be opened, not even with the recovery key."
            )
        return dict(content)

    def _write(self, path: Path, content: dict[str, Any], key: StoreKey) -> None:
        content = {**content, "format": _FORMAT, "mark": key.mark}
        text = json.dumps({**content, "whole": _digest(content)}, indent=1, sort_keys=True) + "\n"
        key_files.write_private(path, text)

    def _rename(self, old: Path, new: Path) -> None:
        # Both are there for a moment, with the same key in them, rather than none.
        if old.exists():
            key_files.write_private(new, old.read_text(encoding="ascii"))
            remove_file(old)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _locked(key: StoreKey, passphrase: str) -> dict[str, Any]:
    if len(_normal(passphrase)) < SHORTEST:
        raise KeyFileError(
            f"The passphrase is too short. Take {SHORTEST} characters or more; four words that do not belong together "
            "are good."
        )
    salt = new_key()[:16]
    kek = _stretched(passphrase, salt, _OPS, _MEMORY)
    return {
        "salt": salt.hex(),
        "ops": _OPS,
        "memory": _MEMORY,
        "key": lock(kek, key.secret, _ABOUT).hex(),
    }


def _stretched(passphrase: str, salt: bytes, ops: int, memory: int) -> bytes:
    said = _normal(passphrase).encode("utf-8", "surrogatepass")
    try:
        return nacl.pwhash.argon2id.kdf(32, said, salt, opslimit=ops, memlimit=memory)
    except (nacl.exceptions.CryptoError, MemoryError) as error:
        raise KeyFileError(
            f"The passphrase cannot be checked: that takes {memory >> 20} MiB of memory. Close other programs."
        ) from error


def _normal(passphrase: str) -> str:
    """One text for what different keyboards write differently."""
    return unicodedata.normalize("NFKC", passphrase)
