"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


class _Day(click.ParamType[date]):
    """A day as YYYY-MM-DD."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is not a day. Write it as YYYY-MM-DD, for example 2017-06-30.", param, ctx)


DAY = _Day()


class _Moment(click.ParamType[date]):
    """A day as YYYY-MM-DD, meant to its end, or a moment as YYYY-MM-DDTHH:MM."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        from fieldkit.errors import SettingsError
        from fieldkit.workspace import read_moment

        if isinstance(value, date):
            return value
        try:
            return read_moment(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


def as_of_option(command: _F) -> _F:
    """Add ``--as-of``."""
    return click.option(
        "--as-of",
        type=_Moment(),
        metavar="WHEN",
        help="As the ledger stood at the end of this day (YYYY-MM-DD), or at this moment (YYYY-MM-DDTHH:MM).",
    )(command)


def workspace_option(command: _F) -> _F:
    """Add ``--workspace``; where its ledger is locked, the passphrase is asked for on a terminal."""
    return _workspace_option(_unlocked)(command)


def locked_workspace_option(command: _F) -> _F:
    """Add ``--workspace`` to a command that does not need the ledger open."""
    return _workspace_option(None)(command)


def _workspace_option(callback: Callable[..., Any] | None) -> Callable[[_F], _F]:
    return click.option(
        "--workspace",
        "-w",
        metavar="FOLDER",
        help="The workspace; by default the one here or above, then the demonstration.",
        callback=callback,
    )


def _unlocked(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    from fieldkit.cli import asking

    if asking.has_terminal():
        from fieldkit.errors import SettingsError
        from fieldkit.settings import find_workspace, read_settings

        try:
            settings = read_settings(find_workspace(value))
        except SettingsError:
            return value  # the command says so in its own way
        from fieldkit.keys import Keys

        if settings.ledger.startswith("sqlite:"):
            asking.unlock_if_asked(Keys(settings.keys))
    return value


def json_option(command: _F) -> _F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of text.")(
        command
    )


def filter_options(command: _F) -> _F:
    """Add the filters that complaints are chosen by."""
    for option in reversed(
        (
            click.option(
                "--category",
                metavar="CODE",
                help="A main category: noise, air, water, solid_waste, radiation, other.",
            ),
            click.option("--district", metavar="NAME", help="A district, as it is written in the ledger."),
            click.option("--since", type=DAY, metavar="DAY", help="From this day on (YYYY-MM-DD)."),
            click.option(
                "--until", type=DAY, metavar="DAY", help="Up to the day before this one (YYYY-MM-DD)."
            ),
        )
    ):
        command = option(command)
    return command
