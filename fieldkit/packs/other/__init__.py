"""The pack for complaints that no other pack is for."""

from __future__ import annotations

from fieldkit.packs import subcategories_of


class OtherPack:
    """Ecological damage, light, vibration, permits and management, and what has no category of its own."""

    title: str = "Other: ecology, light, vibration, permits and management"
    category: str = "other"
    subcategories: tuple[str, ...] = subcategories_of("ecology", "light", "vibration", "management")
    notebook: str | None = None
