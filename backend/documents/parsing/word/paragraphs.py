"""The words of a paragraph as Word shows them: fields by their results, changes as accepted, marks apart."""

import re
from collections import Counter
from dataclasses import dataclass, field

from backend.documents.parsing import marks
from backend.documents.parsing.blocks import collapse
from backend.documents.parsing.charts import chart_rows
from backend.documents.parsing.equations import Laid, joined
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.numerals import formatted
from backend.documents.parsing.openxml import Element, Package, R, Relationship
from backend.documents.parsing.word.equations import M, linear
from backend.documents.parsing.word.looks import is_invisible, shift_of
from backend.documents.parsing.word.numbering import W
from backend.documents.parsing.word.styles import Look, Styles
from backend.documents.parsing.word.symbols import letter_of_symbol

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_VML = "{urn:schemas-microsoft-com:vml}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_OFF = {"0", "false", "off"}
_NOT_TEXT = {W + name for name in ("pPr", "rPr", "instrText", "delInstrText", "delText", "fldChar", "bookmarkStart")}
_SYMBOLS = {
    0xA8: "☐", 0x6F: "☐", 0xFE: "☒", 0xFD: "☒", 0x78: "☒", 0x53: "☒", 0x52: "☑", 0xFC: "✓", 0xB7: "•", 0xA7: "▪",
    0xE0: "→", 0xD8: "➢",
}  # fmt: skip
_KNOWN_GRAPHIC = re.compile(
    r"/(?:picture|chart|diagram|lockedCanvas|compatibility|wordprocessing(?:Shape|Group|Canvas))$"
)
_EQ_FRACTION = re.compile(r"(?i)\s*eq\s+\\f\s*\((?:([^();]+);([^();]+)|([^(),;]+),([^(),;]+))\)\s*")
_SHOWS_NOTHING = re.compile(
    r"(?i)\s*(?:$|(?:xe|tc|ta|rd|set|private|advance|index|formcheckbox|formdropdown|formtext|page|numpages|sectionpages|html"
    r"|comments|asktext|ask|bidioutline|print|shape|hyperlink|embed|macrobutton\s+\w+\s*$)\b)"
)
_PAGE_FIELD = re.compile(r"(?i)\s*(PAGE|NUMPAGES|SECTIONPAGES)\b")


@dataclass(slots=True)
class Shown:
    """What a paragraph shows: its text, the boxes that hang on it, and the notes that it refers to."""

    written: str
    boxes: list[Element] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    chart_rows: list[list[str]] = field(default_factory=list)
    is_page_number: bool = False

    @property
    def text(self) -> str:
        """The words in a row."""
        return collapse(self.written)


class DocumentContext:
    """What the paragraphs of a document share: its parts, its notes counted so far, and where the reader is."""

    def __init__(self, package: Package, part: str, findings: Findings, styles: Styles) -> None:
        self.package = package
        self.findings = findings
        self.place = "beginning of the document"
        self.related: dict[str, Relationship] = {}
        self.styles = styles
        self.fields: list[bool] = []
        """For each open field whether its result has begun."""
        self.has_whole_fields = False
        self._note_numbers = {"footnote": 0, "endnote": 0}
        self.enter(part)

    def enter(self, part: str) -> None:
        """Resolves references as the part makes them."""
        self.related = {relationship.id: relationship for relationship in self.package.related(part)}

    def begin(self, root: Element) -> None:
        """Takes fields over from paragraph to paragraph if each that begins in this text also ends in it."""
        kinds = Counter(character.get(W + "fldCharType") for character in root.iter(W + "fldChar"))
        self.has_whole_fields = kinds["begin"] == kinds["end"]
        self.fields.clear()

    def note_number(self, kind: str) -> str:
        """Counts a note; returns its mark. Endnotes are counted in Roman numerals."""
        self._note_numbers[kind] += 1
        return formatted(self._note_numbers[kind], "decimal" if kind == "footnote" else "lowerRoman")

    def warn(self, kind: WarningKind, detail: str) -> None:
        """Tells the uploader of something left out here."""
        self.findings.warn(kind, self.place, detail)


def shown(paragraph: Element, context: DocumentContext, style: str, begun: str = "") -> Shown:
    """Returns what the paragraph of a style shows, after what was `begun` before it."""
    reader = _ParagraphReader(context, style, begun)
    if not context.has_whole_fields:
        context.fields.clear()
    if paragraph.find(W + "subDoc") is not None:
        context.warn(WarningKind.EMBEDDED_FILE, "A document that is kept in a file of its own is not read.")
    reader.read(paragraph)
    text = joined(reader.pieces)
    is_page_number = reader.has_page_field and not re.search(r"[^\W\d]{3}", re.sub(r"(?i)\b(page|of|and)\b", "", text))
    return Shown(text, reader.boxes, reader.notes, reader.chart_rows, is_page_number)


