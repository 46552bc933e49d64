"""Saved maps in a real browser: they draw, answer clicks, show text as text and ask nobody for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import map_frames
import pytest
import shapely

from fieldkit import maps

pytestmark = pytest.mark.browser

#: Put into every page before its own scripts: anything that text manages to run leaves a mark.
WATCH = "window.ran = []; for (const name of ['alert', 'confirm', 'prompt']) window[name] = said => ran.push(said);"


class Opened:
    """A page, and everything it asked for and complained about."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console", lambda message: self.errors.append(message.text) if message.type == "error" else None
        )
        page.add_init_script(WATCH)

    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:"))]

    def drawn(self) -> dict[str, int]:
        return self.page.evaluate(
            "Object.fromEntries(fieldkit.sheet_of(map_fieldkit).layers.map(l => [l.data.kind, l.drawn]))"
        )

    def click_on(self, kind: str, item: int) -> None:
        """Click on the map where item number *item* of the layer *kind* is."""
        at = self.page.evaluate(
            """([kind, item]) => {
                const layer = fieldkit.sheet_of(map_fieldkit).layers.find(l => l.data.kind === kind);
                const at = map_fieldkit.latLngToContainerPoint(fieldkit.centre_of(layer, item));
                const box = map_fieldkit.getContainer().getBoundingClientRect();
                return [box.left + at.x, box.top + at.y];
            }""",
            [kind, item],
        )
        self.page.mouse.click(*at)
        self.page.wait_for_selector(".fk-popup")

    def popup(self) -> dict[str, str]:
        heading = self.page.evaluate("document.querySelector('.fk-popup h2').textContent")
        rows = self.page.evaluate(
            "[...document.querySelectorAll('.fk-popup tr')].map(r => [...r.children].map(c => c.textContent))"
        )
        return {"heading": heading, **dict(rows)}


def until(page: Any, condition: str) -> None:
    """Wait until *condition* holds; playwright's own way needs ``eval``, which the page's policy forbids."""
    assert page.evaluate(
        """() => new Promise(done => {
            let left = 200;
            const look = () => (CONDITION) ? done(true) : left-- ? setTimeout(look, 50) : done(false);
            look();
        })""".replace("CONDITION", condition)
    ), condition


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    opened = []

    def open_text(text: str, **options: Any) -> Opened:
        path = tmp_path / f"map{len(opened)}.html"
        path.write_bytes(text.encode("utf-8"))
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 760}, **options})
        shown = Opened(page)
        opened.append(page)
        page.goto(path.as_uri())
        page.wait_for_selector(".fk-layer", state="attached")
        page.evaluate("document.fonts.ready.then(() => null)")
        return shown

    yield open_text
    for page in opened:
        page.close()


@pytest.fixture
def whole() -> str:
    return maps.draw_map(
        {"zh": "投诉热点", "en": "Hot spots"},
        map_frames.cells(),
        map_frames.complaints(),
        areas=map_frames.districts(),
    )


def test_a_map_draws_and_asks_for_nothing(open_page, whole):
    shown = open_page(whole)
    assert shown.outside() == []
    assert shown.errors == []
    shown.page.click("#fk-home")
    assert shown.drawn() == {"areas": 2, "hotspots": 37, "complaints": 38}
    shown.page.click("#fk-focus")
    colours = shown.page.evaluate(
        """() => {
            const canvas = document.querySelector('canvas.fk-sheet');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let red = 0;
            for (let i = 0; i < data.length; i += 4) {
                if (data[i] > 120 && data[i + 1] < 80 && data[i + 2] < 90) red += 1;
            }
            return red;
        }"""
    )
    assert colours > 5_000
    assert shown.page.title() == "投诉热点 Hot spots"
    assert shown.page.locator(".leaflet-control-scale").count() == 1
    assert "投诉在此集中，但不证明原因。" in shown.page.inner_text("#fk-panel")


