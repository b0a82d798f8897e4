"""What a parser learns about a whole file: its title, its length, and which parts of it are not in the text."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from backend.documents.parsing.errors import TooManyPages

LONGEST_LABEL = 32
"""What is longer is no label of a page."""
_MOST_PER_KIND = 20
_MOST_LISTED = 20


class WarningKind(StrEnum):
    """Why something that the source holds is not in the text, or not as it was written."""

    SCANNED_PAGE = "scanned_page"
    RECOGNISED_PAGE = "recognised_page"
    UNCERTAIN_FIGURE = "uncertain_figure"
    EMPTY_PAGE = "empty_page"
    PICTURE = "picture"
    CHART = "chart"
    FORM_FIELD = "form_field"
    ANNOTATION = "annotation"
    EMBEDDED_FILE = "embedded_file"
    ATTACHMENT = "attachment"
    FORMULA_WITHOUT_VALUE = "formula_without_value"
    HIDDEN_CONTENT = "hidden_content"
    INVISIBLE_TEXT = "invisible_text"
    STRUCK_OUT = "struck_out"
    TRACKED_CHANGE = "tracked_change"
    BOILERPLATE = "boilerplate"
    PROTECTED_PART = "protected_part"
    CHARACTER_SET = "character_set"
    UNREADABLE_TEXT = "unreadable_text"
    DAMAGED_PART = "damaged_part"


class ParseWarning(NamedTuple):
    """Tells the uploader what is missing or changed, and where; `place` is a page, sheet, cell or part."""

    kind: WarningKind
    place: str
    detail: str


@dataclass(slots=True)
class Findings:
    """What a parser learns about the whole file on its way."""

    max_pages: int
    recognises_pages: bool = False
    title: str | None = None
    page_count: int | None = None
    labels: dict[int, str] = field(default_factory=dict)
    """What the file calls its pages, by their numbers from 1."""
    warnings: list[ParseWarning] = field(default_factory=list)
    _seen: set[ParseWarning] = field(default_factory=set)
    _counts: Counter[WarningKind] = field(default_factory=Counter)

    def count_pages(self, count: int) -> None:
        """Records the number of pages or slides; raises TooManyPages before any of them is read."""
        if count > self.max_pages:
            raise TooManyPages(f"The file has {count} pages; {self.max_pages} are allowed.")
        self.page_count = count

    def take_labels(self) -> list[tuple[int, str]]:
        """Returns the labels that were not taken yet."""
        labels = list(self.labels.items())
        self.labels.clear()
        return labels

    def warn(self, kind: WarningKind, place: str, detail: str) -> None:
        """Keeps a warning once; of each kind the first twenty are kept and the others counted."""
        warning = ParseWarning(kind, place, detail)
        if warning in self._seen:
            return
        self._counts[kind] += 1
        if self._counts[kind] <= _MOST_PER_KIND:
            self._seen.add(warning)
            self.warnings.append(warning)

    def all_warnings(self) -> list[ParseWarning]:
        """Returns the warnings, and for each kind with more of them how many more there are."""
        more = [
            ParseWarning(kind, "elsewhere in the file", f"{count - _MOST_PER_KIND} more of this kind.")
            for kind, count in self._counts.items()
            if count > _MOST_PER_KIND
        ]
        return [*self.warnings, *more]


def listed(numbers: list[int], one: str, several: str) -> str:
    """Returns "page 3" or "pages 3, 5–9" for ascending numbers; a long list ends with how many more follow."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [str(first) if first == last else f"{first}–{last}" for first, last in ranges[:_MOST_LISTED]]
    rest = sum(last - first + 1 for first, last in ranges[_MOST_LISTED:])
    more = f" and {rest} more" if rest else ""
    return f"{one if len(numbers) == 1 else several} {', '.join(shown)}{more}"
