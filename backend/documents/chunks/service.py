"""The rules of ingesting ready-made chunks: all or nothing, each once, into the open version of its document."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

import asyncpg
import orjson
from uuid_utils.compat import uuid7

from backend.audit.actions.documents import DocumentIngested, IngestedChunks, IngestedDocument
from backend.audit.details import leading
from backend.audit.events import Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents import inspection
from backend.documents.chunks import vectors as chunk_store
from backend.documents.chunks.models import IngestedChunk, NewChunk
from backend.documents.chunks.vectors import ChunkVectors, NewChunkRow, content_hash, fingerprint
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.inspection import Inspected, found_in
from backend.documents.locks import lock_documents
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.personal_data.policy import Policy
from backend.tenancy import Tenancy

queries = Queries.beside(__file__)

LISTED_CHUNKS = 1_000  # of a version, in an answer


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection that the caller sees."""

    id: UUID
    slug: str
    language: str
    approval_required: bool
    approvers: int
    metadata_schema: Mapping[str, Any] | None
    refused_warnings: Sequence[str]
    personal_data: Policy


@dataclass(frozen=True, slots=True)
class _LockedVersion:
    id: UUID
    document_id: UUID
    number: int
    status: str
    personal_data: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PreparedChunk:
    """A chunk that is about to be stored, with its vectors and the personal data that was found in it."""

    chunk: NewChunk
    vectors: ChunkVectors
    inspected: Inspected


async def collections_for(connection: Connection, caller: Caller, slugs: Sequence[str]) -> dict[str, Collection]:
    """Returns the collections that the caller may write; raises NotFound or Forbidden by the first that it may not."""
    rows = await connection.fetch(queries.collections, caller.tenant_id, sorted(set(slugs)))
    found = {row["slug"]: _collection(row) for row in rows}
    for slug in slugs:
        if slug not in found:
            raise NotFound(f"There is no collection {slug!r} that you may use.", reason="collection:unknown")
        if found[slug].id not in caller.writable:
            raise Forbidden(f"You may not write to the collection {slug!r}.", reason="collection:not_writable")
    return found


def _collection(row: asyncpg.Record) -> Collection:
    return Collection(**{**row, "personal_data": Policy(row["personal_data"])})


async def ingest(
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    prepared: Sequence[PreparedChunk],
    collections: Mapping[str, Collection],
    model: str,
) -> list[IngestedChunk]:
    """Stores chunks in the open versions of their documents and records it; a chunk that is there already is kept.

    The caller's transaction must be bound with `WRITING`.
    """
    caller.require(Permission.DOCUMENTS_WRITE)
    chunks = [each.chunk for each in prepared]
    for chunk in chunks:
        check_metadata(chunk.metadata, collections[chunk.collection].metadata_schema)
    versions = await _open_versions(connection, caller, chunks, collections)
    stored, added, held = await _add_chunks(connection, caller, prepared, collections, versions, model)
    in_force = [index for index in added if not collections[chunks[index].collection].approval_required]
    await chunk_store.count(
        connection,
        caller.tenant_id,
        ((collections[chunks[index].collection].id, prepared[index].vectors.sparse) for index in in_force),
    )
    await recorder.record(
        connection,
        caller,
        _ingestion_event(chunks, versions, collections, [prepared[index].inspected for index in added]),
    )
    new = set(added)
    return [
        IngestedChunk(
            id=chunk_id, doc_id=chunk.doc_id, collection=chunk.collection,
            document_version=versions[_key(chunk, collections)].number, status=versions[_key(chunk, collections)].status,
            added=index in new, chunks=len(held[versions[_key(chunk, collections)].id]),
            chunk_ids=held[versions[_key(chunk, collections)].id][:LISTED_CHUNKS],
        )
        for index, (chunk, chunk_id) in enumerate(zip(chunks, stored, strict=True))
    ]  # fmt: skip


async def refuse(tenancy: Tenancy, recorder: Recorder, caller: Caller, found: Mapping[str, int]) -> NoReturn:
    """Records that nothing was taken, since it holds personal data that a collection refuses; raises InvalidInput."""
    reason = "personal_data:refused"
    event = Event(DocumentIngested(personal_data=found), Outcome.DENIED, reason)
    async with tenancy.transaction(caller.claims()) as connection:
        await recorder.record(connection, caller, event)
    detail = f"The collection takes no personal data, and this holds some: {inspection.told(found)}."
    raise InvalidInput(detail, reason=reason)


def _key(chunk: NewChunk, collections: Mapping[str, Collection]) -> tuple[UUID, str]:
    return collections[chunk.collection].id, chunk.doc_id