class _ParagraphReader:
    def __init__(self, context: DocumentContext, style: str, begun: str) -> None:
        self.pieces: list[str] = [begun]
        self.boxes: list[Element] = []
        self.notes: list[tuple[str, str, str]] = []
        self.chart_rows: list[list[str]] = []
        self.has_page_field = False
        self._context = context
        self._style = style
        self._fields = context.fields
        self._instruction = ""

    def read(self, element: Element) -> None:
        for child in element.iterchildren("*"):
            tag = child.tag
            if tag == W + "r":
                self._run(child)
            elif tag in {W + "del", W + "moveFrom"}:
                self._context.warn(WarningKind.TRACKED_CHANGE, "Text that a tracked change deletes is left out.")
            elif tag in {W + "ins", W + "moveTo"}:
                self._context.warn(
                    WarningKind.TRACKED_CHANGE, "Text that a tracked change inserts is read as accepted."
                )
                self.read(child)
            elif tag == W + "fldSimple":
                self.has_page_field |= bool(_PAGE_FIELD.match(child.get(W + "instr", "")))
                self.read(child)
            elif tag.startswith(M):
                self._equation(child)
            elif tag == _MC + "AlternateContent":
                self._alternative(child)
            elif tag not in _NOT_TEXT:
                self.read(child)

    def _equation(self, element: Element) -> None:
        if next(element.iter(W + "del", W + "moveFrom"), None) is not None:
            self._context.warn(WarningKind.TRACKED_CHANGE, "Text that a tracked change deletes is left out.")
        self.pieces.append(f" {linear(element)} " if element.tag == M + "oMathPara" else linear(element))

    def _run(self, run: Element) -> None:
        look = Look(run.find(W + "rPr"), self._context.styles, self._style)
        if self._is_left_out(look, run):
            return
        before = len(self.pieces)
        for child in run.iterchildren("*"):
            self._content(child)
        if len(self.pieces) > before and (place := shift_of(look)) is not None:
            text = joined(self.pieces[before:])
            if not text.lstrip().startswith("[note"):
                self.pieces[before:] = [place("".join(self.pieces[max(0, before - 4) : before]), text)]

    def _content(self, child: Element) -> None:  # noqa: C901, PLR0912 — a case for each kind of content
        match child.tag.rpartition("}")[2]:
            case "t" if child.tag == W + "t":
                if all(self._fields):
                    self.pieces.append(self._lettered(child.text or ""))
            case "tab" | "br" | "cr" | "ptab":
                self.pieces.append(" ")
            case "noBreakHyphen":
                self.pieces.append("-")
            case "sym":
                self._symbol(child)
            case "fldChar":
                self._field(child)
            case "instrText":
                self.has_page_field |= bool(_PAGE_FIELD.match(child.text or ""))
                self._instruction += child.text or ""
            case "contentPart":
                self._context.warn(WarningKind.PICTURE, "A drawing by hand is not read.")
            case "footnoteReference" | "endnoteReference":
                self._note(child)
            case "AlternateContent":
                self._alternative(child)
            case "drawing" | "pict" | "object":
                self._drawing(child)
            case "ruby":
                base = child.find(W + "rubyBase")
                if base is not None:
                    self.read(base)
            case _ if child.tag not in _NOT_TEXT:
                self.read(child)

    def _is_left_out(self, look: Look, run: Element) -> bool:
        if not any(node.text for node in run.iter(W + "t")):
            return False
        if look.is_on("vanish"):
            self._context.warn(WarningKind.HIDDEN_CONTENT, "Hidden text is left out.")
        elif look.is_on("strike") or look.is_on("dstrike"):
            self._context.warn(WarningKind.STRUCK_OUT, "Struck-out text is left out.")
        elif is_invisible(look, run):
            self._context.warn(WarningKind.INVISIBLE_TEXT, "Text in white or of less than three points is left out.")
        else:
            return False
        return True

    def _field(self, character: Element) -> None:
        match character.get(W + "fldCharType"):
            case "begin":
                self._fields.append(False)
                self._instruction = ""
                self._form_field(character)
            case "separate" if self._fields:
                self._fields[-1] = True
            case "end" if self._fields:
                if not self._fields.pop() and all(self._fields):
                    self._without_result(self._instruction)
                self._instruction = ""

    def _form_field(self, character: Element) -> None:
        box = character.find(f"{W}ffData/{W}checkBox")
        if box is not None:
            state = box.find(W + "checked")
            state = box.find(W + "default") if state is None else state
            self.pieces.append("☒" if state is not None and state.get(W + "val", "1") not in _OFF else "☐")
        choice = character.find(f"{W}ffData/{W}ddList")
        if choice is not None:
            entries = [entry.get(W + "val", "") for entry in choice.iterchildren(W + "listEntry")]
            result = choice.find(W + "result")
            index = int(result.get(W + "val", "0")) if result is not None else 0
            self.pieces.append(entries[index] if index < len(entries) else "")

    def _without_result(self, instruction: str) -> None:
        """Reads a fraction that a field draws; tells other fields whose result the file does not hold."""
        if fraction := _EQ_FRACTION.fullmatch(instruction):
            above, below = (part.strip() for part in fraction.groups() if part)
            self.pieces.append(Laid(f"{above}/{below}"))
        elif not _SHOWS_NOTHING.match(instruction):
            self._context.warn(
                WarningKind.FORMULA_WITHOUT_VALUE, "The file holds a field but not its result; update it once in Word."
            )

    def _symbol(self, child: Element) -> None:
        code = int(child.get(W + "char", "0"), 16)
        is_symbol = child.get(W + "font", "").lower() == "symbol"
        self.pieces.append(self._letter(code, is_symbol=is_symbol))

    def _lettered(self, text: str) -> str:
        """Returns text with letters for characters of symbol fonts, which have no meaning outside them."""
        if text.isascii() or not any("\uf020" <= character <= "\uf0ff" for character in text):
            return text
        return "".join(self._letter(ord(c), is_symbol=True) if "\uf020" <= c <= "\uf0ff" else c for c in text)

    def _letter(self, code: int, *, is_symbol: bool) -> str:
        small = code & 0xFF
        known = chr(code) if code > 0x1F else None
        if 0xF000 <= code <= 0xF0FF or (is_symbol and code <= 0xFF):
            known = letter_of_symbol(small) if is_symbol else _SYMBOLS.get(small)
        if known is None:
            self._context.warn(
                WarningKind.UNREADABLE_TEXT, "A character of a symbol font has no letter and is left out."
            )
        return known or " "

    def _note(self, child: Element) -> None:
        kind = child.tag.removeprefix(W).removesuffix("Reference")
        custom = child.get(W + "customMarkFollows", "0") not in _OFF
        mark = "" if custom else self._context.note_number(kind)
        if mark:
            self.pieces.append(marks.note("".join(self.pieces[-4:]), mark))
        self.notes.append((kind, child.get(W + "id", ""), mark))

    def _alternative(self, element: Element) -> None:
        """Reads the first choice; the fallback repeats it for older programs."""
        choice = element.find(_MC + "Choice")
        chosen = choice if choice is not None else element.find(_MC + "Fallback")
        for child in () if chosen is None else chosen.iterchildren("*"):
            self._content(child)

    def _drawing(self, element: Element) -> None:
        boxes = [box for box in element.iter(W + "txbxContent") if not _is_within_fallback(box, element)]
        self.boxes += boxes
        if boxes:
            self.pieces.append(" ")
        for drawn in element.iter(_VML + "textpath", _A + "p"):
            words = drawn.get("string") or "".join(node.text or "" for node in drawn.iter(_A + "t"))
            self.pieces.append(f" {words} ")
        for chart in element.iter(_CHART):
            target = self._context.related.get(chart.get(R + "id", ""))
            rows = None if target is None else chart_rows(self._context.package, target.target)
            if rows:
                self.chart_rows += rows
            else:
                self._context.warn(WarningKind.CHART, "A chart is not read.")
        if next(element.iter(_PICTURE, _VML + "imagedata"), None) is not None:
            self._context.warn(WarningKind.PICTURE, "A picture is not read.")
        if next(element.iter(_DIAGRAM), None) is not None:
            self._context.warn(WarningKind.PICTURE, "A diagram is not read.")
        for uri in (data.get("uri", "") for data in element.iter(_A + "graphicData")):
            if not _KNOWN_GRAPHIC.search(uri):
                kind = WarningKind.CHART if "chart" in uri else WarningKind.PICTURE
                self._context.warn(kind, "A drawing of a newer kind is not read.")
        if element.tag == W + "object":
            self._context.warn(WarningKind.EMBEDDED_FILE, "An embedded object is not read.")


def _is_within_fallback(box: Element, root: Element) -> bool:
    return any(
        above.tag in {_MC + "Fallback", W + "txbxContent"}
        for above in box.iterancestors()
        if root in above.iterancestors()
    )
