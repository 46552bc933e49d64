"""Whether the disk under a folder is known to be encrypted: swap and temporary files are no encrypted ledger's."""

from __future__ import annotations

import enum
import subprocess
import sys
from pathlib import Path

from fieldkit.keys.session import mounted_on


class Disk(enum.Enum):
    """What is known of a disk."""

    ENCRYPTED = "encrypted"
    PLAIN = "not known to be encrypted"
    UNKNOWN = "unknown"


def disk_of(folder: Path) -> Disk:
    """What is known of the disk that holds *folder*: by Linux's device mapper and macOS's FileVault, else unknown."""
    if sys.platform == "darwin":
        return _file_vault()
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return Disk.UNKNOWN
    return by_device_mapper(folder, mounts, Path("/sys/class/block"))


def by_device_mapper(folder: Path, mounts: str, blocks: Path) -> Disk:
    """Follow the device that holds *folder* down to one that Linux's dm-crypt made (LUKS among others), if any."""
    device, _ = mounted_on(folder, mounts)
    if not device.startswith("/dev/"):
        return Disk.UNKNOWN  # a network's, a container's, ZFS's
    todo = [blocks / Path(device).resolve().name]
    if not todo[0].exists():
        return Disk.UNKNOWN
    # An encrypted device may lie under volumes and arrays; each lists what it is made of.
    for block in todo:
        name = block / "dm" / "uuid"
        if name.is_file() and name.read_text(encoding="ascii", errors="replace").startswith("CRYPT-"):
            return Disk.ENCRYPTED
        slaves = block / "slaves"
        if slaves.is_dir():
            todo += [blocks / slave.name for slave in sorted(slaves.iterdir())]
    return Disk.PLAIN


def _file_vault() -> Disk:
    try:
        asked = subprocess.run(
            ["/usr/bin/fdesetup", "status"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return Disk.UNKNOWN
    if "FileVault is On" in asked.stdout:
        return Disk.ENCRYPTED
    return Disk.PLAIN if "FileVault is Off" in asked.stdout else Disk.UNKNOWN
