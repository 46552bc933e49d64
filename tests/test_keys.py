"""Keys: made once and for their owner only, found damaged or wrong in one sentence, shown nowhere."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import stat
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldkit import keys as keys_module
from fieldkit.errors import KeyFileError
from fieldkit.keys import Disk, Keys, RecoveryKey, StoreKey, StoreLock, VaultKey, disk, session
from fieldkit.keys.vault import lock, new_key, seal, unlock

PASSPHRASE = "four words, not together"  # noqa: S105 - no one's
pytestmark = pytest.mark.usefixtures("cheap_passphrases")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def encrypted(keys: Keys) -> RecoveryKey:
    """Make a recovery key and a store's key, as encrypting a ledger does."""
    recovery = RecoveryKey.new()
    keys.set_recovery(recovery)
    keys.store.make(PASSPHRASE, recovery)
    keys.store.settle()
    return recovery


# --- the device's key, and the vault's ----------------------------------------------------------------------------


def test_the_devices_key_is_made_once_and_signs(keys: Keys) -> None:
    assert not keys.folder.exists()
    public = keys.public
    assert Keys(keys.folder).public == public
    signature = keys.sign(b"head")
    assert keys_module.is_signed(public, b"head", signature)
    for wrong in (
        (public, b"another", signature),
        (public, b"head", signature[:-1] + bytes([signature[-1] ^ 1])),
        (public, b"head", b""),
        (b"", b"head", signature),
        (new_key(), b"head", signature),
    ):
        assert not keys_module.is_signed(*wrong)


def test_only_the_owner_may_read_what_is_made(keys: Keys) -> None:
    old = os.umask(0)
    try:
        keys.sign(b"x")
        keys.make_vault()
        encrypted(keys)
    finally:
        os.umask(old)
    assert mode(keys.folder) == 0o700
    made = {path.name: mode(path) for path in keys.folder.iterdir()}
    names = {"device.key", "vault.key", "vault.key.sealed", "recovery.pub", "store.key.json"}
    assert made == dict.fromkeys(names, 0o600)


def test_the_vaults_key_opens_what_was_sealed_and_marks_alike(keys: Keys) -> None:
    assert keys.vault() is None
    vault = keys.make_vault()
    again = Keys(keys.folder).vault()
    assert again is not None
    assert keys.make_vault().public == again.public == vault.public
    assert again.open(seal(vault.public, b"who")) == b"who"
    assert vault.mark("138") == again.mark("138") != vault.mark("139")
    assert len(vault.mark("half \ud800")) == 16
    assert VaultKey(new_key(), new_key()).mark("138") != vault.mark("138")
    for sealed in (seal(VaultKey(new_key(), b"i").public, b"who"), seal(vault.public, b"who")[:-1], b""):
        with pytest.raises(KeyFileError, match=r"sealed to another key than this device's vault\.key"):
            vault.open(sealed)


@settings(max_examples=50)
@given(data=st.binary(max_size=200), about=st.binary(max_size=20), at=st.integers(0))
def test_what_is_locked_opens_only_unchanged(data: bytes, about: bytes, at: int) -> None:
    key = new_key()
    locked = lock(key, data, about)
    assert unlock(key, locked, about) == data
    changed = bytearray(locked)
    changed[at % len(locked)] ^= 1 << at % 8
    for wrong in (
        (key, bytes(changed), about),
        (new_key(), locked, about),
        (key, locked, about + b"x"),
        (key, locked[:5], about),
    ):
        with pytest.raises(KeyFileError, match="was changed since it was locked, or the key is another"):
            unlock(*wrong)


def _make_all(folders: list[Path]) -> list[tuple[bytes, bytes, bytes]]:
    made = []
    for folder in folders:
        keys = Keys(folder)
        made.append((keys.public, keys.make_vault().public, keys.make_vault().mark("x")))
    return made


