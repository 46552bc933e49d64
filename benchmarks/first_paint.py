"""First paint of the symposium against an empty Voila page: same run, same Chromium, medians of at least three.

Run: python benchmarks/first_paint.py [--rounds 3] [--workspace FOLDER]. Both pages are opened in a new browser
context, so nothing is cached; the symposium is served as `fieldkit serve` does, the empty page by Voila as it comes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fieldkit.dashboards.server import running
from fieldkit.testing import sample_workspace
from fieldkit.workspace import open_workspace

EMPTY = {
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": ["print(1)"],
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


@contextmanager
def empty_voila(folder: Path, port: int = 18955) -> Iterator[str]:
    notebook = folder / "empty.ipynb"
    notebook.write_text(json.dumps(EMPTY), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "voila",
        str(notebook),
        f"--port={port}",
        "--no-browser",
        "--template=lab",
    ]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/voila/static/voila.js", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def open_once(browser, url: str, ready: str) -> tuple[float, float]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = context.new_page()
    page.set_default_timeout(120_000)
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(ready)
    shown = time.perf_counter() - start
    page.wait_for_function(PAINT)
    paint = page.evaluate(PAINT) / 1000
    context.close()
    return paint, shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workspace", type=Path)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    folder = Path(tempfile.mkdtemp())
    ws = open_workspace(options.workspace) if options.workspace else sample_workspace(folder / "sample")
    times: dict[str, list[tuple[float, float]]] = {"empty Voila page": [], "symposium": []}
    with empty_voila(folder) as empty, running(ws, port=0) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(max(3, options.rounds)):
            times["empty Voila page"].append(open_once(browser, empty, "#rendered_cells pre:visible"))
            times["symposium"].append(open_once(browser, server.url, ".fk-figures"))
        browser.close()
    for name, rounds in times.items():
        paint, shown = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:18} first paint {paint:6.2f} s   content {shown:6.2f} s   (medians of {len(rounds)})")
    ws.ledger.close()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
