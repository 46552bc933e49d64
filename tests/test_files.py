"""Files are written whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from fieldkit import files

HOSTILE_NAMES = [
    "{{7*7}}.html",
    "$x$ #strong[x].pdf",
    "=1+1.csv",
    "利州区 噪声 📢.html",
    "مرحبا.txt",
    "-rf.txt",
]


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a.bin", b"\x00\r\n\xff")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\r\n\xff"


def test_text_keeps_its_line_ends_and_is_utf8(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "噪声\r\nnoise\n")
    assert (tmp_path / "a.txt").read_bytes() == "噪声\r\nnoise\n".encode()


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    files.write_text(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    files.write_text(tmp_path / "records" / "A1" / "record.html", "x")
    assert (tmp_path / "records" / "A1" / "record.html").read_text() == "x"


def test_a_second_write_replaces_the_first_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "a longer text than the second")
    files.write_text(tmp_path / "a.txt", "short")
    assert (tmp_path / "a.txt").read_text() == "short"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "old")

    def write_half() -> None:
        with files.replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half of the n")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_writer_that_writes_nothing_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").read_text() == "old"


def test_writers_that_choose_by_suffix_get_the_same_suffix_in_the_same_file_system(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "map.gpkg") as temporary:
        assert temporary.suffix == ".gpkg"
        assert temporary.parent.stat().st_dev == tmp_path.stat().st_dev
        temporary.write_bytes(b"x")


def test_a_new_file_can_be_read_by_those_who_could_read_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("x")
    files.write_text(tmp_path / "ours.txt", "x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain.txt", "ours.txt")]
    assert modes[0] == modes[1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    program = textwrap.dedent(
        f"""
        import os, pathlib, signal
        from fieldkit import files
        with files.replacing(pathlib.Path({str(target)!r})) as temporary:
            temporary.write_text("half of the n")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -9
    assert target.read_text() == "old"
    (left,) = (path for path in tmp_path.iterdir() if path != target)
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    assert files.sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == [target]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


unix = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")


@unix
def test_a_secret_file_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    write = os.write

    def watched(handle: int, data: Any) -> int:
        seen.append((stat.S_IMODE(os.fstat(handle).st_mode), *map(mode_of, tmp_path.glob(".fieldkit-*"))))
        return write(handle, data)

    monkeypatch.setattr(os, "write", watched)
    files.write_text(tmp_path / "key", "x", mode=0o600)
    assert seen == [(0o600, 0o700)]
    assert mode_of(tmp_path / "key") == 0o600


@unix
def test_a_writer_of_its_own_makes_a_secret_file_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("open to all")
    with files.replacing(tmp_path / "key", mode=0o600) as temporary:
        temporary.write_text("x")
        assert mode_of(temporary.parent) == 0o700
    assert mode_of(tmp_path / "key") == 0o600


@unix
def test_a_file_that_was_closed_to_others_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "x")
    path.chmod(0o640)
    files.write_text(path, "y")
    assert (mode_of(path), path.read_text()) == (0o640, "y")


@pytest.mark.parametrize("leads", ["real.txt", "nowhere.txt", "link.txt"])
def test_a_link_is_not_written_through(tmp_path: Path, leads: str) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / leads)
    with pytest.raises(OSError, match="it is a link") as refused:
        files.write_text(tmp_path / "link.txt", "new")
    assert refused.value.filename == str(tmp_path / "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.txt", "real.txt"]


