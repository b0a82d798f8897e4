"""The rules of ingesting ready-made chunks: all or nothing, each once, into the open version of its document."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import orjson
from pgvector import HalfVector, SparseVector
from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.models import IngestedChunk, NewChunk
from backend.errors import Conflict, Forbidden, NotFound
from backend.identity.caller import Caller
from backend.identity.permissions import Permission

queries = Queries.beside(__file__)

_LISTED_IN_EVENT = 40  # documents named in one envelope; the rest is counted


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection that the caller sees."""

    id: UUID
    slug: str
    language: str
    approval_required: bool


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """Both vectors of a chunk: `dense` of unit length, `sparse` the BM25 weight of each term's dimension."""

    dense: HalfVector
    sparse: Mapping[int, float]


class Vectorizer(Protocol):
    """Computes the vectors of chunks; implemented by retrieval, which documents do not know."""

    @property
    def model(self) -> str:
        """The embedding model's name, recorded with each chunk."""

    async def vectors(self, texts: Sequence[str], languages: Sequence[str]) -> list[ChunkVectors]:
        """Returns the vectors of texts, each in its language."""


@dataclass(frozen=True, slots=True)
class _Version:
    id: UUID
    document_id: UUID
    number: int
    status: str


async def collections_for(connection: Connection, caller: Caller, slugs: Sequence[str]) -> dict[str, Collection]:
    """Returns the collections that the caller may write; raises NotFound or Forbidden by the first that it may not."""
    rows = await connection.fetch(queries.collections, caller.tenant_id, sorted(set(slugs)))
    found = {row["slug"]: Collection(**dict(row)) for row in rows}
    for slug in slugs:
        if slug not in found:
            raise NotFound(f"There is no collection {slug!r} that you may use.", reason="collection:unknown")
        if found[slug].id not in caller.writable:
            raise Forbidden(f"You may not write to the collection {slug!r}.", reason="collection:not_writable")
    return found


async def ingest(
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    chunks: Sequence[NewChunk],
    vectors: Sequence[ChunkVectors],
    collections: Mapping[str, Collection],
    model: str,
) -> list[IngestedChunk]:
    """Stores chunks in the open versions of their documents and records it; a chunk that is there already is kept.

    The caller's transaction must be bound with `presented={"writing": "chunks"}`.
    """
    caller.require(Permission.DOCUMENTS_WRITE)
    versions = await _open_versions(connection, caller, chunks, collections)
    stored, added = await _add_chunks(connection, caller, chunks, vectors, collections, versions, model)
    await _count(connection, caller, chunks, vectors, collections, added)
    event_details = _describe(chunks, versions, collections, len(added))
    doc_ids = [chunk.doc_id for chunk in chunks]
    await recorder.record(connection, caller, Event(Action.DOCUMENT_INGESTED, details=event_details, doc_ids=doc_ids))
    return [
        IngestedChunk(
            id=chunk_id, doc_id=chunk.doc_id, collection=chunk.collection,
            document_version=versions[_key(chunk, collections)].number, status=versions[_key(chunk, collections)].status,
        )
        for chunk, chunk_id in zip(chunks, stored, strict=True)
    ]  # fmt: skip


def _key(chunk: NewChunk, collections: Mapping[str, Collection]) -> tuple[UUID, str]:
    return collections[chunk.collection].id, chunk.doc_id


def _fingerprint(chunk: NewChunk) -> bytes:
    return hashlib.sha256(chunk.chunk_text.encode()).digest()


def _title(chunk: NewChunk) -> str | None:
    title = chunk.metadata.get("title")
    return title if isinstance(title, str) else None


async def _open_versions(
    connection: Connection, caller: Caller, chunks: Sequence[NewChunk], collections: Mapping[str, Collection]
) -> dict[tuple[UUID, str], _Version]:
    """Creates what is missing and returns the locked version of each (collection id, doc_id)."""
    firsts = {_key(chunk, collections): chunk for chunk in reversed(chunks)}
    approval = {collection.id: collection.approval_required for collection in collections.values()}
    await connection.execute(
        queries.add_documents, caller.tenant_id, [uuid7() for _ in firsts], [c for c, _ in firsts], [d for _, d in firsts],
        [chunk.source_type for chunk in firsts.values()], [_title(chunk) for chunk in firsts.values()], caller.principal_id,
    )  # fmt: skip
    documents = await connection.fetch(
        queries.documents, caller.tenant_id, [c for c, _ in firsts], [d for _, d in firsts]
    )
    await connection.execute(
        queries.add_first_versions, caller.tenant_id, [uuid7() for _ in documents],
        [row["collection_id"] for row in documents], [row["id"] for row in documents],
        ["draft" if approval[row["collection_id"]] else "approved" for row in documents], caller.principal_id,
    )  # fmt: skip
    rows = await connection.fetch(queries.lock_latest_versions, caller.tenant_id, [row["id"] for row in documents])
    latest = {row["document_id"]: _Version(row["id"], row["document_id"], row["number"], row["status"]) for row in rows}
    versions = {(row["collection_id"], row["doc_id"]): latest[row["id"]] for row in documents}
    for (collection_id, doc_id), version in versions.items():
        if version.status != ("draft" if approval[collection_id] else "approved"):
            raise Conflict(f"The latest version of {doc_id!r} takes no more chunks.", reason="version:closed")
    return versions


