"""Refuse to keep a ledger's file where another program or machine writes into it: synchronised folders and shares.

A synchronising program copies the store and its journal one after the other and puts an older copy back when two
machines differ; on a network share the locks that keep two writers apart do not hold. Both lose what was acknowledged.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from fieldkit.errors import LedgerError

_SYNCHRONISED = (
    "is synchronised by {service}, which copies a ledger in the middle of a write and puts older copies back"
)
_SHARED = "is {service}, where the locks that keep two writers apart do not hold"

#: Names of folders that belong to a service, wherever they are. A folder of one's own is rarely called exactly so.
_NAMES = (
    ("OneDrive", r"(?:OneDrive|SkyDrive)(?: - .+)?"),
    ("SharePoint", r".+ - SharePoint|(?:.+\.)?sharepoint\.com(?:@.+)?"),
    ("Dropbox", r"Dropbox(?: \(.+\))?"),
    ("iCloud", r"com~apple~CloudDocs|iCloud ?Drive(?: \(.+\))?"),
    ("Google Drive", r"Google Drive(?: \(.+\))?|GoogleDrive(?:-.+)?|Google 云端硬盘"),
    ("Nextcloud", r"Nextcloud\d*"),
    ("ownCloud", r"ownCloud\d*"),
    ("Nutstore (坚果云)", r"Nutstore(?: Files)?|(?:我的)?坚果云"),
    ("Baidu Netdisk (百度网盘)", r"BaiduSyncdisk|BaiduNetdiskWorkspace|百度网盘(?:同步空间)?"),
    ("WPS Cloud (WPS云盘)", r"WPS ?云盘|WPS ?云文档|WPSDrive|WPS Cloud Files"),
    ("Weiyun (腾讯微云)", r"(?:腾讯)?微云(?:同步助手|同步盘)?|Weiyun(?:Sync)?"),
    ("Seafile", r"Seafile|SeaDrive"),
    ("MEGA", r"MEGAsync(?: .+)?"),
    ("Yandex Disk", r"Yandex\.?Disk"),
    ("Box", r"Box Sync|Box-Box"),
    ("pCloud", r"pCloud ?Drive"),
)
#: Names that mean a service only directly below the root of a drive.
_BELOW_A_DRIVE = r"My Drive|Shared drives|我的云端硬盘|共享云端硬盘"
#: A SharePoint library below the folder of its company in the home: "Office\Complaints - Documents".
_LIBRARY = r".+ - (?:Shared Documents|Documents|文档|共享文档)"
#: What a service puts into the folder that it synchronises; a mark that ends with "/" is a folder. In a home,
#: ".dropbox" is a folder with Dropbox's settings: the home is not synchronised.
_MARKS = (
    ("Dropbox", ".dropbox"),
    ("Dropbox", ".dropbox.cache/"),
    ("OneDrive or SharePoint", ".849C9593-D756-4E56-8D6E-42412F2A707B"),
    ("Syncthing", ".stfolder/"),
    ("Syncthing", ".stfolder"),
    ("Resilio Sync", ".sync/IgnoreList"),
    ("Nextcloud", ".nextcloudsync.log"),
    ("ownCloud", ".owncloudsync.log"),
)
_ONEDRIVE_VARIABLES = ("OneDrive", "OneDriveCommercial", "OneDriveConsumer")
#: Types of file systems that other machines write to. Those of a virtual machine's or a container's own host (9p,
#: virtiofs, vboxsf, prl_fs) are not among them: every file of such a machine may lie on one, and the host is the same
#: computer. Neither are encrypted folders and foreign disks by FUSE (gocryptfs, encfs, veracrypt, ntfs-3g).
_NETWORK_TYPES = re.compile(
    r"nfs[34]?|cifs|smb[23]?|smbfs|afpfs|afs|ncpfs|ncp|coda|webdav|davfs2?|ceph|lustre|gpfs|beegfs|fhgfs|glusterfs"
    r"|gfs2?|ocfs2|orangefs|pvfs2|ftp"
    r"|(?:mac)?fuse\.(?:sshfs|rclone|glusterfs|ceph|ceph-fuse|davfs2?|gvfsd-fuse|kio-fuse|s3fs|goofys|gcsfuse|blobfuse2?"
    r"|juicefs|JuiceFS|mfs|moosefs|curlftpfs|smbnetfs|google-drive-ocamlfuse|onedriver|seadrive)"
)
_REMOTE_SOURCE = re.compile(r"\w+://|[^/\s]+:/|//[^/]")
_DRIVE_REMOTE = 4


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the table of mounted file systems: *folder*, the *kind* of file system, and what is mounted."""

    folder: str
    kind: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the check asks of a machine; made up in tests, so that every system can be tried on any.

    *system* is ``sys.platform``'s name; *probe* says ``"file"``, ``"folder"`` or ``""`` for a path and *reading* gives
    a file's text; *remote* says whether a Windows drive (``Z:\\``) is a share.
    """

    system: str = sys.platform
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    mounts: tuple[Mount, ...] = ()

    def probe(self, path: str) -> str:
        """Whether a ``"file"``, a ``"folder"`` or nothing (``""``) is at *path*."""
        try:
            here = Path(path)
            return "folder" if here.is_dir() else "file" if here.is_file() else ""
        except (OSError, ValueError):
            return ""

    def reading(self, path: str) -> str:
        """The text of the file at *path*, ``""`` when there is none."""
        try:
            return Path(path).read_text(encoding="utf-8-sig")
        except (OSError, ValueError):
            return ""

    def remote(self, drive: str) -> bool:
        """Whether the Windows drive *drive* (``Z:\\``) is a share of another machine."""
        if sys.platform == "win32":
            import ctypes

            return int(ctypes.WinDLL("kernel32").GetDriveTypeW(ctypes.c_wchar_p(drive))) == _DRIVE_REMOTE
        return False

    def path(self, text: str) -> PurePath:
        """*text* as a path of this machine's system."""
        return PureWindowsPath(text) if self.system == "win32" else PurePosixPath(text)

    @property
    def home(self) -> PurePath | None:
        """The folder of the account, None when the machine does not say."""
        named = self.environment.get("USERPROFILE" if self.system == "win32" else "HOME")
        return self.path(named) if named else None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a ledger cannot be kept somewhere: the *folder*, and *why* in words that follow its name."""

    folder: str
    why: str


def this_machine() -> Machine:
    """The machine that the kit runs on, with its mounts as they are now."""
    return Machine(mounts=tuple(_mounts()))


def check_location(path: Path | str, machine: Machine | None = None) -> None:
    """Raise :class:`LedgerError` when the ledger's file *path* would lie in a synchronised folder or on a share.

    The sentence names the folder, the reason and the way out. Links are followed: neither the path as it is written
    nor the one it leads to may be such a place.
    """
    asked = this_machine() if machine is None else machine
    written = [os.path.abspath(path), os.path.realpath(path)] if machine is None else [str(path)]  # noqa: PTH100
    for one in dict.fromkeys(written):
        if trouble := find_trouble(one, asked):
            raise LedgerError(
                f"The ledger cannot be kept in {trouble.folder}, which {trouble.why}. {_way_out(asked)}"
            )


def find_trouble(path: str, machine: Machine) -> Trouble | None:
    """What speaks against a ledger's file at the absolute *path* on *machine*, None when nothing does."""
    plain = _without_long_prefix(path) if machine.system == "win32" else path
    for look in (_on_share, _on_mount, _under_known_root, _under_name, _under_mark):
        if trouble := look(machine.path(plain), machine):
            return trouble
    return None


