"""Embeds a tenant's chunks with another model while they are read and written.

Each chunk names its model, and a question is compared only with vectors of the model that embedded it; a chunk of another
model is found by its words. Progress is in the chunks themselves, so a command that was killed is carried on by giving it again.
"""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import asyncpg
from pgvector import HalfVector

from backend.audit.actions.operation import Reembedded, TenantChanged
from backend.database import Queries, prepare_connection
from backend.documents.chunks.vectors import headed
from backend.operation.placement import Progress, index_model, is_private, locked_versions
from backend.operation.service import Operator, OperatorError
from backend.personal_data.pseudonyms import PseudonymKeys, Pseudonyms
from backend.retrieval.embedding import fingerprint
from backend.retrieval.embedding.embedder import Embedder

queries = Queries(Path(__file__).with_name("reembedding.sql"))

_BATCH = 64  # texts embedded between two commits


async def reembed(
    owner_url: str,
    tenant_id: UUID,
    embedder: Embedder,
    keys: PseudonymKeys,
    progress: Progress,
    *,
    again: bool = False,
) -> None:
    """Brings every chunk of a tenant to the embedder's model; a private partition gets an index for it first.

    `again` also embeds those that the model embedded already: with what is embedded of a chunk today, such as its heading.
    An embedder is given pseudonyms where a collection wants them. Raises OperatorError while the embedder is another model than
    its name says, or answers nothing.
    """
    connection = await asyncpg.connect(owner_url)
    try:
        await prepare_connection(connection)
        if (problem := await fingerprint.problem(connection, embedder)) is not None:
            raise OperatorError(problem)
        pseudonyms = keys.of_tenant(tenant_id)
        total = await connection.fetchval(queries.outdated, tenant_id, embedder.model, again)
        if await is_private(connection, tenant_id):
            progress("indexing", 0, total)
            await index_model(connection, tenant_id, embedder.model, embedder.dimensions)
        done, last = 0, UUID(int=0)
        while rows := await connection.fetch(
            queries.next_outdated, tenant_id, embedder.model, _BATCH, last if again else UUID(int=0), again
        ):
            last = rows[-1]["id"]
            # No lock is held while texts are embedded: a text never changes, and a chunk that goes is skipped.
            embedded = [
                as_embedded(row["text"], row["title"], row["heading_path"], pseudonyms if row["masked"] else None)
                for row in rows
            ]
            vectors = await embedder.embed_passages([text for text, _ in embedded], [title for _, title in embedded])
            async with connection.transaction():
                await locked_versions(connection, tenant_id, {row["version_id"] for row in rows})
                await connection.execute(
                    queries.replace_vectors, tenant_id, embedder.model, [row["id"] for row in rows],
                    [HalfVector(vector) for vector in vectors], again,
                )  # fmt: skip
            done += len(rows)
            progress("embedding", done, max(done, total))
        if done:
            reembedded = Reembedded(model=embedder.model, chunks=done)
            await Operator(connection).record(tenant_id, TenantChanged(reembedded=reembedded))
    finally:
        await connection.close()


def as_embedded(text: str, title: str, path: Sequence[str] | None, pseudonyms: Pseudonyms | None) -> tuple[str, str]:
    """Returns a chunk's text and what it is embedded under, with pseudonyms where its collection wants them."""
    shown = [text, *(path or ())[-1:]]
    if pseudonyms is not None:
        shown = [pseudonyms.given(one).text for one in shown]
    return shown[0], headed(title, shown[1:])
