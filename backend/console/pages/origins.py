"""Administration of sources: from where documents come by themselves, how the last runs fared, and what each brought."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args
from uuid import UUID

from fastapi import Depends, Form, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.documents.collections import service as collections
from backend.errors import InvalidInput, NotFound
from backend.identity.callers.permissions import Permission
from backend.identity.users import service as users
from backend.provided import Provided
from backend.schema import Text
from backend.sources import service as sources
from backend.sources.asking import SourceHosts
from backend.sources.credentials import NEEDED
from backend.sources.models import NewSource, NewSourceRun, SourceChange, SourceKind, SourceView
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = pages()

SOURCES = "/console/administration/sources"
_SHOWN = 50
_Body = TypeVar("_Body", bound=BaseModel)
_NAMES_OF = {"s3": ("access_key", "secret_key"), "graph": ("client_id", "client_secret")}


@dataclass(frozen=True, slots=True)
class TypedSource:
    """What a form says of a source, as it was typed; what was left empty is not said."""

    name: str
    address: str
    options: Mapping[str, str]
    source_type: str
    metadata: str
    every_minutes: str
    daily_at: str

    def fields(self) -> dict[str, Any]:
        """Returns it as the service takes it; raises InvalidInput for what is no JSON and no number."""
        try:
            metadata = json.loads(self.metadata.strip() or "{}")
            every = int(self.every_minutes) if self.every_minutes.strip() else None
        except ValueError as error:
            raise InvalidInput("Other metadata is a JSON object, and minutes are a number.") from error
        return {
            "name": self.name.strip(), "address": "\n".join(self.address.split()),
            "options": {name: value.strip() for name, value in self.options.items() if value.strip()},
            "source_type": self.source_type.strip(), "metadata": metadata,
            "schedule": {"every_minutes": every, "daily_at": self.daily_at.strip() or None},
        }  # fmt: skip


def typed_source(
    name: Annotated[Text, Form(max_length=100)],
    address: Annotated[Text, Form(max_length=2_100)],
    prefix: Annotated[Text, Form(max_length=500)] = "",
    region: Annotated[Text, Form(max_length=50)] = "",
    authority: Annotated[Text, Form(max_length=500)] = "",
    source_type: Annotated[Text, Form(max_length=64)] = "document",
    metadata: Annotated[Text, Form(max_length=10_000)] = "",
    every_minutes: Annotated[Text, Form(max_length=9)] = "",
    daily_at: Annotated[Text, Form(max_length=8)] = "",
) -> TypedSource:
    """Returns what the form says."""
    options = {"prefix": prefix, "region": region, "authority": authority}
    return TypedSource(name, address, options, source_type, metadata, every_minutes, daily_at)


@dataclass(frozen=True, slots=True)
class TypedCredentials:
    """What a form says that a source is asked with; it is shown on no page."""

    identity: str
    secret: str

    def given(self, kind: SourceKind) -> dict[str, str] | None:
        """Returns what was typed by the names that it has for this kind of source; None for nothing."""
        if not self.identity and not self.secret:
            return None
        name, secret = _NAMES_OF.get(kind, ("username", "password"))
        named = {name: self.identity, secret: self.secret} if self.identity else {"token": self.secret}
        return {name: value for name, value in named.items() if value}


def typed_credentials(
    identity: Annotated[Text, Form(max_length=200)] = "", secret: Annotated[Text, Form(max_length=4_000)] = ""
) -> TypedCredentials:
    """Returns what the form says."""
    return TypedCredentials(identity, secret)


SourceForm = Annotated[TypedSource, Depends(typed_source)]
CredentialsForm = Annotated[TypedCredentials, Depends(typed_credentials)]


@router.get("/administration/sources")
async def list_sources(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Lists the tenant's sources and how their last run went, and shows the form for another."""
    requires(visitor, Permission.SOURCES_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = (await sources.list_sources(connection, visitor.caller)).sources
        all_of_them = (await collections.list_collections(connection, visitor.caller)).collections
    reviewed = [view for view in all_of_them if view.approval_required]
    return page(request, "origins.html", visitor, found=found, collections=reviewed, kinds=get_args(SourceKind))


@router.post("/administration/sources")
async def create_source(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault],
    hosts: Provided[SourceHosts], typed: SourceForm, proof: CredentialsForm, kind: Annotated[SourceKind, Form()],
    collection: Annotated[Text, Form(max_length=63)],
) -> Response:  # fmt: skip
    """Makes a source; whoever does so answers for what it brings."""
    requires(visitor, Permission.SOURCES_MANAGE)
    if again := requires_fresh(visitor, SOURCES):
        return again
    said = {**typed.fields(), "kind": kind, "collection": collection, "credentials": proof.given(kind)}
    wanted = _body(NewSource, said)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        made = await sources.create_source(connection, visitor.caller, recorder, vault, hosts, wanted)
    return to(f"{SOURCES}/{made.id}")


