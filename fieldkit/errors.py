"""Everything that can go wrong with a call, as one tree of exceptions.

A message says what happened, with the value; what is accepted; and what to do. Bad *data* is not raised:
it is flagged (:class:`fieldkit.complaints.Flag`) and the rest goes on.
"""

from __future__ import annotations


class FieldkitError(Exception):
    """The kit refuses a call; the message is meant for the person who made it."""


class SettingsError(FieldkitError):
    """The workspace or one of its settings is missing or cannot be used."""


class PluginError(FieldkitError):
    """A plugin is missing, broken, not on the workspace's list, or two have one name."""


class PlaceError(FieldkitError):
    """A coordinate, a reference system or an area cannot be what it claims to be."""


class IntakeError(FieldkitError):
    """A file of complaints cannot be read at all; nothing was taken from it."""


class UnknownReferenceSystem(IntakeError):
    """A file has coordinates in China and does not say in which reference system; who imports it must say."""

    @classmethod
    def of(cls, name: str) -> UnknownReferenceSystem:
        """The refusal of the file called *name*."""
        return cls(
            f"{name} has coordinates in China and does not say in which system; web maps there shift them by "
            "hundreds of metres. Say which with --crs (crs in Python): wgs84 (GPS), gcj02 (Gaode, Tencent), "
            "bd09 (Baidu) or cgcs2000."
        )


class EvidenceError(FieldkitError):
    """A file cannot be taken in as evidence, or a piece of evidence is not there as it was taken in."""


class LedgerError(FieldkitError):
    """The ledger cannot be opened, read or written."""


class KeyFileError(FieldkitError):
    """A key is missing, unreadable or the wrong one, or what it locked was changed."""


class NotAllowed(FieldkitError):
    """Whoever asks does not have the role that this needs."""


class ManifestError(FieldkitError):
    """A folder's signed list of files is missing, forged, newer than this kit, or not what lies in the folder."""


class BackupError(FieldkitError):
    """A backup cannot be made, was not good, or cannot be restored there."""


class ExportError(FieldkitError):
    """An export cannot be written or taken in."""


class UnknownCase(FieldkitError):
    """No case has this id or number."""


class AnalysisError(FieldkitError):
    """The data cannot answer this question: too few points, no times, no reference system."""


class MapError(FieldkitError):
    """A map cannot be drawn, or would ask for something beyond this machine."""


class FontError(FieldkitError):
    """No font with Chinese characters can be found."""


class RecordError(FieldkitError):
    """A record cannot be written as asked."""


class NotebookFailed(RecordError):
    """The notebook of one case stopped; carries the case, the cell and the reason."""

    def __init__(self, case_id: str, cell: int | None, reason: str) -> None:
        super().__init__(f"The notebook of case {case_id} stopped at cell {cell}: {reason}.")
        self.case_id = case_id
        self.cell = cell
        self.reason = reason

    def __reduce__(self) -> tuple[type[NotebookFailed], tuple[str, int | None, str]]:
        return type(self), (self.case_id, self.cell, self.reason)


class ServeError(FieldkitError):
    """The dashboards cannot be served."""