def test_a_link_on_the_way_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "records").symlink_to(tmp_path / "disk", target_is_directory=True)
    files.write_text(tmp_path / "records" / "a.txt", "x")
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["a.txt"]


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError, match="no file"):
        files.write_text(tmp_path / "a", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@unix
def test_a_device_is_not_written_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no file"):
        files.write_text(tmp_path / "pipe", "x")
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_cannot_be_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        files.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a").read_text() == "x"


def test_every_new_folder_is_synced_into_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    files.make_folder(tmp_path / "a" / "b" / "c")
    files.make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert (tmp_path / "a" / "b" / "c").is_dir()


@unix
@pytest.mark.parametrize(("code", "raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_without_sync_of_folders_will_do_a_broken_one_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, raised: bool
) -> None:
    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    if raised:
        with pytest.raises(OSError, match=os.strerror(code)):
            files.write_text(tmp_path / "a.txt", "x")
    else:
        files.write_text(tmp_path / "a.txt", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@unix
@pytest.mark.parametrize("known", [True, False])
def test_on_a_mac_the_drive_itself_is_asked_to_sync(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    import fcntl

    asked: list[tuple[str, int]] = []

    def full(handle: int, what: int) -> None:
        asked.append(("full", handle + what))
        if not known:
            raise OSError(errno.ENOTSUP, "not here")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda handle: asked.append(("plain", handle)))
    files._sync(7)
    assert asked == ([("full", 58)] if known else [("full", 58), ("plain", 7)])


@pytest.mark.parametrize("times", [0, 3, len(files._PATIENCE), None])
def test_on_windows_a_file_that_is_held_is_tried_for_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int | None
) -> None:
    files.write_text(tmp_path / "a.txt", "old")
    slept: list[float] = []

    def held(source: Path, target: Path) -> None:
        if times is None or len(slept) < times:
            raise PermissionError(errno.EACCES, "Access is denied")
        source.replace(target)

    monkeypatch.setattr(files, "_WINDOWS", True)
    monkeypatch.setattr(files, "_replace", held)
    monkeypatch.setattr(time, "sleep", slept.append)
    if times is None:
        with pytest.raises(PermissionError, match="another program holds the file open") as refused:
            files.write_text(tmp_path / "a.txt", "new")
        assert refused.value.filename == str(tmp_path / "a.txt")
        assert 1.5 < sum(slept) < 2.5
    else:
        files.write_text(tmp_path / "a.txt", "new")
        assert len(slept) == times
    assert (tmp_path / "a.txt").read_text() == ("old" if times is None else "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@unix
def test_elsewhere_no_permission_is_no_reason_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files, "_replace", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(PermissionError, match="Permission denied"):
        files.write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == []


class Kernel:
    """What the kit asks of Windows, with the answers given."""

    def __init__(self, *, moved: bool = True, opened: int = 4, code: int = 259) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.code = code

        def move(*arguments: Any) -> bool:
            self.asked.append(arguments)
            return moved

        def opening(*arguments: Any) -> int:
            self.asked.append(arguments)
            return opened

        self.MoveFileExW = move
        self.OpenProcess = opening

    def GetExitCodeProcess(self, _handle: Any, code: Any) -> bool:  # noqa: N802 - Windows' name
        code._obj.value = self.code
        return True

    def CloseHandle(self, handle: Any) -> None:  # noqa: N802 - Windows' name
        self.asked.append(("close", handle.value))


def on_windows(monkeypatch: pytest.MonkeyPatch, kernel: Kernel, error: int = 0) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_, **__: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: error, raising=False)
    monkeypatch.setattr(
        ctypes, "WinError", lambda code: PermissionError(errno.EACCES, f"error {code}"), raising=False
    )


def test_windows_is_asked_to_write_the_new_name_through(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    on_windows(monkeypatch, kernel)
    files._replace(Path("new"), Path("old"))
    assert kernel.asked == [("new", "old", 0x9)]
    on_windows(monkeypatch, Kernel(moved=False), error=32)
    with pytest.raises(PermissionError, match="error 32"):
        files._replace(Path("new"), Path("old"))


@pytest.mark.parametrize(
    ("kernel", "error", "alive"),
    [
        (Kernel(), 0, True),
        (Kernel(code=1), 0, False),
        (Kernel(opened=0), 5, True),
        (Kernel(opened=0), 87, False),
    ],
)
def test_windows_is_asked_whether_a_process_lives_and_never_to_end_it(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, error: int, alive: bool
) -> None:
    on_windows(monkeypatch, kernel, error)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("os.kill() ends a process there"))
    assert files._is_alive(4711) is alive


def leftover(folder: Path, *, machine: str | None = None, process: int = 1, hours: float = 0) -> Path:
    path = folder / f".fieldkit-{machine or files._machine()}-{process}-0a1b2c3d"
    path.mkdir()
    (path / "rows.csv").write_text("who complained")
    moment = time.time() - hours * 3600
    os.utime(path, (moment, moment))
    return path


def a_dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    left = leftover(tmp_path, process=a_dead_process())
    assert files.sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_is_using_stays_for_a_day(tmp_path: Path) -> None:
    left = leftover(tmp_path, process=os.getppid())
    assert files.sweep(tmp_path) == []
    shutil.rmtree(left)
    left = leftover(tmp_path, process=os.getppid(), hours=25)
    assert files.sweep(tmp_path) == [left]


def test_what_another_machine_is_using_stays_for_a_day(tmp_path: Path) -> None:
    old = leftover(tmp_path, machine="00000000", process=a_dead_process(), hours=25)
    new = leftover(tmp_path, machine="11111111", process=a_dead_process())
    assert files.sweep(tmp_path) == [old]
    assert list(tmp_path.iterdir()) == [new]


def test_what_another_process_left_under_our_own_number_is_swept(tmp_path: Path) -> None:
    with files.private_folder(tmp_path) as ours:
        left = leftover(tmp_path, process=os.getpid())
        assert files.sweep(tmp_path) == [left]
        assert list(tmp_path.iterdir()) == [ours]
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_swept(tmp_path: Path) -> None:
    dead = a_dead_process()
    for name in (".ipynb_checkpoints", ".git-old", ".fieldkit-mine", f".fieldkit-{files._machine()}-{dead}"):
        (tmp_path / name).mkdir()
    (tmp_path / f".fieldkit-{files._machine()}-{dead}-00000000").write_text("a file, not ours")
    (tmp_path / "inner").mkdir()
    (tmp_path / f".fieldkit-{files._machine()}-{dead}-11111111").symlink_to(tmp_path / "inner")
    before = sorted(tmp_path.iterdir())
    assert files.sweep(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before
    assert files.sweep(tmp_path / "missing") == []


def test_a_name_of_any_length_can_be_written(tmp_path: Path) -> None:
    name = "噪" * 83 + ".txt"  # 253 bytes; 255 is the most
    files.write_text(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_new_file_is_never_written_over_another(tmp_path: Path) -> None:
    assert files.create(tmp_path / "key", b"one", mode=0o600)
    assert not files.create(tmp_path / "key", b"two", mode=0o600)
    assert (tmp_path / "key").read_bytes() == b"one"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_where_there_are_no_hard_links_a_new_file_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links on a memory card")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert files.create(tmp_path / "key", b"one", mode=0o600)
    assert not files.create(tmp_path / "key", b"two", mode=0o600)
    assert (tmp_path / "key").read_bytes() == b"one"