async def _add_chunks(
    connection: Connection,
    caller: Caller,
    chunks: Sequence[NewChunk],
    vectors: Sequence[ChunkVectors],
    collections: Mapping[str, Collection],
    versions: Mapping[tuple[UUID, str], _Version],
    model: str,
) -> tuple[list[UUID], list[int]]:
    """Returns the id of each chunk, and which of them (by index) are new."""
    held = await connection.fetch(
        queries.chunks_of_versions, caller.tenant_id, [version.id for version in versions.values()]
    )
    known = {(row["version_id"], bytes(row["sha256"])): row["id"] for row in held}
    contents: dict[UUID, list[bytes]] = defaultdict(list)
    for row in held:
        contents[row["version_id"]].append(bytes(row["sha256"]))
    ids: list[UUID] = []
    added: list[int] = []
    rows = []
    for index, chunk in enumerate(chunks):
        version = versions[_key(chunk, collections)]
        digest = _fingerprint(chunk)
        chunk_id = known.get((version.id, digest))
        if chunk_id is None:
            chunk_id = known[version.id, digest] = uuid7()
            rows.append((chunk_id, version.id, len(contents[version.id]), chunk, digest, vectors[index]))
            contents[version.id].append(digest)
            added.append(index)
        ids.append(chunk_id)
    if rows:
        await connection.execute(
            queries.add_chunks, caller.tenant_id, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows],
            [r[3].source_type for r in rows], [r[3].chunk_text for r in rows], [r[4] for r in rows],
            [r[3].metadata for r in rows], model, [r[5].dense for r in rows],
            [SparseVector(dict(r[5].sparse), 1_000_000_000) for r in rows],
        )  # fmt: skip
        for version_id in {r[1] for r in rows}:
            content = hashlib.sha256(b"".join(contents[version_id])).digest()
            await connection.execute(queries.set_content_hash, caller.tenant_id, version_id, content)
    return ids, added


async def _count(
    connection: Connection,
    caller: Caller,
    chunks: Sequence[NewChunk],
    vectors: Sequence[ChunkVectors],
    collections: Mapping[str, Collection],
    added: Sequence[int],
) -> None:
    terms: Counter[tuple[UUID, int]] = Counter()
    sizes: Counter[UUID] = Counter()
    for index in added:
        collection_id = collections[chunks[index].collection].id
        sizes[collection_id] += 1
        terms.update((collection_id, dimension) for dimension in vectors[index].sparse)
    await connection.execute(
        queries.count_terms,
        caller.tenant_id,
        [c for c, _ in terms],
        [d for _, d in terms],
        list(terms.values()),
    )
    await connection.execute(queries.count_chunks, caller.tenant_id, list(sizes), list(sizes.values()))


def _describe(
    chunks: Sequence[NewChunk],
    versions: Mapping[tuple[UUID, str], _Version],
    collections: Mapping[str, Collection],
    added: int,
) -> dict[str, object]:
    per_document = Counter(_key(chunk, collections) for chunk in chunks)
    listed = [
        {
            "doc_id": doc_id,
            "id": str(versions[collection_id, doc_id].document_id),
            "version": versions[collection_id, doc_id].number,
            "chunks": count,
        }
        for (collection_id, doc_id), count in per_document.most_common(_LISTED_IN_EVENT)
    ]
    content = hashlib.sha256(orjson.dumps([_fingerprint(chunk).hex() for chunk in chunks])).hexdigest()
    return {
        "ingestion": {
            "chunks": len(chunks), "added": added, "documents": listed, "document_count": len(per_document),
            "content_sha256": content,
        }
    }  # fmt: skip
