"""What must be said in red of a case: evidence that is missing or altered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from fieldkit.dashboards.panels import words
from fieldkit.evidence import Evidence, evidence_of, state_words

if TYPE_CHECKING:
    from fieldkit.workspace import Workspace


def evidence_alarms(
    ws: Workspace, complaints: pd.DataFrame, cases: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Words, by case, for those of *cases* whose evidence is missing or altered now, whatever their records say.

    *complaints* (columns ``complaint`` and ``case``) tells which cases were merged into others since evidence was
    added to them.
    """
    held = ws.ledger.evidence()
    if not held:
        return {}
    wanted = set(cases)
    mine = complaints[complaints["case"].isin(wanted)]
    subjects = {str(one): str(case) for one, case in zip(mine["complaint"], mine["case"], strict=True)}
    pieces: dict[str, dict[str, Evidence]] = {}
    for subject, payloads in held.items():
        case = subjects.get(subject, subject)
        if case in wanted:
            pieces.setdefault(case, {}).update((data["sha256"], evidence_of(data)) for data in payloads)
    alarms = {}
    for case, own in pieces.items():
        counted = Counter(exhibit.state for exhibit in ws.evidence.exhibits(own.values()))
        if said := _words(counted):
            alarms[case] = said
    return alarms


def _words(counted: Counter[str]) -> dict[str, str] | None:
    spoilt = [state for state in ("missing", "altered") if counted[state]]
    if not spoilt:
        return None
    zh = "，".join(f"{counted[state]} 件{state_words(state, 'zh')}" for state in spoilt)
    en = ", ".join(f"{counted[state]} {state_words(state)}" for state in spoilt)
    return words(f"证据：{zh}", f"evidence: {en}")
