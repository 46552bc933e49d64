"""Backups under writers, each restored; what was changed is refused; nothing half is left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import fieldkit as fk
from fieldkit import backups
from fieldkit.backups import back_up, prune, restore
from fieldkit.cli import cli
from fieldkit.complaints import Complaint
from fieldkit.errors import BackupError, FieldkitError, KeyFileError, LedgerError, ManifestError
from fieldkit.events import Fact
from fieldkit.keys import Keys, RecoveryKey
from fieldkit.ledger import Receipt
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace, open_workspace

NOON = datetime(2017, 7, 1, 12, tzinfo=UTC)
#: How many write at once, and how many backups are made meanwhile; the bar is 8 and 100, which takes some minutes.
WRITERS, BACKUPS = (int(n) for n in os.environ.get("FIELDKIT_TEST_BACKUPS", "5,6").split(","))


def add_evidence(ws: Workspace, content: bytes) -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    path = ws.settings.folder / "evidence" / sha256[:2] / f"{sha256}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def office(sample: Workspace) -> Workspace:
    """The sample with everything that a workspace may have."""
    add_evidence(sample, b"a photo")
    add_evidence(sample, b"a recording")
    (sample.settings.layers / "深").mkdir()
    (sample.settings.layers / "深" / "噪声区.geojson").write_text("{}", encoding="utf-8")
    (sample.settings.maps / "own.toml").write_text("title = 'x'", encoding="utf-8")
    (sample.settings.keys / "device.sealed").write_bytes(b"sealed to the recovery key")
    (sample.settings.keys / "recovery.pub").write_text("ab" * 32, encoding="ascii")
    return sample


def copies(folder: Path) -> list[str]:
    """What there is beside the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".backup.lock")


def test_a_backup_is_complete_and_gives_the_same_workspace(office: Workspace, tmp_path: Path) -> None:
    result = back_up(office, tmp_path / "stick")
    assert copies(tmp_path / "stick") == [result.folder.name]
    assert (result.events, result.complaints, result.flags) == (office.ledger.count()["events"], 60, ())
    restored = restore(result.folder, tmp_path / "new")
    new = open_workspace(tmp_path / "new")
    assert new.ledger.state_hash() == office.ledger.state_hash() == result.state_hash
    assert [event.digest for event in new.ledger.events()] == [e.digest for e in office.ledger.events()]
    assert new.ledger.verify(heads=office.ledger.heads()) == []
    assert restored.origin == new.settings.origin != office.settings.origin == restored.backed_up_origin
    assert (new.settings.title, new.settings.time_zone) == (office.settings.title, office.settings.time_zone)
    for part in ("layers", "maps", "evidence"):
        assert snapshot(new.settings.folder / part) == snapshot(office.settings.folder / part)
    new.ledger.close()


def test_no_private_key_is_in_a_backup(office: Workspace, tmp_path: Path) -> None:
    folder = back_up(office, tmp_path / "stick").folder
    assert sorted(path.name for path in (folder / "keys").iterdir()) == ["device.sealed", "recovery.pub"]
    secrets = [
        word.encode()
        for name in ("device.key", "vault.key")
        for word in (office.settings.keys / name).read_text(encoding="ascii").split()
    ]
    assert len(secrets) == 3
    everything = b"".join(data for data in snapshot(folder).values() if data)
    assert not any(secret in everything or bytes.fromhex(secret.decode()) in everything for secret in secrets)


def test_a_restored_copy_writes_a_chain_of_its_own(office: Workspace, tmp_path: Path) -> None:
    folder = back_up(office).folder
    restore(folder, tmp_path / "new")
    new = open_workspace(tmp_path / "new")
    fk.confirm_place(new, "S-002", 105.8, 32.43)
    fk.confirm_place(office, "S-003", 105.8, 32.43)
    # Both went on, and neither stands in the other's way.
    office.ledger.absorb(new.ledger.events(), new.ledger.heads())
    new.ledger.absorb(office.ledger.events(), office.ledger.heads())
    assert new.ledger.state_hash() == office.ledger.state_hash()
    assert new.ledger.verify() == office.ledger.verify() == []
    assert len(new.ledger.heads()) == 2
    new.ledger.close()


