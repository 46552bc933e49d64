"""A dashboard page in one widget: filters, headline figures, a map, panels beside it, a list and a record.

The page is drawn by ``board.js`` from plain data and sends back what was chosen and clicked. One widget, so that a
change of a filter arrives as one message and nothing on the page is ever half new.
"""

from __future__ import annotations

from typing import Any

import traitlets

from fieldkit.dashboards.point_map import PointMap, leaflet_constant, own_file
from fieldkit.maps.assets import leaflet_style

#: Put before a record's page: it may use what it carries, and ask for nothing.
_RECORD_POLICY = (
    '<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "img-src data:; font-src data:; style-src 'unsafe-inline'\">"
)


class Board(PointMap):
    """The page of a dashboard around a :class:`~fieldkit.dashboards.point_map.PointMap`.

    *title* heads the page; *language* is ``zh``, ``en`` or ``both``; *options* says what each filter offers;
    *panels* holds the panels by name (see :mod:`fieldkit.dashboards.panels`); *detail* the list beside the map;
    *record* the page shown over everything. The browser sets *chosen* (filters) and *clicked*; *answered* is the
    serial number of the last choice that the page shows in full.
    """

    _esm = (
        leaflet_constant()
        + own_file("point_map.js")
        + own_file("board.js")
        + "\nexport default { render: ({ model, el }) => drawBoard(model, el) };\n"
    )
    _css = leaflet_style() + own_file("point_map.css") + own_file("board.css")

    title = traitlets.Unicode("").tag(sync=True)
    language = traitlets.Unicode("both").tag(sync=True)
    status = traitlets.Dict({}).tag(sync=True)
    options = traitlets.Dict({}).tag(sync=True)
    chosen = traitlets.Dict({}).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    panels = traitlets.Dict({}).tag(sync=True)
    detail = traitlets.Dict({}).tag(sync=True)
    record = traitlets.Dict({}).tag(sync=True)
    font = traitlets.Bytes(b"").tag(sync=True)

    def show_record(self, title: str, page: str, alarm: dict[str, str] | None = None) -> None:
        """Show the HTML *page*, below *alarm*, over the board, in a frame that runs no script and asks for nothing."""
        self.record = {"title": title, "page": _RECORD_POLICY + page, "alarm": alarm}

    def say_in_place_of_record(
        self, title: str, sentence: dict[str, str], command: str = "", alarm: dict[str, str] | None = None
    ) -> None:
        """Show *sentence*, and *command* to be typed, where the record would be; *alarm* above them."""
        self.record = {"title": title, "sentence": sentence, "command": command, "alarm": alarm}

    def send_font(self) -> None:
        """Send the whole font with Chinese characters to a browser that has none (8 MB, over the page's own socket)."""
        from fieldkit.fonts import chinese_font

        self.font = chinese_font().read_bytes()


def changed_traits(board: Board, values: dict[str, Any]) -> None:
    """Set several traits of *board* as one message."""
    with board.hold_sync():
        for name, value in values.items():
            setattr(board, name, value)
