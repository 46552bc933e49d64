"""The plugin seam: the entry-point groups, one Protocol a group, and the loader that imports only what is asked for.

Listing plugins reads package metadata and imports nothing. A plugin is imported when it is asked for by name, and
only when it is built in or on the workspace's list (``plugins = […]`` in ``fieldkit.toml``). What is wrong with one
plugin is said in one sentence and does not touch the others.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import textwrap
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from fieldkit.complaints import Entry
from fieldkit.errors import PluginError

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

_log = logging.getLogger(__name__)

#: The distribution whose plugins are built in.
OWN_DISTRIBUTION = "fieldkit-casework"


class Reading(Protocol):
    """One file being read: what was found out about it, and its rows one by one.

    *mapping* says which column feeds which field; *unused* names the columns that are left out; *encoding* is empty
    where it does not apply; *crs* is the reference system of the coordinates; *total* the number of rows if known.
    """

    encoding: str
    crs: str
    mapping: Mapping[str, str]
    unused: tuple[str, ...]
    total: int | None

    def __iter__(self) -> Iterator[Entry]:
        """Yield one :class:`~fieldkit.complaints.Entry` a row; memory does not grow with the file."""
        ...

    def write_refused(self, entries: Iterable[Entry], path: Path) -> Path:
        """Write refused rows in the file's own format to *path* (suffix chosen here), to be mended and read again."""
        ...


@runtime_checkable
class Reader(Protocol):
    """Reads a file or feed of complaints; group ``fieldkit.readers``."""

    title: str

    def open(self, path: Path, options: Mapping[str, Any]) -> Reading:
        """Open *path*; raises :class:`~fieldkit.errors.IntakeError` when it cannot be read at all."""
        ...


@runtime_checkable
class Pack(Protocol):
    """A pollution category; group ``fieldkit.packs``. *category* is a main category of the vocabulary."""

    title: str
    category: str
    subcategories: tuple[str, ...]
    notebook: str | None


@runtime_checkable
class Analysis(Protocol):
    """Frame in, frame out, with a seed and its source; group ``fieldkit.analyses``.

    An analysis that compares a period with another has ``takes_period = True`` besides: it is then given every
    complaint, and *since* and *until* as options.
    """

    title: str
    source: str

    def run(self, frame: gpd.GeoDataFrame, *, seed: int = 0, **options: Any) -> pd.DataFrame:
        """Analyse the complaints *frame*; what was done stands in the result's ``attrs``."""
        ...


@runtime_checkable
class Layer(Protocol):
    """Draws something on a folium map; group ``fieldkit.layers``."""

    title: str

    def add_to(self, chart: Any, data: gpd.GeoDataFrame, options: Mapping[str, Any]) -> None:
        """Add *data* to the folium map *chart*."""
        ...


@runtime_checkable
class Record(Protocol):
    """Renders the executed notebook of a case into a document; group ``fieldkit.records``."""

    title: str
    suffix: str

    def render(self, document: Mapping[str, Any]) -> bytes:
        """Render the *document* (title, language, parts) to the bytes of one file."""
        ...


