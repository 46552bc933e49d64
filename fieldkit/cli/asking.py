"""Ask for passphrases and recovery keys on the terminal, or take them from a file; show a recovery key once."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fieldkit.errors import KeyFileError

if TYPE_CHECKING:
    from fieldkit.keys import Keys, RecoveryKey

_F = TypeVar("_F", bound=Callable[..., Any])
_A_LINE = 5


def passphrase_option(command: _F) -> _F:
    """Add ``--passphrase-file``."""
    return click.option(
        "--passphrase-file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Take the passphrase from the first line of a file instead of asking: for scripts.",
    )(command)


def has_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def ask_passphrase(file: str | None, prompt: str = "Passphrase") -> str:
    """The passphrase, from *file* or asked for once."""
    if file is not None:
        return first_line(file)
    _need_terminal("--passphrase-file FILE")
    return str(click.prompt(prompt, hide_input=True, err=True))


def new_passphrase(file: str | None) -> str:
    """A new passphrase, from *file* or asked for twice."""
    if file is not None:
        return first_line(file)
    _need_terminal("--passphrase-file FILE")
    return str(
        click.prompt("New passphrase", hide_input=True, confirmation_prompt="The same again", err=True)
    )


def first_line(file: str) -> str:
    """The first line of a file that holds a secret; raises :class:`~fieldkit.errors.KeyFileError`."""
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise KeyFileError(
            f"{file} cannot be read: {why}. Give a file with the secret in one line."
        ) from None
    if not lines or not lines[0]:
        raise KeyFileError(f"{file} has no first line. Give a file with the secret in one line.")
    return lines[0]


def ask_recovery(file: str | None) -> RecoveryKey:
    """The recovery key, from *file* or asked for."""
    from fieldkit.keys import RecoveryKey

    if file is not None:
        return RecoveryKey.read(first_line(file))
    _need_terminal("--recovery-file FILE")
    return RecoveryKey.read(click.prompt("Recovery key (blanks or hyphens between groups)", err=True))


def make_recovery(*, confirm: bool, show: bool) -> RecoveryKey:
    """A new recovery key, shown once unless the caller will do so, one group of it typed back where *confirm*."""
    from fieldkit.keys import RecoveryKey

    if confirm:
        _need_terminal("--yes, and keep what is printed")
    recovery = RecoveryKey.new()
    if show or confirm:
        _show(recovery)
    if confirm:
        n = secrets.randbelow(len(recovery.groups))
        place = f"group {n + 1} (line {n // _A_LINE + 1}, {n % _A_LINE + 1} from the left)"
        typed = click.prompt(f"When it is written down, type {place}", err=True)
        if _plain(typed) != recovery.groups[n]:
            raise KeyFileError(
                f"That is not {place}. Nothing was changed; write the next recovery key down and try again."
            )
    return recovery


def _show(recovery: RecoveryKey) -> None:
    click.echo("The recovery key. Write it on paper and keep that away from this machine:\n")
    for start in range(0, len(recovery.groups), _A_LINE):
        click.echo("    " + "-".join(recovery.groups[start : start + _A_LINE]))
    click.echo(
        "\nIt alone opens what is kept here when the passphrase or a key file is lost, for whoever holds it. "
        "It is not shown again."
    )


def _plain(typed: str) -> str:
    return typed.strip(" -").upper().replace("O", "0").replace("I", "1").replace("L", "1")


def note_disk(folder: Path) -> None:
    """Say on the error channel when the disk under *folder* is not known to be encrypted."""
    from fieldkit.keys import Disk, disk_of

    disk = disk_of(folder)
    if disk is not Disk.ENCRYPTED:
        found = "is not known to be encrypted" if disk is Disk.PLAIN else "may or may not be encrypted"
        click.echo(
            f"Note: the disk under {folder} {found}. Swap, temporary files, records and maps are outside the "
            "encrypted ledger; switch on BitLocker, FileVault or LUKS as well.",
            err=True,
        )


def unlock_if_asked(keys: Keys) -> None:
    """Ask for the passphrase of a locked ledger where there is a terminal, and keep it open for the session."""
    if has_terminal() and keys.store.is_locked:
        keys.store.open(ask_passphrase(None, "Passphrase of the ledger"))
        keys.store.hold()
        click.echo("Unlocked for this session; `fieldkit lock` locks it again.", err=True)


def _need_terminal(instead: str) -> None:
    if not has_terminal():
        raise KeyFileError(f"There is no terminal to ask on. Give {instead}.")
