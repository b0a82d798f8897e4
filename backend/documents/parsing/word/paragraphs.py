"""The words of a paragraph as Word shows them: fields by their results, changes as accepted, marks apart."""

import re
from collections import Counter
from dataclasses import dataclass, field

from backend.documents.parsing import marks
from backend.documents.parsing.blocks import Fragment, collapse
from backend.documents.parsing.charts import chart_rows
from backend.documents.parsing.equations import Laid, joined
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.openxml import Element, Package, R, Relationship
from backend.documents.parsing.word.equations import M, linear
from backend.documents.parsing.word.fields import Fields
from backend.documents.parsing.word.looks import is_invisible, shift_of
from backend.documents.parsing.word.notes import NoteMarks
from backend.documents.parsing.word.numbering import W
from backend.documents.parsing.word.styles import Look, Styles
from backend.documents.parsing.word.symbols import FIRST, LAST, fonts_of, is_symbol_font, letter_of

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_VML = "{urn:schemas-microsoft-com:vml}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_OFF = {"0", "false", "off"}
_NOT_TEXT = {W + name for name in ("pPr", "rPr", "instrText", "delInstrText", "delText", "fldChar", "bookmarkStart")}
_KNOWN_GRAPHIC = re.compile(
    r"/(?:picture|chart|diagram|lockedCanvas|compatibility|wordprocessing(?:Shape|Group|Canvas))$"
)
_EQ_FRACTION = re.compile(r"(?i)\s*eq\s+\\f\s*\((?:([^();]+);([^();]+)|([^(),;]+),([^(),;]+))\)\s*")
_SHOWS_NOTHING = re.compile(
    r"(?i)\s*(?:$|(?:xe|tc|ta|rd|set|private|advance|index|formcheckbox|formdropdown|formtext|page|numpages|sectionpages|html"
    r"|comments|asktext|ask|bidioutline|print|shape|hyperlink|embed|macrobutton\s+\w+\s*$)\b)"
)
_OF_TODAY = {"dayShort", "dayLong", "monthShort", "monthLong", "yearShort", "yearLong"}
_PAGE_FIELD = re.compile(r"(?i)\s*(PAGE|NUMPAGES|SECTIONPAGES)\b")


@dataclass(slots=True)
class Shown:
    """What a paragraph shows: its text, the boxes that hang on it, and the notes that it refers to."""

    written: str
    boxes: list[Element] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    chart_rows: list[Fragment] = field(default_factory=list)
    is_page_number: bool = False

    @property
    def text(self) -> str:
        """The words in a row."""
        return collapse(self.written)


