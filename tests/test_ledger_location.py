"""A ledger in a synchronised folder or on a share is refused, on every system, with the way out; others are not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from fieldkit.cli import cli
from fieldkit.errors import LedgerError
from fieldkit.ledger import Ledger, location
from fieldkit.ledger.location import Machine, Mount, check_location, mounts_of_linux, mounts_of_macos
from fieldkit.settings import FILE_NAME
from fieldkit.workspace import init_workspace

#: Apart, for no test may name a folder of one machine.
USERS, HOME = "/Users", "/home"
HOMES = {
    "win32": {"USERPROFILE": "C:\\Users\\li", "APPDATA": "C:\\Users\\li\\AppData\\Roaming"},
    "darwin": {"HOME": f"{USERS}/li"},
    "linux": {"HOME": f"{HOME}/li"},
}
WINDOWS, MAC, LINUX = (home.get("USERPROFILE", home.get("HOME", "")) for home in HOMES.values())


@dataclass(frozen=True, slots=True)
class Imagined(Machine):
    """A machine with *present* on it: marks (a folder's ends with a separator), and files with their text."""

    present: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    remote_drives: tuple[str, ...] = ()

    def probe(self, path: str) -> str:
        if path in self.present:
            return "file"
        return "folder" if any(one.rstrip("/\\") == path for one in self.present) else ""

    def reading(self, path: str) -> str:
        return self.texts.get(path, "")

    def remote(self, drive: str) -> bool:
        return drive in self.remote_drives


def imagined(
    system: str,
    *mounts: Mount,
    environment: Mapping[str, str] | None = None,
    present: tuple[str, ...] = (),
    texts: Mapping[str, str] | None = None,
    remote: tuple[str, ...] = (),
) -> Imagined:
    root = (Mount("/", "ext4", "/dev/sda1"),) if system == "linux" else ()
    surroundings = HOMES[system] | dict(environment or {})
    return Imagined(system, surroundings, (*root, *mounts), present, texts or {}, remote)


def dropbox_settings(path: str) -> str:
    return json.dumps({"personal": {"path": path, "host": 1}, "business": {"path": 7}, "odd": None})


#: What the machine is like, where the ledger would be, the folder that is named, and what it is said to be.
REFUSED: dict[str, tuple[Machine, str, str, str]] = {
    "OneDrive by its variable, under another name": (
        imagined("win32", environment={"OneDriveConsumer": "D:\\Cloud"}),
        "d:\\cloud\\office\\ledger.sqlite",
        "D:\\Cloud",
        "OneDrive",
    ),
    "OneDrive of a company, Documents led there": (
        imagined("win32"),
        f"{WINDOWS}\\OneDrive - Office\\Documents\\x\\ledger.sqlite",
        f"{WINDOWS}\\OneDrive - Office",
        "OneDrive",
    ),
    "OneDrive seen from Linux beside Windows": (
        imagined("linux", Mount("/mnt/c", "9p", "C:\\")),
        "/mnt/c/people/li/OneDrive/x/ledger.sqlite",
        "/mnt/c/people/li/OneDrive",
        "OneDrive",
    ),
    "OneDrive behind the prefix of long paths": (
        imagined("win32"),
        f"\\\\?\\{WINDOWS}\\OneDrive\\ledger.sqlite",
        f"{WINDOWS}\\OneDrive",
        "OneDrive",
    ),
    "a SharePoint library beside the home's folders": (
        imagined("win32"),
        f"{WINDOWS}\\Office\\Complaints - Documents\\2017\\ledger.sqlite",
        f"{WINDOWS}\\Office\\Complaints - Documents",
        "SharePoint",
    ),
    "a SharePoint library by OneDrive's mark": (
        imagined("win32", present=("D:\\Office\\.849C9593-D756-4E56-8D6E-42412F2A707B",)),
        "D:\\Office\\Lib\\ledger.sqlite",
        "D:\\Office",
        "OneDrive or SharePoint",
    ),
    "SharePoint as a drive of the web": (
        imagined("win32"),
        "\\\\office.sharepoint.com@SSL\\DavWWWRoot\\lib\\ledger.sqlite",
        "\\\\office.sharepoint.com@SSL\\DavWWWRoot",
        "network share",
    ),
    "Dropbox by its settings": (
        imagined("linux", texts={f"{LINUX}/.dropbox/info.json": dropbox_settings("/data/db")}),
        "/data/db/office/ledger.sqlite",
        "/data/db",
        "Dropbox",
    ),
    "Dropbox by its settings on Windows": (
        imagined(
            "win32",
            texts={f"{WINDOWS}\\AppData\\Roaming\\Dropbox\\info.json": dropbox_settings("E:\\Team Dropbox")},
        ),
        "E:\\Team Dropbox\\ledger.sqlite",
        "E:\\Team Dropbox",
        "Dropbox",
    ),
    "Dropbox by its name": (
        imagined("linux"),
        f"{LINUX}/Dropbox (Office)/ledger.sqlite",
        f"{LINUX}/Dropbox (Office)",
        "Dropbox",
    ),
    "Dropbox by its mark": (
        imagined("linux", present=("/data/team/.dropbox",)),
        "/data/team/x/ledger.sqlite",
        "/data/team",
        "Dropbox",
    ),
    "iCloud Drive": (
        imagined("darwin"),
        f"{MAC}/Library/Mobile Documents/com~apple~CloudDocs/x/ledger.sqlite",
        f"{MAC}/Library/Mobile Documents",
        "iCloud",
    ),
    "iCloud with the desk in it": (
        imagined("darwin", present=(f"{MAC}/Library/Mobile Documents/com~apple~CloudDocs/Documents/",)),
        f"{MAC}/documents/x/ledger.sqlite",
        f"{MAC}/Documents",
        "iCloud",
    ),
    "iCloud on Windows": (
        imagined("win32"),
        f"{WINDOWS}\\iCloudDrive\\ledger.sqlite",
        f"{WINDOWS}\\iCloudDrive",
        "iCloud",
    ),
    "a cloud of macOS's own place for clouds": (
        imagined("darwin"),
        f"{MAC}/Library/CloudStorage/Box-Box/ledger.sqlite",
        f"{MAC}/Library/CloudStorage/Box-Box",
        "Box",
    ),
    "Google Drive as a drive": (
        imagined("win32"),
        "G:\\我的云端硬盘\\x\\ledger.sqlite",
        "G:\\我的云端硬盘",
        "Google Drive",
    ),
    "Nextcloud": (imagined("linux"), f"{LINUX}/Nextcloud/ledger.sqlite", f"{LINUX}/Nextcloud", "Nextcloud"),
    "Nutstore": (imagined("win32"), "D:\\我的坚果云\\x\\ledger.sqlite", "D:\\我的坚果云", "坚果云"),
    "Baidu": (imagined("win32"), "D:\\BaiduSyncdisk\\ledger.sqlite", "D:\\BaiduSyncdisk", "百度网盘"),
    "WPS": (imagined("win32"), "D:\\WPS云盘\\ledger.sqlite", "D:\\WPS云盘", "WPS云盘"),
    "Weiyun": (imagined("win32"), "D:\\腾讯微云\\x\\ledger.sqlite", "D:\\腾讯微云", "微云"),
    "Syncthing by its mark": (
        imagined("linux", present=("/data/sync/.stfolder/",)),
        "/data/sync/a/b/ledger.sqlite",
        "/data/sync",
        "Syncthing",
    ),
    "a share by its name": (
        imagined("win32"),
        "\\\\server\\office\\ledger.sqlite",
        "\\\\server\\office",
        "network share",
    ),
    "a share behind the prefix of long paths": (
        imagined("win32"),
        "\\\\?\\UNC\\server\\office\\ledger.sqlite",
        "\\\\server\\office",
        "network share",
    ),
    "a share as a drive": (
        imagined("win32", remote=("Z:\\",)),
        "Z:\\office\\ledger.sqlite",
        "Z:\\",
        "network drive",
    ),
    "NFS": (
        imagined("linux", Mount("/srv/nfs", "nfs4", "server:/x")),
        "/srv/nfs/ledger.sqlite",
        "/srv/nfs",
        "nfs4",
    ),
    "SMB on Linux": (
        imagined("linux", Mount("/mnt/my share", "cifs", "//s/x")),
        "/mnt/my share/l.sqlite",
        "/mnt/my share",
        "cifs",
    ),
    "SMB on macOS": (
        imagined("darwin", Mount("/Volumes/share", "smbfs")),
        "/Volumes/share/l",
        "/Volumes/share",
        "smbfs",
    ),
    "SSH": (
        imagined("linux", Mount("/mnt/s", "fuse.sshfs", "li@server:/x")),
        "/mnt/s/l.sqlite",
        "/mnt/s",
        "fuse.sshfs",
    ),
    "WebDAV": (
        imagined("linux", Mount("/mnt/d", "fuse", "https://server.example/dav")),
        "/mnt/d/l.sqlite",
        "/mnt/d",
        "network file system (fuse)",
    ),
    "an encrypted view of a synchronised folder": (
        imagined("linux", Mount(f"{LINUX}/vault", "fuse.gocryptfs", f"{LINUX}/Dropbox/vault")),
        f"{LINUX}/vault/ledger.sqlite",
        f"{LINUX}/Dropbox",
        "Dropbox",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_folder_the_reason_and_the_way_out(name: str) -> None:
    machine, path, folder, service = REFUSED[name]
    with pytest.raises(LedgerError) as refused:
        check_location(path, machine)
    text = str(refused.value)
    assert text.startswith(f"The ledger cannot be kept in {folder}, which is ")
    assert service in text
    assert "\n" not in text
    example = machine.path(WINDOWS if machine.system == "win32" else str(machine.home)) / "fieldkit"
    for way in (
        f"on this computer's own disk, for example {example}",
        "`fieldkit backup`",
        "PostgreSQL server",
    ):
        assert way in text


#: Ordinary places, on which nothing may be said.
FINE: dict[str, tuple[Machine, str]] = {
    "a home on Linux": (imagined("linux"), f"{LINUX}/office/ledger.sqlite"),
    "a home on Windows": (imagined("win32"), f"{WINDOWS}\\fieldkit\\ledger.sqlite"),
    "another drive": (imagined("win32"), "D:\\环保局\\2017 - Documents\\ledger.sqlite"),
    "OneDrive elsewhere": (
        imagined("win32", environment={"OneDrive": f"{WINDOWS}\\OneDrive"}),
        f"{WINDOWS}\\OneDriveBackup\\ledger.sqlite",
    ),
    "a variable that says nothing": (imagined("win32", environment={"OneDrive": ""}), "C:\\x\\l.sqlite"),
    "a variable that says everything": (
        imagined("win32", environment={"OneDrive": "C:\\"}),
        "C:\\x\\l.sqlite",
    ),
    "notes about Dropbox": (imagined("linux"), f"{LINUX}/my-dropbox-notes/l.sqlite"),
    "a drop box for files": (imagined("linux"), "/srv/dropbox/l.sqlite"),
    # A home holds Dropbox's settings in a folder of the name that its mark has.
    "a home with Dropbox's settings": (
        imagined("linux", present=(f"{LINUX}/.dropbox/",), texts={f"{LINUX}/.dropbox/info.json": "{]"}),
        f"{LINUX}/office/l.sqlite",
    ),
    "Documents that iCloud does not have": (imagined("darwin"), f"{MAC}/Documents/l.sqlite"),
    "a folder called My Drive": (imagined("win32"), "D:\\x\\My Drive\\l.sqlite"),
    "a folder of papers": (imagined("linux"), f"{LINUX}/office/2017 - Documents/l.sqlite"),
    "an encrypted folder": (
        imagined("linux", Mount(f"{LINUX}/vault", "fuse.gocryptfs", f"{LINUX}/.vault")),
        f"{LINUX}/vault/l.sqlite",
    ),
    "another encrypted folder": (
        imagined("linux", Mount(f"{LINUX}/vault", "fuse.encfs", "encfs")),
        f"{LINUX}/vault/l.sqlite",
    ),
    "an encrypted disk": (imagined("linux", Mount("/media/v", "fuse.veracrypt", "veracrypt")), "/media/v/l"),
    "a foreign disk": (imagined("linux", Mount("/media/d", "fuseblk", "/dev/sdb1")), "/media/d/l.sqlite"),
    "a container's own root": (imagined("linux", Mount("/", "overlay", "overlay")), "/data/l.sqlite"),
    "a container's folder of its host": (
        imagined("linux", Mount("/data", "virtiofs", "x")),
        "/data/l.sqlite",
    ),
    "a machine in a machine": (imagined("linux", Mount("/", "9p", "none")), "/data/l.sqlite"),
    "beside a share": (imagined("linux", Mount("/srv/nfs", "nfs4", "s:/x")), "/srv/nfs-local/l.sqlite"),
    "a disk within a share": (
        imagined("linux", Mount("/srv", "nfs4", "s:/x"), Mount("/srv/disk", "xfs", "/dev/sdb1")),
        "/srv/disk/l.sqlite",
    ),
    "a disk mounted over a share": (
        imagined("linux", Mount("/srv", "nfs4", "s:/x"), Mount("/srv", "xfs", "/dev/sdb1")),
        "/srv/l.sqlite",
    ),
    "a drive of this computer": (imagined("win32", remote=("Z:\\",)), "Y:\\office\\l.sqlite"),
    "a long path of this computer": (imagined("win32"), f"\\\\?\\{WINDOWS}\\work\\l.sqlite"),
}


@pytest.mark.parametrize("name", FINE)
def test_an_ordinary_place_is_fine(name: str) -> None:
    machine, path = FINE[name]
    check_location(path, machine)


#: A folder of every service by which it is known wherever it lies, and one that only looks like it.
NAMES = {
    "OneDrive": ("OneDrive - 利州区", "OneDrives"),
    "SharePoint": ("Office - SharePoint", "SharePoint notes"),
    "Dropbox": ("Dropbox (Personal)", "Dropbox-export"),
    "iCloud": ("iCloudDrive", "iCloud notes"),
    "Google Drive": ("GoogleDrive-li@office.example", "Google Driver"),
    "Nextcloud": ("Nextcloud2", "Nextcloud-theme"),
    "ownCloud": ("ownCloud", "own cloud"),
    "Nutstore (坚果云)": ("Nutstore Files", "坚果"),
    "Baidu Netdisk (百度网盘)": ("百度网盘同步空间", "BaiduNetdiskDownload"),
    "WPS Cloud (WPS云盘)": ("WPS云文档", "WPS Office"),
    "Weiyun (腾讯微云)": ("微云同步助手", "微云山"),
    "Seafile": ("Seafile", "seafile-client"),
    "MEGA": ("MEGAsync", "MEGA"),
    "Yandex Disk": ("Yandex.Disk", "Yandex"),
    "Box": ("Box Sync", "Box"),
    "pCloud": ("pCloudDrive", "Cloud"),
}


@pytest.mark.parametrize(("service", "pattern"), location._NAMES)
def test_every_service_is_known_by_its_folder_and_only_by_it(service: str, pattern: str) -> None:
    named, similar = NAMES[service]
    with pytest.raises(LedgerError, match=f"synchronised by {re.escape(service)}, "):
        check_location(f"/data/{named}/office/ledger.sqlite", imagined("linux"))
    check_location(f"/data/{similar}/office/ledger.sqlite", imagined("linux"))
    # A file's own name is none of a folder.
    check_location(f"/data/{named}", imagined("linux"))


@pytest.mark.parametrize(("service", "mark"), location._MARKS)
def test_every_mark_is_seen_in_every_folder_above_and_only_as_what_it_is(service: str, mark: str) -> None:
    other = mark.rstrip("/") if mark.endswith("/") else f"{mark}/"
    with pytest.raises(LedgerError, match=f"kept in /data/x, which is synchronised by {service}, "):
        check_location("/data/x/office/ledger.sqlite", imagined("linux", present=(f"/data/x/{mark}",)))
    check_location("/data/y/office/ledger.sqlite", imagined("linux", present=(f"/data/x/{mark}",)))
    if (service, other) not in location._MARKS:
        check_location("/data/x/office/ledger.sqlite", imagined("linux", present=(f"/data/x/{other}",)))


def test_where_the_home_is_a_share_no_folder_of_it_is_the_example() -> None:
    machine = imagined("linux", Mount(HOME, "nfs", "server:/home"))
    with pytest.raises(LedgerError, match="on this computer's own disk; put copies"):
        check_location(f"{LINUX}/office/ledger.sqlite", machine)


def test_the_tables_of_mounts_are_read() -> None:
    linux = (
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
        "40 22 0:35 / /mnt/my\\040share rw,relatime shared:2 master:1 - cifs //server/a\\040b rw\n"
        "no line\n"
    )
    assert list(mounts_of_linux(linux)) == [
        Mount("/", "ext4", "/dev/vda1"),
        Mount("/mnt/my share", "cifs", "//server/a b"),
    ]
    macos = (
        "/dev/disk3s1 on / (apfs, sealed, local, read-only)\n"
        "//li@server/office on /Volumes/my (old) share (smbfs, nodev, nosuid)\n"
    )
    assert list(mounts_of_macos(macos)) == [
        Mount("/", "apfs", "/dev/disk3s1"),
        Mount("/Volumes/my (old) share", "smbfs", "//li@server/office"),
    ]


# Through to the ledger and the command line, with folders that are there.


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def marked(folder: Path, mark: str) -> Path:
    folder.mkdir(parents=True)
    (folder / mark).mkdir() if mark.endswith("/") else (folder / mark).write_bytes(b"")
    return folder


REAL = {
    "OneDrive": lambda root: root / "OneDrive" / "office",
    "OneDrive of a company": lambda root: root / "OneDrive - Office" / "Documents",
    "Dropbox": lambda root: root / "Dropbox",
    "Dropbox by its mark": lambda root: marked(root / "team", ".dropbox.cache/"),
    "iCloud": lambda root: root / "Library" / "Mobile Documents" / "com~apple~CloudDocs",
    "CloudStorage": lambda root: root / "Library" / "CloudStorage" / "OneDrive-Office",
    "Google Drive": lambda root: root / "Google Drive",
    "SharePoint": lambda root: root / "Complaints - SharePoint",
    "Nextcloud": lambda root: root / "Nextcloud",
    "ownCloud by its mark": lambda root: marked(root / "cloud", ".owncloudsync.log"),
    "Nutstore": lambda root: root / "我的坚果云",
    "Baidu": lambda root: root / "BaiduSyncdisk",
    "WPS": lambda root: root / "WPS云盘",
    "Syncthing": lambda root: marked(root / "sync", ".stfolder/") / "office",
}


@pytest.mark.parametrize("name", REAL)
def test_a_ledger_there_is_not_opened_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    folder = REAL[name](tmp_path)
    before = tree(tmp_path)
    with pytest.raises(LedgerError, match="cannot be kept in"):
        Ledger(f"sqlite:///{folder / 'new' / 'ledger.sqlite'}", origin="a").count()
    with pytest.raises(LedgerError, match="cannot be kept in"):
        init_workspace(folder)
    assert tree(tmp_path) == before


def test_a_link_into_such_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "Dropbox").mkdir()
    (tmp_path / "work").symlink_to(tmp_path / "Dropbox", target_is_directory=True)
    (tmp_path / "OneDrive").symlink_to(tmp_path / "work", target_is_directory=True)
    for name, service in (("work", "Dropbox"), ("OneDrive", "OneDrive")):
        with pytest.raises(LedgerError, match=f"synchronised by {service}"):
            init_workspace(tmp_path / name)
    assert tree(tmp_path / "Dropbox") == {}


def test_a_share_is_refused_by_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location, "_mounts", lambda: iter([Mount(str(tmp_path), "nfs4", "server:/x")]))
    with pytest.raises(LedgerError, match="network file system"):
        init_workspace(tmp_path / "office")
    assert tree(tmp_path) == {}


def test_memory_and_a_server_can_be_used_from_such_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Dropbox").mkdir()
    monkeypatch.chdir(tmp_path / "Dropbox")
    memory = Ledger("sqlite:///:memory:", origin="a")
    assert memory.count()["events"] == 0
    memory.close()
    with pytest.raises(
        LedgerError, match="cannot be opened"
    ):  # it went on to ask the server, which is not there
        init_workspace(".", ledger="postgresql://office@127.0.0.1:1/x")


def test_a_ledger_kept_elsewhere_is_none_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDKIT_LEDGER", f"sqlite:///{tmp_path / 'local' / 'ledger.sqlite'}")
    ws = init_workspace(tmp_path / "Dropbox")
    ws.ledger.close()
    assert (tmp_path / "local" / "ledger.sqlite").is_file()
    monkeypatch.setenv("FIELDKIT_LEDGER", f"sqlite:///{tmp_path / 'Dropbox' / 'ledger.sqlite'}")
    with pytest.raises(LedgerError, match="Dropbox"):
        init_workspace(tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_the_command_says_it_in_one_line_and_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "OneDrive" / "office"
    folder.mkdir(parents=True)
    (folder / "letter.txt").write_bytes(b"here before")
    before = tree(tmp_path)
    result = CliRunner().invoke(cli, ["init", str(folder)])
    assert result.exit_code == 2
    assert result.output.startswith(
        f"fieldkit: The ledger cannot be kept in {tmp_path / 'OneDrive'}, which is"
    )
    assert result.output.count("\n") == 1
    assert "OneDrive" in result.output
    assert tree(tmp_path) == before


def test_a_workspace_that_was_moved_there_is_refused_too(tmp_path: Path) -> None:
    init_workspace(tmp_path / "work").ledger.close()
    moved = tmp_path / "Dropbox" / "work"
    moved.parent.mkdir()
    (tmp_path / "work").rename(moved)
    before = tree(tmp_path)
    result = CliRunner().invoke(cli, ["cases", "-w", str(moved)])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert (moved / FILE_NAME).is_file()
    assert tree(tmp_path) == before
