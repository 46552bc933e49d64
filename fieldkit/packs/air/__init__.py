"""The pack for complaints about air."""

from __future__ import annotations

from fieldkit.packs import subcategories_of


class AirPack:
    """What comes through the air: odour, smoke and dust, cooking fume, fugitive dust, burning, exhaust."""

    title: str = "Air: odour, smoke, dust, cooking fume, exhaust"
    category: str = "air"
    subcategories: tuple[str, ...] = subcategories_of("air")
    notebook: str | None = None