@router.get("/administration/sources/{source_id}")
async def show_source(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], source_id: UUID,
    cursor: Annotated[UUID | None, Query()] = None,
) -> Response:  # fmt: skip
    """Shows a source with its runs, and the forms that change it."""
    requires(visitor, Permission.SOURCES_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        source = await sources.get_source(connection, visitor.caller, source_id)
        found = await sources.list_runs(connection, visitor.caller, source_id, limit=_SHOWN, cursor=cursor)
        keeper = None
        with suppress(NotFound):  # who was deleted answers for nothing
            keeper = await users.get_user(connection, visitor.caller, source.responsible_id)
    return page(
        request, "origin.html", visitor, source=source, found=found, keeper=keeper, needed=NEEDED,
        metadata=json.dumps(source.metadata, ensure_ascii=False) if source.metadata else "",
    )  # fmt: skip


@router.post("/administration/sources/{source_id}")
async def change_source(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault],
    hosts: Provided[SourceHosts], source_id: UUID, typed: SourceForm,
) -> Response:  # fmt: skip
    """Changes what is another than it was; whoever does so answers for what the source brings."""
    requires(visitor, Permission.SOURCES_MANAGE)
    here = f"{SOURCES}/{source_id}"
    if again := requires_fresh(visitor, here):
        return again
    said = typed.fields()
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        present = _said_of(await sources.get_source(connection, visitor.caller, source_id))
        changed = {name: value for name, value in said.items() if value != present[name]}
        if changed:
            change = _body(SourceChange, changed)
            await sources.change_source(connection, visitor.caller, recorder, vault, hosts, source_id, change)
    return to(here)


@router.post("/administration/sources/{source_id}/credentials")
async def change_credentials(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault],
    hosts: Provided[SourceHosts], source_id: UUID, proof: CredentialsForm,
) -> Response:  # fmt: skip
    """Has a source ask with other credentials, or with none."""
    requires(visitor, Permission.SOURCES_MANAGE)
    here = f"{SOURCES}/{source_id}"
    if again := requires_fresh(visitor, here):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        kind = (await sources.get_source(connection, visitor.caller, source_id)).kind
        change = _body(SourceChange, {"credentials": proof.given(kind)})
        await sources.change_source(connection, visitor.caller, recorder, vault, hosts, source_id, change)
    return to(here)


@router.post("/administration/sources/{source_id}/status")
async def change_status(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[FileVault],
    hosts: Provided[SourceHosts], source_id: UUID, status: Annotated[Literal["enabled", "disabled"], Form()],
) -> Response:  # fmt: skip
    """Lets a source rest, or run again; whoever does so answers for what it brings."""
    requires(visitor, Permission.SOURCES_MANAGE)
    here = f"{SOURCES}/{source_id}"
    if status == "enabled" and (again := requires_fresh(visitor, here)):
        return again
    change = SourceChange(status=status)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await sources.change_source(connection, visitor.caller, recorder, vault, hosts, source_id, change)
    return to(here)


@router.post("/administration/sources/{source_id}/delete")
async def delete_source(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], source_id: UUID
) -> Response:
    """Forgets a source; what came from it stays."""
    requires(visitor, Permission.SOURCES_MANAGE)
    if again := requires_fresh(visitor, f"{SOURCES}/{source_id}"):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await sources.delete_source(connection, visitor.caller, recorder, source_id)
    return to(SOURCES)


@router.get("/administration/sources/{source_id}/runs/{source_run_id}")
async def show_run(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], source_id: UUID, source_run_id: UUID
) -> Response:
    """Shows what a run brought, and what it did not take."""
    requires(visitor, Permission.SOURCES_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        source = await sources.get_source(connection, visitor.caller, source_id)
        run = await sources.get_run(connection, visitor.caller, source_id, source_run_id)
    return page(request, "origin_run.html", visitor, source=source, run=run)


@router.post("/administration/sources/{source_id}/runs")
async def run_source(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], source_id: UUID,
    dry_run: Annotated[bool, Form()] = False,  # noqa: FBT002 - a field of the form
    accept_gone: Annotated[bool, Form()] = False,  # noqa: FBT002 - a field of the form
) -> Response:  # fmt: skip
    """Has a source looked at now, or only told what a look would bring."""
    requires(visitor, Permission.SOURCES_MANAGE)
    here = f"{SOURCES}/{source_id}"
    if accept_gone and (again := requires_fresh(visitor, here)):
        return again
    asked = NewSourceRun(dry_run=dry_run, accept_gone=accept_gone)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await sources.ask_run(tenancy, connection, visitor.caller, recorder, source_id, asked)
    return to(here)


def _said_of(source: SourceView) -> dict[str, Any]:
    """Returns what the form of a source would say if nobody touched it."""
    return {
        "name": source.name, "address": "\n".join(source.address.split()), "options": source.options.given(),
        "source_type": source.source_type, "metadata": source.metadata, "schedule": source.schedule.model_dump(),
    }  # fmt: skip


def _body(model: type[_Body], said: Mapping[str, Any]) -> _Body:
    """Returns what was said, checked; raises InvalidInput, which tells no value."""
    try:
        return model.model_validate(said)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InvalidInput(f"{place}: {problem['msg']}" if place else problem["msg"]) from error
