"""Word documents in order: page headers, the body with its notes, page footers."""

from collections.abc import Iterator
from pathlib import Path

from backend.documents.parsing.blocks import BlockKind, Fragment
from backend.documents.parsing.errors import CorruptFile
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.grids import Cell, Grid
from backend.documents.parsing.openxml import Element, Package, R, parsed_or_none
from backend.documents.parsing.word.looks import word_theme
from backend.documents.parsing.word.notes import NoteMarks
from backend.documents.parsing.word.numbering import Numbering, W
from backend.documents.parsing.word.paragraphs import DocumentContext, Shown, shown
from backend.documents.parsing.word.styles import ParagraphStyle, Styles, outlined, value

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MOST_COLUMNS = 1_000
_SKIPPED = {W + name for name in ("pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "del", "moveFrom")}


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields headings with their numbers, paragraphs, list items and table rows; notes follow what refers to them."""
    package = Package(path)
    main = package.main_part()
    document = package.xml(main)
    body = None if document is None else document.find(W + "body")
    if body is None:
        raise CorruptFile("The document has no body.")
    findings.title = package.title()
    yield from _WordDocument(package, main, findings).read(body)


class _WordDocument:
    def __init__(self, package: Package, main: str, findings: Findings) -> None:
        self._package = package
        self._parts = {r.kind: r.target for r in package.related(main) if not r.is_external}
        self._main = main
        settings = self._part_or_none("settings")
        self._styles = Styles(self._part("styles"), word_theme(self._part_or_none("theme"), settings))
        self._numbering = Numbering(self._part("numbering"))
        self._context = DocumentContext(package, main, findings, self._styles, NoteMarks(settings))
        self._notes = {kind: self._notes_of(kind) for kind in ("footnote", "endnote")}
        self._paragraphs = 0
        self._begun = ""
        self._cells_around = 0

    def read(self, body: Element) -> Iterator[Fragment]:
        yield from self._furniture(body, "header")
        self._context.begin(body)
        self._context.notes.begin(body)
        yield from self._blocks(body)
        yield from self._furniture(body, "footer")
        if "comments" in self._parts:
            comments = self._part("comments")
            count = 0 if comments is None else len(comments.findall(W + "comment"))
            if count:
                self._context.findings.warn(
                    WarningKind.ANNOTATION, "margins of the document", f"{count} comments of reviewers are left out."
                )

    def _part(self, kind: str) -> Element | None:
        return self._package.xml(self._parts[kind]) if kind in self._parts else None

    def _part_or_none(self, kind: str) -> Element | None:
        return parsed_or_none(self._package.content(self._parts[kind])) if kind in self._parts else None

    def _notes_of(self, kind: str) -> dict[str, Element]:
        root = self._part(f"{kind}s")
        return {} if root is None else {note.get(W + "id", ""): note for note in root.iterchildren(W + kind)}

    def _furniture(self, body: Element, kind: str) -> Iterator[Fragment]:
        """Yields the text of page headers or footers once, without page numbers."""
        seen: set[str] = set()
        targets = {r.id: r.target for r in self._package.related(self._main)}
        for reference in body.iter(f"{W}{kind}Reference"):
            part = targets.get(reference.get(R + "id", ""), "")
            root = self._package.xml(part) if part else None
            if root is None:
                continue
            self._context.enter(part)
            self._context.begin(root)
            self._context.place = f"page {kind}"
            for fragment in self._blocks(root, in_furniture=True):
                if fragment.text not in seen:
                    seen.add(fragment.text)
                    yield fragment._replace(kind=BlockKind.PARAGRAPH, level=0)
            self._context.enter(self._main)

    def _blocks(self, element: Element, *, in_furniture: bool = False) -> Iterator[Fragment]:
        for child in element.iterchildren("*"):
            if child.tag == W + "p":
                self._paragraphs += 1
                if not in_furniture:
                    self._context.place = f"paragraph {self._paragraphs}"
                yield from self._paragraph(child, in_furniture=in_furniture)
                if not in_furniture and child.find(f"{W}pPr/{W}sectPr") is not None:
                    self._context.notes.end_section()
            elif child.tag == W + "tbl":
                yield from self._table(child)
            elif child.tag in {W + "altChunk", W + "subDoc"}:
                self._context.warn(WarningKind.EMBEDDED_FILE, "An embedded document is not read.")
            elif child.tag == _MC + "AlternateContent":
                choice = child.find(_MC + "Choice")
                yield from self._blocks(child if choice is None else choice, in_furniture=in_furniture)
            elif child.tag not in _SKIPPED:
                yield from self._blocks(child, in_furniture=in_furniture)

    def _paragraph(self, paragraph: Element, *, in_furniture: bool) -> Iterator[Fragment]:
        style_id = self._style_of(paragraph)
        content = shown(paragraph, self._context, style_id, self._begun)
        self._begun = ""
        # A large initial stands in a frame, which is a paragraph of its own.
        initial = paragraph.find(f"{W}pPr/{W}framePr")
        is_initial = initial is not None and initial.get(W + "dropCap", "none") != "none"
        is_open = is_initial or _has(paragraph, "pPr", "rPr", "del") or _has(paragraph, "pPr", "rPr", "moveFrom")
        if is_open or (not content.text and _has(paragraph, "pPr", "rPr", "vanish")):
            # Its end is deleted or hidden, so that it goes on in the next paragraph and has no number of its own.
            self._begun = content.written
            yield from self._attached(content)
            return
        style, number = self._numbered(paragraph, style_id)
        is_shown = bool(content.text) or self._cells_around > 0  # tables number their rows by cells of nothing else
        text = f"{number} {content.text}".strip() if is_shown else ""
        if text and not (in_furniture and content.is_page_number):
            yield Fragment(style.kind, text, level=style.level)
        yield from self._attached(content)

    def _attached(self, content: Shown) -> Iterator[Fragment]:
        """Yields what hangs on a paragraph: text boxes, charts, and the notes it refers to."""
        for box in content.boxes:
            yield from self._blocks(box)
        yield from content.chart_rows
        for kind, note_id, mark in content.notes:
            note = self._notes[kind].pop(note_id, None)
            if note is not None:
                yield from self._note(note, kind, mark)

    def _note(self, note: Element, kind: str, mark: str) -> Iterator[Fragment]:
        self._context.enter(self._parts[f"{kind}s"])
        prefix = f"[note {mark}] " if mark else ""
        for fragment in self._blocks(note):
            yield fragment._replace(kind=BlockKind.PARAGRAPH, level=0, text=prefix + fragment.text)
            prefix = ""
        self._context.enter(self._main)

    def _style_of(self, paragraph: Element) -> str:
        named = value(paragraph.find(W + "pPr"), "pStyle")
        return self._styles.default if named is None else named

    def _numbered(self, paragraph: Element, style_id: str) -> tuple[ParagraphStyle, str]:
        """Returns the paragraph's style and the number that Word prints before it."""
        properties = paragraph.find(W + "pPr")
        style = self._styles.of_paragraph(style_id)
        list_id, level = style.list_id, style.list_level
        if properties is not None:
            direct = properties.find(W + "numPr")
            if direct is not None:
                list_id = value(direct, "numId") or list_id
                level_text = value(direct, "ilvl")
                level = int(level_text) if level_text and level_text.isdigit() else level
            outline = properties.find(W + "outlineLvl")
            if outline is not None:
                style = outlined(outline, style)
        if list_id is None or list_id == "0":
            return style, ""
        if level is None:
            level = self._numbering.level_of_style(list_id, style_id) or 0
        number = self._numbering.next(list_id, level, self._styles.list_of)
        if number is None:
            return style, ""
        if style.kind is BlockKind.PARAGRAPH:
            style = ParagraphStyle(BlockKind.LIST_ITEM)
        return style, number

    def _table(self, table: Element) -> Iterator[Fragment]:
        """Yields the rows of a table; a table of one cell is a frame around paragraphs."""
        rows = list(_nearest(table, W + "tr"))
        if len(rows) == 1 and len(frame := list(_nearest(rows[0], W + "tc"))) == 1:
            yield from self._blocks(frame[0])
            return
        grid = Grid()
        for row in rows:
            if row.find(f"{W}trPr/{W}del") is not None:
                self._context.warn(WarningKind.TRACKED_CHANGE, "A table row that a tracked change deletes is left out.")
                continue
            if _has(row, "trPr", "hidden"):
                self._context.warn(WarningKind.HIDDEN_CONTENT, "A hidden table row is left out.")
                continue
            attached: list[Fragment] = []
            cells = self._cells(row, attached)
            before = value(row.find(W + "trPr"), "gridBefore")
            if before and before.isdigit():
                cells.insert(0, Cell("", columns=min(int(before), _MOST_COLUMNS)))
            header = row.find(f"{W}trPr/{W}tblHeader") is not None
            yield from grid.row(cells, declared_header=header, first_is_header=True)
            yield from attached

    def _cells(self, row: Element, attached: list[Fragment]) -> list[Cell]:
        cells: list[Cell] = []
        for element in _nearest(row, W + "tc"):
            if element.find(f"{W}tcPr/{W}cellDel") is not None:
                self._context.warn(WarningKind.TRACKED_CHANGE, "A cell that a tracked change deletes is left out.")
                cell = _cell("", element)  # it keeps its place, so that the columns after it keep theirs
            else:
                cell = self._cell(element, attached)
            merge = element.find(f"{W}tcPr/{W}hMerge")
            if cells and merge is not None and merge.get(W + "val", "continue") == "continue":
                cells[-1] = cells[-1]._replace(columns=min(cells[-1].columns + cell.columns, _MOST_COLUMNS))
            else:
                cells.append(cell)
        return cells

    def _cell(self, cell: Element, attached: list[Fragment]) -> Cell:
        texts: list[Fragment] = []
        self._cells_around += 1
        for fragment in self._blocks(cell):
            (attached if fragment.text.startswith("[note ") else texts).append(fragment)
        self._cells_around -= 1
        return _cell(" ".join(fragment.text for fragment in texts), cell)


def _cell(text: str, cell: Element) -> Cell:
    """Returns a cell with how it is merged with others."""
    properties = cell.find(W + "tcPr")
    span = value(properties, "gridSpan")
    merge = None if properties is None else properties.find(W + "vMerge")
    return Cell(
        text,
        columns=min(int(span), _MOST_COLUMNS) if span and span.isdigit() else 1,
        is_continued=merge is not None and merge.get(W + "val", "continue") == "continue",
    )


def _has(element: Element, *path: str) -> bool:
    """Returns whether a property is set, such as that of a paragraph's end which is deleted or hidden."""
    found = element.find("/".join(W + name for name in path))
    return found is not None and found.get(W + "val", "true") not in {"0", "false", "off"}


def _nearest(element: Element, tag: str) -> Iterator[Element]:
    """Yields the descendants of that tag that are not inside another one of it, through content controls."""
    for child in element.iterchildren("*"):
        if child.tag == tag:
            yield child
        elif child.tag not in _SKIPPED:
            yield from _nearest(child, tag)
