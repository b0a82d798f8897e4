"""Fields of a Word document, also one within another: an instruction is never shown, a result once."""

from dataclasses import dataclass

_LONGEST_INSTRUCTION = 1_000  # characters, of which only the first say what a field is


@dataclass(slots=True)
class Field:
    """A field that has begun; `form_value` is what its own properties say that it shows."""

    texts_before: int
    instruction: str = ""
    has_result: bool = False
    form_value: str = ""

    def instruct(self, text: str) -> None:
        """Adds to the instruction."""
        if len(self.instruction) < _LONGEST_INSTRUCTION:
            self.instruction += text


class Fields:
    """The fields that are open where the reader is, the innermost last."""

    def __init__(self) -> None:
        self._open: list[Field] = []
        self._instructing: list[Field] = []
        self._texts = 0

    @property
    def is_shown(self) -> bool:
        """Whether what stands here is shown: the results of all fields around it have begun."""
        return not self._instructing

    @property
    def innermost(self) -> Field | None:
        """The field that began last and has not ended."""
        return self._open[-1] if self._open else None

    def clear(self) -> None:
        """Forgets fields that never ended."""
        self._open.clear()
        self._instructing.clear()

    def begin(self) -> Field:
        """Opens a field."""
        field = Field(self._texts)
        self._open.append(field)
        self._instructing.append(field)
        return field

    def separate(self) -> None:
        """Begins the result of the innermost field."""
        if self._open and not self._open[-1].has_result:
            self._open[-1].has_result = True
            self._instructing.pop()

    def end(self) -> Field | None:
        """Closes the innermost field and returns it, None if none is open."""
        if not self._open:
            return None
        field = self._open.pop()
        if not field.has_result:
            self._instructing.pop()
        return field

    def has_text(self, field: Field) -> bool:
        """Returns whether words were shown since the field began."""
        return self._texts > field.texts_before

    def shows(self, text: str) -> bool:
        """Returns whether a text is shown; one that is not belongs to the instruction that it stands in."""
        if self._instructing:
            self._instructing[-1].instruct(text)
            return False
        self._texts += bool(text.strip())
        return True
