"""The encrypted ledger: nothing of it can be read while it is locked, and no kill or flipped bit gives half of one."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import fieldkit as fk
from fieldkit.complaints import Complaint, Person
from fieldkit.errors import FieldkitError, KeyFileError, LedgerError
from fieldkit.events import RECORD_WRITTEN, Fact
from fieldkit.keys import Keys, RecoveryKey
from fieldkit.ledger import Receipt, cipher, encryption, store
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace, init_workspace, open_workspace

PASSPHRASE = "four words, not together"  # noqa: S105 - no one's
PLAIN = b"SQLite format 3\0"
NOON = datetime(2017, 7, 1, 12, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("cheap_passphrases", "session_folder")


@pytest.fixture
def ws(sample: Workspace) -> Iterator[Workspace]:
    """The sample workspace, encrypted, and open in this process only."""
    sample.encrypt(PASSPHRASE, RecoveryKey.new())
    yield sample
    sample.ledger.close()


def file_of(ws: Workspace) -> Path:
    return ws.settings.folder / "ledger.sqlite"


def opened(folder: Path, passphrase: str | None = PASSPHRASE) -> Workspace:
    found = open_workspace(folder)
    if passphrase is not None and found.keys.store.exists:
        found.keys.store.open(passphrase)
    return found


def head_of(path: Path) -> bytes:
    return path.read_bytes()[: len(PLAIN)]


# --- there and back -----------------------------------------------------------------------------------------------


def test_encrypted_and_decrypted_it_is_the_same_ledger(sample: Workspace) -> None:
    folder, path = sample.settings.folder, file_of(sample)
    before = sample.ledger.state_hash(), list(sample.ledger.events()), sample.ledger.heads()
    sample.encrypt(PASSPHRASE, RecoveryKey.new())
    assert head_of(path) != PLAIN
    assert (sample.ledger.state_hash(), list(sample.ledger.events()), sample.ledger.heads()) == before
    assert sample.ledger.verify() == []
    assert sample.ledger.rebuild() == before[0]
    assert len(sample.complaints()) == 60
    sample.ledger.close()
    sample.ledger.decrypt(PASSPHRASE)
    assert head_of(path) == PLAIN
    plain = opened(folder, None)
    assert (plain.ledger.state_hash(), list(plain.ledger.events()), plain.ledger.heads()) == before
    assert plain.ledger.verify() == []
    plain.ledger.close()
    names = {one.name for one in folder.rglob("*") if one.is_file()}
    assert names == {
        "fieldkit.toml", "ledger.sqlite", "areas.geojson", "places.csv",
        "device.key", "vault.key", "vault.key.sealed", "recovery.pub",
    }  # fmt: skip


def test_the_encrypted_file_keeps_its_mode_and_is_no_temporary_files_neighbour(sample: Workspace) -> None:
    path = file_of(sample)
    path.chmod(0o640)
    sample.encrypt(PASSPHRASE, RecoveryKey.new())
    assert path.stat().st_mode & 0o777 == 0o640
    sample.ledger.open()
    with sample.ledger._engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "temp_store", "cipher_log_level")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "temp_store": 2, "cipher_log_level": "NONE"}


def test_what_is_done_twice_or_the_wrong_way_is_refused(ws: Workspace) -> None:
    before = file_of(ws).read_bytes(), (ws.settings.keys / "recovery.pub").read_bytes()
    with pytest.raises(LedgerError, match=r"is encrypted already\. `fieldkit passphrase` changes"):
        ws.encrypt(PASSPHRASE, RecoveryKey.new())
    assert (file_of(ws).read_bytes(), (ws.settings.keys / "recovery.pub").read_bytes()) == before
    with pytest.raises(KeyFileError, match="The passphrase is not the right one"):
        ws.ledger.decrypt("another passphrase")
    assert file_of(ws).read_bytes() == before[0]
    ws.ledger.decrypt(PASSPHRASE)
    with pytest.raises(LedgerError, match=r"is not encrypted\. `fieldkit encrypt` does that"):
        ws.ledger.decrypt(PASSPHRASE)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://u:secret@h/d", "on a PostgreSQL server is not encrypted by the kit. Have whoever"),
        ("sqlite://", "Only a ledger in a file can be encrypted"),
        ("sqlite:///file:x.sqlite?mode=ro&uri=true", "Only a ledger in a file can be encrypted"),
    ],
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    init_workspace(tmp_path / "office").ledger.close()
    monkeypatch.setenv("FIELDKIT_LEDGER", address)
    found = open_workspace(tmp_path / "office")
    with pytest.raises(LedgerError) as caught:
        found.encrypt(PASSPHRASE, RecoveryKey.new())
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not found.keys.store.exists
    assert found.keys.recovery is None


def test_without_the_extra_it_says_what_to_install(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ws.ledger.close()
    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
    for call in (ws.complaints, lambda: ws.ledger.decrypt(PASSPHRASE), ws.ledger.check_encryption):
        with pytest.raises(LedgerError, match=r"pip install \"fieldkit-casework\[secure\]\""):
            call()
    assert head_of(file_of(ws)) != PLAIN


def test_a_ledger_that_is_open_elsewhere_is_not_converted(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fieldkit.ledger.encryption._PATIENCE_MS", 50)
    other = opened(ws.settings.folder)
    assert len(other.complaints()) == 60
    with pytest.raises(LedgerError, match="another program has it open; close notebooks"):
        ws.ledger.decrypt(PASSPHRASE)
    other.ledger.close()
    assert ws.ledger.verify() == []
    ws.ledger.decrypt(PASSPHRASE)


def test_a_program_that_had_the_plain_file_open_cannot_write_into_the_void(sample: Workspace) -> None:
    """The connection stays on the file that was replaced, and must not take an event that nobody would see again."""
    sample.ledger.close()
    idle = sqlite3.connect(file_of(sample), isolation_level=None)
    idle.execute("PRAGMA journal_mode=DELETE")
    idle.execute("SELECT count(*) FROM event").fetchone()
    sample.encrypt(PASSPHRASE, RecoveryKey.new())
    with pytest.raises(sqlite3.DatabaseError):
        idle.execute("DELETE FROM event")
    idle.close()
    assert sample.ledger.verify() == []


# --- locked -------------------------------------------------------------------------------------------------------


def test_locked_it_answers_nothing_but_one_sentence(ws: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    ws.ledger.close()
    locked = opened(ws.settings.folder, None)
    for call in (
        locked.complaints,
        locked.cases,
        locked.ledger.verify,
        lambda: fk.run_records(locked),
        lambda: list(locked.ledger.events()),
        lambda: locked.ledger.complainant("x", reason="y"),
    ):
        with pytest.raises(KeyFileError, match="The ledger is encrypted and locked") as caught:
            call()
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_locked_no_browser_is_opened(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ws.ledger.close()
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail(f"opened {url}"))
    with pytest.raises(KeyFileError, match="encrypted and locked"):
        fk.serve(opened(ws.settings.folder, None), port=0)


def test_kernels_find_the_session(sample: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of their own: they look where a session's keys really lie."""
    monkeypatch.undo()
    monkeypatch.setattr("fieldkit.keys.store._OPS", 1)
    monkeypatch.setattr("fieldkit.keys.store._MEMORY", 8192)
    sample.encrypt(PASSPHRASE, RecoveryKey.new())
    try:
        secret = sample.keys.store.hold().read_text()
        result = fk.run_records(sample, ["S-001"], ("html",), progress=False)
        assert [outcome.state for outcome in result.outcomes] == ["written"]
    finally:
        sample.keys.store.close()
    key = secret.split('"')[3]
    assert len(key) == 64
    for path in sample.settings.folder.rglob("*"):
        if path.is_file():
            assert key not in path.read_text(encoding="latin-1")


