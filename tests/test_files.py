"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

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
