"""The symposium page in a real Chromium, served as it is served: it draws, answers, opens a record, asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pandas as pd
import pytest

from fieldkit.casework import add_evidence
from fieldkit.complaints import Complaint
from fieldkit.dashboards.server import running
from fieldkit.events import COMPLAINT_LINKED, moment_of
from fieldkit.ledger import Receipt
from fieldkit.places import Place
from fieldkit.testing import sample_workspace
from fieldkit.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

HOSTILE = [
    "{{7*7}}",
    "{% set x=1 %}",
    "${7*7}",
    "<img src=x onerror=window.ran=1>",
    "</script><script>window.ran=1</script>",
    "`",
    "C:\\new",
    "=1+1",
    "#strong[x]",
    "$x$",
    "مرحبا",
    "😀",
]
PATIENCE_MS = 240_000
CROWD = 240
TOTAL = 60 + len(HOSTILE) + CROWD
RECORD = "<html><body><h1>Record 记录</h1><script>parent.ran=1</script><img src='http://outside.example/x.png'></body></html>"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    ws = sample_workspace(tmp_path_factory.mktemp("page") / "sample")
    with ws.ledger.receiving() as receiving:
        for number, text in enumerate(HOSTILE):
            complaint = Complaint(
                received_at=pd.Timestamp("2017-06-01 12:00", tz="Asia/Shanghai").to_pydatetime(),
                source=text,
                number=f"H {text}",
                channel="web",
                text=text,
                translation=text,
                address=HOSTILE[3],
                district=HOSTILE[4],
                place=Place(105.80, 32.42 + number / 1e5),
            )
            receiving.add([Receipt(complaint, complaint, None)])
        receiving.add([Receipt(complaint, complaint, None) for complaint in crowd()])
    yield ws
    ws.ledger.close()


def crowd() -> Iterator[Complaint]:
    """Complaints spread thinly over the town, and many in a quarter of it, so that there is a hot spot."""
    for n in range(CROWD):
        close = n % 2
        lon = 105.84 + (n % 13) / 4000 if close else 105.76 + (n * 37 % 101) / 600
        lat = 32.43 + (n % 11) / 4000 if close else 32.405 + (n * 53 % 103) / 1700
        when = pd.Timestamp("2017-03-01 09:00", tz="Asia/Shanghai") + pd.Timedelta(hours=7 * n)
        yield Complaint(
            received_at=when.to_pydatetime(),
            source="crowd",
            number=f"C{n:03d}",
            channel="letter",
            text=f"crowd {n}",
            categories=("air.dust",),
            community="Crowd Quarter" if close else "",
            address=f"{n} Wide Street",
            place=Place(lon, lat),
        )


@pytest.fixture(scope="module")
def page(workspace: Workspace, browser) -> Iterator[object]:
    """One page for all tests of this file: what each leaves behind, the next clears."""
    with running(workspace, port=0) as server:
        view = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
        view.set_default_timeout(PATIENCE_MS)
        view.asked, view.said = [], []

        def let_loopback_only(route) -> None:
            view.asked.append(route.request.url)
            (route.continue_ if urlsplit(route.request.url).hostname == "127.0.0.1" else route.abort)()

        view.route(lambda url: url.startswith("http"), let_loopback_only)
        view.on("console", lambda message: view.said.append((message.type, message.text)))
        view.on("pageerror", lambda error: view.said.append(("error", str(error))))
        view.goto(server.url)
        answered(view, 0)
        yield view
        view.context.close()


def answered(page, serial: int | None = None) -> None:
    """Wait until the page shows Python's last answer."""
    page.wait_for_selector(".fk-legend-row")
    page.wait_for_function("() => !document.querySelector('.fk-board.fk-busy')")
    if serial is not None:
        page.wait_for_function(f"() => document.querySelector('.fk-board').dataset.answered === '{serial}'")


def everything(page) -> None:
    page.select_option(".fk-filter-period", "0")
    answered(page)
    page.click(".fk-reset")
    answered(page)
    page.wait_for_function(f"() => document.querySelector('.fk-strong').textContent === '{TOTAL}'")


def pixels(page, layer: str) -> int:
    """How many pixels the map's *layer* has drawn on."""
    return page.evaluate(
        """(layer) => {
            const map = document.querySelector('.fk-map-box').fieldkitMap;
            const canvas = layer === 'points' ? map.points._canvas : map.map.getPane(layer).querySelector('canvas');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let drawn = 0;
            for (let i = 3; i < data.length; i += 4) if (data[i]) drawn++;
            return drawn;
        }""",
        layer,
    )


