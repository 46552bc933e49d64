"""What must be said in red of a case: evidence that is missing or altered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fieldkit.dashboards.panels import words
from fieldkit.evidence import spoilt_words

if TYPE_CHECKING:
    from fieldkit.workspace import Workspace


def evidence_alarms(ws: Workspace, cases: Iterable[str]) -> dict[str, dict[str, str]]:
    """Words, by case, for those of *cases* whose evidence is missing or altered now, whatever their records say."""
    return {
        case: words(spoilt_words(counted, "zh"), spoilt_words(counted))
        for case, counted in ws.spoilt_evidence(cases).items()
    }
