"""For the tests of plugins and of the kit itself: a small sample ledger, and checks that plugin authors inherit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from fieldkit.casework import Link, link_complaints
from fieldkit.complaints import Complaint, Person
from fieldkit.files import write_text
from fieldkit.ledger import Receipt
from fieldkit.places import Place
from fieldkit.plugins import GROUPS, Reader
from fieldkit.workspace import Workspace, init_workspace

if TYPE_CHECKING:
    import geopandas as gpd

#: The number of complaints in the sample ledger.
SAMPLE_SIZE = 60
_ZONE = ZoneInfo("Asia/Shanghai")
_STREETS = ("Riverside Road", "Temple Street", "Station Road", "Orchard Lane")
_CHANNELS = ("phone_12369", "wechat", "visit", "web", "superior")
_CATEGORIES = (
    ("noise.construction",),
    ("noise.social.entertainment",),
    ("air.cooking_fume",),
    ("water.domestic",),
    (),
)
_AREAS = """{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"name":"西区","name_en":"West"},"geometry":{"type":"Polygon","coordinates":
[[[105.75,32.40],[105.84,32.40],[105.84,32.47],[105.75,32.47],[105.75,32.40]]]}},
{"type":"Feature","properties":{"name":"东区","name_en":"East"},"geometry":{"type":"Polygon","coordinates":
[[[105.84,32.40],[105.93,32.40],[105.93,32.47],[105.84,32.47],[105.84,32.40]]]}}]}
"""


def sample_complaints() -> Iterator[tuple[Complaint, Person]]:
    """Yield :data:`SAMPLE_SIZE` complaints of one small town in 2016 and 2017, always the same.

    Twenty of them come from one building in Station Road on summer nights of 2017; two have no place.
    """
    for n in range(SAMPLE_SIZE):
        hot = n % 3 == 0
        street = "Station Road" if hot else _STREETS[n % len(_STREETS)]
        day = datetime(
            2017 if hot or n % 2 else 2016, 7 if hot else 1 + n % 11, 1 + (n * 5) % 27, tzinfo=_ZONE
        )
        received = day.replace(hour=22 if hot else 9 + n % 8, minute=(n * 7) % 60)
        lon, lat = (
            (105.8436, 32.4355) if hot else (105.78 + (n * 37 % 100) / 800, 32.41 + (n * 53 % 100) / 2000)
        )
        categories = ("noise.lowfreq.transformer",) if hot else _CATEGORIES[n % len(_CATEGORIES)]
        yield (
            Complaint(
                received_at=received,
                occurred_at=received - timedelta(minutes=30) if n % 4 else None,
                source="sample",
                number=f"S-{n + 1:03d}",
                channel=_CHANNELS[n % len(_CHANNELS)],
                text=f"第{n + 1}号投诉：{street}夜间噪声扰民，请尽快处理。",
                translation=f"Complaint {n + 1}: noise at night in {street}; please act soon.",
                categories=categories,
                address=f"{street} {12 if hot else n + 1}",
                district="西区" if lon < 105.84 else "东区",
                community="Station Community" if hot else "",
                suspected_source="transformer" if hot else "",
                place=None if n in (7, 13) else Place(lon, lat),
                closed_at=received + timedelta(days=20) if n % 2 == 0 else None,
            ),
            Person(name=f"Resident {n + 1}", phone=f"1390000{n:04d}"),
        )


def sample_workspace(folder: str | Path) -> Workspace:
    """Make a workspace in *folder* with the sample complaints, three of them linked to the first as repeats."""
    ws = init_workspace(folder, title="Sample town", time_zone="Asia/Shanghai", crs="wgs84")
    write_text(ws.settings.layers / "areas.geojson", _AREAS)
    with ws.ledger.receiving() as receiving:
        receiving.add([Receipt(complaint, complaint, person) for complaint, person in sample_complaints()])
    # S-001 was received on 1 July 2017; those below came after it.
    links = [
        ("S-004", "follow_up", ""),
        ("S-007", "recurrence", "incomplete_rectification"),
        ("S-010", "duplicate", ""),
    ]
    link_complaints(ws, [Link(complaint, "S-001", relation, cause) for complaint, relation, cause in links])
    return ws


def sample_frame() -> gpd.GeoDataFrame:
    """The sample complaints as a frame, without a ledger on disk beyond a temporary one."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ws = sample_workspace(folder)
        frame = ws.complaints()
        ws.ledger.close()
    return frame


class PluginConformance:
    """Inherit in a test class, set *group* and *plugin*, and pytest checks what every plugin of the group must do."""

    group: str
    plugin: type

    def test_follows_the_protocol(self) -> None:
        """An instance has every attribute and method of the group's Protocol."""
        assert isinstance(self.plugin(), GROUPS[self.group]), (
            f"{self.plugin} lacks part of {GROUPS[self.group]}"
        )

    def test_has_a_title(self) -> None:
        """The title is a short text for lists."""
        title = self.plugin().title
        assert isinstance(title, str)
        assert 0 < len(title) < 80


class ReaderConformance(PluginConformance):
    """For readers: set *path* (a good file) and *options* besides."""

    group = "fieldkit.readers"
    path: Path
    options: Mapping[str, Any] = {
        "time_zone": "Asia/Shanghai",
        "crs": "wgs84",
        "mapping": None,
        "source": None,
    }

    def test_reads_the_file_twice_alike(self) -> None:
        """Two readings of a file give the same entries, with a complaint or a flag for every row."""
        reader: Reader = self.plugin()
        first, second = (list(reader.open(self.path, self.options)) for _ in range(2))
        assert first
        assert first == second
        assert all(entry.complaint is not None or entry.flags for entry in first)

    def test_times_have_a_zone(self) -> None:
        """Every time is zone-aware and not in the future."""
        for entry in self.plugin().open(self.path, self.options):
            if entry.complaint is not None:
                assert entry.complaint.received_at <= datetime.now(UTC) + timedelta(days=1)
