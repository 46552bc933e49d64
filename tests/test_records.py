"""Records: written whole or not at all, only when something changed, none stopping the others; text stays text."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import hostile_texts
import nbformat
import pypdf
import pytest

from fieldkit import files
from fieldkit.casework import Link, confirm_place, link_complaints
from fieldkit.complaints import Complaint, Person
from fieldkit.errors import PluginError, RecordError, UnknownCase
from fieldkit.ledger import Receipt
from fieldkit.places import Place
from fieldkit.records import RecordOutcome, parts, run_records
from fieldkit.records.batch import case_folder
from fieldkit.records.document import read_document
from fieldkit.records.html import HtmlRecord
from fieldkit.records.parts import both
from fieldkit.records.pdf import PdfRecord
from fieldkit.testing import PluginConformance, sample_workspace
from fieldkit.workspace import Workspace

ZONE = ZoneInfo("Asia/Shanghai")
HOSTILE = (
    *hostile_texts.HOSTILE,
    "$x$ *bold* _it_ @ref <label>",
)


def complaint(number: str, **known: Any) -> Complaint:
    known.setdefault("received_at", datetime(2018, 3, 5, 21, 30, tzinfo=ZONE))
    return Complaint(source="test", number=number, **known)


def receive(ws: Workspace, *complaints: Complaint) -> None:
    person = Person(name="王小明", phone="13812345678")
    with ws.ledger.receiving() as receiving:
        receiving.add([Receipt(c, c, person) for c in complaints])


def fill(ws: Workspace) -> None:
    """A hostile case and one with 40 repeats, beside the sample's."""
    text = "\n".join([*HOSTILE, "مرحبا", "😀 ok", "x" * 300])
    place = Place(105.80, 32.43)
    receive(ws, complaint("H-1", text=text, address=HOSTILE[3], suspected_source=HOSTILE[0], place=place))
    start = datetime(2018, 4, 1, 22, 15, tzinfo=ZONE)
    many = [
        complaint(
            f"Q-{n}",
            received_at=start + timedelta(days=3 * n),
            text=f"第{n}次反映：配电房低频噪声，夜里嗡嗡响，睡不着。",
            translation=f"Report {n}: low-frequency hum of the distribution room at night.",
            categories=("noise.lowfreq.transformer",),
            place=Place(105.82, 32.44),
        )
        for n in range(41)
    ]
    receive(ws, *many)
    link_complaints(
        ws, [Link(f"Q-{n}", "Q-0", "recurrence", "incomplete_rectification") for n in range(1, 41)]
    )


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace whose records of four cases are written once; a test must leave it as it is."""
    ws = sample_workspace(tmp_path_factory.mktemp("office") / "office")
    fill(ws)
    yield ws
    ws.ledger.close()


@pytest.fixture(scope="module")
def outcomes(office: Workspace) -> dict[str, RecordOutcome]:
    result = run_records(office, ["S-001", "S-008", "H-1", "Q-0"], jobs=2, progress=False)
    return {outcome.number: outcome for outcome in result.outcomes}


def small_notebook(path: Path, *cells: str, parameters: str = 'case_id: str = ""') -> Path:
    """A notebook that starts fast: it loads nothing of the kit."""
    v4: Any = nbformat.v4
    first = v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = v4.new_notebook(cells=[first, *map(v4.new_code_cell, cells)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.write_text(v4.writes(notebook), encoding="utf-8")
    return path


def leftovers(ws: Workspace) -> list[str]:
    return [str(path) for path in ws.settings.records.rglob("*") if path.name.startswith(".")]


class PageText(HTMLParser):
    """The text and the tags of a page, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.addresses = "", [], list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        self.text += data


def pdf_text(path: Path) -> str:
    """The PDF's text without white space: where lines break is the setter's affair."""
    reader = pypdf.PdfReader(path)
    return re.sub(
        r"[\s\u200b\u200e\u200f\u202a-\u202e]", "", "".join(page.extract_text() for page in reader.pages)
    )


class TestHtmlRecord(PluginConformance):
    group = "fieldkit.records"
    plugin = HtmlRecord


class TestPdfRecord(PluginConformance):
    group = "fieldkit.records"
    plugin = PdfRecord


