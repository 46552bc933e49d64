"""The pack for complaints about water."""

from __future__ import annotations

from fieldkit.packs import subcategories_of


class WaterPack:
    """Wastewater, sewage, livestock, black and odorous water bodies and drinking-water sources."""

    title: str = "Water: wastewater, sewage, black water bodies, drinking-water sources"
    category: str = "water"
    subcategories: tuple[str, ...] = subcategories_of("water")
    notebook: str | None = None
