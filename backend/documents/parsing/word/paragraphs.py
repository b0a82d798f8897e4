"""The words of a paragraph as Word shows them: fields by their results, changes as accepted, marks apart."""

import re
from dataclasses import dataclass, field

from backend.documents.parsing import marks
from backend.documents.parsing.blocks import collapse
from backend.documents.parsing.charts import chart_rows
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.numerals import formatted
from backend.documents.parsing.openxml import Element, Package, R, Relationship
from backend.documents.parsing.word.equations import M, linear
from backend.documents.parsing.word.numbering import W

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_VML = "{urn:schemas-microsoft-com:vml}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_OFF = {"0", "false", "off"}
_SMALLEST_READABLE = 4  # half points
_NOT_TEXT = {W + name for name in ("pPr", "rPr", "instrText", "delInstrText", "delText", "fldChar", "bookmarkStart")}
_SYMBOLS = {
    0xA8: "☐", 0x6F: "☐", 0xFE: "☒", 0xFD: "☒", 0x78: "☒", 0x53: "☒", 0x52: "☑", 0xFC: "✓", 0xB7: "•", 0xA7: "▪",
    0xE0: "→", 0xD8: "➢",
}  # fmt: skip
_PAGE_FIELD = re.compile(r"(?i)\s*(PAGE|NUMPAGES|SECTIONPAGES)\b")


@dataclass(slots=True)
class Shown:
    """What a paragraph shows: its text, the boxes that hang on it, and the notes that it refers to."""

    text: str
    boxes: list[Element] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    chart_rows: list[list[str]] = field(default_factory=list)
    is_page_number: bool = False


class Context:
    """What the paragraphs of a document share: its parts, its notes counted so far, and where the reader is."""

    def __init__(self, package: Package, part: str, findings: Findings, hidden_styles: set[str]) -> None:
        self.package = package
        self.findings = findings
        self.place = "beginning of the document"
        self.related: dict[str, Relationship] = {}
        self.hidden_styles = hidden_styles
        self._note_numbers = {"footnote": 0, "endnote": 0}
        self.enter(part)

    def enter(self, part: str) -> None:
        """Resolve references as the part makes them."""
        self.related = {relationship.id: relationship for relationship in self.package.related(part)}

    def note_number(self, kind: str) -> str:
        """Count a note; return its mark. Endnotes are counted in Roman numerals."""
        self._note_numbers[kind] += 1
        return formatted(self._note_numbers[kind], "decimal" if kind == "footnote" else "lowerRoman")

    def warn(self, kind: WarningKind, detail: str) -> None:
        """Tell the uploader of something left out here."""
        self.findings.warn(kind, self.place, detail)


def shown(paragraph: Element, context: Context) -> Shown:
    """Return what the paragraph shows."""
    reader = _Reader(context)
    reader.read(paragraph)
    text = collapse("".join(reader.pieces))
    is_page_number = reader.has_page_field and not re.search(r"[^\W\d]{3}", re.sub(r"(?i)\b(page|of|and)\b", "", text))
    return Shown(text, reader.boxes, reader.notes, reader.chart_rows, is_page_number)


