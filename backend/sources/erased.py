"""What was erased does not come back: neither in a run that went on meanwhile, nor through a source that is made later."""

from collections.abc import Iterator
from uuid import UUID

from backend.database import Connection, Queries
from backend.documents.locks import lock_documents
from backend.identity.callers.caller import Caller
from backend.sources.connector import Seen
from backend.sources.fetching import Looked
from backend.sources.plan import KnownItem, Plan, doc_id_of, key_hash
from backend.sources.stored import StoredSource

queries = Queries.beside(__file__, source=StoredSource, item=KnownItem)


async def take_out_erased(
    connection: Connection, caller: Caller, plan: Plan, looked: Looked
) -> tuple[list[Seen], list[UUID]]:
    """Takes what was erased out of what a run found, in the transaction that lets it in.

    Returns what is to be left at the source for ever, and the files that were fetched of it. Locks the documents first, as an
    erasure does: it is over before this looks, or begins when what comes here is there to be erased.
    """
    documents = {item.document_id for item in _known(plan, looked) if item.document_id is not None}
    await lock_documents(connection, caller.tenant_id, sorted(documents))
    names = [key_hash(name) for name in _names(plan, looked)]
    erased = {bytes(row["name_sha256"]) for row in await connection.fetch(queries.erased_among, names)}

    def is_erased(seen: Seen | None, item: KnownItem | None) -> bool:
        called = {item.doc_id if item is not None else None, doc_id_of(seen.path) if seen is not None else None}
        return any(key_hash(name) in erased for name in called if name is not None)

    staged = [one for one in looked.staged if is_erased(one.seen, one.item)]
    left = [one.seen for one in staged]
    left += [seen for item, seen, _ in (*looked.renamed, *looked.same) if is_erased(seen, item)]
    left += [seen for item, seen in plan.moved if is_erased(seen, item)]
    left += [seen for seen, item, _ in looked.refused if is_erased(seen, item)]
    plan.unchanged -= sum(is_erased(seen, item) for item, seen in plan.moved)
    looked.staged = [one for one in looked.staged if not is_erased(one.seen, one.item)]
    looked.renamed = [one for one in looked.renamed if not is_erased(one[1], one[0])]
    looked.same = [one for one in looked.same if not is_erased(one[1], one[0])]
    looked.refused = [one for one in looked.refused if not is_erased(one[0], one[1])]
    looked.gone = [item for item in looked.gone if not is_erased(None, item)]
    plan.moved = [one for one in plan.moved if not is_erased(one[1], one[0])]
    plan.gone = [item for item in plan.gone if not is_erased(None, item)]
    plan.refused = [(seen, "erased" if is_erased(seen, None) else reason) for seen, reason in plan.refused]
    return left, [one.stored.id for one in staged]


def _known(plan: Plan, looked: Looked) -> Iterator[KnownItem]:
    """Yields all items of which the run will say something."""
    yield from (*plan.gone, *looked.gone)
    yield from (item for item, _ in plan.moved)
    yield from (item for item, _, _ in (*looked.same, *looked.renamed))
    yield from (one.item for one in looked.staged if one.item is not None)
    yield from (item for _, item, _ in looked.refused if item is not None)


def _names(plan: Plan, looked: Looked) -> set[str]:
    """Returns what the documents of all of them are called, or would be."""
    seen = [one.seen for one in looked.staged] + [one for _, one, _ in (*looked.same, *looked.renamed)]
    seen += [one for one, _, _ in looked.refused] + [one for one, _ in plan.refused] + [one for _, one in plan.moved]
    return {doc_id_of(one.path) for one in seen} | {item.doc_id for item in _known(plan, looked) if item.doc_id}
