"""Compares what the database derives from the log with the log itself: nodes, right edge, archives, indexes, keys of texts."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from backend.database import Connection, Queries, fetch_rows
from backend.ledger.merkle import NodeId, frontier_nodes, node_hash
from backend.ledger.verifier import Kind, Report
from backend.review.events.proofs import read_nodes
from backend.review.exports.envelopes import payload_names, read_envelope

queries = Queries.beside(__file__)

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class LogEdge:
    """The right edge of a log, and the newest that is left of its leaves and checkpoints; None for what is gone."""

    size: int | None
    frontier: list[bytes] | None
    last_leaf: int | None
    checkpoint: int | None
    signed_at: datetime | None

    @property
    def leaves(self) -> int:
        """How many leaves the log has, by the last of them."""
        return 0 if self.last_leaf is None else self.last_leaf + 1

    @property
    def known_size(self) -> int:
        """How many leaves the log has or had, by all that is left of it."""
        return max(self.size or 0, self.leaves)


@dataclass(frozen=True, slots=True)
class LeafEvent:
    """A leaf and its event, as far as that is there."""

    index: int
    event_id: UUID
    envelope: str | None


@dataclass(frozen=True, slots=True)
class StoredText:
    """An encrypted text of an event, whether its key is there, and whether the index has all of its words."""

    event_id: UUID
    name: str
    key_id: UUID
    has_key: bool
    is_indexed: bool


@dataclass(slots=True)
class Beside:
    """What stands beside a tenant's log; `texts` also asks for keys and words, which takes audit:reveal."""

    open_transaction: Callable[[], AbstractAsyncContextManager[Connection]]
    tenant_id: UUID
    report: Report
    texts: bool = False
    _keyless: Counter[UUID] = field(default_factory=Counter)

    async def check(self, edge: LogEdge, progress: Callable[[int], Awaitable[None]]) -> None:
        """Reports all that contradicts the log, whose edge was read before; `progress` is told how many leaves were read."""
        size = edge.known_size
        await self._check_edge(edge)
        await self._check_nodes(size)
        await self._check_archives()
        for start in range(0, size, PAGE):
            await self._check_events(start, min(size, start + PAGE))
            await progress(min(size, start + PAGE))
        for key, count in self._keyless.items():
            self.report.add(Kind.MISSING, f"data key {key}", f"is gone, so that {count} texts cannot be opened")

    async def _check_edge(self, edge: LogEdge) -> None:
        """Holds the right edge against the leaves, of which the newest may have been removed with their checkpoint."""
        leaves, size = edge.leaves, edge.size
        if size is None:
            if leaves or edge.checkpoint is not None:
                self.report.add(Kind.MISSING, "log", "its right edge is gone, so that it cannot grow")
            return
        if leaves < size:
            self.report.add(Kind.MISSING, "log", f"had {size} leaves, and has no more than {leaves}")
        elif leaves > size:
            self.report.add(Kind.INVALID, "log", f"has {leaves} leaves, although its right edge is that of {size}")
        if size and edge.checkpoint != size:
            left = "there is none" if edge.checkpoint is None else f"the newest is of {edge.checkpoint}"
            self.report.add(Kind.MISSING, "checkpoints", f"that of the log's {size} leaves is gone: {left}")
        async with self.open_transaction() as connection:
            known = await read_nodes(connection, self.tenant_id, frontier_nodes(size))
        found = [known.get(place) for place in frontier_nodes(size)]
        if None not in found and found != edge.frontier:
            self.report.add(Kind.INVALID, "log", "its right edge is not what its leaves hash to")

    async def _check_nodes(self, size: int) -> None:
        level = 1
        while size >> level:
            await self._check_level(level, size >> level)
            level += 1
        async with self.open_transaction() as connection:
            above = await connection.fetchrow(queries.node_above, self.tenant_id, level - 1)
            by_now = await connection.fetchval(queries.size_by_now, self.tenant_id)
        if above is not None and (above["position"] + 1) << above["level"] > by_now:
            self.report.add(Kind.INVALID, _node(above["level"], above["position"]), "covers leaves that are not there")

    async def _check_level(self, level: int, count: int) -> None:
        """Compares each node of a level with the hash of the two below it, which were compared when their own level was.

        The log goes on growing: nodes come with their leaves, so the size is read after the nodes.
        """
        expected = 0
        while True:
            async with self.open_transaction() as connection:
                nodes = await connection.fetch(queries.nodes_of_level, self.tenant_id, level, expected - 1, PAGE)
                below = [NodeId(level - 1, 2 * node["position"] + side) for node in nodes for side in (0, 1)]
                known = await read_nodes(connection, self.tenant_id, below)
                by_now = await connection.fetchval(queries.size_by_now, self.tenant_id)
            for node in nodes:
                self._miss_nodes(level, expected, node["position"])
                expected = node["position"] + 1
                left, right = (known.get((level - 1, 2 * node["position"] + side)) for side in (0, 1))
                if expected > max(count, by_now >> level):
                    self.report.add(Kind.INVALID, _node(level, node["position"]), "covers leaves that are not there")
                elif left and right and node_hash(left, right) != bytes(node["hash"]):
                    self.report.add(Kind.INVALID, _node(level, node["position"]), "is not the hash of the two below it")
            if len(nodes) < PAGE:
                break
        self._miss_nodes(level, expected, count)

    def _miss_nodes(self, level: int, start: int, end: int) -> None:
        if start < end:
            places = _node(level, start) if end - start == 1 else f"{_node(level, start)} to {end - 1}"
            self.report.add(Kind.MISSING, places, "is gone, so that proofs cannot be made")

    async def _check_archives(self) -> None:
        async with self.open_transaction() as connection:
            archives = await connection.fetch(queries.archives, self.tenant_id)
            unlisted = await connection.fetch(queries.archivings, self.tenant_id)
        for row in archives:
            if not row["accounted"]:
                leaves = f"leaves {row['first_leaf']} to {row['end_leaf'] - 1}"
                detail = f"is said to hold {leaves}, but no event of the log says that they left for it"
                self.report.add(Kind.INVALID, f"archive of {row['month']:%Y-%m}", detail)
        for row in unlisted:
            detail = f"is not listed, although leaf {row['index']} says that events left for it"
            self.report.add(Kind.MISSING, f"archive of {row['month']}", detail)

    async def _check_events(self, start: int, end: int) -> None:
        async with self.open_transaction() as connection:
            leaves = await fetch_rows(connection, LeafEvent, queries.leaves, self.tenant_id, start, end)
            envelopes = {leaf.event_id: leaf.envelope for leaf in leaves if leaf.envelope is not None}
            indexed = [(name, event) for event, envelope in envelopes.items() for name in documents_of(envelope)]
            arrays = [[name for name, _ in indexed], [event for _, event in indexed]]
            absent = await connection.fetch(queries.unindexed_documents, self.tenant_id, *arrays) if indexed else []
            wanted = list(envelopes) if self.texts else []
            texts = await fetch_rows(connection, StoredText, queries.texts, self.tenant_id, wanted) if wanted else []
        if gone := sorted(set(range(start, end)) - {leaf.index for leaf in leaves}):
            self.report.add(Kind.GAP, "log", f"{len(gone)} leaves are gone, the first of them {gone[0]}")
        place = {leaf.event_id: leaf.index for leaf in leaves}
        for row in absent:
            subject = f"leaf {place[row['event_id']]}"
            self.report.add(Kind.MISSING, subject, f"is not in the index of the document {ascii(row['doc_id'])[:80]}")
        for text in texts:
            self._check_text(text, f"leaf {place[text.event_id]}", envelopes[text.event_id])

    def _check_text(self, text: StoredText, subject: str, envelope: str) -> None:
        named = f"payload {ascii(text.name)[:80]}"
        if text.name not in payload_names(envelope):
            self.report.add(Kind.INVALID, subject, f"{named} is stored, but not one of the event's")
        if not text.has_key:
            self._keyless[text.key_id] += 1
        if not text.is_indexed:
            self.report.add(Kind.MISSING, subject, f"words of {named} are not in the index")


def documents_of(envelope: str) -> set[str]:
    """Returns the documents that an event names and that the index therefore has for it."""
    members = read_envelope(envelope)
    if members.get("action") == "retrieval:executed":
        found = _chunks(members.get("retrieval"))
        return {chunk["doc_id"] for chunk in found if chunk.get("used") is True}
    if members.get("action") == "candidates:submitted":
        return {chunk["doc_id"] for chunk in _chunks(members.get("submission"))}
    return set(_named(members)) if str(members.get("action")).startswith("document:") else set()


def _chunks(stage: object) -> list[dict[str, Any]]:
    chunks = stage.get("chunks") if isinstance(stage, dict) else None
    found = chunks if isinstance(chunks, list) else []
    return [chunk for chunk in found if isinstance(chunk, dict) and isinstance(chunk.get("doc_id"), str)]


def _named(value: object) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in _named(item)]
    if not isinstance(value, dict):
        return []
    own = [value["doc_id"]] if isinstance(value.get("doc_id"), str) else []
    return own + [name for item in value.values() for name in _named(item)]


def _node(level: int, position: int) -> str:
    return f"node {position} of level {level}"
