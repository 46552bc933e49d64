"""The plugin seam: the entry-point groups, one Protocol a group, and the loader that imports only what is asked for.

Listing plugins reads package metadata and imports nothing. A plugin is imported when it is asked for by name, and
only when it is built in or on the workspace's list (``plugins = […]`` in ``fieldkit.toml``). What is wrong with one
plugin is said in one sentence and does not touch the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from fieldkit.complaints import Entry
from fieldkit.errors import PluginError

if TYPE_CHECKING:
    import geopandas as gpd

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
        """Write refused rows in the file's own format to *path* (suffix chosen here), to be mended and imported again."""
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
    """Frame in, frame out, with a seed and its source; group ``fieldkit.analyses``."""

    title: str
    source: str

    def run(self, frame: gpd.GeoDataFrame, *, seed: int = 0, **options: Any) -> gpd.GeoDataFrame:
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
    listed = []
    names = set(allowed)
    for group in GROUPS:
        for point in metadata.entry_points(group=group):
            package, version = (point.dist.name, point.dist.version) if point.dist else ("", "")
            may = package == OWN_DISTRIBUTION or bool(names & {point.name, f"{_short(group)}:{point.name}"})
            listed.append(Listed(group, point.name, package, version, may))
    return sorted(listed, key=lambda plugin: (list(GROUPS).index(plugin.group), plugin.name, plugin.package))


def load_plugin(group: str, name: str, allowed: Iterable[str] = ()) -> Any:
    """Import the plugin *name* of *group* and return one instance of it.

    Raises :class:`PluginError` when there is no such plugin, when two packages offer the name, when the workspace
    does not list it, or when it cannot be imported or does not follow the group's Protocol.
    """
    offers = [plugin for plugin in list_plugins(allowed) if (plugin.group, plugin.name) == (group, name)]
    if not offers:
        known = ", ".join(sorted({p.name for p in list_plugins(allowed) if p.group == group})) or "none"
        raise PluginError(f"There is no {_short(group)} plugin {name!r}. Installed are: {known}.")
    chosen = [plugin for plugin in offers if plugin.built_in] or [plugin for plugin in offers if plugin.allowed]
    if not chosen:
        raise PluginError(
            f"The {_short(group)} plugin {name!r} of the package {offers[0].package} is not on this workspace's list. "
            f"To use it, add \"{name}\" to plugins in fieldkit.toml."
        )
    if len(chosen) > 1:
        packages = " and ".join(plugin.package for plugin in chosen)
        raise PluginError(f"The packages {packages} both offer the {_short(group)} plugin {name!r}. Remove one of them.")
    return _load(chosen[0])


def _load(listed: Listed) -> Any:
    protocol = GROUPS[listed.group]
    for point in metadata.entry_points(group=listed.group, name=listed.name):
        if point.dist is None or point.dist.name != listed.package:
            continue
        try:
            plugin = point.load()()
        except Exception as error:  # noqa: BLE001 - whatever a foreign plugin raises is its fault, not the user's
            raise PluginError(
                f"The plugin {listed.name!r} of the package {listed.package} cannot be used: "
                f"{type(error).__name__}: {error}. Update or remove the package."
            ) from error
        if not isinstance(plugin, protocol):
            raise PluginError(
                f"The plugin {listed.name!r} of the package {listed.package} does not do what a plugin of "
                f"{listed.group} must: it lacks part of {protocol.__name__}. Update or remove the package."
            )
        return plugin
    raise PluginError(f"The plugin {listed.name!r} disappeared while it was being loaded. Try again.")


def _short(group: str) -> str:
    return group.rpartition(".")[2]