async def _open_versions(
    connection: Connection, caller: Caller, chunks: Sequence[NewChunk], collections: Mapping[str, Collection]
) -> dict[tuple[UUID, str], _LockedVersion]:
    """Creates what is missing and returns the locked version of each (collection id, doc_id)."""
    firsts = {_key(chunk, collections): chunk for chunk in reversed(chunks)}
    approval = {collection.id: collection.approval_required for collection in collections.values()}
    await connection.execute(
        queries.add_documents, caller.tenant_id, [uuid7() for _ in firsts], [c for c, _ in firsts], [d for _, d in firsts],
        [chunk.source_type for chunk in firsts.values()], [chunk.title for chunk in firsts.values()], caller.principal_id,
    )  # fmt: skip
    documents = await connection.fetch(
        queries.documents, caller.tenant_id, [c for c, _ in firsts], [d for _, d in firsts]
    )
    locked = await lock_documents(connection, caller.tenant_id, [row["id"] for row in documents])
    if len(locked) < len(firsts):
        raise Conflict("Somebody else has just deleted one of these documents; try again.", reason="document:deleted")
    proposed = [uuid7() for _ in documents]
    await connection.execute(
        queries.add_open_versions, caller.tenant_id, proposed,
        [row["collection_id"] for row in documents], [row["id"] for row in documents], caller.principal_id,
    )  # fmt: skip
    rows = await connection.fetch(queries.latest_versions, caller.tenant_id, [row["id"] for row in documents])
    created = [row["id"] for row in rows if row["id"] in set(proposed)]
    if created:
        await connection.execute(queries.add_history, caller.tenant_id, [uuid7() for _ in created], created)
    latest = {
        row["document_id"]: _LockedVersion(
            row["id"], row["document_id"], row["number"], row["status"], row["personal_data"]
        )
        for row in rows
        if row["takes_chunks"]
    }
    versions = {(row["collection_id"], row["doc_id"]): latest.get(row["id"]) for row in documents}
    for (collection_id, doc_id), version in versions.items():
        # A draft takes the chunks of its author alone, since nobody may approve what they wrote themselves.
        if version is None or version.status != ("draft" if approval[collection_id] else "approved"):
            raise Conflict(f"The latest version of {doc_id!r} takes no more chunks from you.", reason="version:closed")
    return {key: version for key, version in versions.items() if version is not None}


async def _add_chunks(
    connection: Connection,
    caller: Caller,
    prepared: Sequence[PreparedChunk],
    collections: Mapping[str, Collection],
    versions: Mapping[tuple[UUID, str], _LockedVersion],
    model: str,
) -> tuple[list[UUID], list[int], Mapping[UUID, list[UUID]]]:
    """Returns the id of each chunk, which of them (by index) are new, and all chunks that each version holds now."""
    held = await connection.fetch(
        queries.chunks_of_versions, caller.tenant_id, [version.id for version in versions.values()]
    )
    known = {(row["version_id"], bytes(row["sha256"])): row["id"] for row in held}
    contents: dict[UUID, list[bytes]] = defaultdict(list)
    order: dict[UUID, list[UUID]] = defaultdict(list)
    for row in held:
        contents[row["version_id"]].append(bytes(row["sha256"]))
        order[row["version_id"]].append(row["id"])
    ids: list[UUID] = []
    added: list[int] = []
    found: dict[UUID, list[Inspected]] = defaultdict(list)
    rows = []
    for index, each in enumerate(prepared):
        chunk = each.chunk
        version = versions[_key(chunk, collections)]
        digest = fingerprint(chunk.chunk_text)
        chunk_id = known.get((version.id, digest))
        if chunk_id is None:
            chunk_id = known[version.id, digest] = uuid7()
            rows.append(
                NewChunkRow(
                    id=chunk_id, version_id=version.id, ordinal=len(contents[version.id]), source_type=chunk.source_type,
                    text=chunk.chunk_text, metadata=chunk.metadata, vectors=each.vectors,
                )
            )  # fmt: skip
            contents[version.id].append(digest)
            order[version.id].append(chunk_id)
            added.append(index)
            found[version.id].append(each.inspected)
        ids.append(chunk_id)
    await chunk_store.add(connection, caller.tenant_id, rows, model)
    held_before = {version.id: version.personal_data for version in versions.values()}
    await connection.execute(
        queries.set_content_hashes, caller.tenant_id, list(found), [content_hash(contents[version]) for version in found],
        [inspection.added(held_before[version], found_in(each)) for version, each in found.items()],
    )  # fmt: skip
    return ids, added, order


def _ingestion_event(
    chunks: Sequence[NewChunk],
    versions: Mapping[tuple[UUID, str], _LockedVersion],
    collections: Mapping[str, Collection],
    added: Sequence[Inspected],
) -> Event:
    per_document = Counter(_key(chunk, collections) for chunk in chunks)
    documents = [
        IngestedDocument(
            id=versions[collection_id, doc_id].document_id,
            doc_id=doc_id,
            version=versions[collection_id, doc_id].number,
            chunks=count,
        )
        for (collection_id, doc_id), count in per_document.most_common()
    ]
    listed = leading(documents)
    content = hashlib.sha256(orjson.dumps([fingerprint(chunk.chunk_text).hex() for chunk in chunks])).hexdigest()
    ingestion = IngestedChunks(
        chunks=len(chunks), added=len(added), documents=listed, document_count=len(documents), content_sha256=content,
        personal_data=found_in(added) or None,
    )  # fmt: skip
    payloads = {}
    if len(listed) < len(documents):
        payloads["documents"] = orjson.dumps([document.members() for document in documents]).decode()
    return Event(DocumentIngested(ingestion=ingestion), payloads=payloads, doc_ids=[chunk.doc_id for chunk in chunks])
