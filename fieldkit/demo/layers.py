"""The demonstration city's layers: the gazetteer and the district outlines, as files to be copied."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fieldkit import files


def gazetteer_path() -> Path:
    """The gazetteer ``places.csv``: name, alias (separated by ``|``), kind, district, community, lon, lat, accuracy_m.

    WGS-84; positions are approximate. The last alias of every place is its English name.
    """
    return Path(str(resources.files(__package__).joinpath("places.csv")))


def areas_path() -> Path:
    """The outlines ``areas.geojson`` of the seven districts in WGS-84, schematic and drawn for this kit."""
    return Path(str(resources.files(__package__).joinpath("areas.geojson")))


def write_workspace_layers(folder: Path) -> tuple[Path, Path]:
    """Copy the outlines and the gazetteer into *folder*, a workspace's layers folder, and return both new paths."""
    copies = folder / "areas.geojson", folder / "places.csv"
    for source, copy in zip((areas_path(), gazetteer_path()), copies, strict=True):
        files.write_bytes(copy, source.read_bytes())
    return copies
