"""Twenty records against a loop of papermill's own command on the same notebook; the loop writes notebooks only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

import fieldkit as fk
from fieldkit.settings import asset
from fieldkit.testing import sample_workspace


def by_papermill(folder: str, cases: list[str]) -> None:
    with tempfile.TemporaryDirectory() as out:
        for case in cases:
            command = [sys.executable, "-m", "papermill", str(asset("notebooks/investigation.ipynb"))]
            command += [
                f"{out}/{case}.ipynb",
                "--no-progress-bar",
                "-p",
                "case_id",
                case,
                "-p",
                "workspace",
                folder,
            ]
            subprocess.run(command, check=True, capture_output=True, cwd=out)


def by_fieldkit(folder: str, cases: list[str], formats: list[str]) -> None:
    result = fk.run_records(fk.open(folder), cases, formats, progress=False)
    assert len(result.written) == len(cases), [outcome.reason for outcome in result.failed]


def by_fieldkit_again(folder: str, cases: list[str]) -> None:
    result = fk.run_records(fk.open(folder), cases, progress=False)
    assert len(result.unchanged) == len(cases)


def main() -> None:
    parser = measure.arguments(str(__doc__))
    parser.add_argument("--cases", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        ws = sample_workspace(Path(parent) / "office")
        cases = [str(case) for case in ws.cases()["case"][: given.cases]]
        folder, records = str(ws.settings.folder), ws.settings.records
        ws.ledger.close()

        def forget() -> None:
            shutil.rmtree(records)
            records.mkdir()

        def written() -> None:
            fk.run_records(fk.open(folder), cases, progress=False)

        contenders = [
            measure.Contender("papermill's command in a loop", measure.call(by_papermill, folder, cases)),
            measure.Contender("run_records, notebooks", measure.call(by_fieldkit, folder, cases, []), forget),
            measure.Contender(
                "run_records, notebooks, HTML and PDF",
                measure.call(by_fieldkit, folder, cases, ["html", "pdf"]),
                forget,
            ),
            measure.Contender(
                "run_records, nothing changed", measure.call(by_fieldkit_again, folder, cases), written
            ),
        ]
        results = measure.compare(contenders, rounds=given.rounds)
    title = f"{len(cases)} records, {os.cpu_count()} cores"
    print(f"\n{title}\n{measure.table(results)}")
    if given.json:
        measure.write_json(given.json, title, results)


if __name__ == "__main__":
    main()
