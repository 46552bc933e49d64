"""Make the backup and the export that later versions of the kit must open; run it once for each form released."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from fieldkit.backups import back_up
from fieldkit.casework import confirm_place
from fieldkit.exports import export
from fieldkit.testing import sample_workspace

HERE = Path(__file__).parent
CONTENT = b"what a photo would be"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ws = sample_workspace(Path(folder) / "sample")
        confirm_place(ws, "S-008", 105.81, 32.42)
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        photo = ws.settings.folder / "evidence" / sha256[:2] / f"{sha256}.jpg"
        photo.parent.mkdir(parents=True)
        photo.write_bytes(CONTENT)
        made = {
            "backup-1": back_up(ws, Path(folder) / "stick").folder,
            "export-1": export(ws, Path(folder) / "export").path,
            "case-1": export(ws, Path(folder) / "case", cases=["S-001"]).path,
        }
        ws.ledger.close()
        for name, source in made.items():
            shutil.make_archive(str(HERE / name), "zip", source)


if __name__ == "__main__":
    main()
