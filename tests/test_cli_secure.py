"""The commands of an encrypted ledger: what they ask, what they print once, and that a refusal is one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fieldkit.cli import cli
from fieldkit.keys import RecoveryKey
from fieldkit.workspace import Workspace, open_workspace

PASSPHRASE = "four words, not together"  # noqa: S105 - no one's
OTHER = "quite another passphrase"
pytestmark = pytest.mark.usefixtures("cheap_passphrases", "session_folder")


def run(*arguments: str, typed: str | None = None) -> Result:
    result = CliRunner().invoke(cli, list(arguments), input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert PASSPHRASE not in result.output
    assert OTHER not in result.output
    return result


def refused(*arguments: str, typed: str | None = None) -> str:
    """The one sentence (or what came before it, asked on a terminal, and it) of a command that must refuse."""
    result = run(*arguments, typed=typed)
    assert result.exit_code == 2, result.output
    assert result.stderr.strip().splitlines()[-1].startswith("fieldkit: ")
    assert "{" not in result.stdout
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def folder(sample: Workspace) -> str:
    sample.ledger.close()
    return str(sample.settings.folder)


@pytest.fixture
def encrypted(folder: str, secret: str) -> str:
    """The recovery key of the workspace in *folder*, encrypted and locked."""
    result = run("encrypt", "-w", folder, "--passphrase-file", secret, "--yes", "--json")
    assert result.exit_code == 0, result.output
    return str(json.loads(result.stdout)["recovery_key"])


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldkit.cli.asking.has_terminal", lambda: True)


def test_encrypt_asks_twice_and_has_a_group_typed_back(
    folder: str, terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = RecoveryKey(bytes(range(32)))
    monkeypatch.setattr("fieldkit.keys.RecoveryKey.new", lambda: key)
    monkeypatch.setattr("secrets.randbelow", lambda n: n - 7)
    answers = f"{PASSPHRASE}\n{PASSPHRASE}\n{key.groups[6].lower()}\n"
    result = run("encrypt", "-w", folder, typed=answers)
    assert result.exit_code == 0, result.output
    assert "group 7 (line 2, 2 from the left)" in result.output
    lines = [line.strip() for line in result.stdout.splitlines() if line.startswith("    ")]
    assert RecoveryKey.read("-".join(lines)).public == key.public
    assert result.stdout.count(key.groups[0]) == 1
    assert "Unlock it for a session with: fieldkit unlock" in result.output
    assert not (Path(folder) / "ledger.sqlite").read_bytes().startswith(b"SQLite")


def test_encrypt_changes_nothing_where_the_group_is_wrong_or_the_passphrases_differ(
    folder: str, terminal: None
) -> None:
    before = (Path(folder) / "ledger.sqlite").read_bytes()
    assert "Nothing was changed" in refused(
        "encrypt", "-w", folder, typed=f"{PASSPHRASE}\n{PASSPHRASE}\nAAAAA\n"
    )
    result = run("encrypt", "-w", folder, typed=f"{PASSPHRASE}\n{OTHER}\n")
    assert result.exit_code != 0
    assert "do not match" in result.output
    assert "too short" in refused("encrypt", "-w", folder, "--yes", typed="short\nshort\n")
    assert (Path(folder) / "ledger.sqlite").read_bytes() == before
    assert not (Path(folder) / "keys" / "store.key.json").exists()
    assert run("cases", "-w", folder).exit_code == 0


def test_without_a_terminal_there_must_be_files(folder: str, secret: str, tmp_path: Path) -> None:
    assert "There is no terminal to ask on. Give --passphrase-file FILE." in refused("encrypt", "-w", folder)
    said = refused("encrypt", "-w", folder, "--passphrase-file", secret)
    assert "Give --yes, and keep what is printed." in said
    assert "No such file" in refused("encrypt", "-w", folder, "--passphrase-file", str(tmp_path / "none"))
    (tmp_path / "empty").write_text("\n")
    assert "has no first line" in refused(
        "encrypt", "-w", folder, "--passphrase-file", str(tmp_path / "empty")
    )
    assert "passphrase" not in {o.strip("-") for p in cli.get_command(None, "encrypt").params for o in p.opts}  # type: ignore[arg-type, union-attr]


def test_locked_every_command_is_one_sentence(folder: str, encrypted: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("number,text,received_at\n1,x,2017-07-01 10:00\n")
    for arguments in (
        ("cases",), ("case", "S-001"), ("analyse", "rhythm"), ("records", "--all"), ("verify",), ("rebuild",),
        ("import", str(tmp_path / "in.csv")), ("serve", "--port", "0"), ("recovery-key", "--yes"), ("cases", "--json"),
    ):  # fmt: skip
        said = refused(*arguments, "-w", folder)
        assert "The ledger is encrypted and locked. Unlock it for this session with `fieldkit unlock`" in said
        assert "The recovery key" not in said


def test_unlock_and_lock(folder: str, encrypted: str, secret: str, session_folder: Path) -> None:
    result = run("unlock", "-w", folder, "--passphrase-file", secret, "--idle", "3")
    assert result.exit_code == 0
    assert "until it has not been used for 3 hours" in result.output
    assert run("cases", "-w", folder).exit_code == 0
    assert "All 65" in run("verify", "-w", folder).output or run("verify", "-w", folder).exit_code == 0
    assert "The ledger is locked." in run("lock", "-w", folder).output
    assert list(session_folder.iterdir()) == []
    assert "was not unlocked" in run("lock", "-w", folder).output
    assert json.loads(run("lock", "-w", folder, "--json").output) == {
        "unlocked": False,
        "was_unlocked": False,
    }
    assert "encrypted and locked" in refused("cases", "-w", folder)
    assert "no time to stay unlocked" in refused(
        "unlock", "-w", folder, "--passphrase-file", secret, "--idle", "0"
    )


def test_on_a_terminal_a_command_asks_once_a_session(folder: str, encrypted: str, terminal: None) -> None:
    result = run("cases", "-w", folder, "--json", "--limit", "0", typed=f"{PASSPHRASE}\n")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 57
    assert "Passphrase of the ledger" in result.stderr
    again = run("cases", "-w", folder)
    assert again.exit_code == 0
    assert "Passphrase" not in again.output
    run("lock", "-w", folder)
    assert "The passphrase is not the right one" in refused("cases", "-w", folder, typed="wrong\n")


def test_a_wrong_secret_is_one_sentence(folder: str, encrypted: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not this one, no")
    before = {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    for command in ("unlock", "decrypt", "passphrase"):
        said = refused(command, "-w", folder, "--passphrase-file", str(wrong))
        assert "The passphrase is not the right one" in said
    other = tmp_path / "other"
    for text, sentence in (
        (RecoveryKey.new().text, "This is not the recovery key of this workspace"),
        (
            encrypted[:20] + ("A" if encrypted[20] != "A" else "B") + encrypted[21:],
            "Group 4 of the recovery key is mistyped",
        ),
        ("nonsense", "this has 8"),
    ):  # fmt: skip
        other.write_text(text)
        assert sentence in refused(
            "recover", "-w", folder, "--recovery-file", str(other), "--passphrase-file", str(wrong)
        )
    assert {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()} == before


def test_the_passphrase_is_changed(folder: str, encrypted: str, secret: str, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text(OTHER)
    result = run("passphrase", "-w", folder, "--passphrase-file", secret, "--new-passphrase-file", str(new))
    assert result.exit_code == 0, result.output
    assert "not the right one" in refused("unlock", "-w", folder, "--passphrase-file", secret)
    assert run("unlock", "-w", folder, "--passphrase-file", str(new)).exit_code == 0


def test_recover_sets_a_passphrase_and_puts_the_vaults_key_back(
    folder: str, encrypted: str, terminal: None
) -> None:
    vault = Path(folder) / "keys" / "vault.key"
    before = vault.read_bytes()
    vault.unlink()
    result = run("recover", "-w", folder, typed=f"{encrypted.lower()}\n{OTHER}\n{OTHER}\n")
    assert result.exit_code == 0, result.output
    assert "Made anew: store.key.json, vault.key." in result.output
    assert vault.read_bytes() == before
    assert run("cases", "-w", folder, typed=f"{OTHER}\n").exit_code == 0


def test_decrypt_asks_even_when_unlocked(folder: str, encrypted: str, secret: str) -> None:
    run("unlock", "-w", folder, "--passphrase-file", secret)
    assert "There is no terminal to ask on" in refused("decrypt", "-w", folder)
    result = run("decrypt", "-w", folder, "--passphrase-file", secret)
    assert result.exit_code == 0, result.output
    assert "whoever has the disk can read it" in result.output
    assert run("cases", "-w", folder).exit_code == 0
    for command in ("unlock", "decrypt", "passphrase"):
        assert "is not encrypted. `fieldkit encrypt`" in refused(command, "-w", folder)


def test_a_plain_workspace_may_have_a_recovery_key_for_its_vault(folder: str, tmp_path: Path) -> None:
    result = run("recovery-key", "-w", folder, "--yes", "--json")
    (tmp_path / "paper").write_text(json.loads(result.stdout)["recovery_key"])
    (Path(folder) / "keys" / "vault.key").unlink()
    result = run("recover", "-w", folder, "--recovery-file", str(tmp_path / "paper"), "--json")
    assert json.loads(result.stdout) == {"made": ["vault.key"]}
    assert (
        "nothing was missing"
        in run("recover", "-w", folder, "--recovery-file", str(tmp_path / "paper")).output
    )


def test_a_new_recovery_key_for_an_unlocked_ledger(
    folder: str, encrypted: str, secret: str, tmp_path: Path
) -> None:
    run("unlock", "-w", folder, "--passphrase-file", secret)
    result = run("recovery-key", "-w", folder, "--yes")
    assert "an earlier one does not any more" in result.output
    (tmp_path / "old").write_text(encrypted)
    said = refused(
        "recover", "-w", folder, "--recovery-file", str(tmp_path / "old"), "--passphrase-file", secret
    )
    assert "not the recovery key of this workspace" in said


def test_init_makes_an_encrypted_workspace(tmp_path: Path, secret: str) -> None:
    office = tmp_path / "office"
    said = refused(
        "init",
        str(office),
        "--encrypted",
        "--yes",
        "--passphrase-file",
        secret,
        "--ledger",
        "postgresql://h/d",
    )
    assert "on a PostgreSQL server is not encrypted by the kit" in said
    assert not office.exists()
    result = run("init", str(office), "--encrypted", "--yes", "--passphrase-file", secret)
    assert result.exit_code == 0, result.output
    assert "The recovery key. Write it on paper" in result.output
    assert not (office / "ledger.sqlite").read_bytes().startswith(b"SQLite")
    assert "encrypted and locked" in refused("cases", "-w", str(office))
    ws = open_workspace(office)
    ws.keys.store.open(PASSPHRASE)
    assert ws.ledger.count()["events"] == 0
    ws.ledger.close()


def test_a_missing_extra_and_a_damaged_key_file_are_one_sentence(
    folder: str, encrypted: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
        for arguments in (("cases",), ("unlock", "--passphrase-file", secret), ("encrypt", "--yes")):
            assert 'pip install "fieldkit-casework[secure]"' in refused(*arguments, "-w", folder)
    (Path(folder) / "keys" / "store.key.json").write_text("{")
    for arguments in (("cases",), ("unlock", "--passphrase-file", secret), ("serve",)):
        assert "store.key.json is damaged" in refused(*arguments, "-w", folder)


def test_the_disk_is_spoken_of_when_it_is_not_known_to_be_encrypted(
    folder: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fieldkit.keys import Disk

    notes = []
    for disk in Disk:
        monkeypatch.setattr("fieldkit.keys.disk_of", lambda _folder, disk=disk: disk)
        run("encrypt", "-w", folder, "--passphrase-file", secret, "--yes")
        notes.append(run("unlock", "-w", folder, "--passphrase-file", secret).stderr)
        run("decrypt", "-w", folder, "--passphrase-file", secret)
    assert notes[0] == ""
    assert "is not known to be encrypted" in notes[1]
    assert "may or may not be encrypted" in notes[2]


def test_a_wrong_passphrase_in_a_process_of_its_own(folder: str, encrypted: str, tmp_path: Path) -> None:
    """The whole program, without a terminal: one line, no key in what it says."""
    (tmp_path / "wrong").write_text("not this one, no")
    command = [
        sys.executable,
        "-m",
        "fieldkit",
        "unlock",
        "-w",
        folder,
        "--passphrase-file",
        str(tmp_path / "wrong"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env={**os.environ}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fieldkit: The passphrase is not the right one.")
    assert len(done.stderr.splitlines()) == 1
