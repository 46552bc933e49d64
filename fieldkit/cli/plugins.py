"""``fieldkit plugins``: what is installed, from which package."""

from __future__ import annotations

from dataclasses import asdict

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table


@click.command("plugins")
@workspace_option
@json_option
@click.option("--check", is_flag=True, help="Import every plugin that may be used, and say which cannot.")
@click.pass_context
def command(ctx: click.Context, /, workspace: str | None, as_json: bool, check: bool) -> None:
    """List the installed plugins of every group; without --check none is imported."""
    from fieldkit.errors import PluginError, SettingsError
    from fieldkit.plugins import list_plugins, load_plugin
    from fieldkit.settings import find_workspace, read_settings

    allowed: tuple[str, ...] = ()
    try:
        allowed = read_settings(find_workspace(workspace)).plugins
    except SettingsError:
        if workspace is not None:
            raise
    listed = list_plugins(allowed)
    wrong: dict[str, str] = {}
    for plugin in listed if check else ():
        if plugin.allowed:
            try:
                load_plugin(plugin.group, plugin.name, allowed)
            except PluginError as error:
                wrong[f"{plugin.group}:{plugin.name}"] = str(error)
    if as_json:
        echo_json({"plugins": [asdict(plugin) for plugin in listed], "wrong": wrong})
    else:
        echo_table(
            {
                "group": [plugin.group for plugin in listed],
                "name": [plugin.name for plugin in listed],
                "package": [f"{plugin.package} {plugin.version}" for plugin in listed],
                "used": ["yes" if plugin.allowed else "not on the workspace's list" for plugin in listed],
            }
        )
        for sentence in wrong.values():
            click.echo(sentence)
    ctx.exit(1 if wrong else 0)
