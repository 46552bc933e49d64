"""Power cuts at every call, and every call failing once: a file is the old one or the new one."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from faults import calls_that_fail, files_model
from faults.files_model import Write, checked, record, run

from fieldkit import files

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the model records the calls of Unix")

OLD, NEW = b"the old one " * 60, b"and the new one, which is longer " * 40


def wrong(
    root: Path, writer: files_model.Writer, before: Mapping[str, bytes], *script: Write, seed: int = 1
) -> list[str]:
    chance = random.Random(seed)  # noqa: S311 - chooses what to test
    return [one for _, found in checked(root, before, script, writer, chance) for one in found]


@pytest.mark.parametrize("writer", [files.write_bytes, files_model.by_replacing])
@pytest.mark.parametrize("before", [{}, {"a.txt": OLD, "other.txt": b"stays"}])
def test_a_power_cut_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, writer: files_model.Writer, before: dict[str, bytes]
) -> None:
    assert wrong(tmp_path, writer, before, Write("a.txt", NEW), Write("a.txt", b"third")) == []


def test_a_power_cut_keeps_what_is_in_new_folders(tmp_path: Path) -> None:
    assert (
        wrong(tmp_path, files.write_bytes, {}, Write("records/A1/a.txt", NEW), Write("records/b", OLD)) == []
    )


def test_two_thousand_cuts_in_random_scripts_lose_nothing() -> None:
    totals = run(seed=20171201, cuts=2_000)
    assert totals.notes == []
    assert totals.fine
    assert totals.attempts == 2_000
    assert totals.acknowledged > 0
    assert run(seed=20171201, cuts=500).acknowledged == run(seed=20171201, cuts=500).acknowledged


def test_the_calls_of_a_write_are_seen_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(OLD)
    recording = record(tmp_path, [lambda: files.write_bytes(tmp_path / "a.txt", NEW)])
    kinds = [call.kind for call in recording.calls]
    # The folder, the file in it, its data, their sync; the name in its place and no longer there; the folder's sync.
    assert kinds == ["add", "add", "write", "sync", "add", "drop", "sync", "drop", "done"]


def in_place(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def in_place_and_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(handle, data)
    os.fsync(handle)
    os.close(handle)
    files.sync_folder(path.parent)


def renamed(path: Path, data: bytes, *, file: bool, folder: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".fieldkit-{path.name}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT)
    os.write(handle, data)
    if file:
        os.fsync(handle)
    os.close(handle)
    temporary.replace(path)
    if folder:
        files.sync_folder(path.parent)


WRONG_WRITERS = {
    "in place": in_place,
    "in place, synced": in_place_and_synced,
    "no sync of the file": lambda path, data: renamed(path, data, file=False, folder=True),
    "no sync of the folder": lambda path, data: renamed(path, data, file=True, folder=False),
    "moved by shutil": lambda path, data: shutil.copyfile(_scratch(path, data), path),
}


def _scratch(path: Path, data: bytes) -> Path:
    scratch = path.with_name(".fieldkit-scratch")
    scratch.write_bytes(data)
    return scratch


@pytest.mark.parametrize("name", WRONG_WRITERS)
def test_a_wrong_writer_is_caught(tmp_path: Path, name: str) -> None:
    assert wrong(tmp_path, WRONG_WRITERS[name], {"a.txt": OLD}, Write("a.txt", NEW))


def test_new_folders_that_are_not_synced_are_caught(tmp_path: Path) -> None:
    right = lambda path, data: renamed(path, data, file=True, folder=True)  # noqa: E731
    assert wrong(tmp_path, right, {"a.txt": OLD}, Write("a.txt", NEW)) == []
    (tmp_path / "new").mkdir()
    found = wrong(tmp_path / "new", right, {}, Write("records/A1/a.txt", NEW))
    assert any("is gone" in one for one in found)


@pytest.mark.parametrize("code", calls_that_fail.CODES)
@pytest.mark.parametrize("writer", [files.write_bytes, files_model.by_replacing])
@pytest.mark.parametrize("old", [OLD, None])
@pytest.mark.parametrize("lasting", [False, True])
def test_whichever_call_fails_the_file_is_the_old_one_or_the_new_one(
    tmp_path: Path, code: int, writer: files_model.Writer, old: bytes | None, lasting: bool
) -> None:
    tried = calls_that_fail.try_all(tmp_path, writer, old, NEW, code=code, lasting=lasting)
    assert tried["wrong"] == []
    assert tried["calls"] >= 8
    assert tried["raised"] >= 5


def test_a_disk_that_takes_little_at_a_time_gets_all_of_it(tmp_path: Path) -> None:
    write = os.write
    with files_model.patched(write=lambda handle, data: write(handle, bytes(data[:7]))):
        files.write_bytes(tmp_path / "a.txt", NEW)
    assert (tmp_path / "a.txt").read_bytes() == NEW


def test_a_writer_that_does_not_clean_up_is_caught(tmp_path: Path) -> None:
    writer = WRONG_WRITERS["no sync of the folder"]
    tried = calls_that_fail.try_all(tmp_path, writer, OLD, NEW, code=calls_that_fail.CODES[0], lasting=False)
    assert any("beside" in one for one in tried["wrong"])