def _way_out(machine: Machine) -> str:
    example = ""
    if (
        machine.home is not None
        and find_trouble(str(machine.home / "fieldkit" / "ledger.sqlite"), machine) is None
    ):
        example = f", for example {machine.home / 'fieldkit'}"
    return (
        f"Keep the workspace in a folder on this computer's own disk{example}; put copies into the other place with "
        "`fieldkit backup`; where several people write, use a PostgreSQL server (fieldkit init --ledger postgresql://…)."
    )


def _synchronised(folder: PurePath | str, service: str) -> Trouble:
    return Trouble(str(folder), _SYNCHRONISED.format(service=service))


def _without_long_prefix(path: str) -> str:
    """The path behind Windows' prefix for long paths; ``\\\\?\\UNC\\server`` is a share."""
    if path[:8].upper() == "\\\\?\\UNC\\":
        return "\\\\" + path[8:]
    return path[4:] if path.startswith(("\\\\?\\", "\\\\.\\")) else path


def _on_share(path: PurePath, machine: Machine) -> Trouble | None:
    if machine.system != "win32":
        return None
    if path.drive.startswith("\\\\"):
        return Trouble(path.drive, _SHARED.format(service="a network share"))
    if path.drive and machine.remote(path.drive + "\\"):
        return Trouble(path.drive + "\\", _SHARED.format(service="a network drive"))
    return None


def _on_mount(path: PurePath, machine: Machine) -> Trouble | None:
    above = [mount for mount in machine.mounts if path.is_relative_to(mount.folder)]
    if not above:
        return None
    # The innermost; of two on one folder, the one mounted last.
    mount = max(reversed(above), key=lambda one: len(machine.path(one.folder).parts))
    fuse = mount.kind.startswith(("fuse", "macfuse", "osxfuse"))
    if _NETWORK_TYPES.fullmatch(mount.kind) or (fuse and _REMOTE_SOURCE.match(mount.source)):
        return Trouble(mount.folder, _SHARED.format(service=f"a network file system ({mount.kind})"))
    if fuse and mount.source.startswith("/"):
        # An encrypted view of a folder that a service may synchronise all the same.
        cipher = machine.path(mount.source) / "x"
        return (
            _under_known_root(cipher, machine) or _under_name(cipher, machine) or _under_mark(cipher, machine)
        )
    return None