def test_the_map_draws_outlines_points_and_hot_cells(page):
    everything(page)
    assert pixels(page, "fk-areas") > 10_000
    assert pixels(page, "points") > 20
    assert page.evaluate("document.querySelector('.fk-map-box').fieldkitMap.cells.getLayers().length") > 0
    assert pixels(page, "overlayPane") > 1000


def test_chinese_is_drawn_and_not_as_boxes(page):
    page.wait_for_function(
        """() => {
            const draw = (text) => {
                const canvas = document.createElement('canvas'), context = canvas.getContext('2d');
                canvas.width = canvas.height = 40;
                context.font = '24px ' + getComputedStyle(document.querySelector('.fk-board')).fontFamily;
                context.fillText(text, 4, 30);
                return canvas.toDataURL();
            };
            return draw('环') !== draw('境');
        }"""
    )


def test_a_filter_changes_every_panel_to_what_pandas_says(page, workspace):
    everything(page)
    noise = workspace.complaints(category="noise")
    page.click(".fk-categories button:has-text('噪声')")
    page.wait_for_function(f"() => document.querySelector('.fk-strong').textContent === '{len(noise)}'")
    answered(page)
    cells = page.locator(".fk-rhythm td").all_text_contents()
    assert sum(int(cell or 0) for cell in cells) == len(noise)
    channels = page.locator(".fk-channels tr.fk-level-0 td.fk-number:nth-child(3)").all_text_contents()
    assert sum(map(int, channels)) == len(noise)
    assert page.input_value(".fk-filter-category") == "noise"
    drawn = page.evaluate("document.querySelector('.fk-map-box').fieldkitMap.points._points.x.length")
    assert drawn == noise["lon"].notna().sum()
    page.click(".fk-categories button:has-text('噪声')")
    page.wait_for_function(f"() => document.querySelector('.fk-strong').textContent === '{TOTAL}'")


def test_a_click_on_the_map_lists_the_hot_spots_complaints(page, workspace):
    everything(page)
    page.evaluate("document.querySelector('.fk-map-box').fieldkitMap.cells.getLayers()[0].fire('click')")
    page.wait_for_selector(".fk-complaints li")
    listed = page.locator(".fk-complaints li").count()
    assert listed > 0
    numbers = set(page.locator(".fk-facts b").all_text_contents())
    assert numbers <= set(workspace.complaints()["number"])
    assert any(number.startswith("C") for number in numbers)
    assert "Resident" not in page.inner_text(".fk-detail")
    page.keyboard.press("Escape")
    page.wait_for_selector(".fk-detail", state="hidden")
    assert page.locator(".fk-complaints").count() == 0


def thick(page) -> int:
    """How many hot cells stand out on the map."""
    return page.evaluate(
        """() => document.querySelector('.fk-map-box').fieldkitMap.cells.getLayers()
            .filter((cell) => cell.options.weight > 1).length"""
    )


def test_a_hot_spot_opens_again_by_keyboard_and_marks_its_cells(page):
    everything(page)
    page.focus(".fk-hotspots .fk-list-button >> nth=0")
    for _ in range(2):
        page.keyboard.press("Enter")
        page.wait_for_selector(".fk-complaints li")
        assert thick(page) >= 1
        page.keyboard.press("Escape")
        page.wait_for_selector(".fk-detail", state="hidden")
        assert thick(page) == 0
        assert page.evaluate("document.activeElement.className") == "fk-list-button"