CANARY = "canary-{}-嘉陵江{}"


def test_fifty_canaries_cannot_be_found_in_a_locked_workspace(tmp_path: Path, session_folder: Path) -> None:
    canaries = [CANARY.format(n, n * 7919) for n in range(50)]
    ws = init_workspace(tmp_path / "office")
    for part in range(2):  # before it is encrypted, and after, when the journal still holds it
        with ws.ledger.receiving() as receiving:
            for n in range(part * 5, part * 5 + 5):
                text, address, name, phone, note = canaries[n * 5 : n * 5 + 5]
                one = Complaint(
                    received_at=NOON, source="s", number=str(n), text=text, address=address,
                    details={"note": note},
                )  # fmt: skip
                receiving.add([Receipt(one, one, Person(name=name, phone=phone))])
        ws.ledger.append([Fact("S", RECORD_WRITTEN, {"note": canaries[part]}, NOON)])
        if part == 0:
            ws.ledger.close()
            assert found_in(file_of(ws).parent, canaries) == {
                c for n, c in enumerate(canaries[:25]) if n % 5 not in (2, 3)
            }
            ws.encrypt(PASSPHRASE, RecoveryKey.new())
            ws.keys.store.hold()
    assert ws.complaints()["text"].tolist()[-1] in canaries
    assert file_of(ws).with_name("ledger.sqlite-wal").stat().st_size > 0
    assert found_in(tmp_path, canaries) == set()
    assert found_in(session_folder, canaries) == set()
    ws.keys.store.close()
    assert list(session_folder.iterdir()) == []
    ws.ledger.close()
    assert found_in(tmp_path, canaries) == set()


