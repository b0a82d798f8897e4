"""Pages that are pictures are recognised where a setting says so: inside the sandbox, marked as such, with how sure that is.

`make test-models` installs the packages of requirements-scans.lock and runs these.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import orjson
import pypdfium2
import pytest
from PIL import Image, ImageFilter

from backend.documents.chunks.chunking import Chunk, Chunker, ChunkSize
from backend.documents.parsing.blocks import Block, BlockKind
from backend.documents.parsing.errors import NoText, ParseMemory, ParseTimeout
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import parse_file
from backend.documents.parsing.wire import DocumentInfo
from tests.conftest import SHARED_DATA
from tests.console.visits import visiting
from tests.documents.scans import Scan, mixed, rendered, scan, written
from tests.factories import create_collection, post_file, work
from tests.service import Service, Tenant

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        find_spec("rapidocr") is None, reason="needs the packages of requirements-scans.lock: make test-models"
    ),
]

ON = ParseLimits(recognises_pages=True)
TEXT = (
    "The dispute window of a card is 60 days from the statement date, and a claim that comes later is not",
    "taken. An outgoing domestic wire costs $25.00; an incoming one costs $12.50 and is credited on the same",
    "day before 4:30 p.m. A lost zebra card is replaced for $37, which is not charged to premier accounts",
    "with a balance of at least $10,250.75. The penalty is 1.125% of the amount, or 18 basis points a month.",
)  # fmt: skip
TABLE = (
    ("", "2022", "2021", "2020"), ("Net sales", "34,229", "35,355", "32,184"), ("Cost of sales", "19,232", "18,795", "16,605"),
    ("Research and development", "1,862", "1,994", "1,878"), ("Operating income", "6,539", "7,369", "7,161"),
    ("Interest expense, net", "(147)", "(165)", "(366)"), ("Effective tax rate", "9.6 %", "17.8 %", "19.6 %"),
)  # fmt: skip


async def read(path: Path, content: bytes, limits: ParseLimits = ON) -> tuple[list[Block], DocumentInfo]:
    path.write_bytes(content)
    async with parse_file(path, filename=path.name, limits=limits) as file:
        return [block async for block in file], file.info


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scan.pdf"


def told(info: DocumentInfo) -> set[tuple[str, str]]:
    return {(str(warning.kind), warning.place) for warning in info.warnings}


def text_of(blocks: Sequence[Block]) -> str:
    return "\n".join(block.text for block in blocks)


def recovered(shown: str, read: str, pattern: str) -> float:
    """The share of what matches in a text that was read, each as often as it stands there."""
    before, after = Counter(re.findall(pattern, shown)), Counter(re.findall(pattern, read))
    return (before & after).total() / before.total()


FIGURES, WORDS = r"\d[\d,.]*\d|\d", r"[A-Za-z]{2,}"


def table() -> bytes:
    rows = [
        f"BT /F0 9 Tf {x} {700 - 16 * number} Td ({cell.replace('(', chr(92) + '(').replace(')', chr(92) + ')')}) Tj ET"
        for number, row in enumerate(TABLE)
        for x, cell in zip((72, 300, 390, 480), row, strict=True)
    ]
    return "\n".join(rows).encode()


async def test_a_page_that_is_a_picture_is_read_and_says_how_sure_that_is(path: Path) -> None:
    blocks, info = await read(path, mixed(scan(*TEXT)))
    assert " ".join(text_of(blocks).split()) == " ".join(TEXT)
    assert all(block.confidence is not None and block.confidence > 90 for block in blocks)
    assert told(info) == {("recognised_page", "page 1")}


async def test_the_rows_of_a_table_keep_their_cells_and_their_header(path: Path) -> None:
    blocks, _ = await read(path, mixed(Scan(rendered(mixed(table())))))
    assert [block.text for block in blocks if block.kind is BlockKind.TABLE_ROW] == [
        " | ".join(row) for row in TABLE[1:]
    ]  # fmt: skip
    assert [block.text for block in blocks if block.kind is BlockKind.TABLE_HEADER] == ["| 2022 | 2021 | 2020"]


async def test_of_a_mixed_file_only_pictures_are_recognised(path: Path) -> None:
    words = (written(*[text] * 6) for text in ("A wire costs $25 at once.", "The end of these terms."))
    first, last = words
    blocks, info = await read(path, mixed(first, scan(*TEXT), last))
    assert {block.page: block.confidence is None for block in blocks} == {1: True, 2: False, 3: True}
    assert told(info) == {("recognised_page", "page 2")}


async def test_what_was_printed_on_a_scan_is_taken_as_it_is_and_once(path: Path) -> None:
    stamp = "Case 1:26-cv-00123-ABC Document 45-2 Filed 03/04/26 Page 3 of 60 PageID 1234"
    page = scan(*TEXT)
    page.printed = b"BT /F0 8 Tf 72 780 Td (%s) Tj ET" % stamp.encode()
    blocks, info = await read(path, mixed(page))
    assert text_of(blocks).count("Document 45-2") == 1
    assert stamp in text_of(blocks)
    assert "zebra card" in text_of(blocks)
    assert told(info) == {("recognised_page", "page 1")}


async def test_figures_of_which_recognition_is_unsure_are_told_with_their_page(path: Path) -> None:
    coarse = rendered(mixed(written(*TEXT)), dots=45).filter(ImageFilter.GaussianBlur(0.6))
    blocks, info = await read(path, mixed(written("Text."), Scan(coarse.resize((1700, 2200)))))
    unsure = [warning for warning in info.warnings if warning.kind == "uncertain_figure"]
    wrong = [f for f in re.findall(FIGURES, text_of(blocks)) if f not in re.findall(FIGURES, "".join(TEXT))]
    assert [warning.place for warning in unsure] == ["page 2"]
    assert wrong, "the picture is coarse enough for mistakes"
    assert all(figure in unsure[0].detail for figure in wrong), (wrong, unsure)


async def test_a_raised_mark_becomes_no_digit_of_its_figure_in_silence(path: Path) -> None:
    def marked(figure: str, mark: str) -> str:
        return f"/F0 10 Tf ({figure}) Tj 5 Ts /F0 6 Tf ({mark}) Tj 0 Ts /F0 10 Tf"

    line = f"BT 72 700 Td {marked('A wire costs $25', '1')} ( and net sales were) Tj {marked(' 34,229', '2')} ( in 2022.) Tj ET"
    row = f"BT 72 680 Td /F0 10 Tf (Total assets) Tj 300 0 Td {marked('1,251', '3')} 80 0 Td {marked('7,402', '4')} ET"
    blocks, info = await read(path, mixed(Scan(rendered(mixed(f"{line}\n{row}".encode())))))
    told_of = " ".join(warning.detail for warning in info.warnings if warning.kind == "uncertain_figure")
    for figure, mark in (("25", "1"), ("34,229", "2"), ("1,251", "3"), ("7,402", "4")):
        kept = re.search(rf"(?<!\d){figure}(?!\d)", text_of(blocks)) is not None
        assert kept or figure + mark in told_of, (figure, text_of(blocks), told_of)
    assert "$25 [note 1] and" in text_of(blocks)


@pytest.mark.parametrize("turn", [90, 180, 270])
async def test_a_scan_that_lies_on_its_side_or_head_is_read(path: Path, turn: int) -> None:
    page = scan(*TEXT)
    for content in (
        mixed(Scan(page.picture.rotate(turn, expand=True))),
        mixed(Scan(page.picture.rotate(turn, expand=True)), rotate=turn),
    ):
        blocks, _ = await read(path, content)
        assert " ".join(text_of(blocks).split()) == " ".join(TEXT)


@pytest.mark.parametrize("angle", [-2.0, 1.5])
async def test_a_scan_that_was_laid_down_askew_keeps_its_rows(path: Path, angle: float) -> None:
    picture = rendered(mixed(table())).rotate(angle, fillcolor="white", resample=Image.Resampling.BICUBIC)
    blocks, _ = await read(path, mixed(Scan(picture)))
    rows = [block.text for block in blocks if block.kind is BlockKind.TABLE_ROW]
    assert "Net sales | 34,229 | 35,355 | 32,184" in rows, rows


async def test_the_same_picture_gives_the_same_words_and_confidence(path: Path) -> None:
    content = mixed(scan(*TEXT), Scan(rendered(mixed(table())).filter(ImageFilter.GaussianBlur(1.5))))
    assert await read(path, content) == await read(path, content)


async def test_a_picture_without_words_is_told_and_a_file_of_such_pictures_is_refused(path: Path) -> None:
    empty = Scan(Image.new("RGB", (1700, 2200), (250, 250, 245)))
    _, info = await read(path, mixed(written("Text."), empty))
    assert told(info) == {("scanned_page", "page 2")}
    with pytest.raises(NoText):
        await read(path, mixed(empty))


async def test_without_the_setting_a_page_that_is_a_picture_is_told_and_not_read(path: Path) -> None:
    blocks, info = await read(path, mixed(written("Text."), scan(*TEXT)), ParseLimits())
    assert [block.text for block in blocks] == ["Text."]
    assert told(info) == {("scanned_page", "page 2")}
    with pytest.raises(NoText):
        await read(path, mixed(scan(*TEXT)), ParseLimits())


async def test_pages_of_any_size_are_read_in_the_same_memory(path: Path) -> None:
    picture = rendered(mixed(written(*TEXT)))
    wide = Image.new("RGB", (9000, 300), "white")
    wide.paste(picture.crop((0, 0, 1700, 300)))
    for page in (wide, Image.new("RGB", (3, 4000), "white"), picture.resize((5100, 6600))):
        await read(path, mixed(written("Text."), Scan(page)))


async def limits_of_the_parser(path: Path, filename: str) -> dict[str, str]:
    async with parse_file(path, filename=filename, limits=ON) as file:
        async for _ in file:
            [pid] = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1:]
            shown = Path(f"/proc/{pid}/limits").read_text().splitlines()
            threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
            assert threads <= 2, "onnxruntime starts one when it is imported, where it may"
            return {line[:25].strip(): line.split()[-3] for line in shown}
    raise AssertionError("no block")


async def test_only_memory_and_time_of_a_pdf_are_other_ones_with_the_setting(tmp_path: Path) -> None:
    scanned, plain = tmp_path / "scan.pdf", tmp_path / "plain.txt"
    scanned.write_bytes(mixed(scan(*TEXT), *[written(*TEXT)] * 2000))
    plain.write_text("A sentence of some length, again and again.\n\n" * 40_000)
    larger, usual = await limits_of_the_parser(scanned, "scan.pdf"), await limits_of_the_parser(plain, "plain.txt")
    differing = {name for name in usual if larger[name] != usual[name]}
    assert differing == {"Max address space", "Max cpu time"}
    assert (larger["Max address space"], larger["Max cpu time"]) == (str(2 * 1024**3), "1200")
    assert (usual["Max address space"], usual["Max cpu time"]) == (str(1024**3), "120")
    assert (larger["Max processes"], larger["Max file size"], larger["Max open files"]) == ("0", "0", "32")


async def test_recognition_ends_where_its_own_bounds_are(path: Path) -> None:
    content = mixed(*[scan(*TEXT)] * 8)
    with pytest.raises(ParseTimeout):
        await read(path, content, ParseLimits(recognises_pages=True, recognition_seconds=2))
    with pytest.raises(ParseMemory):
        await read(path, content, ParseLimits(recognises_pages=True, recognition_memory_bytes=400 * 1024**2))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a parser as somebody who may start no process")
async def test_recognition_starts_no_thread_where_none_is_allowed_and_asks_for_no_network(path: Path) -> None:
    path.write_bytes(mixed(scan(*TEXT)))
    for folder in (path, *path.parents[:-2]):
        folder.chmod(0o755)
    bounds = orjson.dumps({"recognises_pages": True, "memory_bytes": 2 * 1024**3}).decode()
    # Nobody may have a process there that is not counted; a namespace without a network has no other way out.
    command = [
        "unshare",
        "--net",
        "setpriv",
        "--reuid=61234",
        "--clear-groups",
        sys.executable,
        "-s",
        "-B",
        "-X",
        "utf8",
        "-m",
    ]
    command += ["backend.documents.parsing.__main__", str(path), "pdf", bounds]
    shown = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, check=True, cwd=Path(__file__).parents[2],
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert b"zebra card is replaced for $37" in shown.stdout, shown


def cited(chunks: Sequence[Chunk]) -> dict[int | None, set[bool]]:
    return {chunk.page_start: {chunk.recognition_confidence is not None} for chunk in chunks}


async def test_chunks_of_recognised_pages_have_their_confidence_and_others_have_none(path: Path) -> None:
    blocks, _ = await read(path, mixed(written(*TEXT), scan(*TEXT), written(*TEXT)))
    chunker = Chunker(lambda texts: [len(text.split()) for text in texts], ChunkSize(target=40, limit=60))
    chunks = [chunk for block in blocks for chunk in chunker.add(block)] + chunker.finish()
    assert cited(chunks) == {1: {False}, 2: {True}, 3: {False}}


async def test_what_was_recognised_is_marked_where_it_is_found_cited_shown_and_recorded(
    service: Service, tenant: Tenant
) -> None:
    content = mixed(written(*["Terms of the bank."] * 4), scan(*TEXT))
    uploaded = (
        await post_file(service, tenant, "terms.pdf", content, doc_id="terms", media_type="application/pdf")
    ).json()
    await work(service, text_recognition=True)
    job = (await service.get(f"/jobs/{uploaded['job_id']}", tenant, "editor")).json()
    assert job["status"] == "succeeded", job
    assert job["result"]["warnings"] == [{"kind": "recognised_page", "place": "page 2"}]

    question = "What is a lost zebra card replaced for?"
    answer = await service.post("/answer", tenant, "analyst", {"question": question})
    (citation,) = answer.json()["citations"]
    sure = citation["recognition_confidence"]
    assert "$37" in citation["quote"]
    assert 90 < sure <= 100
    request = answer.headers["x-request-id"]
    (event,) = await service.events(tenant, action="retrieval:executed", request_id=request)
    assert sure in [chunk.get("recognition_confidence") for chunk in event["event"]["retrieval"]["chunks"]]
    version = f"/documents/{uploaded['document_id']}/versions/1"
    page = (await service.get(f"{version}/pages/2", tenant, "analyst")).json()
    assert sure in [chunk["recognition_confidence"] for chunk in page["chunks"]]
    async with visiting(service, tenant, "analyst") as client:
        found = await client.get("/console/search", params={"q": question})
        assert f"recognised in a picture, confidence {sure} of 100" in found.text
        assert "recognised page, page 2" in (await client.get(f"/console{version}")).text


async def test_a_collection_can_refuse_what_was_recognised(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant, "strict", refused_warnings=["recognised_page"])
    content = mixed(written("Terms."), scan(*TEXT))
    uploaded = (await post_file(service, tenant, "terms.pdf", content, collection="strict")).json()
    await work(service, text_recognition=True)
    job = (await service.get(f"/jobs/{uploaded['job_id']}", tenant, "editor")).json()
    assert (job["status"], job["error"]["code"]) == ("failed", "refused_warning"), job


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs ../shared/data")
async def test_most_words_and_nearly_all_figures_of_a_filings_page_are_recovered(path: Path) -> None:
    filing = next(SHARED_DATA.glob("**/3M_2022_10K.pdf"))
    document = pypdfium2.PdfDocument(filing)
    numbers = (20, 50, 61)
    shown = "\n".join(document[number].get_textpage().get_text_range() for number in numbers)
    blocks, _ = await read(path, mixed(*[Scan(rendered(document, number)) for number in numbers]))
    assert recovered(shown, text_of(blocks), WORDS) >= 0.95
    assert recovered(shown, text_of(blocks), FIGURES) >= 0.98
