"""Reads a multipart form as it arrives: fields into memory, which is bounded, and the file to wherever it is streamed."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from backend.errors import InvalidInput, TooLarge, UnsupportedType

_MOST_FIELD_BYTES = 64 * 1024
_MOST_PARTS = 32


@dataclass(frozen=True, slots=True)
class FormPart:
    """The headers of one part; `filename` is None for a plain field."""

    name: str
    filename: str | None
    media_type: str | None


class FormReader:
    """Gives the parts of a form in their order; the content of one must be read before the next."""

    def __init__(self, content_type: str, stream: AsyncIterator[bytes]) -> None:
        """Raises UnsupportedType for a body that is no multipart form."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise UnsupportedType("The request body must be a multipart form.")
        self._stream = stream
        self._events: deque[bytes | FormPart | None] = deque()  # a part begins, its content, and None at its end
        self._headers: dict[str, bytes] = {}
        self._header = [b"", b""]
        self._ended = self._complete = False
        self._parts = 0
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._gather(0, data[start:end]),
                    "on_header_value": lambda data, start, end: self._gather(1, data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_part,
                    "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                    "on_part_end": lambda: self._events.append(None),
                    "on_end": self._end,
                },
            )
        except (KeyError, FormParserError) as error:
            raise _malformed() from error

    async def next_part(self) -> FormPart | None:
        """Returns the next part, or None at the end of the form; raises InvalidInput for a broken or too long one."""
        event = await self._next()
        if event is None:
            return None
        assert isinstance(event, FormPart)
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidInput(f"The form has more than {_MOST_PARTS} parts.")
        return event

    async def content(self, limit: int, what: str) -> AsyncIterator[bytes]:
        """Yields the content of the part; raises TooLarge beyond `limit` bytes."""
        received = 0
        while (event := await self._next()) is not None:
            assert isinstance(event, bytes)
            received += len(event)
            if received > limit:
                raise TooLarge(f"{what} is larger than {limit} bytes.")
            yield event

    async def text(self, part: FormPart) -> str:
        """Returns the content of a plain field."""
        content = b"".join([piece async for piece in self.content(_MOST_FIELD_BYTES, f"The field {part.name[:40]!r}")])
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{part.name[:40]}: is not UTF-8") from error

    async def _next(self) -> bytes | FormPart | None:
        while not self._events and not self._ended:
            try:
                piece = await anext(self._stream, None)
            except ClientDisconnect as error:
                raise InvalidInput("The upload was interrupted.") from error
            try:
                if piece is None:
                    self._ended = True
                    self._parser.finalize()
                elif piece:
                    self._parser.write(piece)
            except FormParserError as error:
                raise _malformed() from error
        if self._events:
            return self._events.popleft()
        if not self._complete:
            raise _malformed()
        return None

    def _gather(self, which: int, data: bytes) -> None:
        self._header[which] += data

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[name.decode("latin-1").lower()] = value
        self._header = [b"", b""]

    def _begin_part(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        name, filename = options.get(b"name"), options.get(b"filename")
        media_type, _ = parse_options_header(self._headers.get("content-type", b""))
        self._events.append(
            FormPart(
                name=(name or b"").decode(errors="replace"),
                filename=None if filename is None else filename.decode(errors="replace"),
                media_type=media_type.decode("latin-1") or None,
            )
        )

    def _end(self) -> None:
        self._complete = True


def _malformed() -> InvalidInput:
    return InvalidInput("The multipart form is malformed or incomplete.")