def found_in(folder: Path, canaries: list[str]) -> set[str]:
    """Those of *canaries* that are in a byte of a file under *folder*, as text, UTF-16, hexadecimal or base64."""
    everything = b"\n".join(
        path.read_bytes() + os.fsencode(path.name) for path in sorted(folder.rglob("*")) if path.is_file()
    )
    assert everything
    found = set()
    for canary in canaries:
        raw = canary.encode()
        # JSON may hold what is not ASCII as numbers; the beginning is the same in any case.
        forms = [raw, canary.split("嘉")[0].encode(), raw.hex().encode(), raw.hex().upper().encode()]
        forms += [canary.encode("utf-16-le"), canary.encode("utf-16-be"), canary.encode("gb18030")]
        for shift in range(3):
            # The letters that do not depend on what stands before and after.
            forms.append(base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4])
        forms[1] += b"-"  # so that number 1 is not found in number 10
        if any(form in everything for form in forms):
            found.add(canary)
    return found


def test_the_search_finds_what_it_is_for(tmp_path: Path) -> None:
    canaries = [CANARY.format(n, n) for n in range(6)]
    raw = [canary.encode() for canary in canaries]
    data = [
        raw[0],
        canaries[1].encode("utf-16-le"),
        raw[2].hex().encode(),
        base64.b64encode(b"x" + raw[3] + b"yz"),
    ]
    (tmp_path / "a").write_bytes(b"\xff".join(data))
    (tmp_path / canaries[4]).touch()
    assert found_in(tmp_path, canaries) == set(canaries[:5])


# --- damaged ------------------------------------------------------------------------------------------------------


def test_flipped_bits_are_refused_or_named(ws: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    ws.ledger.close()
    path = file_of(ws)
    whole = path.read_bytes()
    chosen = random.Random(11)  # noqa: S311 - which bits, not a secret
    refused = named = 0
    for n in range(150):
        at = n if n < 20 else chosen.randrange(len(whole) * 8)  # the first bytes are the salt
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        try:
            problems = ws.ledger.verify()
        except LedgerError:
            refused += 1
        else:
            assert problems, f"bit {at}"
            assert problems[0].message.startswith("The encrypted file was changed: HMAC verification failed")
            named += 1
        ws.ledger.close()
        for leftover in ("-wal", "-shm"):
            path.with_name(path.name + leftover).unlink(missing_ok=True)
    assert (refused + named, refused > 0, named > 0) == (150, True, True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [0, 1, 1023, 4096, 5000, -4096, -1])
def test_a_truncated_file_is_refused_or_named(ws: Workspace, length: int) -> None:
    ws.ledger.close()
    path = file_of(ws)
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    with contextlib.suppress(LedgerError):
        assert ws.ledger.verify() or ws.ledger.count()["events"] == 0, "an empty file is a new ledger"


def test_a_plain_file_in_the_place_of_an_encrypted_one_is_not_taken(ws: Workspace) -> None:
    ws.ledger.close()
    path = file_of(ws)
    path.unlink()
    plain = sqlite3.connect(path)
    plain.execute("CREATE TABLE event (x)")
    plain.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"it is not encrypted, but keys/store\.key\.json says that it is"):
        ws.ledger.count()
    assert path.read_bytes() == before


