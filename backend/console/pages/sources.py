"""The text of a version, and the page of its file, opened at the words that an answer cites."""

from dataclasses import asdict, dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Form, Path, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import HEADERS, page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, may, requires, requires_fresh
from backend.documents.files import service as files
from backend.documents.files.pictures import Marked, PagePictures, is_pdf
from backend.documents.versions import approval
from backend.documents.versions import service as versions
from backend.documents.versions.models import Retirement, VersionChunk
from backend.errors import InvalidInput, NotFound
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Offset = Annotated[int | None, Query(ge=0)]


@dataclass(frozen=True, slots=True)
class Cited:
    """The words that an address names: those of a chunk from `start` until before `end`."""

    chunk: UUID | None
    start: int | None
    end: int | None

    @property
    def marked(self) -> Marked | None:
        """What is marked on a picture."""
        return None if self.chunk is None else Marked(self.chunk, self.start, self.end)


def cited_in_address(chunk: Annotated[UUID | None, Query()] = None, start: Offset = None, end: Offset = None) -> Cited:
    """Returns the words that stand in the address."""
    return Cited(chunk, start, end)


Words = Annotated[Cited, Depends(cited_in_address)]


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A chunk of a version, and the words of it that are cited."""

    chunk: VersionChunk
    before: str
    cited: str
    after: str


def passages_of(chunks: list[VersionChunk], cited: Cited) -> list[ShownPassage]:
    """Returns the chunks, in one of which words are marked: all of it where no span is given."""
    passages = []
    for chunk in chunks:
        if chunk.chunk_id != cited.chunk:
            passages.append(ShownPassage(chunk, chunk.text, "", ""))
            continue
        first, last = cited.start or 0, len(chunk.text) if cited.end is None else cited.end
        passages.append(ShownPassage(chunk, chunk.text[:first], chunk.text[first:last], chunk.text[last:]))
    return passages


@router.get("/documents/{document_id}/versions/{number}")
async def show_version(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    words: Words,
    said: Annotated[Text, Query(max_length=20)] = "",
) -> Response:
    """Shows the text of a version, with cited words marked; that it was read is on record."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
        version = await versions.read_version(tenancy, connection, visitor.caller, recorder, document_id, number)
        file = await files.find_file(connection, visitor.caller, document_id, number)
    passages = passages_of(version.chunks, words)
    cited = next((passage for passage in passages if passage.cited), None)
    drawn = cited.chunk.page_start if cited and file is not None and is_pdf(file) else None
    writes = may(visitor, Permission.DOCUMENTS_WRITE) or may(visitor, Permission.DOCUMENTS_REVIEW)
    return page(
        request, "version.html", visitor, document=document, version=version, passages=passages, cited=cited, drawn=drawn,
        span=asdict(words), file=file, has_pages=file is not None and is_pdf(file), said=said,
        may_retire=writes and version.status == "approved",
    )  # fmt: skip


@router.get("/documents/{document_id}/versions/{number}/pages/{at}")
async def show_page(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], recorder: Provided[Recorder],
    document_id: UUID, number: Number, at: Number,
    words: Words,
) -> Response:  # fmt: skip
    """Shows one page of a PDF as it looks, beside its text."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
        file = await files.find_file(connection, visitor.caller, document_id, number)
        if file is None or not is_pdf(file):
            raise NotFound("There are pictures of the pages of PDF files alone.", reason="picture:none")
        text = await files.read_page(tenancy, connection, visitor.caller, recorder, document_id, number, at)
    version = next(v for v in document.versions if v.document_version == number)
    return page(
        request, "page.html", visitor, document=document, version=version, text=text,
        span=asdict(words),
    )  # fmt: skip


@router.get("/documents/{document_id}/versions/{number}/pages/{at}/picture")
async def show_picture(
    visitor: Signed, pictures: Provided[PagePictures], document_id: UUID, number: Number, at: Number,
    words: Words,
) -> Response:  # fmt: skip
    """Gives a page its picture."""
    requires(visitor, Permission.DOCUMENTS_READ)
    drawn = await pictures.picture(visitor.caller, document_id, number, at, words.marked)
    return Response(drawn, media_type="image/png", headers=HEADERS)


@router.post("/documents/{document_id}/versions/{number}/retire")
async def retire(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    reason: Annotated[Text, Form(max_length=2000)] = "",
    ends: Annotated[Text, Form(max_length=10)] = "",
) -> Response:
    """Retires a version, or asks for it where two people must."""
    here = f"/console/documents/{document_id}/versions/{number}"
    if again := requires_fresh(visitor, here):
        return again
    given = _retirement(reason, ends)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        renew = tenancy.renewal(connection, visitor.caller.claims())
        pending = await approval.retire(connection, visitor.caller, recorder, document_id, number, given, renew)
    return to(f"{here}?said={'pending' if pending else 'retired'}")


def _retirement(reason: str, ends: str) -> Retirement:
    try:
        return Retirement.model_validate(
            {"reason": reason.strip(), "effective_to": f"{ends}T00:00:00Z" if ends else None}
        )
    except ValidationError as error:
        raise InvalidInput("A reason of at least three letters is needed, and a date that exists.") from error