def _under_known_root(path: PurePath, machine: Machine) -> Trouble | None:
    for folder, service in _known_roots(machine):
        root = machine.path(folder)
        if root.is_absolute() and len(root.parts) > 1 and _is_under(path, root, machine):
            return _synchronised(root, service)
    return None


def _known_roots(machine: Machine) -> Iterator[tuple[str, str]]:
    """The folders that services say they synchronise, with their names."""
    for variable in _ONEDRIVE_VARIABLES:
        # On Windows the environment knows no capitals.
        for name in (variable, variable.upper()):
            if folder := machine.environment.get(name):
                yield folder, "OneDrive"
    home = machine.home
    settings = [machine.environment.get("APPDATA"), machine.environment.get("LOCALAPPDATA")]
    places = [machine.path(folder) / "Dropbox" for folder in settings if folder]
    for place in [*places, *([home / ".dropbox"] if home else [])]:
        yield from (
            (folder, "Dropbox") for folder in _dropbox_folders(machine.reading(str(place / "info.json")))
        )
    if machine.system == "darwin" and home is not None:
        # With "Desktop & Documents Folders" on, iCloud shows both among its own.
        cloud = home / "Library" / "Mobile Documents" / "com~apple~CloudDocs"
        for name in ("Desktop", "Documents"):
            if machine.probe(str(cloud / name)):
                yield str(home / name), "iCloud"


def _dropbox_folders(text: str) -> list[str]:
    try:
        accounts = json.loads(text) if text else {}
    except ValueError:
        return []
    found = accounts.values() if isinstance(accounts, dict) else ()
    return [one["path"] for one in found if isinstance(one, dict) and isinstance(one.get("path"), str)]


def _is_under(path: PurePath, root: PurePath, machine: Machine) -> bool:
    if machine.system == "darwin":  # its file systems take capitals and small letters for the same
        return PurePosixPath(str(path).lower()).is_relative_to(str(root).lower())
    return path.is_relative_to(root)


def _under_name(path: PurePath, machine: Machine) -> Trouble | None:
    # Where capitals matter, a folder "dropbox" for files that are handed in is not the service's. And there OneDrive
    # has no program that would lay out SharePoint's libraries.
    flags = re.IGNORECASE if machine.system in ("win32", "darwin") else re.NOFLAG
    folders = list(reversed(path.parents))[1:] if path.is_absolute() else list(reversed(path.parents))
    for number, folder in enumerate(folders):
        name = folder.name
        for service, pattern in _NAMES:
            if re.fullmatch(pattern, name, flags):
                return _synchronised(folder, service)
        if folder.parent.name == "CloudStorage" and folder.parent.parent.name == "Library":
            return _synchronised(folder, f"the cloud service {name.partition('-')[0]}")
        if name == "Mobile Documents" and folder.parent.name == "Library":
            return _synchronised(folder, "iCloud")
        if number == 0 and machine.system == "win32" and re.fullmatch(_BELOW_A_DRIVE, name, flags):
            return _synchronised(folder, "Google Drive")
        if flags and folder.parent.parent == machine.home and re.fullmatch(_LIBRARY, name, flags):
            return _synchronised(folder, "SharePoint")
    return None


def _under_mark(path: PurePath, machine: Machine) -> Trouble | None:
    for folder in path.parents:
        for service, mark in _MARKS:
            wanted = "folder" if mark.endswith("/") else "file"
            if machine.probe(str(folder / mark.rstrip("/"))) == wanted:
                return _synchronised(folder, service)
    return None


def _mounts() -> Iterator[Mount]:
    if sys.platform == "win32":
        return
    if sys.platform == "darwin":
        import subprocess

        try:
            done = subprocess.run(["/sbin/mount"], capture_output=True, timeout=5, check=False)
        except (OSError, subprocess.SubprocessError):
            return
        yield from mounts_of_macos(os.fsdecode(done.stdout))
        return
    try:
        text = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return
    yield from mounts_of_linux(text)


def mounts_of_linux(text: str) -> Iterator[Mount]:
    """The mounts in the *text* of ``/proc/self/mountinfo``."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) >= 5 and len(kinds) >= 2:
            yield Mount(_unescaped(fields[4]), kinds[0], _unescaped(kinds[1]))


def mounts_of_macos(text: str) -> Iterator[Mount]:
    """The mounts in what ``mount`` prints on macOS: ``SOURCE on FOLDER (KIND, …)``."""
    for line in text.splitlines():
        if found := re.fullmatch(r"(.+?) on (/.*) \((\w+)[,)].*", line):
            yield Mount(found[2], found[3], found[1])


def _unescaped(text: str) -> str:
    """Undo the kernel's ``\\040`` for a space."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