def test_each_case_has_its_notebook_and_documents(
    outcomes: dict[str, RecordOutcome], office: Workspace
) -> None:
    for outcome in outcomes.values():
        assert (outcome.state, outcome.reason) == ("written", "")
        assert {path.name for path in outcome.paths.values()} == {
            f"{outcome.case}{suffix}" for suffix in (".html", ".pdf", ".ipynb")
        }
        assert all(path.parent == office.settings.records / outcome.case for path in outcome.paths.values())
    assert leftovers(office) == []


def test_the_executed_notebook_says_what_it_was_made_from(
    outcomes: dict[str, RecordOutcome], office: Workspace
) -> None:
    outcome = outcomes["S-001"]
    notebook = nbformat.read(outcome.paths["ipynb"], as_version=4)
    nbformat.validate(notebook)
    about = notebook.metadata["fieldkit"]
    assert about["case"] == outcome.case
    assert about["parameters"]["case_id"] == outcome.case
    assert about["template"] == "investigation.ipynb"
    assert re.fullmatch("[0-9a-f]{12}", about["data_version"])
    assert about["code_version"]
    manifest = office.records()[outcome.case]
    assert manifest["input_hash"] == about["input_hash"]
    for name, path in outcome.paths.items():
        assert manifest["files"][name] == path.relative_to(office.settings.folder).as_posix()
        assert manifest["digests"][name] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_second_run_does_nothing(outcomes: dict[str, RecordOutcome], office: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in office.settings.records.rglob("*")}
    events = office.ledger.count()
    result = run_records(office, list(outcomes), progress=False)
    assert {outcome.state for outcome in result.outcomes} == {"unchanged"}
    assert result.outcomes[0].paths == outcomes["S-001"].paths
    assert {path: path.stat().st_mtime_ns for path in office.settings.records.rglob("*")} == before
    assert office.ledger.count() == events


def test_hostile_text_is_literal_in_the_page(outcomes: dict[str, RecordOutcome]) -> None:
    page = outcomes["H-1"].paths["html"].read_text(encoding="utf-8")
    seen = PageText(page)
    for text in [*HOSTILE, "مرحبا", "😀 ok", "x" * 300]:
        assert text in seen.text
    assert "script" not in seen.tags
    assert {address.partition(":")[0] for address in seen.addresses} == {"data"}
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"(?:href|src)=.?(?:https?:)?//|url\((?!data:)", page)


def test_hostile_text_is_literal_in_the_pdf(outcomes: dict[str, RecordOutcome]) -> None:
    text = pdf_text(outcomes["H-1"].paths["pdf"])
    for written in HOSTILE:
        if written.isascii():  # the others may be printed as their codes
            assert re.sub(r"\s", "", written) in text
    assert "x" * 300 in text


@pytest.mark.parametrize("number", ["S-001", "S-008", "H-1", "Q-0"])
def test_no_character_of_the_pdf_is_a_box(outcomes: dict[str, RecordOutcome], number: str) -> None:
    reader = pypdf.PdfReader(outcomes[number].paths["pdf"])
    drawn = 0
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
            assert {"/FontFile2", "/FontFile3"} & set(descriptor), "a font is not in the file"
        content = page.get_contents()
        assert content is not None
        for operands, operator in content.operations:
            if operator in (b"Tj", b"TJ"):
                pieces = operands[0] if operator == b"TJ" else operands
                for piece in pieces:
                    codes = getattr(piece, "original_bytes", b"")
                    glyphs = [codes[i : i + 2] for i in range(0, len(codes), 2)]
                    drawn += len(glyphs)
                    assert b"\0\0" not in glyphs, f"a box on page {page.page_number}"
    assert drawn > 200


def test_a_character_without_a_glyph_is_printed_as_its_code() -> None:
    part = parts.paragraphs("t", [("", "a😀\U0001f6b0b", "")])
    text = PdfRecord().render(document_of(part))
    path = pypdf.PdfReader(__import__("io").BytesIO(text)).pages[0].extract_text()
    assert "[U+1F6B0]b" in path.replace(" ", "")


def document_of(*shown: parts.Part, language: str = "both", **meta: Any) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": part._repr_mimebundle_()}]}
        for part in shown
    ]
    about = {"title": both("记录", "Record"), "number": "N-1", **meta}
    return read_document({"cells": cells, "metadata": {"fieldkit": about}}, language=language)


