"""The keys of a workspace: what signs, what opens who complained, what opens an encrypted ledger, what recovers all.

They lie in the folder ``keys`` of the workspace, each in a file that only its owner may read, and in no database,
event, notebook or log. All of it is libsodium's (PyNaCl): Ed25519 signatures, X25519 sealed boxes, XChaCha20-Poly1305,
Argon2id.
"""

from __future__ import annotations

from fieldkit.keys.device import Keys, is_signed
from fieldkit.keys.disk import Disk, disk_of
from fieldkit.keys.recovery import RecoveryKey
from fieldkit.keys.session import IDLE_HOURS
from fieldkit.keys.store import StoreKey, StoreLock
from fieldkit.keys.vault import VaultKey, lock, new_key, seal, unlock

FOLDER = "keys"

__all__ = [
    "FOLDER",
    "IDLE_HOURS",
    "Disk",
    "Keys",
    "RecoveryKey",
    "StoreKey",
    "StoreLock",
    "VaultKey",
    "disk_of",
    "is_signed",
    "lock",
    "new_key",
    "seal",
    "unlock",
]