#: Every group with the Protocol that its plugins follow.
GROUPS: dict[str, type] = {
    "fieldkit.readers": Reader,
    "fieldkit.packs": Pack,
    "fieldkit.analyses": Analysis,
    "fieldkit.layers": Layer,
    "fieldkit.records": Record,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A plugin as package metadata name it, without importing it."""

    group: str
    name: str
    package: str
    version: str
    allowed: bool

    @property
    def built_in(self) -> bool:
        """Whether the plugin comes with the kit."""
        return self.package == OWN_DISTRIBUTION


def list_plugins(allowed: Iterable[str] = ()) -> list[Listed]:
    """List the installed plugins of every group, sorted, without importing any; *allowed* is the workspace's list."""
    names = set(allowed)
    return [_listed(point, names) for point in _entry_points()]


def load_plugin(group: str, name: str, allowed: Iterable[str] = ()) -> Any:
    """Import the plugin *name* of *group* and return one instance of it.

    Raises :class:`PluginError` when there is no such plugin, when two packages offer the name, when the workspace
    does not list it, or when it cannot be imported or does not follow the group's Protocol. A built-in plugin is
    never replaced by another package's of the same name.
    """
    names = set(allowed)
    installed = [(_listed(point, names), point) for point in _entry_points() if point.group == group]
    offers = [(plugin, point) for plugin, point in installed if plugin.name == name]
    if not offers:
        known = ", ".join(sorted({plugin.name for plugin, _ in installed})) or "none"
        raise PluginError(f"There is no {_short(group)} plugin {name!r}. Installed are: {known}.")
    chosen = [offer for offer in offers if offer[0].built_in] or [
        offer for offer in offers if offer[0].allowed
    ]
    if not chosen:
        raise PluginError(
            f"The {_short(group)} plugin {name!r} of the package {offers[0][0].package} is not on this workspace's "
            f'list. To use it, add "{name}" to plugins in fieldkit.toml.'
        )
    if len(chosen) > 1:
        packages = " and ".join(plugin.package for plugin, _ in chosen)
        raise PluginError(
            f"The packages {packages} both offer the {_short(group)} plugin {name!r}. Remove one of them."
        )
    return _load(*chosen[0])


def _entry_points() -> list[metadata.EntryPoint]:
    # One pass over the installed packages, not `metadata.entry_points`, which a single package with a damaged list
    # would make fail for all. A package found twice on the path counts once: the first is the one Python imports.
    found: dict[tuple[int, str, str], metadata.EntryPoint] = {}
    groups = list(GROUPS)
    for distribution in metadata.distributions():
        try:
            points = [point for point in distribution.entry_points if point.group in GROUPS]
        except (TypeError, ValueError, OSError) as error:
            _say_damaged(str(distribution.metadata["Name"]), type(error).__name__)
            continue
        for point in points:
            package = re.sub(r"[-_.]+", "-", _package(point)).lower()
            found.setdefault((groups.index(point.group), point.name, package), point)
    return [point for _, point in sorted(found.items(), key=lambda item: item[0])]


@cache
def _say_damaged(package: str, reason: str) -> None:
    _log.warning(
        "The package %s has a damaged list of plugins (%s). Install it again or remove it.", package, reason
    )


def _package(point: metadata.EntryPoint) -> str:
    # A half removed package has no name any more.
    return (point.dist and point.dist.name) or "without a name"


def _listed(point: metadata.EntryPoint, allowed: set[str]) -> Listed:
    package = _package(point)
    may = package == OWN_DISTRIBUTION or bool(allowed & {point.name, f"{_short(point.group)}:{point.name}"})
    return Listed(point.group, point.name, package, (point.dist and point.dist.version) or "", may)


def _load(listed: Listed, point: metadata.EntryPoint) -> Any:
    protocol = GROUPS[listed.group]
    try:
        # What it prints while loading must not get into a result that a machine reads.
        with contextlib.redirect_stdout(sys.stderr):
            plugin = point.load()()
        follows = isinstance(plugin, protocol)
    except (Exception, SystemExit) as error:
        # Whatever a foreign plugin raises is its fault, not the user's; even its exception may not print.
        reason = textwrap.shorten(traceback.format_exception_only(error)[-1], 300, placeholder=" …")
        raise PluginError(
            f"The plugin {listed.name!r} of the package {listed.package} cannot be used: {reason.rstrip('.')}. "
            "Update or remove the package."
        ) from error
    if not follows:
        raise PluginError(
            f"The plugin {listed.name!r} of the package {listed.package} does not do what a plugin of "
            f"{listed.group} must: it lacks part of {protocol.__name__}. Update or remove the package."
        )
    return plugin


def _short(group: str) -> str:
    return group.rpartition(".")[2]
