"""Records: what the ledger shows of one case, run as a notebook and written as documents, many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Here and not on demand: the function has its module's name, and whichever is bound last is found.
from fieldkit.records.investigation import Investigation, investigation

if TYPE_CHECKING:
    from fieldkit.records.batch import RecordOutcome, RecordsResult, run_records

__all__ = ["Investigation", "RecordOutcome", "RecordsResult", "investigation", "run_records"]


def __getattr__(name: str) -> Any:
    # The batch brings the database with it, which a worker and a kernel's start can do without.
    if name not in __all__:
        raise AttributeError(f"module 'fieldkit.records' has no attribute {name!r}")
    from fieldkit.records import batch

    return getattr(batch, name)