def test_chinese_is_drawn_with_the_font_of_the_page(open_page, whole):
    shown = open_page(whole)
    assert shown.page.evaluate("document.fonts.check('14px \"Fieldkit Sans\"', '投诉热点')")
    assert shown.page.evaluate("[...document.fonts].map(f => [f.family, f.status])") == [
        ["Fieldkit Sans", "loaded"]
    ]


def test_a_click_on_a_hot_cell_says_what_is_there(open_page):
    frame = map_frames.cells()
    shown = open_page(maps.draw_map("t", frame, areas=map_frames.districts()))
    item = int(frame.index[frame["hot"]][2])
    shown.click_on("hotspots", item)
    popup = shown.popup()
    assert popup["heading"] == frame["name"][item]
    assert popup["投诉件数 complaints"] == "12"
    assert popup["z 值 z score"] == "4.25"
    assert popup["q 值 q value"] == "4.0e-4"
    assert shown.errors == []


def test_a_click_on_a_complaint_wins_over_the_cell_below(open_page, whole):
    shown = open_page(whole)
    shown.click_on("complaints", 3)
    assert shown.popup()["受理时间 received"].startswith("2017-03-")


def test_a_layer_can_be_switched_off_and_no_longer_answers(open_page, whole):
    shown = open_page(whole)
    shown.page.uncheck("#fk-layer-2")
    assert shown.drawn()["complaints"] == 0
    shown.page.uncheck("#fk-layer-1")
    assert shown.page.evaluate("fieldkit.sheet_of(map_fieldkit).pick(map_fieldkit.getCenter())") is None
    shown.page.check("#fk-layer-1")
    assert shown.drawn()["hotspots"] > 7


def test_the_list_leads_to_its_place(open_page):
    shown = open_page(
        maps.draw_map("t", map_frames.cells(), map_frames.places(), areas=map_frames.districts())
    )
    assert shown.page.locator(".fk-list").count() == 2
    shown.page.click(".fk-list >> nth=1 >> button >> nth=1")
    shown.page.wait_for_selector(".fk-popup")
    assert shown.popup()["heading"] == "皇都第一社区配电房"
    assert shown.popup()["渠道 channels"].startswith("电话")
    assert shown.page.evaluate("map_fieldkit.getZoom()") >= 16


def test_zooming_and_dragging_redraw(open_page, whole):
    shown = open_page(whole)
    before = shown.page.evaluate("map_fieldkit.getZoom()")
    shown.page.click(".leaflet-control-zoom-in")
    until(shown.page, f"map_fieldkit.getZoom() > {before} && !map_fieldkit._animatingZoom")
    assert 0 < shown.drawn()["hotspots"] <= 37
    shown.page.mouse.move(400, 400)
    shown.page.mouse.down()
    shown.page.mouse.move(500, 450, steps=4)
    shown.page.mouse.up()
    shown.page.click("#fk-home")
    assert shown.drawn()["hotspots"] == 37
    assert shown.page.evaluate("map_fieldkit.getZoom()") < before
    shown.page.click("#fk-focus")
    assert shown.page.evaluate("map_fieldkit.getZoom()") == before
    assert shown.errors == []


@pytest.mark.parametrize("size", [(1600, 1000), (1024, 768), (420, 800)])
def test_the_first_view_is_on_the_hot_cells_whole_and_large(open_page, whole, size):
    shown = open_page(whole, viewport={"width": size[0], "height": size[1]})
    inside = shown.page.evaluate(
        """() => {
            const layer = fieldkit.sheet_of(map_fieldkit).layers.find(l => l.data.kind === 'hotspots');
            const corner = (x, y) => map_fieldkit.latLngToContainerPoint(
                L.CRS.EPSG3857.pointToLatLng(L.point(x, y), 0));
            const boxes = layer.boxes.filter((box, i) => layer.data.style[i] < 3);
            const size = map_fieldkit.getSize();
            const from = corner(Math.min(...boxes.map(b => b[0])), Math.min(...boxes.map(b => b[1])));
            const to = corner(Math.max(...boxes.map(b => b[2])), Math.max(...boxes.map(b => b[3])));
            return [from.x / size.x, from.y / size.y, 1 - to.x / size.x, 1 - to.y / size.y];
        }"""
    )
    assert all(margin > 0.05 for margin in inside)
    # Zoom steps are quarters: along one side the hot cells take at least half of the map.
    assert min(inside[0] + inside[2], inside[1] + inside[3]) < 0.5