def test_who_complained_is_seen_again_with_the_vaults_key(office: Workspace, tmp_path: Path) -> None:
    restore(back_up(office).folder, tmp_path / "new")
    new = open_workspace(tmp_path / "new")
    complaint = new.ledger.find_case("S-002")
    with pytest.raises(FieldkitError, match=r"vault\.key"):
        new.ledger.complainant(complaint, reason="a test")
    (new.settings.keys / "vault.key").write_bytes((office.settings.keys / "vault.key").read_bytes())
    person = new.ledger.complainant(complaint, reason="a test")
    assert person is not None
    assert person.name == "Resident 2"
    new.ledger.close()


def _write(folder: str, number: int, acknowledged: object, stop: object) -> None:
    ws = open_workspace(folder)
    ws = Workspace(replace(ws.settings, origin=f"writer-{number}"))
    n = 0
    while not stop.is_set():  # type: ignore[attr-defined]
        # A writer that never pauses starves the others: SQLite has no queue. Who was refused tries again.
        time.sleep(0.01)
        one = Complaint(received_at=NOON + timedelta(minutes=n), source=f"w{number}", number=str(n + 1))
        try:
            with ws.ledger.receiving() as receiving:
                receiving.add([Receipt(one, one)])
        except LedgerError:
            continue
        n += 1
        acknowledged[number] = n  # type: ignore[index]
    ws.ledger.close()


