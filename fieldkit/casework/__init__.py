"""What an officer does, one function a deed; each deed ends as events in the ledger."""

from __future__ import annotations

from fieldkit.casework.deeds import (
    Link,
    confirm_place,
    forget_complainant,
    link_complaints,
    note_record,
    open_complainant,
)
from fieldkit.casework.exhibits import (
    EvidenceResult,
    EvidenceVerification,
    add_evidence,
    redact_evidence,
    stamp_evidence,
    verify_evidence,
)
from fieldkit.casework.importing import DRY_RUN_ROWS, ImportResult, import_complaints, receive_complaints

__all__ = [
    "DRY_RUN_ROWS",
    "EvidenceResult",
    "EvidenceVerification",
    "ImportResult",
    "Link",
    "add_evidence",
    "confirm_place",
    "forget_complainant",
    "import_complaints",
    "link_complaints",
    "note_record",
    "open_complainant",
    "receive_complaints",
    "redact_evidence",
    "stamp_evidence",
    "verify_evidence",
]
