"""Pictures of the pages of PDF files, with words marked as a citation has them; drawn where a hostile file can do no harm."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.documents.files import service as files
from backend.documents.files.scratch import plain_file
from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import draw_page
from backend.documents.tables import FileRow
from backend.documents.versions import service as versions
from backend.errors import NotFound, Unavailable
from backend.identity.callers.caller import Caller
from backend.storage.encryption import DamagedObject
from backend.storage.objects import ObjectMissing
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

_KEPT_BYTES = 48 * 1024 * 1024
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Marked:
    """Words of a chunk, from `start` until before `end` in code points; all of it where these are None."""

    chunk_id: UUID
    start: int | None = None
    end: int | None = None


class _Kept:
    """The pictures that were asked for last, up to a number of bytes."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def get(self, name: bytes) -> bytes | None:
        found = self._pictures.get(name)
        if found is not None:
            self._pictures.move_to_end(name)
        return found

    def add(self, name: bytes, picture: bytes) -> None:
        if name not in self._pictures:
            self._pictures[name] = picture
            self._size += len(picture)
        while self._size > _KEPT_BYTES:
            self._size -= len(self._pictures.popitem(last=False)[1])


@dataclass(frozen=True, slots=True)
class PagePictures:
    """Draws pages. Whether a page may be seen is asked each time; only the drawing is kept."""

    tenancy: Tenancy
    recorder: Recorder
    vault: FileVault
    limits: ParseLimits
    _kept: _Kept = field(default_factory=_Kept)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def picture(self, caller: Caller, document_id: UUID, number: int, page: int, marked: Marked | None) -> bytes:
        """Returns a page of a version as PNG, and records that it is read.

        Raises NotFound for what has no such page or no file, or one that is no PDF, and Unavailable for one that cannot be drawn.
        """
        async with self.tenancy.transaction(caller.claims()) as connection:
            key = await self.vault.key(connection, caller.tenant_id)
            file = await files.open_file(connection, caller, self.recorder, document_id, number)
            words = "" if marked is None else await self._words(connection, caller, document_id, number, marked)
        if not is_pdf(file) or page > (file.page_count or 0):
            raise NotFound("There are pictures of the pages of PDF files alone.", reason="picture:none")
        name = hashlib.sha256(b"\0".join((caller.tenant_id.bytes, file.sha256, str(page).encode(), words.encode())))
        if (kept := self._kept.get(name.digest())) is not None:
            return kept
        try:
            async with self._turn, plain_file(self.vault, key, file.id, file.sha256) as path:
                drawn = await draw_page(path, page, words, self.limits)
        except ParseError as error:
            raise NotFound(
                "This page cannot be drawn; its text can be read.", reason=f"picture:{error.code}"
            ) from error
        except (ObjectMissing, DamagedObject) as error:
            raise Unavailable("The stored file is missing or damaged.", reason="storage:damaged") from error
        self._kept.add(name.digest(), drawn)
        return drawn

    async def _words(
        self, connection: Connection, caller: Caller, document_id: UUID, number: int, marked: Marked
    ) -> str:
        version = await versions.find_version(connection, caller, document_id, number)
        for chunk in await versions.read_chunks(self.tenancy, connection, caller, version):
            if chunk.id == marked.chunk_id:
                return chunk.text[marked.start : marked.end]
        raise NotFound("The version has no such chunk.", reason="chunk:unknown")


def is_pdf(file: FileRow) -> bool:
    """Tells whether a file was uploaded as PDF; whether it is one, the parser found out."""
    return file.filename.lower().endswith(".pdf") or file.media_type == "application/pdf"