class _Reader:
    def __init__(self, context: Context) -> None:
        self.pieces: list[str] = []
        self.boxes: list[Element] = []
        self.notes: list[tuple[str, str, str]] = []
        self.chart_rows: list[list[str]] = []
        self.has_page_field = False
        self._context = context
        self._fields: list[bool] = []  # for each open field whether its result has begun

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
                self.pieces.append(f" {linear(child)} " if tag == M + "oMathPara" else linear(child))
            elif tag == _MC + "AlternateContent":
                self._alternative(child)
            elif tag not in _NOT_TEXT:
                self.read(child)

    def _run(self, run: Element) -> None:
        properties = run.find(W + "rPr")
        if properties is not None and self._is_left_out(properties, run):
            return
        before = len(self.pieces)
        for child in run.iterchildren("*"):
            self._content(child)
        align = None if properties is None else properties.find(W + "vertAlign")
        if align is not None and len(self.pieces) > before:
            text = "".join(self.pieces[before:])
            place = {"superscript": marks.raised, "subscript": marks.lowered}.get(align.get(W + "val", ""))
            if place is not None and not text.lstrip().startswith("[note"):
                self.pieces[before:] = [place("".join(self.pieces[max(0, before - 4) : before]), text)]

    def _content(self, child: Element) -> None:  # noqa: C901, PLR0912 — a case for each kind of content
        match child.tag.rpartition("}")[2]:
            case "t" if child.tag == W + "t":
                if not self._fields or self._fields[-1]:
                    self.pieces.append(child.text or "")
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

    def _is_left_out(self, properties: Element, run: Element) -> bool:
        if not any(node.text for node in run.iter(W + "t")):
            return False
        style = properties.find(W + "rStyle")
        hidden_by_style = style is not None and style.get(W + "val") in self._context.hidden_styles
        if _is_on(properties, "vanish") or (hidden_by_style and properties.find(W + "vanish") is None):
            self._context.warn(WarningKind.HIDDEN_CONTENT, "Hidden text is left out.")
        elif _is_on(properties, "strike") or _is_on(properties, "dstrike"):
            self._context.warn(WarningKind.STRUCK_OUT, "Struck-out text is left out.")
        elif _is_invisible(properties, run):
            self._context.warn(WarningKind.INVISIBLE_TEXT, "Text in white or of less than three points is left out.")
        else:
            return False
        return True

    def _field(self, character: Element) -> None:
        match character.get(W + "fldCharType"):
            case "begin":
                self._fields.append(False)
                self._form_field(character)
            case "separate" if self._fields:
                self._fields[-1] = True
            case "end" if self._fields:
                self._fields.pop()

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

    def _symbol(self, child: Element) -> None:
        code = int(child.get(W + "char", "0"), 16)
        known = _SYMBOLS.get(code & 0xFF) if 0xF000 <= code <= 0xF0FF else chr(code) if code > 0x1F else None
        if known is None:
            self._context.warn(
                WarningKind.UNREADABLE_TEXT, "A character of a symbol font has no letter and is left out."
            )
        self.pieces.append(known or " ")

    def _note(self, child: Element) -> None:
        kind = child.tag.removeprefix(W).removesuffix("Reference")
        custom = child.get(W + "customMarkFollows", "0") not in _OFF
        mark = "" if custom else self._context.note_number(kind)
        if mark:
            self.pieces.append(marks.note("".join(self.pieces[-4:]), mark))
        self.notes.append((kind, child.get(W + "id", ""), mark))

    def _alternative(self, element: Element) -> None:
        """Read the first choice; the fallback repeats it for older programs."""
        choice = element.find(_MC + "Choice")
        chosen = choice if choice is not None else element.find(_MC + "Fallback")
        for child in () if chosen is None else chosen.iterchildren("*"):
            self._content(child)

    def _drawing(self, element: Element) -> None:
        boxes = [box for box in element.iter(W + "txbxContent") if not _is_within_fallback(box, element)]
        self.boxes += boxes
        if boxes:
            self.pieces.append(" ")
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
        if element.tag == W + "object":
            self._context.warn(WarningKind.EMBEDDED_FILE, "An embedded object is not read.")


def _is_within_fallback(box: Element, root: Element) -> bool:
    return any(
        above.tag in {_MC + "Fallback", W + "txbxContent"}
        for above in box.iterancestors()
        if root in above.iterancestors()
    )


def _is_on(properties: Element, name: str) -> bool:
    switch = properties.find(W + name)
    return switch is not None and switch.get(W + "val", "true") not in _OFF


def _is_invisible(properties: Element, run: Element) -> bool:
    size = properties.find(W + "sz")
    if size is not None and size.get(W + "val", "").isdigit() and int(size.get(W + "val", "")) <= _SMALLEST_READABLE:
        return True
    colour = properties.find(W + "color")
    if colour is None or colour.get(W + "val", "").upper() != "FFFFFF" or colour.get(W + "themeColor") is not None:
        return False
    # White on a dark ground is readable, and tables and boxes take their ground from styles.
    around = {above.tag for above in run.iterancestors()}
    is_shaded = properties.find(W + "shd") is not None or properties.find(W + "highlight") is not None
    paragraph = next(run.iterancestors(W + "p"), None)
    is_shaded |= paragraph is not None and paragraph.find(f"{W}pPr/{W}shd") is not None
    return not is_shaded and around.isdisjoint({W + "tc", W + "txbxContent"})
