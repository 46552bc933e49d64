"""The pack for complaints about solid waste."""

from __future__ import annotations

from fieldkit.packs import subcategories_of


class WastePack:
    """Industrial, hazardous, domestic and construction waste."""

    title: str = "Solid waste: industrial, hazardous, domestic, construction"
    category: str = "solid_waste"
    subcategories: tuple[str, ...] = subcategories_of("solid_waste")
    notebook: str | None = None
