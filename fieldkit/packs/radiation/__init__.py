"""The pack for complaints about radiation."""

from __future__ import annotations

from fieldkit.packs import subcategories_of


class RadiationPack:
    """Electromagnetic fields of masts and power lines, and ionising radiation."""

    title: str = "Radiation: electromagnetic and ionising"
    category: str = "radiation"
    subcategories: tuple[str, ...] = subcategories_of("radiation")
    notebook: str | None = None
