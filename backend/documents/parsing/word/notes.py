"""The marks of foot- and endnotes: they are nowhere in the document and are counted here."""

from collections import Counter
from dataclasses import dataclass

from backend.documents.parsing.numerals import formatted
from backend.documents.parsing.openxml import Element
from backend.documents.parsing.word.numbering import W

_DEFAULTS = {"footnote": "decimal", "endnote": "lowerRoman"}


@dataclass(frozen=True, slots=True)
class Marks:
    """How notes of one kind are marked in a section."""

    number_format: str
    start: int = 1
    restarts: bool = False

    def as_written(self, properties: Element | None) -> "Marks":
        """Returns them with what properties say."""
        if properties is None:
            return self
        named = {name: properties.find(W + name) for name in ("numFmt", "numStart", "numRestart")}
        said = {name: element.get(W + "val", "") for name, element in named.items() if element is not None}
        start = said.get("numStart", "")
        return Marks(
            said.get("numFmt", self.number_format),
            int(start) if start.isdecimal() else self.start,
            said["numRestart"] == "eachSect" if "numRestart" in said else self.restarts,
        )


class NoteMarks:
    """Counts the notes of a document section by section."""

    def __init__(self, settings: Element | None) -> None:
        """Takes what the settings say of all sections."""
        self._of_document = {
            kind: Marks(style).as_written(None if settings is None else settings.find(f"{W}{kind}Pr"))
            for kind, style in _DEFAULTS.items()
        }
        self._sections: list[Element] = []
        self._section = 0
        self._counts: Counter[str] = Counter()

    def begin(self, body: Element) -> None:
        """Takes what the sections of the body say, each at its end."""
        self._sections = [s for s in body.iter(W + "sectPr") if s.getparent().tag in {W + "pPr", W + "body"}]

    def end_section(self) -> None:
        """Goes on with the next section."""
        self._section += 1
        for kind in _DEFAULTS:
            if self._marks(kind).restarts:
                self._counts[kind] = 0

    def next(self, kind: str) -> str:
        """Counts a note of a kind, `footnote` or `endnote`; returns its mark."""
        marks = self._marks(kind)
        self._counts[kind] += 1
        return formatted(marks.start + self._counts[kind] - 1, marks.number_format)

    def _marks(self, kind: str) -> Marks:
        marks = self._of_document[kind]
        if self._section >= len(self._sections):
            return marks
        return marks.as_written(self._sections[self._section].find(f"{W}{kind}Pr"))
