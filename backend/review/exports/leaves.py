"""Reads the leaves of a tenant's log for an export, page by page, with their texts and what proves them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from backend.audit.payloads import SALT_BYTES, PayloadInvalid, PayloadReader
from backend.database import Connection, Queries, fetch_rows
from backend.ledger.bundle import RevealedPayload
from backend.ledger.merkle import Segment, proof
from backend.review.archives import service as archives
from backend.review.events.proofs import read_nodes
from backend.review.exports.export import Export

queries = Queries.beside(__file__)

PAGE = 1_000
# Stands for a leaf or node that somebody deleted. Nothing hashes to it, so the verifier reports what it was to prove.
GONE = bytes(32)
# Stands for the salt of a text that cannot be decrypted.
_NO_SALT = bytes(SALT_BYTES)
Open = Callable[[], AbstractAsyncContextManager[Connection]]
Report = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LeafRow:
    """A leaf, with its event if that is still there."""

    index: int
    event_id: UUID
    hash: bytes
    envelope: str | None


@dataclass(frozen=True, slots=True)
class ArchivedLeaves:
    """Leaves whose events left the log with a month, and the hash of the archive that holds them."""

    month: date
    first_leaf: int
    end_leaf: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class LeafReader:
    """Reads what an export is of, each page in a transaction of its own; `reader` decrypts texts, where they are revealed."""

    open_transaction: Open
    export: Export
    reader: PayloadReader | None
    report: Report

    async def pages(self, leaves: range) -> AsyncIterator[list[LeafRow]]:
        """Yields those that the export's filters find, and reports after each page how many have been looked at."""
        export, position = self.export, leaves.start
        while position < leaves.stop:
            async with self.open_transaction() as connection:
                page = await fetch_rows(
                    connection, LeafRow, queries.leaves, export.tenant_id, position, leaves.stop, PAGE,
                    export.principal_id, export.action, export.outcome, export.document,
                )  # fmt: skip
            if page:
                yield page
            position = page[-1].index + 1 if len(page) == PAGE else leaves.stop
            await self.report(position - leaves.start, len(leaves))

    async def texts(self, page: Sequence[LeafRow]) -> dict[UUID, dict[str, RevealedPayload]]:
        """Returns the decrypted texts of events by their names, under pseudonyms where the export asks for those."""
        async with self.open_transaction() as connection:
            rows = await connection.fetch(
                queries.payloads_of_events, self.export.tenant_id, [leaf.event_id for leaf in page]
            )
        assert self.reader is not None
        texts: dict[UUID, dict[str, RevealedPayload]] = {}
        for row in rows:
            try:
                salt, text = await self.reader.decrypt(
                    row["key_id"], row["wrapped"], row["event_id"], row["name"], row["ciphertext"]
                )
            except PayloadInvalid:
                # Somebody changed it, or its key. What is exported matches no commitment either, and the verifier says so.
                salt, text = _NO_SALT, ""
            if self.export.pseudonyms:
                text = self.export.pseudonyms.given(text).text
            texts.setdefault(row["event_id"], {})[row["name"]] = RevealedPayload(row["name"], salt, text)
        return texts

    async def prove(self, path: Sequence[Segment]) -> list[bytes]:
        """Returns the proof along a path."""
        known = await self.hashes(path)
        return proof(path, lambda level, position: known[level, position])

    async def hashes(self, path: Sequence[Segment]) -> dict[tuple[int, int], bytes]:
        """Returns the hashes of the nodes on a path; one that hashes to nothing for each that is gone."""
        places = [place for segment in path for place in segment]
        async with self.open_transaction() as connection:
            known = await read_nodes(connection, self.export.tenant_id, places)
        return {place: known.get(place, GONE) for place in places}

    async def archived(self, leaves: range) -> list[ArchivedLeaves]:
        """Returns which archives hold some of the leaves."""
        async with self.open_transaction() as connection:
            query = archives.queries.archives_of_leaves
            return await fetch_rows(connection, ArchivedLeaves, query, self.export.tenant_id, leaves.start, leaves.stop)