def test_another_workspaces_file_or_key_is_named(ws: Workspace, tmp_path: Path) -> None:
    ws.ledger.close()
    other = init_workspace(tmp_path / "other")
    other.encrypt(PASSPHRASE, RecoveryKey.new())
    other.ledger.close()
    shutil.copy(file_of(other), file_of(ws))
    with pytest.raises(LedgerError, match=r"encrypted with another key than that of keys/store\.key\.json"):
        ws.ledger.count()


def test_without_its_key_file_it_is_no_ledger(ws: Workspace) -> None:
    ws.ledger.close()
    ws.keys.store.path.unlink()
    before = file_of(ws).read_bytes()
    with pytest.raises(LedgerError, match=r"file is not a database.* an encrypted one needs its keys/store"):
        opened(ws.settings.folder).ledger.count()
    assert file_of(ws).read_bytes() == before


def test_no_key_is_in_what_the_store_says_of_itself(ws: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    caplog.set_level(logging.DEBUG, logger="sqlalchemy")
    ws.ledger.close()
    ws.ledger.count()
    key = ws.keys.store.key().secret.hex()
    engine = ws.ledger._engine
    assert key not in repr(engine) + repr(engine.url) + repr(ws.ledger) + repr(ws) + caplog.text
    with pytest.raises(Exception, match="no such table") as caught, engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    assert key not in str(caught.value) + repr(caught.value)


# --- cut off ------------------------------------------------------------------------------------------------------

#: What Python does with files; each is a moment at which a conversion can be cut off.
_DEEDS = {"open", "os.rename", "os.remove", "os.link", "os.chmod", "os.mkdir", "os.rmdir", "sqlcipher3"}


def cut_off(folder: Path, work: Callable[[], None], at: int, how: str) -> int:
    """Do *work* in a process that is killed, or whose disk is full, at its deed number *at*; returns its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    here, count = str(folder), 0

    def watch(event: str, given: tuple[Any, ...]) -> None:
        nonlocal count
        if event in _DEEDS and any(str(one).startswith(here) for one in given[:2]):
            count += 1
            if count == at and how == "killed":
                os._exit(9)
            if count == at or (how == "full" and count > at and event == "open" and "w" in str(given[1])):
                raise OSError(28, "No space left on device")

    code = 4
    try:
        sys.addaudithook(watch)
        work()
        code = 0 if count < at else 5  # 5: done, though something failed on the way
    except FieldkitError as error:
        code = 3 if "\n" not in str(error) else 4
    except OSError:
        code = 3
    finally:
        os._exit(code)


@pytest.mark.parametrize("how", ["killed", "full"])
@pytest.mark.parametrize("direction", ["encrypt", "decrypt"])
def test_cut_off_at_any_moment_one_of_the_two_is_whole(tmp_path: Path, how: str, direction: str) -> None:
    template, folder = tmp_path / "template", tmp_path / "office"
    made = sample_workspace(template)
    recovery = RecoveryKey.new()
    state = made.ledger.state_hash()
    if direction == "decrypt":
        made.encrypt(PASSPHRASE, recovery)
    made.ledger.close()
    seen: set[str] = set()
    for at in range(1, 1000):
        shutil.copytree(template, folder)
        begun = opened(folder)
        work = {
            "encrypt": lambda begun=begun: begun.encrypt(PASSPHRASE, recovery),
            "decrypt": lambda begun=begun: begun.ledger.decrypt(PASSPHRASE),
        }[direction]
        code = cut_off(folder, work, at, how)
        assert code in ((9, 0) if how == "killed" else (3, 5, 0)), f"at {at}: {code}"
        plain = head_of(folder / "ledger.sqlite") == PLAIN
        seen.add("plain" if plain else "encrypted")
        check_whole(folder, state, plain=plain, at=at)
        finish(folder, state, direction, plain=plain)
        shutil.rmtree(folder)
        if code == 0:
            break
    assert at > 15
    assert seen == {"plain", "encrypted"}


@pytest.mark.parametrize("direction", ["encrypt", "decrypt"])
def test_a_copy_for_which_there_is_no_room_leaves_the_ledger_as_it_was(
    sample: Workspace, direction: str
) -> None:
    folder, state = sample.settings.folder, sample.ledger.state_hash()
    if direction == "decrypt":
        sample.encrypt(PASSPHRASE, RecoveryKey.new())
    sample.ledger.close()
    child = os.fork()
    if not child:
        code = 4
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            found = opened(folder)
            found.ledger.count()
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
            if direction == "encrypt":
                found.encrypt(PASSPHRASE, RecoveryKey.new())
            else:
                found.ledger.decrypt(PASSPHRASE)
        except LedgerError as error:
            code = 3 if "was not converted" in str(error) and "\n" not in str(error) else 4
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    plain = direction == "encrypt"
    assert (head_of(folder / "ledger.sqlite") == PLAIN) is plain
    assert opened(folder).keys.store.exists is not plain
    check_whole(folder, state, plain=plain, at=0)


def check_whole(folder: Path, state: str, *, plain: bool, at: int) -> None:
    # A plain one opens without a passphrase, whatever else was begun.
    found = opened(folder, None if plain else PASSPHRASE)
    assert found.ledger.state_hash() == state, at
    assert found.ledger.verify() == [], at
    found.ledger.close()
    if not plain:
        left = [path for path in folder.rglob("*") if path.is_file() and PLAIN in path.read_bytes()]
        assert left == [], f"at {at}: opening it removes what was left of the plain one"
        assert found.keys.store.is_settled
        assert list(folder.glob(".ledger*")) == []


def finish(folder: Path, state: str, direction: str, *, plain: bool) -> None:
    again = opened(folder)
    if direction == "encrypt" and plain:
        again.encrypt("the second passphrase", RecoveryKey.new())
        again.ledger.close()
        again = opened(folder, "the second passphrase")
    elif direction == "decrypt" and not plain:
        again.ledger.decrypt(PASSPHRASE)
    assert again.ledger.state_hash() == state
    again.ledger.close()
    assert (head_of(folder / "ledger.sqlite") == PLAIN) is (direction == "decrypt")


def test_a_conversion_that_runs_is_not_tidied_away(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody opens the ledger while it is being decrypted: the copy that is being made must stay."""
    copied = encryption._copied
    seen: list[bool] = []

    def copied_and_opened(*given: Any) -> Path:
        made = copied(*given)
        # What opening does, but for waiting until the conversion is done.
        engine = cipher.engine(store.parsed_url(ws.ledger.url), ws.keys.store.key())
        encryption.tidy(engine, ws.keys.store)
        engine.dispose()
        seen.append(made.exists() and head_of(made) == PLAIN)
        return made

    monkeypatch.setattr("fieldkit.ledger.encryption._copied", copied_and_opened)
    ws.ledger.decrypt(PASSPHRASE)
    assert seen == [True]
    assert ws.ledger.verify() == []


def test_the_recovery_key_alone_opens_the_ledger_and_who_complained(sample: Workspace) -> None:
    recovery = RecoveryKey.new()
    complaint = sample.complaints()["complaint"].iloc[0]
    person = sample.ledger.complainant(complaint, reason="to compare")
    sample.encrypt(PASSPHRASE, recovery)
    sample.ledger.close()
    (sample.settings.keys / "vault.key").unlink()
    keys = Keys(sample.settings.keys)
    keys.recover(RecoveryKey.read(recovery.text), "quite another passphrase")
    again = opened(sample.settings.folder, "quite another passphrase")
    assert again.ledger.complainant(complaint, reason="to compare") == person
    assert person is not None
    again.ledger.close()
