"""Evidence: files kept by the digest of their bytes, with what the camera and the finder say of them.

Knows no database. A picture is decoded in a process of its own, with limits; nothing here loads a decoder.
"""

from __future__ import annotations

from fieldkit.evidence.flags import FLAGS, flag_words
from fieldkit.evidence.folder import EvidenceFolder, EvidenceProblem, Exhibit, Staging
from fieldkit.evidence.piece import DERIVATIONS, STATES, Evidence, evidence_of
from fieldkit.evidence.wording import place_words, spoilt_words, state_words, time_words

__all__ = [
    "DERIVATIONS",
    "FLAGS",
    "STATES",
    "Evidence",
    "EvidenceFolder",
    "EvidenceProblem",
    "Exhibit",
    "Staging",
    "evidence_of",
    "flag_words",
    "place_words",
    "spoilt_words",
    "state_words",
    "time_words",
]
