"""Make the pictures of the README from the demonstration, in a real headless Chromium with the network off.

Run it as ``python docs/screenshots.py [FOLDER]``; FOLDER is the demonstration workspace, made when it is not there.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fieldkit as fk
from fieldkit.dashboards.server import running
from fieldkit.demo.story import PERIOD
from fieldkit.vocabulary import label

IMAGES = Path(__file__).parent / "images"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
#: The columns of the file that is imported, in the ledger's words and in an office's.
COLUMNS = {
    "number": "编号",
    "received_at": "投诉时间",
    "channel": "来源渠道",
    "category": "污染类型",
    "text": "投诉内容",
    "address": "地址",
    "lon": "经度",
    "lat": "纬度",
}
LOCAL = ("file:", "http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #1d2430; }}
pre {{ margin: 0; padding: 18px 22px; color: #e8ecf2; font: 14px/1.45 "DejaVu Sans Mono", "Fieldkit Sans", monospace; }}
{font}</style><pre>{text}</pre>"""


def main(folder: str = "fieldkit-demo") -> None:
    """Make every picture anew."""
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(exist_ok=True)
    ws = fk.make_demo(folder)
    chromium_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        page = _page(chromium, 1600, 1000)
        page.goto((ws.settings.out / "hotspots-noise.html").as_uri())
        page.wait_for_timeout(1500)
        page.screenshot(path=IMAGES / "hotspots.png")
        _terminal(chromium, ws)
        with running(ws) as server:
            page = _page(chromium, 1920, 1080)
            page.goto(server.url)
            page.wait_for_selector(".fk-board[data-answered]", timeout=90_000)
            page.wait_for_timeout(1_500)
            page.screenshot(path=IMAGES / "symposium.png")
        chromium.close()
    _record(ws)


def _page(chromium: Any, width: int, height: int) -> Any:
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.route(lambda url: not url.startswith(LOCAL), _refuse)
    return page


def _refuse(route: Any) -> None:
    raise SystemExit(f"A page asked for {route.request.url}, which lies beyond this machine.")


def _terminal(chromium: Any, ws: fk.Workspace) -> None:
    from fieldkit import fonts

    source = ws.settings.out / "complaints.csv"
    frame = ws.complaints(since=PERIOD[0], until=PERIOD[1], columns=COLUMNS).drop(columns="geometry").head(40)
    for name in ("channel", "category"):
        frame[name] = [label(code, "zh") if isinstance(code, str) else "" for code in frame[name]]
    frame["received_at"] = frame["received_at"].dt.strftime("%Y-%m-%d %H:%M")
    frame.loc[7, "received_at"] = "soon"
    frame.rename(columns=COLUMNS).to_csv(source, index=False, encoding="gb18030")
    commands = (
        ("import", str(source), "--source", "bureau", "--dry-run"),
        ("cases", "--repeated", "--limit", "6"),
    )
    lines = []
    for arguments in commands:
        shown = " ".join(Path(a).name if a.endswith(".csv") else a for a in arguments)
        done = subprocess.run(
            [sys.executable, "-m", "fieldkit", *arguments, "-w", str(ws.settings.folder)],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        lines += [f"$ fieldkit {shown}", done.stdout]
    source.unlink()
    text = "\n".join(lines)
    page = _page(chromium, 1400, 760)
    page.set_content(TERMINAL.format(font=fonts.css_for(text), text=html.escape(text)))
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / "import.png")


def _record(ws: fk.Workspace) -> None:
    best = max(ws.records(), key=lambda case_id: len(ws.case(case_id).complaints))
    pdf = ws.settings.records / best / f"{best}.pdf"
    target = IMAGES / "record"
    pages = ("-f", "1", "-l", "1", "-singlefile")
    subprocess.run(["pdftoppm", "-png", "-r", "80", *pages, pdf, target], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
