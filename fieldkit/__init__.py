"""fieldkit: a field investigation kit for environmental complaints.

``import fieldkit as fk; ws = fk.open("…"); ws.complaints()`` gives the complaints of a workspace as a GeoDataFrame.
Everything that the command line does is one call of a name below; nothing heavy is imported until it is called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fieldkit.backups import back_up, prune, restore
    from fieldkit.casework import (
        add_evidence,
        confirm_place,
        forget_complainant,
        import_complaints,
        link_complaints,
        open_complainant,
        redact_evidence,
        stamp_evidence,
        verify_evidence,
    )
    from fieldkit.dashboards.server import serve
    from fieldkit.dashboards.symposium import symposium
    from fieldkit.demo.story import make_demo
    from fieldkit.errors import FieldkitError
    from fieldkit.exports import export, import_export, verify_export
    from fieldkit.plugins import list_plugins
    from fieldkit.records.batch import run_records
    from fieldkit.records.investigation import investigation
    from fieldkit.workspace import Workspace
    from fieldkit.workspace import init_workspace as init
    from fieldkit.workspace import open_workspace as open  # noqa: A004 - fk.open() is how one begins

__version__ = "0.1.0"

_HOMES = {
    "FieldkitError": ("fieldkit.errors", "FieldkitError"),
    "Workspace": ("fieldkit.workspace", "Workspace"),
    "add_evidence": ("fieldkit.casework", "add_evidence"),
    "back_up": ("fieldkit.backups", "back_up"),
    "confirm_place": ("fieldkit.casework", "confirm_place"),
    "export": ("fieldkit.exports", "export"),
    "forget_complainant": ("fieldkit.casework", "forget_complainant"),
    "import_complaints": ("fieldkit.casework", "import_complaints"),
    "import_export": ("fieldkit.exports", "import_export"),
    "init": ("fieldkit.workspace", "init_workspace"),
    "investigation": ("fieldkit.records", "investigation"),
    "link_complaints": ("fieldkit.casework", "link_complaints"),
    "list_plugins": ("fieldkit.plugins", "list_plugins"),
    "make_demo": ("fieldkit.demo.story", "make_demo"),
    "open_complainant": ("fieldkit.casework", "open_complainant"),
    "open": ("fieldkit.workspace", "open_workspace"),
    "prune": ("fieldkit.backups", "prune"),
    "redact_evidence": ("fieldkit.casework", "redact_evidence"),
    "restore": ("fieldkit.backups", "restore"),
    "run_records": ("fieldkit.records", "run_records"),
    "serve": ("fieldkit.dashboards.server", "serve"),
    "stamp_evidence": ("fieldkit.casework", "stamp_evidence"),
    "symposium": ("fieldkit.dashboards.symposium", "symposium"),
    "verify_evidence": ("fieldkit.casework", "verify_evidence"),
    "verify_export": ("fieldkit.exports", "verify_export"),
}

__all__ = [
    "FieldkitError",
    "Workspace",
    "__version__",
    "add_evidence",
    "back_up",
    "confirm_place",
    "export",
    "forget_complainant",
    "import_complaints",
    "import_export",
    "init",
    "investigation",
    "link_complaints",
    "list_plugins",
    "make_demo",
    "open",
    "open_complainant",
    "prune",
    "redact_evidence",
    "restore",
    "run_records",
    "serve",
    "stamp_evidence",
    "symposium",
    "verify_evidence",
    "verify_export",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fieldkit' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
