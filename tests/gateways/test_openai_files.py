"""Files of OpenAI's API through the official client: uploaded, given to a vector store, waited for, and never deleted."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import openai
import pytest

from backend.identity.callers.permissions import Role
from tests.factories import work
from tests.gateways.openai_client import client_of
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

POLICY = b"# Wires\n\nAn outgoing domestic wire transfer costs 25 dollars."


@asynccontextmanager
async def editing(service: Service, tenant: Tenant, address: str) -> AsyncIterator[tuple[openai.AsyncOpenAI, str]]:
    """The client of an editor, and the id of the vector store `default`."""
    async with client_of(service, tenant, "editor", address) as client:
        stores = [store async for store in client.vector_stores.list()]
        yield client, next(store.id for store in stores if store.name == "default")


@asynccontextmanager
async def working(service: Service) -> AsyncIterator[None]:
    """A worker beside the service."""

    async def forever() -> None:
        while True:
            await work(service)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_file_is_uploaded_waited_for_and_answers_questions(
    service: Service, tenant: Tenant, address: str
) -> None:
    async with editing(service, tenant, address) as (client, store), working(service):
        stored = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store, file=("wires.md", POLICY), attributes={"doc_id": "wires", "country": "US", "title": "Wires"}
        )  # fmt: skip
        assert stored.status == "completed", stored
        assert stored.attributes is not None
        version = await client.vector_stores.files.retrieve(
            str(stored.attributes["version_file_id"]), vector_store_id=store
        )
        assert version.attributes is not None
        assert (version.attributes["doc_id"], version.attributes["status"]) == ("wires", "approved")
        found = await client.vector_stores.search(store, query="What does a wire cost?")
        assert found.data[0].filename == "wires"
        assert found.data[0].attributes is not None
        assert found.data[0].attributes["country"] == "US"
        uploaded = await client.files.retrieve(stored.id)
        assert (uploaded.status, uploaded.bytes, uploaded.filename) == ("processed", len(POLICY), "wires.md")
        assert stored.id in [file.id async for file in client.files.list()]
        held = await client.vector_stores.retrieve(store)
        assert (held.usage_bytes, held.file_counts.completed, held.status) == (len(POLICY), 1, "completed")
        assert version.usage_bytes == len(POLICY)
        listed = [file.usage_bytes async for file in client.vector_stores.files.list(store)]
        assert listed == [len(POLICY)]
    events = [
        *await service.events(tenant, action="document:uploaded"),
        *await service.events(tenant, action="file:staged"),
    ]
    assert [event["event"]["file"]["sha256"] for event in events] == [hashlib.sha256(POLICY).hexdigest()] * 2
    assert {event["event"]["door"]["kind"] for event in events} == {"openai"}


async def test_a_batch_counts_what_became_of_its_files(service: Service, tenant: Tenant, address: str) -> None:
    files: Any = [
        ("one.md", b"# One\n\nThe first rule."),
        ("two.md", b"# Two\n\nThe second rule."),
        ("bad.pdf", b"%PDF-1.7 no"),
    ]
    async with editing(service, tenant, address) as (client, store), working(service):
        batch = await client.vector_stores.file_batches.upload_and_poll(store, files=files)
        counts = batch.file_counts
        assert (batch.status, counts.completed, counts.failed, counts.total) == ("completed", 2, 1, 3)
        listed = [f async for f in client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store)]
        held = (await client.vector_stores.retrieve(store)).file_counts
        assert (held.failed, held.in_progress, held.total) == (1, 0, held.completed + 1)
        (failed,) = [file for file in listed if file.status == "failed"]
        assert failed.last_error is not None
        assert failed.last_error.message


async def test_a_batch_is_cancelled_as_far_as_it_is_not_done(
    service: Service, tenant: Tenant, other_tenant: Tenant, address: str
) -> None:
    async with editing(service, tenant, address) as (client, store):
        files = [
            await client.files.create(file=(f"{n}.md", f"# {n}\n\nRule {n} of a cancelled batch.".encode()), purpose="assistants")
            for n in ("first", "second")
        ]  # fmt: skip
        done = await client.vector_stores.file_batches.create(store, file_ids=[files[0].id])
        await work(service)
        kept = await client.vector_stores.file_batches.cancel(done.id, vector_store_id=store)
        assert (kept.status, kept.file_counts.completed, kept.file_counts.cancelled) == ("completed", 1, 0)
        waiting = await client.vector_stores.file_batches.create(store, file_ids=[files[1].id])
        busy = await client.vector_stores.retrieve(store)
        assert (busy.status, busy.file_counts.in_progress) == ("in_progress", 1)
        async with editing(service, other_tenant, address) as (foreign, foreign_store):
            for named in (store, foreign_store):
                with pytest.raises(openai.NotFoundError):
                    await foreign.vector_stores.file_batches.cancel(waiting.id, vector_store_id=named)
        stopped = await client.vector_stores.file_batches.cancel(waiting.id, vector_store_id=store)
        assert (stopped.status, stopped.file_counts.cancelled, stopped.file_counts.total) == ("cancelled", 1, 1)
        await work(service)
        again = await client.vector_stores.file_batches.cancel(waiting.id, vector_store_id=store)
        assert again.status == "cancelled"
        listed = await client.vector_stores.file_batches.list_files(
            waiting.id, vector_store_id=store, filter="cancelled"
        )
        assert [file.id for file in listed.data] == [files[1].id]
        still = await client.vector_stores.file_batches.list_files(
            waiting.id, vector_store_id=store, filter="in_progress"
        )
        assert still.data == []
        names = [f.attributes["doc_id"] async for f in client.vector_stores.files.list(store) if f.attributes]
        assert ("first.md" in names, "second.md" in names) == (True, False)
    ended = await service.events(tenant, action="job:cancelled")
    assert [event["event"]["door"]["kind"] for event in ended] == ["openai"]


async def test_files_are_listed_by_what_became_of_them_page_by_page_and_only_ones_own(
    service: Service, tenant: Tenant, other_tenant: Tenant, address: str
) -> None:
    await service.add_user(tenant, "editor2", Role.EDITOR)

    async def given(client: openai.AsyncOpenAI, store: str, name: str, content: bytes) -> str:
        file = await client.files.create(file=(name, content), purpose="assistants")
        await client.vector_stores.files.create(store, file_id=file.id)
        return file.id

    async with editing(service, tenant, address) as (client, store):

        async def listed(state: Any, **page: Any) -> list[str]:
            """Ids over all pages."""
            pages = client.vector_stores.files.list(store, filter=state, **page)
            files = [file async for file in pages]
            assert {file.status for file in files} <= {state}
            return [file.id for file in files]

        before = {state: await listed(state) for state in ("in_progress", "failed", "cancelled", "completed")}
        bad = [await given(client, store, f"bad-{n}.pdf", f"%PDF-1.7 no {n}".encode()) for n in (1, 2)]
        await work(service)
        waiting = [
            await given(client, store, f"waits-{n}.md", f"# Waits\n\nRule {n} waits.".encode()) for n in (1, 2, 3)
        ]
        async with client_of(service, tenant, "editor2", address) as colleague:
            other = await given(colleague, store, "other.md", b"# Other\n\nA colleague's rule.")
        assert other not in await listed("in_progress")
        assert await listed("in_progress", limit=2) == [*reversed(waiting), *before["in_progress"]]
        assert (await listed("in_progress", limit=1, order="asc"))[-3:] == waiting
        assert await listed("failed") == [*reversed(bad), *before["failed"]]
        (failed,) = (await client.vector_stores.files.list(store, filter="failed", limit=1)).data
        assert failed.last_error is not None
        assert (await listed("cancelled"), await listed("completed")) == (before["cancelled"], before["completed"])
        counts = (await client.vector_stores.retrieve(store)).file_counts
        assert (counts.in_progress, counts.failed) == (len(await listed("in_progress")), len(await listed("failed")))
        async with editing(service, other_tenant, address) as (foreign, foreign_store):
            assert (await foreign.vector_stores.files.list(foreign_store, filter="in_progress")).data == []
            with pytest.raises(openai.NotFoundError):
                await foreign.vector_stores.files.list(store, filter="in_progress")
        await work(service)
        assert (await listed("in_progress"), len(await listed("completed"))) == ([], len(before["completed"]) + 4)


async def test_the_same_bytes_are_complete_at_once(service: Service, tenant: Tenant, address: str) -> None:
    async with editing(service, tenant, address) as (client, store):
        for _ in range(2):
            file = await client.files.create(file=("same.md", b"# Same\n\nThe same rule."), purpose="assistants")
            bound = await client.vector_stores.files.create(store, file_id=file.id)
            await work(service)
        assert bound.status == "completed"


async def test_what_is_evidence_is_not_deleted_and_what_is_not_yet_is(
    service: Service, tenant: Tenant, address: str
) -> None:
    async with editing(service, tenant, address) as (client, store):
        waiting = await client.files.create(file=("draft.md", b"# Draft"), purpose="user_data")
        assert waiting.status == "uploaded"
        assert (await client.files.delete(waiting.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve(waiting.id)
        bound = await client.files.create(file=("kept.md", b"# Kept\n\nA rule that is kept."), purpose="assistants")
        await client.vector_stores.files.create(store, file_id=bound.id)
        await work(service)
        with pytest.raises(openai.PermissionDeniedError):
            await client.files.delete(bound.id)
        with pytest.raises(openai.PermissionDeniedError):
            await client.vector_stores.files.delete(bound.id, vector_store_id=store)
        with pytest.raises(openai.ConflictError):
            await client.vector_stores.files.create(store, file_id=bound.id)


async def test_what_is_wrong_is_named_in_the_clients_own_exceptions(
    service: Service, tenant: Tenant, address: str
) -> None:
    async with editing(service, tenant, address) as (client, store):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.files.create(file=("a.md", b"# A"), purpose="fine-tune")
        assert (refused.value.param, refused.value.code) == ("purpose", "unsupported_parameter")
        with pytest.raises(openai.APIStatusError) as unsupported:
            await client.files.create(file=("a.exe", b"MZ"), purpose="assistants")
        assert unsupported.value.status_code == 415
        file = await client.files.create(file=("a.md", b"# A\n\nA text."), purpose="assistants")
        with pytest.raises(openai.BadRequestError) as bad:
            await client.vector_stores.files.create(store, file_id=file.id, attributes={"effective_from": "soon"})
        assert "effective_from" in str(bad.value)
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.files.create(store, file_id="file-" + "0" * 32)
    async with client_of(service, tenant, "analyst", address) as reader:
        with pytest.raises(openai.PermissionDeniedError):
            await reader.files.create(file=("a.md", b"# A"), purpose="assistants")


async def test_an_upload_is_its_uploaders_alone_and_ends_after_a_day(
    service: Service, tenant: Tenant, other_tenant: Tenant, address: str, database: Database
) -> None:
    async with editing(service, tenant, address) as (client, _):
        file = await client.files.create(file=("old.md", b"# Old"), purpose="assistants")
        async with client_of(service, other_tenant, "editor", address) as foreign:
            with pytest.raises(openai.NotFoundError):
                await foreign.files.retrieve(file.id)
        superuser = await asyncpg.connect(database.superuser_url)
        try:
            await superuser.execute("update documents.upload set created_at = now() - interval '25 hours'")
            with pytest.raises(openai.NotFoundError):
                await client.files.retrieve(file.id)
            await client.files.create(file=("new.md", b"# New"), purpose="assistants")
            left = await superuser.fetch("select filename from documents.upload where tenant_id = $1", tenant.id)
        finally:
            await superuser.close()
    assert [row["filename"] for row in left] == ["new.md"]