def test_forty_repeats_go_over_pages_with_number_and_count(outcomes: dict[str, RecordOutcome]) -> None:
    reader = pypdf.PdfReader(outcomes["Q-0"].paths["pdf"])
    pages = [page.extract_text() for page in reader.pages]
    assert len(pages) > 3
    for number, text in enumerate(pages, 1):
        assert "Q-0" in text
        assert f"{number} / {len(pages)}" in text
    whole = pdf_text(outcomes["Q-0"].paths["pdf"])
    page = PageText(outcomes["Q-0"].paths["html"].read_text(encoding="utf-8")).text
    for n in range(41):
        assert f"第{n}次反映" in whole
        assert whole.count(f"第{n}次反映") == 2, "once in the words, once in the timeline"
        assert f"第{n}次反映" in page


def test_no_complainant_is_in_a_record(outcomes: dict[str, RecordOutcome]) -> None:
    for outcome in outcomes.values():
        written = outcome.paths["ipynb"].read_text(encoding="utf-8") + pdf_text(outcome.paths["pdf"])
        for secret in ("王小明", "13812345678", "Resident", "1390000"):
            assert secret not in written


@pytest.mark.browser
def test_the_page_opens_in_a_browser_and_asks_for_nothing(
    outcomes: dict[str, RecordOutcome], browser: Any
) -> None:
    asked, said = list[str](), list[str]()
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(outcomes["H-1"].paths["html"].as_uri())
    assert page.locator("figure img").first.evaluate("picture => picture.naturalWidth") > 500
    assert page.locator("main").bounding_box()["width"] < 900
    assert page.evaluate("document.fonts.check('16px \"Fieldkit Sans\"', '环')")
    page.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []


def test_only_what_changed_is_written_again(sample: Workspace, tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "n.ipynb", "print('case', case_id)")
    numbers = ["S-002", "S-005"]

    def states(**options: Any) -> list[str]:
        result = run_records(sample, numbers, ("html",), notebook=notebook, jobs=2, progress=False, **options)
        return [outcome.state for outcome in result.outcomes]

    assert states() == ["written"] * 2
    assert states() == ["unchanged"] * 2
    confirm_place(sample, "S-005", 105.80, 32.42)
    assert states() == ["unchanged", "written"]
    damaged = next((sample.settings.records / sample.case("S-002").id).glob("*.html"))
    damaged.write_bytes(damaged.read_bytes() + b" ")
    # As a run that was killed leaves it; no process has so high a number.
    stray = damaged.parent / f".fieldkit-{files._machine()}-{2**30}-00000000"
    stray.mkdir()
    assert states() == ["written", "unchanged"]
    assert not stray.exists()
    small_notebook(tmp_path / "n.ipynb", "print('the case', case_id)")
    assert states() == ["written"] * 2


def test_a_record_as_of_a_moment_is_made_from_what_was_known_then(sample: Workspace) -> None:
    moment, then = datetime.now(UTC), sample.data_version()
    confirm_place(sample, "S-002", 105.90, 32.42)
    asked = {"as_of": moment.isoformat()}
    (outcome,) = run_records(sample, ["S-002"], ("html",), parameters=asked, progress=False).outcomes
    page = outcome.paths["html"].read_text(encoding="utf-8")
    assert "As recorded until" in page
    assert moment.astimezone(sample.settings.zone).strftime("%Y-%m-%d %H:%M") in page
    assert "105.90000" not in page
    assert sample.records()[outcome.case]["data_version"] == then
    (again,) = run_records(sample, ["S-002"], ("html",), parameters=asked, progress=False).outcomes
    assert again.state == "unchanged"
    (now,) = run_records(sample, ["S-002"], ("html",), progress=False).outcomes
    page = now.paths["html"].read_text(encoding="utf-8")
    assert "105.90000" in page
    assert "As recorded until" not in page


def test_two_runs_on_the_same_data_give_the_same_bytes(sample: Workspace, tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "n.ipynb", "print('case', case_id)")
    digests = []
    for _ in range(2):
        run_records(sample, ["S-002"], notebook=notebook, force=True, progress=False)
        digests.append(sample.records()[sample.case("S-002").id]["digests"])
    assert digests[0] == digests[1]