def test_every_filter_has_a_label_and_names_on_the_map_keep_apart(page):
    everything(page)
    assert page.evaluate(
        "[...document.querySelectorAll('.fk-board :is(select, input)')].every((field) => field.labels.length)"
    )
    page.wait_for_timeout(200)
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('.fk-map .fk-name-box, .fk-map .fk-area-name span')]
            .filter((name) => name.style.visibility !== 'hidden')
            .map((name) => name.getBoundingClientRect()).map((box) => [box.left, box.right, box.top, box.bottom])"""
    )
    for place, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[:place]:
            assert right < other[0] or left > other[1] or bottom < other[2] or top > other[3]


def test_a_point_under_the_mouse_is_listed(page):
    everything(page)
    at = page.evaluate(
        """() => {
            const { map, points } = document.querySelector('.fk-map-box').fieldkitMap;
            map.setView([32.42, 105.80], 16);
            return [...points._grid.values()][0].slice(1, 3);
        }"""
    )
    box = page.locator(".fk-map-canvas").bounding_box()
    page.mouse.click(box["x"] + at[0], box["y"] + at[1])
    page.wait_for_selector(".fk-complaints li")
    page.click(".fk-detail .fk-close")


def test_hostile_text_is_shown_as_it_was_written(page):
    everything(page)
    page.click(".fk-places .fk-list-button:has-text('<img')")
    page.wait_for_selector(".fk-complaints li")
    shown = page.locator(".fk-complaints p:not(.fk-translation)").all_text_contents()
    assert sorted(shown) == sorted(HOSTILE)
    assert page.locator(".fk-board img").count() == 0
    assert page.evaluate("window.ran") is None
    assert HOSTILE[4] in page.inner_text(".fk-filter-district")
    page.click(".fk-detail .fk-close")


def test_a_record_opens_in_a_frame_that_can_do_nothing(page, workspace):
    everything(page)
    page.click(".fk-places .fk-list-button >> nth=0")
    page.wait_for_selector(".fk-complaints li")
    page.click(".fk-open >> nth=0")
    page.wait_for_selector(".fk-no-record code")
    case = page.inner_text(".fk-no-record code").split()[-1]
    page.click(".fk-dialog .fk-close")
    path = workspace.settings.records / case / f"{case}.html"
    path.parent.mkdir(parents=True)
    path.write_text(RECORD, encoding="utf-8")
    page.click(".fk-open >> nth=0")
    frame = page.wait_for_selector("iframe.fk-record")
    assert frame.get_attribute("sandbox") == ""
    page.frame_locator("iframe.fk-record").locator("h1").wait_for()
    assert page.evaluate("window.ran") is None
    page.keyboard.press("Escape")
    page.wait_for_selector(".fk-dialog", state="hidden")
    page.click(".fk-detail .fk-close")


def test_spoilt_evidence_is_marked_in_red_and_in_words(page, workspace, tmp_path):
    everything(page)
    path = tmp_path / "reading.txt"
    path.write_text("47 dB", encoding="utf-8")
    (piece,) = add_evidence(workspace, "S-001", path).added
    kept = workspace.evidence.find(piece.sha256)
    kept.unlink()
    page.click(".fk-places .fk-list-button:has-text('Station')")
    page.wait_for_selector(".fk-complaints li .fk-alarm")
    marks = page.locator(".fk-complaints li .fk-alarm")
    assert set(marks.all_inner_texts()) == {"证据：1 件缺失\nevidence: 1 missing"}
    assert marks.count() == 4, "each complaint of the case, and no other"
    assert marks.first.evaluate("mark => getComputedStyle(mark).color") == "rgb(179, 38, 30)"
    page.click(".fk-complaints li:has(.fk-alarm) .fk-open >> nth=0")
    page.wait_for_selector(".fk-dialog .fk-alarm")
    page.click(".fk-dialog .fk-close")
    page.click(".fk-detail .fk-close")


def test_nothing_reads_too_small_or_falls_off_a_small_projector(page):
    page.set_viewport_size({"width": 1024, "height": 768})
    try:
        assert (
            page.evaluate("parseFloat(getComputedStyle(document.querySelector('.fk-board')).fontSize)") >= 13
        )
        assert page.evaluate("document.querySelector('.fk-board').scrollWidth <= 1024")
    finally:
        page.set_viewport_size({"width": 1920, "height": 1080})


def test_it_asked_nobody_and_made_no_error(page):
    """Last: looks back on all that the tests above made the page do."""
    assert len(page.asked) > 20
    outside = [url for url in page.asked if urlsplit(url).hostname != "127.0.0.1"]
    assert outside == []
    errors = [
        text
        for kind, text in page.said
        if kind == "error" and "outside.example" not in text and "about:srcdoc" not in text
    ]
    assert errors == []
    assert all("token" not in url for url in page.asked[1:])


def test_served_as_of_an_earlier_moment_it_says_so_and_knows_no_more(workspace, browser):
    # The links are the last that the sample was told; hostile texts and the crowd came after.
    known = moment_of(max(event.recorded_at for event in workspace.ledger.events(kind=COMPLAINT_LINKED)))
    with running(workspace.at(known), port=0) as server:
        view = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
        view.set_default_timeout(PATIENCE_MS)
        view.goto(server.url)
        answered(view, 0)
        day = known.astimezone(workspace.settings.zone).strftime("%Y-%m-%d %H:%M")
        heading = view.locator("h1")
        assert heading.inner_text() == f"Sample town · 截至 as of {day}"
        assert heading.evaluate("(h) => h.scrollWidth <= h.clientWidth + 1")
        view.select_option(".fk-filter-period", "0")
        answered(view)
        view.wait_for_function("() => document.querySelector('.fk-strong').textContent === '60'")
        view.context.close()
