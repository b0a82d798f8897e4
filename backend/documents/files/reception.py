"""A file that arrives in a form: it is stored while it comes, and removed again when nothing becomes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backend.audit.recorder import Recorder
from backend.documents.files import service as files
from backend.documents.files.models import AcceptedFile, UploadFields
from backend.documents.files.multipart import FormPart, FormReader
from backend.documents.files.service import Upload
from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.filenames import safe_filename
from backend.documents.parsing.formats import declared_format
from backend.errors import InvalidInput, Unavailable, UnsupportedType
from backend.identity.callers.caller import Caller
from backend.storage.service import FileVault, StoredFile, TenantKey
from backend.tenancy import Tenancy

FieldsOf = Callable[[Mapping[str, str]], UploadFields]


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that is stored, and the fields that came around it."""

    stored: StoredFile
    filename: str
    media_type: str
    fields: dict[str, str]


class Reception:
    """Stores the file of a form while it arrives, and collects the fields around it."""

    def __init__(self, vault: FileVault, key: TenantKey, limit: int) -> None:
        """Takes files of at most `limit` bytes."""
        self._vault = vault
        self._key = key
        self._limit = limit
        self._stored: StoredFile | None = None

    async def receive(self, form: FormReader) -> ReceivedFile:
        """Raises InvalidInput, TooLarge or UnsupportedType."""
        fields: dict[str, str] = {}
        file: FormPart | None = None
        while (part := await form.next_part()) is not None:
            if part.filename is None:
                fields[part.name] = await form.text(part)
            elif part.name != "file" or file is not None:
                raise InvalidInput("file: exactly one file is taken, in the field `file`")
            else:
                file = part
                _check_type(part)
                self._stored = await self._vault.store(self._key, form.content(self._limit, "The file"))
        if file is None or file.filename is None or self._stored is None:
            raise InvalidInput("file: is missing")
        if self._stored.size == 0:
            raise InvalidInput("file: is empty")
        return ReceivedFile(self._stored, safe_filename(file.filename), _media_type(file), fields)

    async def discard(self) -> None:
        """Removes what was stored."""
        if self._stored is not None:
            await self._vault.delete(self._key.tenant_id, self._stored.id)


@dataclass(frozen=True, slots=True)
class Uploads:
    """Takes a file of a form of which a version is to be made; one that is not accepted is not kept."""

    tenancy: Tenancy
    vault: FileVault
    recorder: Recorder
    most_bytes: int

    async def accept(self, caller: Caller, form: FormReader, fields_of: FieldsOf) -> AcceptedFile:
        """Raises what `Reception.receive`, `fields_of`, which validates what came beside the file, and `files.accept` raise."""
        async with self.tenancy.transaction(caller.claims()) as connection:
            key = await self.vault.key(connection, caller.tenant_id)
        reception = Reception(self.vault, key, self.most_bytes)
        try:
            file = await reception.receive(form)
            upload = Upload(file.stored, file.filename, file.media_type, fields_of(file.fields))
            async with self.tenancy.transaction(caller.claims()) as connection:
                accepted = await files.accept(connection, caller, self.recorder, upload)
        except BaseException as error:
            if not may_be_committed(error):
                await reception.discard()
            raise
        if not accepted.accepted:
            await reception.discard()
        return accepted


def may_be_committed(error: BaseException) -> bool:
    """Tells whether a transaction that failed may have been committed all the same; its file then stays."""
    return isinstance(error, Unavailable) and error.reason.startswith("commit:")


def _check_type(part: FormPart) -> None:
    try:
        declared_format(safe_filename(part.filename or ""), part.media_type)
    except ParseError as error:
        raise UnsupportedType(error.detail, reason=error.code) from error


def _media_type(part: FormPart) -> str:
    declared = part.media_type or ""
    return declared if declared.isprintable() and 0 < len(declared) <= 200 else "application/octet-stream"