def test_a_failing_case_is_set_aside_and_the_others_go_on(sample: Workspace, tmp_path: Path) -> None:
    broken, dying, killing = (sample.case(number).id for number in ("S-002", "S-005", "S-008"))
    notebook = small_notebook(
        tmp_path / "n.ipynb",
        "print('case', case_id)",
        f"1 / (case_id != {broken!r})",
        f"import os\nif case_id == {dying!r}:\n    os._exit(3)",
        f"import signal\nif case_id == {killing!r}:\n    os.kill(os.getppid(), signal.SIGKILL)",
        "print('done')",
    )
    numbers = ["S-002", "S-005", "S-008", "S-011"]
    result = run_records(sample, numbers, ("html",), notebook=notebook, jobs=1, progress=False)
    by_number = {outcome.number: outcome for outcome in result.outcomes}
    assert [outcome.number for outcome in result.outcomes] == numbers
    assert [outcome.state for outcome in result.outcomes] == ["failed", "failed", "failed", "written"]
    assert (by_number["S-002"].cell, by_number["S-002"].reason) == (4, "ZeroDivisionError: division by zero")
    assert by_number["S-005"].cell == 5
    assert "DeadKernel" in by_number["S-005"].reason
    assert "worker process died" in by_number["S-008"].reason
    assert leftovers(sample) == []

    folder = sample.settings.records / broken
    assert [path.name for path in folder.iterdir()] == ["failed.ipynb"]
    kept = nbformat.read(folder / "failed.ipynb", as_version=4)
    assert kept.metadata["fieldkit"]["failed"] == {"cell": 4, "reason": "ZeroDivisionError: division by zero"}
    assert broken not in sample.records()

    mended = small_notebook(tmp_path / "n.ipynb", "print('case', case_id)")
    unnamed = json.loads(mended.read_text())
    del unnamed["metadata"]["kernelspec"]  # as a program may write it: Python is meant
    mended.write_text(json.dumps(unnamed))
    run_records(sample, ["S-002"], ("html",), notebook=mended, progress=False)
    assert sorted(path.suffix for path in folder.iterdir()) == [".html", ".ipynb"]


def test_what_cannot_be_run_is_refused_before_anything_is(sample: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UnknownCase):
        run_records(sample, ["S-001", "nothing"], progress=False)
    with pytest.raises(PluginError, match="docx"):
        run_records(sample, ["S-001"], ("docx",), progress=False)
    with pytest.raises(RecordError, match="cannot be read"):
        run_records(sample, ["S-001"], notebook=tmp_path / "none.ipynb", progress=False)
    with pytest.raises(RecordError, match="JSON"):
        run_records(sample, ["S-001"], parameters={"case_ids": {1, 2}}, progress=False)
    notebook = small_notebook(tmp_path / "n.ipynb", "print(1)")
    crafted = {"x=1\nimport os\nos.system('id')\ny": 1}
    with pytest.raises(RecordError, match="declares no parameter"):
        run_records(sample, ["S-001"], notebook=notebook, parameters=crafted, progress=False)
    (tmp_path / "no.ipynb").write_text("{}")
    with pytest.raises(RecordError, match="The notebook cannot be used"):
        run_records(sample, ["S-001"], notebook=tmp_path / "no.ipynb", progress=False)
    bare = small_notebook(tmp_path / "bare.ipynb", "print(1)", parameters="other = 1")
    with pytest.raises(RecordError, match="'case_id'"):
        run_records(sample, ["S-001"], notebook=bare, progress=False)
    assert not list(sample.settings.records.iterdir())


@pytest.mark.parametrize("name", ["../x", "a", "A/B", "", "A" * 33, "..", "A\n"])
def test_a_folder_outside_is_refused(sample: Workspace, name: str) -> None:
    with pytest.raises(RecordError):
        case_folder(sample, name)


def test_a_link_out_of_the_workspace_is_refused(sample: Workspace, tmp_path: Path) -> None:
    (sample.settings.records / "ABC").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(RecordError, match="leads out"):
        case_folder(sample, "ABC")


SCRIPT = """
import sys
import fieldkit as fk

if __name__ == "__main__":
    ws = fk.open(sys.argv[1])
    numbers = ["S-002", "S-005", "S-008", "S-011", "S-014", "S-017"]
    fk.run_records(ws, numbers, ("html",), jobs=1, notebook=sys.argv[2], progress=False)
"""