def test_every_backup_under_writers_has_all_that_was_acknowledged(sample: Workspace, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    acknowledged, stop = context.Array("l", WRITERS), context.Event()
    folder = str(sample.settings.folder)
    writers = [
        context.Process(target=_write, args=(folder, n, acknowledged, stop), daemon=True)
        for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    try:
        until = time.monotonic() + 120
        while not all(acknowledged) and time.monotonic() < until:
            time.sleep(0.05)
        for turn in range(BACKUPS):
            before = list(acknowledged)
            assert all(before)
            result = back_up(sample, tmp_path / "stick")
            restore(result.folder, tmp_path / f"new-{turn}")
            new = open_workspace(tmp_path / f"new-{turn}")
            assert new.ledger.damage() == []
            assert new.ledger.verify() == []
            there = set(
                new.complaints(columns=("source", "number"))[["source", "number"]].itertuples(
                    index=False, name=None
                )
            )
            missing = [
                (n, i)
                for n, last in enumerate(before)
                for i in range(1, last + 1)
                if (f"w{n}", str(i)) not in there
            ]
            assert missing == []
            new.ledger.close()
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert sample.ledger.verify() == []


# --- what was changed is refused -------------------------------------------------------------------------------


def test_every_changed_file_is_named_and_nothing_is_left(office: Workspace, tmp_path: Path) -> None:
    folder = back_up(office, tmp_path / "stick").folder
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) == 13
    for path in files:
        good = path.read_bytes()
        # Every bit of a small file, some dozens of a large one.
        bits = range(0, len(good) * 8, max(1, len(good) // 40))
        for bit in bits:
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bad)
            with pytest.raises(ManifestError) as caught:
                restore(folder, tmp_path / "new")
            assert path.name in str(caught.value)
        for bad in (b"", good[:-1], good + b"\n"):
            path.write_bytes(bad)
            with pytest.raises(ManifestError, match=path.name.replace(".", r"\.")):
                restore(folder, tmp_path / "new")
        path.write_bytes(good)
        path.rename(tmp_path / "away")
        with pytest.raises(ManifestError, match=path.name.replace(".", r"\.")):
            restore(folder, tmp_path / "new")
        (tmp_path / "away").rename(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample", "stick"]
    restore(folder, tmp_path / "new")


def test_a_file_put_in_and_a_link_are_refused(office: Workspace, tmp_path: Path) -> None:
    folder = back_up(office, tmp_path / "stick").folder
    (folder / ".DS_Store").write_bytes(b"what a file manager leaves")
    restore(folder, tmp_path / "new")
    (folder / "layers" / "more.geojson").write_text("{}", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"layers/more\.geojson is on no list"):
        restore(folder, tmp_path / "newer")
    (folder / "layers" / "more.geojson").unlink()
    (folder / "heads.jsonl").rename(tmp_path / "heads.jsonl")
    (folder / "heads.jsonl").symlink_to(tmp_path / "heads.jsonl")
    with pytest.raises(ManifestError, match=r"heads\.jsonl is a link now"):
        restore(folder, tmp_path / "newer")


def test_another_key_than_the_one_known_is_refused(office: Workspace, tmp_path: Path) -> None:
    folder = back_up(office).folder
    with pytest.raises(ManifestError, match="another key"):
        restore(folder, tmp_path / "new", key=bytes(32))
    restore(folder, tmp_path / "new", key=Keys(office.settings.keys).public)


def test_nothing_is_written_over(office: Workspace, tmp_path: Path) -> None:
    folder = back_up(office).folder
    before = snapshot(office.settings.folder)
    with pytest.raises(BackupError, match="not empty"):
        restore(folder, office.settings.folder)
    with pytest.raises(BackupError, match="in the backup itself"):
        restore(folder, folder / "new")
    (tmp_path / "file").write_text("x", encoding="ascii")
    with pytest.raises(BackupError, match="not empty"):
        restore(folder, tmp_path / "file")
    with pytest.raises(ManifestError, match="is no backup"):
        restore(tmp_path, tmp_path / "new")
    assert snapshot(office.settings.folder) == before
    (tmp_path / "empty").mkdir()
    restore(folder, tmp_path / "empty")


def test_a_ledger_that_is_not_sound_gives_no_backup(office: Workspace, tmp_path: Path) -> None:
    import sqlite3

    office.ledger.close()
    with contextlib.closing(sqlite3.connect(office.settings.folder / "ledger.sqlite")) as file:
        file.execute("UPDATE event SET payload = replace(payload, 'noise', 'music') WHERE sequence = 7")
        file.commit()
    with pytest.raises(BackupError, match=r"not good: Event 7 of .* was changed"):
        back_up(office, tmp_path / "stick")
    assert copies(tmp_path / "stick") == []
    assert copies(office.settings.folder / "backups") == []


def test_tables_that_differ_from_the_events_give_no_backup(office: Workspace) -> None:
    import sqlite3

    office.ledger.close()
    with contextlib.closing(sqlite3.connect(office.settings.folder / "ledger.sqlite")) as file:
        file.execute("UPDATE complaint SET text = ''")
        file.commit()
    with pytest.raises(BackupError, match="fieldkit rebuild"):
        back_up(office)
    office.ledger.rebuild()
    back_up(office)


def test_evidence_that_was_altered_or_is_missing_is_flagged_not_hidden(
    office: Workspace,
) -> None:
    altered, gone, whole = (
        add_evidence(office, content) for content in (b"a third", b"a fourth", b"a fifth")
    )
    for path in (altered, gone, whole):
        office.ledger.append(
            [
                Fact(
                    "A" * 12,
                    "evidence_added",
                    {"sha256": path.stem, "size": 7, "type": "image/jpeg", "name": "a.jpg"},
                    NOON,
                )
            ]
        )
    altered.write_bytes(b"another")
    gone.unlink()
    flags = back_up(office).flags
    assert [flag.split(";")[0].removesuffix(" in the workspace.") for flag in flags] == [
        f"The evidence evidence/{altered.parent.name}/{altered.name} was altered since it was taken in",
        f"The evidence {altered.stem[:12]}… is missing",
        f"The evidence {gone.stem[:12]}… is missing",
    ]


def test_evidence_is_linked_to_the_last_backup_and_each_stays_complete(
    office: Workspace, tmp_path: Path
) -> None:
    first, second = back_up(office, tmp_path / "stick"), back_up(office, tmp_path / "stick")
    photos = [next(result.folder.glob("evidence/*/*")) for result in (first, second)]
    assert photos[0].stat().st_ino == photos[1].stat().st_ino
    prune(office, tmp_path / "stick", keep=1)
    assert copies(tmp_path / "stick") == [second.folder.name]
    restore(second.folder, tmp_path / "new")
    # A photo that rotted in the earlier backup is not linked, but copied again.
    photo = photos[1]
    content = photo.read_bytes()
    photo.write_bytes(bytes(len(content)))
    third = back_up(office, tmp_path / "stick")
    assert (third.folder / photo.relative_to(second.folder)).read_bytes() == content


# --- killed, full, busy ----------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from fieldkit import backups
from fieldkit.workspace import open_workspace
where = sys.argv[3]
real = getattr(backups, where)
def killed(*arguments, **known):
    if where != "_free_name":
        real(*arguments, **known)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(backups, where, killed)
backups.back_up(open_workspace(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
@pytest.mark.parametrize("where", ["_pack_files", "_tested", "_missing", "check_files", "_free_name"])
def test_a_killed_backup_leaves_nothing_that_looks_like_one(
    office: Workspace, tmp_path: Path, where: str
) -> None:
    stick = tmp_path / "stick"
    before = office.ledger.state_hash()
    command = [sys.executable, "-c", KILLED, str(office.settings.folder), str(stick), where]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = copies(stick)
    assert left
    assert all(name.startswith(".fieldkit-") for name in left)
    assert (office.ledger.state_hash(), office.ledger.verify()) == (before, [])
    result = back_up(office, stick)
    assert copies(stick) == [result.folder.name]
    assert copies(office.settings.folder / "backups") == []


def test_two_backups_at_once_are_one_too_many(office: Workspace, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    with (
        backups._alone_in(tmp_path / "stick"),
        pytest.raises(BackupError, match="Another backup is being made"),
    ):
        back_up(office, tmp_path / "stick")
    back_up(office, tmp_path / "stick")


def test_a_target_that_cannot_be_written_is_one_sentence(office: Workspace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="ascii")
    with pytest.raises(BackupError, match="could not be made"):
        back_up(office, tmp_path / "file")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    office: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups.Packing, "seal", full)
    with pytest.raises(BackupError, match="No space left on device"):
        back_up(office, tmp_path / "stick")
    assert copies(tmp_path / "stick") == []


# --- pruning, servers, the command line ------------------------------------------------------------------------


def test_pruning_keeps_good_ones_and_touches_no_other(office: Workspace, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    other = sample_workspace(tmp_path / "other")
    theirs = back_up(other, stick).folder
    other.ledger.close()
    mine = [back_up(office, stick).folder for _ in range(4)]
    (mine[3] / "heads.jsonl").write_bytes(b"")  # the newest is not good, and does not count
    assert prune(office, stick, keep=4).deleted == []
    result = prune(office, stick, keep=2)
    assert (result.kept, result.deleted) == ([mine[2], mine[1]], [mine[0]])
    assert "heads.jsonl" in result.flags[0]
    assert copies(stick) == sorted(path.name for path in (theirs, mine[1], mine[2], mine[3]))
    with pytest.raises(BackupError, match="at least one"):
        prune(office, stick, keep=0)


@pytest.mark.postgres
def test_a_server_is_backed_up_into_a_file_and_either_is_restored_into_either(
    office: Workspace, tmp_path: Path, postgres_database: Callable[[], str]
) -> None:
    folder = back_up(office, tmp_path / "stick").folder
    restore(folder, tmp_path / "on-server", ledger=postgres_database())
    server = open_workspace(tmp_path / "on-server")
    assert server.ledger.state_hash() == office.ledger.state_hash()
    assert server.ledger.verify(heads=office.ledger.heads()) == []
    assert not (tmp_path / "on-server" / "ledger.sqlite").exists()
    fk.confirm_place(server, "S-002", 105.8, 32.43)
    back = back_up(server, tmp_path / "stick")
    assert "postgresql" not in (back.folder / "fieldkit.toml").read_text(encoding="utf-8")
    restore(back.folder, tmp_path / "on-file")
    file = open_workspace(tmp_path / "on-file")
    assert file.ledger.state_hash() == server.ledger.state_hash()
    (file.settings.keys / "vault.key").write_bytes((office.settings.keys / "vault.key").read_bytes())
    assert file.ledger.complainant(file.ledger.find_case("S-002"), reason="a test") is not None
    with pytest.raises(LedgerError, match="not empty"):
        restore(back.folder, tmp_path / "again", ledger=server.settings.ledger)
    assert not (tmp_path / "again").exists()
    server.ledger.close()
    file.ledger.close()


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_commands(office: Workspace, tmp_path: Path) -> None:
    where = ("-w", office.settings.folder)
    code, output = run("backup", tmp_path / "stick", *where, "--json")
    made = json.loads(output)
    assert (code, made["events"]) == (0, office.ledger.count()["events"])
    code, output = run("backup", tmp_path / "stick", *where)
    assert code == 0
    assert "restored once" in output
    code, output = run("restore", made["folder"], tmp_path / "new")
    assert code == 0
    assert "writes as a new device" in output
    code, output = run("restore", made["folder"], tmp_path / "new")
    assert (code, output.count("\n")) == (2, 1)
    key = tmp_path / "office.pub"
    key.write_text(Keys(office.settings.keys).public.hex() + "\n", encoding="ascii")
    code, output = run("restore", made["folder"], tmp_path / "newer", "--key", key, "--json")
    assert (code, json.loads(output)["complaints"]) == (0, 60)
    code, output = run("backup", tmp_path / "stick", "--prune", "1", *where)
    assert code == 1  # nobody said yes
    assert len(copies(tmp_path / "stick")) == 2
    code, output = run("backup", tmp_path / "stick", "--prune", "1", "--yes", *where)
    assert (code, output) == (0, "1 deleted, 1 good ones kept.\n")
    add_evidence(office, b"a third").write_bytes(b"another")
    assert run("backup", *where)[0] == 1


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIELDKIT_LEDGER", "FIELDKIT_ORIGIN", "FIELDKIT_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


# --- an encrypted ledger ----------------------------------------------------------------------------------------

PASSPHRASE = "four words, not together"  # noqa: S105 - of a test


@pytest.fixture
def encrypted(office: Workspace) -> tuple[Workspace, RecoveryKey]:
    recovery = RecoveryKey.new()
    office.encrypt(PASSPHRASE, recovery)
    return office, recovery


def test_a_backup_of_an_encrypted_ledger_stays_encrypted(
    encrypted: tuple[Workspace, RecoveryKey], tmp_path: Path
) -> None:
    ws, recovery = encrypted
    made = back_up(ws, tmp_path / "stick")
    assert backups.is_encrypted(made.folder)
    for path in made.folder.rglob("*"):
        assert not path.is_file() or b"SQLite format 3" not in path.read_bytes()
    assert not {path.name for path in (made.folder / "keys").iterdir()} & {"vault.key", "device.key"}
    for n, opening in enumerate(({"passphrase": PASSPHRASE}, {"recovery": recovery})):
        target = tmp_path / f"restored-{n}"
        assert restore(made.folder, target, **opening).complaints == made.complaints
        again = fk.open(target)
        again.keys.store.open(PASSPHRASE)
        assert again.ledger.state_hash() == made.state_hash
        again.ledger.close()
        assert (target / "ledger.sqlite").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("opening", "kind", "words"),
    [
        ({}, BackupError, "is encrypted. Give its passphrase, or the recovery key"),
        ({"passphrase": "not the right one"}, KeyFileError, "The passphrase is not the right one"),
        ({"recovery": RecoveryKey.new()}, KeyFileError, "key"),
    ],
)
def test_an_encrypted_backup_is_not_restored_without_its_key(
    encrypted: tuple[Workspace, RecoveryKey],
    tmp_path: Path,
    opening: dict[str, Any],
    kind: type[FieldkitError],
    words: str,
) -> None:
    made = back_up(encrypted[0], tmp_path / "stick")
    with pytest.raises(kind, match=words):
        restore(made.folder, tmp_path / "restored", **opening)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "sample") == ["stick"]


def test_an_encrypted_ledger_is_exported(encrypted: tuple[Workspace, RecoveryKey], tmp_path: Path) -> None:
    ws, _ = encrypted
    result = fk.export(ws, tmp_path / "out")
    assert fk.verify_export(tmp_path / "out", bytes.fromhex(result.key)) == []
    assert [path.name for path in ws.settings.folder.glob(".fieldkit-*")] == []