class DocumentContext:
    """What the paragraphs of a document share: its parts, its notes counted so far, and where the reader is."""

    def __init__(self, package: Package, part: str, findings: Findings, styles: Styles, notes: NoteMarks) -> None:
        self.package = package
        self.findings = findings
        self.place = "beginning of the document"
        self.related: dict[str, Relationship] = {}
        self.styles = styles
        self.fields = Fields()
        self.has_whole_fields = False
        self.notes = notes
        self.enter(part)

    def enter(self, part: str) -> None:
        """Resolves references as the part makes them."""
        self.related = {relationship.id: relationship for relationship in self.package.related(part)}

    def begin(self, root: Element) -> None:
        """Takes fields over from paragraph to paragraph if each that begins in this text also ends in it."""
        kinds = Counter(
            character.get(W + "fldCharType")
            for character in root.iter(W + "fldChar")
            if next(character.iterancestors(W + "del", W + "moveFrom"), None) is None
        )
        self.has_whole_fields = kinds["begin"] == kinds["end"]
        self.fields.clear()

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
        self.chart_rows: list[Fragment] = []
        self.has_page_field = False
        self._context = context
        self._style = style
        self._fields = context.fields
        self._look = Look(None, context.styles, style)

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
                self._simple_field(child)
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
        self._look = look
        before = len(self.pieces)
        for child in run.iterchildren("*"):
            self._content(child)
        if len(self.pieces) > before and (place := shift_of(look)) is not None:
            text = joined(self.pieces[before:])
            if not text.lstrip().startswith("[note"):
                self.pieces[before:] = [place("".join(self.pieces[max(0, before - 4) : before]), text)]

    def _content(self, child: Element) -> None:  # noqa: C901, PLR0912 — a case for each kind of content
        match child.tag.rpartition("}")[2]:
            case "fldChar":
                self._field(child)
            case "t" | "instrText" if child.tag.startswith(W):
                self._written(child)
            case _ if not self._fields.is_shown:
                pass
            case "tab" | "br" | "cr" | "ptab":
                self.pieces.append(" ")
            case "noBreakHyphen":
                self.pieces.append("-")
            case "sym":
                self._symbol(child)
            case name if name in _OF_TODAY:
                self._context.warn(
                    WarningKind.FORMULA_WITHOUT_VALUE, "A part of the date of the day on which it is read is left out."
                )
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
        elif is_invisible(look, run, self._context.styles.theme):
            self._context.warn(WarningKind.INVISIBLE_TEXT, "Text in white or of less than three points is left out.")
        else:
            return False
        return True

    def _written(self, child: Element) -> None:
        text = child.text or ""
        if child.tag == W + "t":
            if self._fields.shows(text):
                self.pieces.append(self._lettered(text))
        elif (field := self._fields.innermost) is not None:
            field.instruct(text)

    def _field(self, character: Element) -> None:
        match character.get(W + "fldCharType"):
            case "begin":
                self._fields.begin().form_value = _form_value(character)
            case "separate":
                self._fields.separate()
            case "end" if (field := self._fields.end()) is not None and self._fields.is_shown:
                self.has_page_field |= bool(_PAGE_FIELD.match(field.instruction))
                if field.form_value and not self._fields.has_text(field):
                    self.pieces.append(field.form_value)
                elif not field.has_result:
                    self._without_result(field.instruction)

    def _simple_field(self, element: Element) -> None:
        instruction = element.get(W + "instr", "")
        if self._fields.is_shown:
            self.has_page_field |= bool(_PAGE_FIELD.match(instruction))
            if next(element.iterchildren(W + "r", W + "hyperlink", W + "ins"), None) is None:
                self._without_result(instruction)
        self.read(element)

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
        font = child.get(W + "font") or fonts_of(self._look)[1]
        is_code = FIRST <= code <= LAST or (is_symbol_font(font) and code <= LAST - FIRST)
        self.pieces.append(self._letter(code, font) if is_code else chr(code) if code > 0x1F else " ")

    def _lettered(self, text: str) -> str:
        """Returns text with letters for characters of symbol fonts, which have no meaning outside them."""
        plain, other = fonts_of(self._look)
        if is_symbol_font(plain) or is_symbol_font(other):
            private = other if is_symbol_font(other) else plain
            return "".join(self._of_font(character, plain, other, private) for character in text)
        if text.isascii() or not any(FIRST <= ord(character) <= LAST for character in text):
            return text
        return "".join(self._letter(ord(c), other) if FIRST <= ord(c) <= LAST else c for c in text)

    def _of_font(self, character: str, plain: str, other: str, private: str) -> str:
        code = ord(character)
        font = plain if code < 0x80 else other if code <= 0xFF else private
        if character.isspace() or not is_symbol_font(font) or (code > 0xFF and not FIRST <= code <= LAST):
            return character
        return self._letter(code, font)

    def _letter(self, code: int, font: str) -> str:
        if not is_symbol_font(font):
            self._context.warn(
                WarningKind.UNREADABLE_TEXT, "A character has a meaning in its font alone and is read as it is written."
            )
            return chr(code)
        known = letter_of(code & 0xFF, font)
        if known is None:
            self._context.warn(
                WarningKind.UNREADABLE_TEXT, "A character of a symbol font has no letter and is left out."
            )
        return known or " "

    def _note(self, child: Element) -> None:
        kind = child.tag.removeprefix(W).removesuffix("Reference")
        custom = child.get(W + "customMarkFollows", "0") not in _OFF
        mark = "" if custom else self._context.notes.next(kind)
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


def _form_value(character: Element) -> str:
    """Returns what a form field shows by its properties: whether a box is ticked, or what is chosen of a list."""
    box = character.find(f"{W}ffData/{W}checkBox")
    if box is not None:
        state = box.find(W + "checked")
        state = box.find(W + "default") if state is None else state
        return "☒" if state is not None and state.get(W + "val", "1") not in _OFF else "☐"
    choice = character.find(f"{W}ffData/{W}ddList")
    if choice is None:
        return ""
    entries = [entry.get(W + "val", "") for entry in choice.iterchildren(W + "listEntry")]
    result = choice.find(W + "result")
    index = int(result.get(W + "val", "0")) if result is not None else 0
    return entries[index] if index < len(entries) else ""