def test_the_buttons_say_where_they_lead(open_page, whole):
    shown = open_page(whole)
    titles = "['fk-home', 'fk-focus'].map(id => document.getElementById(id).title)"
    assert shown.page.evaluate(titles) == [
        "全图：显示全部内容 Whole map: everything on it",
        "回到热点 Back to the hot spots",
    ]
    plain = open_page(maps.draw_map("t", map_frames.complaints(), language="en"))
    assert plain.page.evaluate(titles) == ["Whole map: everything on it", ""]
    assert not plain.page.is_visible("#fk-focus")


def test_circles_that_would_hide_one_another_become_dots_and_come_back_further_in(open_page):
    names = [f"地点 {number}" for number in range(12)]
    frame = map_frames.places(names)
    frame["geometry"] = [
        shapely.Point(105.83 + 0.00025 * (n % 6), 32.43 + 0.02 * (n // 6)) for n in range(12)
    ]
    shown = open_page(maps.draw_map("t", frame))
    crowded = "[...fieldkit.sheet_of(map_fieldkit).layers[0].crowded]"
    before = shown.page.evaluate(crowded)
    assert sum(before) >= 6
    assert before[0] == 0  # the place with most complaints keeps its number
    assert shown.drawn()["places"] == 12
    overlaps = shown.page.evaluate(
        """() => {
            const boxes = fieldkit.sheet_of(map_fieldkit).said;
            return boxes.map(b => b.words);
        }"""
    )
    assert 0 < len(overlaps) <= 12 - sum(before)
    shown.page.evaluate("map_fieldkit.setView([32.43, 105.8305], 19, {animate: false})")
    assert sum(shown.page.evaluate(crowded)) == 0


def test_hostile_names_are_shown_as_they_are_and_never_run(open_page):
    texts = map_frames.HOSTILE
    frame = map_frames.places(texts).assign(complaints=3)
    areas = map_frames.districts((texts[0], texts[21]))
    shown = open_page(
        maps.draw_map("{{7*7}}<img src=x onerror=alert(1)>", frame, areas=areas, subtitle=texts[15])
    )
    listed = shown.page.evaluate(
        """() => {
            const layer = fieldkit.sheet_of(map_fieldkit).layers.find(l => l.data.kind === 'places');
            const out = [];
            for (let i = 0; i < layer.data.sizes.length; i++) {
                map_fieldkit.closePopup();
                const at = fieldkit.centre_of(layer, i);
                map_fieldkit.setView(at, 17, {animate: false});
                map_fieldkit.fire('click', {latlng: at});
                out.push(map_fieldkit._popup.getContent().querySelector('h2').textContent);
            }
            return out;
        }"""
    )
    assert listed == texts
    assert shown.page.inner_text("#fk-title") == "{{7*7}}<img src=x onerror=alert(1)>"
    assert shown.page.inner_text("#fk-subtitle") == texts[15]
    assert shown.page.title() == "{{7*7}}<img src=x onerror=alert(1)>"
    assert "49" not in shown.page.inner_text("body")
    assert shown.page.evaluate("window.ran") == []
    assert (
        shown.page.evaluate(
            "document.querySelectorAll('img, iframe, script[src], link, base, .fk-popup svg').length"
        )
        == 0
    )
    assert shown.errors == []
    assert shown.outside() == []


def test_hostile_texts_of_cells_addresses_and_sentences_are_shown_as_they_are(open_page):
    texts = map_frames.HOSTILE
    everything = "\n".join(text for text in texts if "\x00" not in text)
    cells = map_frames.cells(
        texts, sentence=everything, sentence_zh=everything, data_version="{{7*7}}", method="${7*7}"
    )
    complaints = map_frames.complaints(len(texts) + 2, texts)
    shown = open_page(maps.draw_map("t", cells, complaints))
    said = shown.page.evaluate("document.querySelector('.fk-sentence').textContent")
    assert said == everything
    headings = shown.page.evaluate(
        """() => {
            const layer = fieldkit.sheet_of(map_fieldkit).layers.find(l => l.data.kind === 'complaints');
            const out = [];
            for (let i = 0; i < layer.points.length / 2; i++) {
                const at = fieldkit.centre_of(layer, i);
                map_fieldkit.setView(at, 19, {animate: false});
                map_fieldkit.fire('click', {latlng: at});
                out.push(map_fieldkit._popup.getContent().querySelector('h2').textContent);
            }
            return out;
        }"""
    )
    assert set(headings) == set(texts)
    assert shown.page.evaluate("window.ran") == []
    assert shown.errors == []
    assert shown.outside() == []


def test_even_markup_that_got_into_the_page_could_not_run(open_page, whole):
    injected = whole.replace("</main>", "<img src=data:, onerror=alert(1)><script>alert(2)</script></main>")
    shown = open_page(injected)
    shown.page.wait_for_timeout(200)
    assert shown.page.evaluate("window.ran") == []
    assert any("Content Security Policy" in error for error in shown.errors)


def test_a_map_works_inside_a_sandboxed_frame_that_starts_hidden(browser, tmp_path, whole):
    import html

    frame = f'<iframe sandbox="allow-scripts" width=900 height=600 srcdoc="{html.escape(whole)}"></iframe>'
    outer = f'<div id=d style="display:none">{frame}</div>'
    path = tmp_path / "outer.html"
    path.write_text(outer, encoding="utf-8")
    page = browser.new_page()
    try:
        shown = Opened(page)
        page.goto(path.as_uri())
        page.evaluate("document.getElementById('d').style.display = 'block'")
        frame = page.frames[1]
        frame.wait_for_selector(".fk-layer")
        until(
            frame,
            "fieldkit.sheet_of(map_fieldkit).layers.some(l => l.data.kind === 'hotspots' && l.drawn === 37)",
        )
        assert shown.errors == []
        assert shown.outside() == []
    finally:
        page.close()


def test_a_map_prints_on_paper(open_page, whole, tmp_path):
    from pypdf import PdfReader

    shown = open_page(whole)
    shown.page.pdf(path=tmp_path / "map.pdf", prefer_css_page_size=True, print_background=True)
    pages = PdfReader(tmp_path / "map.pdf").pages
    assert float(pages[0].mediabox.width) > float(pages[0].mediabox.height)
    assert "投诉热点" in pages[0].extract_text()


def test_a_narrow_screen_puts_the_legend_under_the_map(open_page, whole):
    shown = open_page(whole, viewport={"width": 420, "height": 800})
    below = shown.page.evaluate(
        "document.getElementById('fk-panel').getBoundingClientRect().top"
        " >= document.querySelector('.fk-map').getBoundingClientRect().bottom - 1"
    )
    assert below
    assert shown.drawn()["hotspots"] == 37


def test_our_layers_also_draw_on_an_ordinary_folium_map(open_page):
    maps.patch_branca()
    import folium

    from fieldkit.maps import assets

    chart = folium.Map(location=[32.43, 105.83], zoom_start=13, tiles=None)
    chart._id = "fieldkit"
    maps.HotspotsLayer().add_to(chart, map_frames.cells(["{{7*7}}"]), {})
    page = chart.get_root().render()
    # The scripts that folium names are on the network; for this test Leaflet comes from the installed package.
    import re

    page = re.sub(r'<script src="[^"]*"></script>|<link[^>]*>', "", page)
    page = page.replace("<head>", f"<head><script>{assets.leaflet_script()}</script><i class=fk-layer></i>")
    shown = open_page(page)
    until(shown.page, "fieldkit.sheet_of(map_fieldkit).layers.length === 1")
    words = shown.page.evaluate("fieldkit.sheet_of(map_fieldkit).layers[0].data.popup.heading.words")
    assert "{{7*7}}" in words
    assert shown.outside() == []
