"""Records: what the ledger shows of one case, run as a notebook and written as documents, many at a time."""

from __future__ import annotations