def test_processes_that_make_keys_at_once_have_the_same(tmp_path: Path) -> None:
    folders = [tmp_path / str(n) for n in range(60)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, other = pool.map(_make_all, [folders, folders], chunksize=1)
    assert one == other == _make_all(folders)
    assert len(set(one)) == len(folders)
    assert {path.name for folder in folders for path in folder.iterdir()} == {"device.key", "vault.key"}


@pytest.mark.parametrize("content", ["", "00" * 31, "zz" * 32, "00" * 32 + "\n" + "00" * 32, "é" * 64, "\0"])
def test_a_damaged_key_file_is_one_sentence_and_left_alone(keys: Keys, content: str) -> None:
    path = keys.folder / "device.key"
    keys.folder.mkdir()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(
        KeyFileError, match=r"device\.key is not a key file: it must hold 1 × 64 hex.* Put the right"
    ):
        keys.sign(b"x")
    assert path.read_text(encoding="utf-8") == content


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(KeyFileError, match="cannot be read: Not a directory"):
        Keys(tmp_path / "file").sign(b"x")
    (tmp_path / "keys" / "device.key").mkdir(parents=True)
    with pytest.raises(KeyFileError, match="cannot be read: Is a directory"):
        Keys(tmp_path / "keys").sign(b"x")
    (tmp_path / "keys2").symlink_to(tmp_path / "nowhere" / "keys")
    with pytest.raises(KeyFileError, match=r"recovery\.pub cannot be made: .* a folder that may be written"):
        Keys(tmp_path / "keys2").set_recovery(RecoveryKey.new())


# --- nothing shows a key ------------------------------------------------------------------------------------------


def test_no_key_is_in_a_repr_a_pickle_or_an_error(keys: Keys, session_folder: Path) -> None:
    keys.sign(b"x")
    vault = keys.make_vault()
    recovery = encrypted(keys)
    store = keys.store.key()
    keys.store.hold()
    secrets = [bytes(recovery._private), store.secret, bytes(vault._private), vault._index]
    secrets += [bytes.fromhex((keys.folder / "device.key").read_text())]
    shown = [repr(one).encode() + str(one).encode() for one in (keys, vault, recovery, store, keys.store)]
    shown += [pickle.dumps(keys), pickle.dumps(keys.store)]
    for one in (vault, recovery, store):
        with pytest.raises(TypeError, match="does not travel"):
            pickle.dumps(one)
    for call in (
        lambda: keys.store.open("another passphrase"),
        lambda: RecoveryKey.read(recovery.text[:-1] + "?"),
        lambda: keys.recover(RecoveryKey.new(), "a new passphrase"),
    ):
        with pytest.raises(KeyFileError) as caught:
            call()
        shown.append("".join(traceback.format_exception(caught.value)).encode())
    for secret in secrets:
        for form in (secret, secret.hex().encode(), repr(secret).encode()[2:-1], recovery.text.encode()):
            assert not any(form in one for one in shown)
    assert pickle.loads(pickle.dumps(keys)).store.key().mark == store.mark  # noqa: S301 - by way of the session


# --- the recovery key ---------------------------------------------------------------------------------------------

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@settings(max_examples=60)
@given(private=st.binary(min_size=32, max_size=32), how=st.sampled_from(["-", " ", "", "\n", " - "]))
def test_a_recovery_key_can_be_typed_back(private: bytes, how: str) -> None:
    key = RecoveryKey(private)
    assert [len(group) for group in key.groups] == [5] * 13
    assert set("".join(key.groups)) <= set(LETTERS)
    typed = how.join(key.groups).lower().replace("0", "o").replace("1", "l")
    assert bytes(RecoveryKey.read(f" {typed}\n")._private) == private


@settings(max_examples=100)
@given(
    private=st.binary(min_size=32, max_size=32), at=st.integers(0, 64), letter=st.sampled_from(LETTERS + "U?")
)
def test_one_wrong_letter_is_named_by_its_group(private: bytes, at: int, letter: str) -> None:
    text = RecoveryKey(private).text.replace("-", "")
    if text[at] == letter:
        return
    groups = text[:at] + letter + text[at + 1 :]
    typed = "-".join(groups[n : n + 5] for n in range(0, 65, 5)).replace("?", "*" if at % 5 else "ÿ")
    with pytest.raises(KeyFileError) as caught:
        RecoveryKey.read(typed)
    if letter != "?":
        assert str(caught.value).startswith(f"Group {at // 5 + 1} of the recovery key is mistyped.")


@settings(max_examples=100)
@given(private=st.binary(min_size=32, max_size=32), at=st.integers(0, 63), place=st.integers(0, 11))
def test_swapped_letters_and_groups_are_found(private: bytes, at: int, place: int) -> None:
    key = RecoveryKey(private)
    text = key.text.replace("-", "")
    if at % 5 != 4 and text[at] != text[at + 1]:
        swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        with pytest.raises(KeyFileError, match=f"Group {at // 5 + 1} of the recovery key"):
            RecoveryKey.read(swapped)
    groups = list(key.groups)
    groups[place], groups[place + 1] = groups[place + 1], groups[place]
    with pytest.raises(KeyFileError, match=f"Group {place + 1} of the recovery key"):
        RecoveryKey.read("-".join(groups))


def test_a_recovery_key_that_is_not_whole_says_how_much_is_there() -> None:
    key = RecoveryKey.new()
    with pytest.raises(KeyFileError, match=r"13 groups of 5 .* 65 in all; this has 60"):
        RecoveryKey.read("-".join(key.groups[:-1]))
    with pytest.raises(KeyFileError, match="Group 2 of the recovery key is mistyped"):
        RecoveryKey.read("-".join([key.groups[0], key.groups[1][:4], *key.groups[2:]]))


def test_the_recovery_key_alone_restores_everything(keys: Keys, session_folder: Path) -> None:
    vault = keys.make_vault()
    recovery = encrypted(keys)
    mark = keys.store.key().mark
    sealed = seal(vault.public, b"who")
    (keys.folder / "vault.key").unlink()
    (keys.folder / "recovery.pub").unlink()
    fresh = Keys(keys.folder)
    made = fresh.recover(RecoveryKey.read(recovery.text), "quite another passphrase")
    assert made == ["store.key.json", "vault.key", "recovery.pub"]
    assert fresh.store.open("quite another passphrase").mark == mark
    restored = Keys(keys.folder).vault()
    assert restored is not None
    assert restored.open(sealed) == b"who"
    assert restored.mark("138") == vault.mark("138")
    assert mode(keys.folder / "vault.key") == 0o600
    with pytest.raises(KeyFileError, match="The passphrase is not the right one"):
        fresh.store.open(PASSPHRASE)
    assert fresh.recover(recovery, "quite another passphrase") == ["store.key.json"]


def test_another_recovery_key_restores_nothing(keys: Keys, session_folder: Path) -> None:
    keys.make_vault()
    encrypted(keys)
    (keys.folder / "vault.key").unlink()
    before = {path.name: path.read_bytes() for path in keys.folder.iterdir()}
    with pytest.raises(KeyFileError, match="This is not the recovery key of this workspace"):
        Keys(keys.folder).recover(RecoveryKey.new(), "quite another passphrase")
    with pytest.raises(KeyFileError, match="This is not the recovery key of this workspace"):
        Keys(keys.folder).check_recovery(RecoveryKey.new())
    assert {path.name: path.read_bytes() for path in keys.folder.iterdir()} == before


def test_a_vaults_key_made_later_is_sealed_too(keys: Keys) -> None:
    recovery = RecoveryKey.new()
    keys.set_recovery(recovery)
    assert keys.recovery == recovery.public
    with pytest.raises(KeyFileError, match=r"Nothing in .* is sealed to a recovery key"):
        keys.recover(recovery)
    vault = keys.make_vault()
    (keys.folder / "vault.key").unlink()
    assert keys.recover(recovery) == ["vault.key"]
    found = keys.vault()
    assert found is not None
    assert found.public == vault.public


def test_a_new_recovery_key_takes_the_place_of_the_old(keys: Keys, session_folder: Path) -> None:
    keys.make_vault()
    old = encrypted(keys)
    new = RecoveryKey.new()
    keys.set_recovery(new)
    with pytest.raises(KeyFileError, match="not the recovery key"):
        keys.recover(old, "quite another passphrase")
    assert keys.recover(new, "quite another passphrase") == ["store.key.json"]
    locked = Keys(keys.folder)
    with pytest.raises(KeyFileError, match="encrypted and locked"):
        locked.set_recovery(RecoveryKey.new())
    assert locked.recovery == new.public
    keys.store.open("quite another passphrase")
    (keys.folder / "vault.key").unlink()
    with pytest.raises(KeyFileError, match="Put it back with `fieldkit recover` first"):
        keys.set_recovery(RecoveryKey.new())


# --- the store's key ----------------------------------------------------------------------------------------------


def test_a_store_opens_with_its_passphrase_alone(keys: Keys, session_folder: Path) -> None:
    encrypted(keys)
    mark = keys.store.key().mark
    fresh = StoreLock(keys.folder)
    assert fresh.is_locked
    with pytest.raises(KeyFileError, match=r"locked\. Unlock it for this session with `fieldkit unlock`"):
        fresh.key()
    for wrong in ("", PASSPHRASE + " ", PASSPHRASE.upper(), "half \ud800"):
        with pytest.raises(KeyFileError, match="The passphrase is not the right one"):
            fresh.open(wrong)
    assert fresh.is_locked
    assert fresh.open(PASSPHRASE).mark == mark
    assert not fresh.is_locked
    text = keys.store.path.read_text()
    assert fresh.key().secret.hex() not in text
    assert PASSPHRASE not in text


def test_a_passphrase_may_be_typed_on_another_keyboard(keys: Keys) -> None:
    keys.store.make("密码 ＡＢＣ café twelve", RecoveryKey.new())
    assert StoreLock(keys.folder).open("密码 ABC cafe\u0301 twelve")


def test_a_short_passphrase_is_refused_and_nothing_made(keys: Keys) -> None:
    with pytest.raises(KeyFileError, match=r"too short\. Take 10 characters or more"):
        keys.store.make("123456789", RecoveryKey.new())
    assert not keys.store.exists
    encrypted(keys)
    before = keys.store.path.read_bytes()
    with pytest.raises(KeyFileError, match="too short"):
        keys.store.set_passphrase(keys.store.key(), "short")
    assert keys.store.path.read_bytes() == before


def test_the_limits_are_libsodiums_moderate_ones(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    monkeypatch.undo()
    keys.store.make(PASSPHRASE, RecoveryKey.new())
    locked = json.loads(keys.store.pending.read_text())["locked"]
    assert (locked["ops"], locked["memory"]) == (3, 256 * 2**20)
    assert StoreLock(keys.folder).open(PASSPHRASE)


def test_a_damaged_store_key_is_one_sentence(keys: Keys, session_folder: Path) -> None:
    encrypted(keys)
    whole = keys.store.path.read_bytes()
    content = json.loads(whole)
    damaged = [b"", b"{}", b"[]", b"\xff", whole[:-20], b'{"whole": 1, "format": []}', b"[" * 100_000]
    for name, value in (("locked", {}), ("locked", None), ("mark", ""), ("format", "2"), ("sealed", "")):
        damaged.append(json.dumps({**content, name: value}).encode())
    damaged += [whole[:n] + bytes([whole[n] ^ 4]) + whole[n + 1 :] for n in range(0, len(whole) - 1, 7)]
    for data in damaged:
        keys.store.path.write_bytes(data)
        if data.strip() and _same(data, content):
            continue  # a blank more or less
        for call in (lambda: StoreLock(keys.folder).open(PASSPHRASE), StoreLock(keys.folder).key):
            with pytest.raises(KeyFileError, match=r"store\.key\.json is damaged") as caught:
                call()
            assert "\n" not in str(caught.value)


def _same(data: bytes, content: object) -> bool:
    try:
        return bool(json.loads(data) == content)
    except (ValueError, RecursionError):
        return False


def test_a_machine_without_the_memory_does_not_call_the_passphrase_wrong(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypted(keys)

    def kdf(*_given: object, **_named: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr("nacl.pwhash.argon2id.kdf", kdf)
    with pytest.raises(KeyFileError, match=r"cannot be checked: that takes .* of memory"):
        keys.store.open(PASSPHRASE)


def test_a_file_that_asks_for_all_memory_is_damaged(keys: Keys) -> None:
    encrypted(keys)
    content = json.loads(keys.store.path.read_text())
    content.pop("whole")
    content["locked"]["memory"] = 2**40
    keys.store._write(keys.store.path, content, keys.store.key())
    with pytest.raises(KeyFileError, match="is damaged"):
        StoreLock(keys.folder).open(PASSPHRASE)


# --- the session --------------------------------------------------------------------------------------------------


def test_unlocked_once_it_is_open_for_every_process_until_locked(keys: Keys, session_folder: Path) -> None:
    encrypted(keys)
    place = keys.store.hold()
    assert place.parent == session_folder
    assert (mode(place), mode(session_folder)) == (0o600, 0o700)
    assert StoreLock(keys.folder).key().mark == keys.store.key().mark
    assert not StoreLock(keys.folder.parent / "keys" / ".." / "keys").is_locked
    assert keys.store.close()
    assert not place.exists()
    assert StoreLock(keys.folder).is_locked
    assert keys.store.is_locked
    assert not keys.store.close()


def test_a_key_that_nobody_uses_is_forgotten(keys: Keys, session_folder: Path) -> None:
    encrypted(keys)
    place = keys.store.hold(2)
    ago = time.time() - 1.9 * 3600
    os.utime(place, (ago, ago))
    assert not StoreLock(keys.folder).is_locked
    assert place.stat().st_mtime > ago + 3600, "that was a use"
    for seconds in (-2.1 * 3600, 2.1 * 3600):
        keys.store.open(PASSPHRASE)
        keys.store.hold(2)
        os.utime(place, (time.time() + seconds,) * 2)
        assert StoreLock(keys.folder).is_locked
        assert not place.exists()
    for hours in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(KeyFileError, match="no time to stay unlocked"):
            keys.store.hold(hours)


def test_another_stores_key_does_not_unlock(keys: Keys, session_folder: Path) -> None:
    encrypted(keys)
    place = keys.store.hold()
    place.write_text(json.dumps({"key": StoreKey.new().secret.hex(), "hours": 12}))
    assert StoreLock(keys.folder).is_locked
    for content in ("", "{}", '{"key": "zz", "hours": 1}', "[]"):
        place.write_text(content)
        assert StoreLock(keys.folder).is_locked


def test_a_folder_that_others_could_have_made_is_not_used(keys: Keys, session_folder: Path) -> None:
    encrypted(keys)
    place = keys.store.hold()
    session_folder.chmod(0o755)
    assert StoreLock(keys.folder).is_locked
    place.unlink()
    with pytest.raises(KeyFileError, match="is not a folder that only this account can read"):
        keys.store.hold()
    session_folder.rmdir()
    session_folder.symlink_to(keys.folder)
    with pytest.raises(KeyFileError, match="is not a folder that only this account can read"):
        keys.store.hold()


def test_memory_is_preferred_to_a_disk(tmp_path: Path) -> None:
    mounts = "\n".join(
        [
            "/dev/sda1 / ext4 rw 0 0",
            f"tmpfs {tmp_path}/run tmpfs rw 0 0",
            f"/dev/sdb1 {tmp_path}/with\\040blank ext4 rw 0 0",
            "broken",
        ]
    )
    for name in ("run/user", "runner", "with blank"):
        (tmp_path / name).mkdir(parents=True)
    assert session.in_memory(tmp_path / "run" / "user", mounts)
    assert not session.in_memory(tmp_path / "runner", mounts)
    assert not session.in_memory(tmp_path / "run" / "none", mounts)
    assert session.mounted_on(tmp_path / "with blank", mounts) == ("/dev/sdb1", "ext4")
    places = list(session._places({"XDG_RUNTIME_DIR": str(tmp_path)}))
    assert tmp_path / "fieldkit" not in places, "a runtime folder on a disk is no better than another"
    assert places[-1].name == f"fieldkit-{os.getuid()}"


# --- the disk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("/dev/nothing-mapped-crypt", Disk.ENCRYPTED),
        ("/dev/nothing-volume", Disk.ENCRYPTED),
        ("/dev/nothing-partition", Disk.PLAIN),
        ("/dev/nothing-unknown", Disk.UNKNOWN),
        ("overlay", Disk.UNKNOWN),
        ("server:/share", Disk.UNKNOWN),
    ],
)
def test_a_disk_is_followed_down_to_its_encryption(tmp_path: Path, device: str, expected: Disk) -> None:
    blocks = tmp_path / "block"
    for name, uuid, slaves in (
        ("nothing-mapped-crypt", "CRYPT-LUKS2-0123", ["nothing-partition"]),
        ("nothing-volume", "LVM-0123", ["nothing-mapped-crypt"]),
        ("nothing-partition", None, []),
    ):
        (blocks / name / "slaves").mkdir(parents=True)
        for slave in slaves:
            (blocks / name / "slaves" / slave).touch()
        if uuid is not None:
            (blocks / name / "dm").mkdir()
            (blocks / name / "dm" / "uuid").write_text(uuid)
    assert disk.by_device_mapper(tmp_path, f"{device} / ext4 rw 0 0\n", blocks) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("FileVault is On.\n", Disk.ENCRYPTED),
        ("FileVault is Off.\n", Disk.PLAIN),
        ("?", Disk.UNKNOWN),
        (None, Disk.UNKNOWN),
    ],
)
def test_macos_is_asked_for_filevault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str | None, expected: Disk
) -> None:
    def run(command: list[str], **_given: object) -> SimpleNamespace:
        assert command == ["/usr/bin/fdesetup", "status"]
        if said is None:
            raise FileNotFoundError
        return SimpleNamespace(stdout=said)

    monkeypatch.setattr("fieldkit.keys.disk.sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr("fieldkit.keys.disk.subprocess.run", run)
    assert disk.disk_of(tmp_path) is expected


def test_every_flip_of_a_sealed_copy_is_refused(keys: Keys) -> None:
    keys.make_vault()
    recovery = RecoveryKey.new()
    keys.set_recovery(recovery)
    path = keys.folder / "vault.key.sealed"
    whole = bytes.fromhex(path.read_text())
    chosen = random.Random(7)  # noqa: S311 - which bits, not a secret
    for _ in range(50):
        at = chosen.randrange(len(whole) * 8)
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        path.write_text(changed.hex())
        with pytest.raises(KeyFileError, match="not the recovery key of this workspace"):
            keys.recover(recovery)
