"""The command line: every command parses, makes one call of the library and prints.

A command's module is imported when the command is run, so that ``fieldkit --help`` answers at once. Exit codes: 0 done,
1 done with flags, 2 refused.
"""

from __future__ import annotations

import errno
import importlib
import sys
from typing import Any

import click

from fieldkit import __version__
from fieldkit.errors import FieldkitError

#: Every command with its one line of help; its module has its name.
COMMANDS = {
    "demo": "Show the whole way on the 2017 demonstration ledger, then open the dashboards.",
    "init": "Make a folder a workspace.",
    "import": "Take complaints in from a file.",
    "cases": "List the cases.",
    "case": "Show one case with its timeline.",
    "evidence": "Keep photographs, recordings and documents of a case.",
    "analyse": "Run an analysis and write its result as a map or a table.",
    "records": "Write the investigation records of cases.",
    "serve": "Open the dashboards, with a token, on this machine only.",
    "complainant": "Show who sent a complaint, if you may, or forget it.",
    "roles": "Show or change who may see who complained.",
    "verify": "Check that no event and no evidence was changed since it was written.",
    "heads": "Show where the chain of each device ends, signed.",
    "backup": "Back the workspace up, and restore the copy once before it counts.",
    "restore": "Make a new workspace from a backup.",
    "export": "Write the ledger for other programs: a folder, a GeoPackage, a GeoParquet.",
    "import-export": "Take an exported folder in.",
    "rebuild": "Make the ledger's tables anew from its events.",
    "encrypt": "Encrypt the ledger's file under a passphrase.",
    "decrypt": "Make an encrypted ledger a plain file again.",
    "unlock": "Open the encrypted ledger for this session.",
    "lock": "Close it again.",
    "passphrase": "Change the passphrase of the encrypted ledger.",
    "recovery-key": "Make a recovery key, to be kept on paper.",
    "recover": "Open with the recovery key what a lost passphrase or key file has closed.",
    "plugins": "List the plugins, and from which package each comes.",
}


class _Commands(click.Group):
    """Loads a command when it is asked for, and turns the kit's errors into one sentence and exit code 2."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(
            f"fieldkit.cli.{name}_command" if name == "import" else f"fieldkit.cli.{name.replace('-', '_')}"
        )
        file = "import_command" if name == "import" else name.replace("-", "_")
        module = importlib.import_module(f"fieldkit.cli.{file}")
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FieldkitError as error:
            click.echo(f"fieldkit: {error}", err=True)
            ctx.exit(2)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the program that reads our output has ended: click ends quietly
                raise
            what = f"{error.filename} cannot be used" if error.filename else "The machine refused"
            click.echo(f"fieldkit: {what}: {error.strerror or error}.", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo(
                "\nfieldkit: stopped. What was saved is saved; run the same command again to go on.", err=True
            )
            ctx.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fieldkit")
def cli() -> None:
    """A field investigation kit for environmental complaints: ledger, hot spots, records, dashboards."""


def main() -> None:
    """Run the command line; what the program ``fieldkit`` calls."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not stop a report half-way.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    cli(prog_name="fieldkit")