def test_a_batch_that_was_stopped_goes_on_where_it_was(sample: Workspace, tmp_path: Path) -> None:
    notebook = small_notebook(tmp_path / "n.ipynb", "print('case', case_id)")
    script = tmp_path / "run.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, str(script), str(sample.settings.folder), str(notebook)]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, env=dict(os.environ))
    limit = time.monotonic() + 120
    while not list(sample.settings.records.rglob("*.ipynb")) and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode != 0
    assert b"KeyboardInterrupt" in said
    whole = {path.parent.name for path in sample.settings.records.rglob("*.ipynb")}
    assert 1 <= len(whole) < 6
    assert set(sample.records()) == whole, "what is on disk is in the ledger"
    assert leftovers(sample) == []
    numbers = ["S-002", "S-005", "S-008", "S-011", "S-014", "S-017"]
    again = run_records(sample, numbers, ("html",), jobs=2, notebook=notebook, progress=False)
    assert {o.case for o in again.outcomes if o.state == "unchanged"} == whole
    assert {o.state for o in again.outcomes} == {"unchanged", "written"}


def test_markdown_is_printed_as_text_and_guides_are_not() -> None:
    def cell(text: str, *tags: str) -> dict[str, Any]:
        return {"cell_type": "markdown", "source": text, "metadata": {"tags": list(tags)}}

    cells = [
        cell("# Head {{7*7}}\n\nA **bold** <b>x</b> [word](http://example.org)\n\n1. one\n2. two"),
        cell("only on the screen", "guide"),
        cell("只用中文", "zh"),
        cell("English only", "en"),
    ]
    document = read_document({"cells": cells, "metadata": {}}, language="zh")
    assert [part["kind"] for part in document["parts"]] == ["heading", "paragraph", "list", "paragraph"]
    assert document["parts"][1]["text"] == "A bold <b>x</b> word"
    assert document["parts"][2] == {"kind": "list", "ordered": True, "items": ["one", "two"]}
    page = HtmlRecord().render(document).decode()
    assert "example.org" not in page
    assert "on the screen" not in page
    assert "&lt;b&gt;" in page
    assert PdfRecord().render(document).startswith(b"%PDF")


def test_what_an_analyst_adds_is_printed_too() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "three {{7*7}} rows\n"},
        {"output_type": "stream", "name": "stderr", "text": "a warning"},
        {"output_type": "execute_result", "data": {"text/plain": "<b>42</b>", "text/html": "<b>42</b>"}},
        {"output_type": "execute_result", "data": parts.table("T", ["a"], [["#x"]])._repr_mimebundle_()},
    ]
    notebook = {"cells": [{"cell_type": "code", "outputs": outputs}], "metadata": {}}
    document = read_document(notebook)
    assert [part["kind"] for part in document["parts"]] == ["text", "text", "table"]
    text = PageText(HtmlRecord().render(document).decode()).text
    assert "three {{7*7}} rows" in text
    assert "<b>42</b>" in text
    assert "a warning" not in text


@pytest.mark.parametrize(
    "part",
    [
        {"kind": "script", "title": ""},
        {"kind": "table", "title": "", "columns": ["a", "b"], "rows": [["one"]]},
        {"kind": "table", "title": "", "columns": [], "rows": []},
        {"kind": "picture", "title": "", "png": "bm90IGEgcG5n"},
        {"kind": "picture", "title": "", "png": "not base64!"},
        {"kind": "facts", "title": ""},
        {"kind": "gaps", "title": 3, "items": []},
        ["facts"],
    ],
)
def test_a_malformed_part_is_named_by_its_cell(part: Any) -> None:
    output = {"output_type": "display_data", "data": {parts.MIME: part}}
    cells = [{"cell_type": "code", "outputs": []}, {"cell_type": "code", "outputs": [output]}]
    with pytest.raises(RecordError, match="Cell 2"):
        read_document({"cells": cells, "metadata": {}})


@pytest.mark.parametrize("language", ["zh", "en", "both"])
def test_a_record_speaks_the_language_asked_for(language: str) -> None:
    part = parts.gaps(
        both("尚缺", "Still missing"), [both("没有地点", "No place")], none=both("无", "Nothing")
    )
    page = PageText(
        HtmlRecord().render(document_of(part, language=language, data_version="ab12")).decode()
    ).text
    assert ("没有地点" in page) is (language != "en")
    assert ("No place" in page) is (language != "zh")
    assert ("数据版本" in page) is (language != "en")


def test_the_same_document_gives_the_same_bytes() -> None:
    document = document_of(parts.facts("F", [("a", "b", "")]), as_of="2018-03-05T21:30:00+08:00")
    assert PdfRecord().render(document) == PdfRecord().render(document)
    assert HtmlRecord().render(document) == HtmlRecord().render(document)
    assert json.loads(json.dumps(document)) == document
