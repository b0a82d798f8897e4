"""Writes exports of a tenant's log: a bundle that the offline verifier proves, JSON lines, or CSV.

An export reads page by page, each in a transaction of its own bound to whoever asked for it: a long one holds back neither
the vacuum nor the sealer, and ends when its caller loses the permission.
"""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

import asyncpg
import orjson

from backend.audit.events import timestamp, without_nulls
from backend.audit.indexer import index_own_events
from backend.audit.payloads import PayloadInvalid, PayloadVault
from backend.database import Connection, Queries
from backend.ledger.bundle import BundleWriter, ErasedPayload, RevealedPayload, Scope
from backend.ledger.merkle import Frontier, Segment, consistency_path, frontier_nodes, inclusion_path, proof
from backend.review.archives import service as archives
from backend.review.events.proofs import read_nodes
from backend.review.events.service import first_id_at
from backend.review.exports.formats import Format
from backend.review.exports.parts import Part, split

queries = Queries.beside(__file__)

PAGE = 1_000
# In the place of a leaf or node that somebody deleted: nothing hashes to it, so the verifier names what it should have proved.
_GONE = bytes(32)
# Of a bundle: verifying a signature takes as long as verifying ten events.
MAX_CHECKPOINTS = 2_000
CSV_COLUMNS = (
    "leaf",
    "id",
    "time",
    "action",
    "outcome",
    "reason",
    "principal_id",
    "principal_kind",
    "request_id",
    "source",
)

Open = Callable[[], AbstractAsyncContextManager[Connection]]
Report = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported: sealed events of a period, all or those that match; `reveal` adds their texts."""

    tenant_id: UUID
    begin: datetime
    end: datetime
    format: Format
    principal_id: UUID | None = None
    action: str | None = None
    outcome: str | None = None
    document: str | None = None
    reveal: bool = False

    @property
    def filters(self) -> dict[str, str]:
        """The filters that were asked for, as they stand in the manifest."""
        principal = str(self.principal_id) if self.principal_id else None
        asked = {"actor": principal, "action": self.action, "outcome": self.outcome, "document": self.document}
        return without_nulls(asked)


class NothingSealed(Exception):
    """The log has no checkpoint yet, so there is nothing to export."""


class Exporter:
    """Writes one export to a stream."""

    def __init__(self, open_transaction: Open, vault: PayloadVault | None, export: Export, report: Report) -> None:
        """`report` is told the numbers of leaves that are read and that are to be read; `vault` opens what is revealed."""
        self._open = open_transaction
        self._reader = vault.reader(export.tenant_id) if vault else None
        self._export = export
        self._report = report

    async def parts(self, limit: int) -> list[Part]:
        """Returns the parts of the export, of about `limit` leaves each; raises NothingSealed."""
        leaves = await self._leaves()
        async with self._open() as connection:
            return await split(connection, self._export.tenant_id, leaves, self._export.begin, self._export.end, limit)

    async def write(self, stream: BinaryIO, part: Part) -> int:
        """Writes one part of the export and returns the number of its events."""
        if self._export.format is Format.BUNDLE:
            return await self._write_bundle(stream, part)
        if self._export.format is Format.JSONL:
            return await self._write_lines(stream, part)
        return await self._write_csv(stream, part)

    async def _leaves(self) -> range:
        """Returns the leaves between the checkpoints that enclose the period."""
        tenant = self._export.tenant_id
        async with self._open() as connection:
            if self._export.document is not None:
                await index_own_events(connection)
            before = await connection.fetchrow(queries.checkpoint_before, tenant, self._export.begin)
            end = await connection.fetchval(queries.checkpoint_after, tenant, self._export.end)
        if end is None:
            raise NothingSealed
        return range(before["size"] if before else 0, end)

    async def _write_bundle(self, stream: BinaryIO, part: Part) -> int:
        export, leaves, frontier = self._export, part.leaves, None
        if not export.filters:
            hashes = await self._hashes([frontier_nodes(leaves.start)]) if leaves.start else {}
            places = frontier_nodes(leaves.start) if leaves.start else ()
            frontier = Frontier(leaves.start, [hashes[place] for place in places])
        scope = Scope(
            tenant=str(export.tenant_id), begin=part.begin, end=part.end, leaves=leaves, frontier=frontier,
            filters=export.filters, revealed=export.reveal,
        )  # fmt: skip
        count = 0
        with BundleWriter(stream, scope) as bundle:
            sizes = await self._add_checkpoints(bundle, leaves)
            async for page in self._pages(leaves):
                texts = await self._texts(page) if export.reveal else {}
                proofs = await self._inclusion_proofs(page, sizes) if frontier is None else {}
                for row in page:
                    self._add_event(bundle, row, texts.get(row["event_id"], {}), proofs.get(row["index"]))
                count += len(page)
            await self._add_erasures(bundle, leaves, sizes[-1])
            await self._add_declarations(bundle)
            if frontier is not None and part.number == part.of:
                await self._add_unsealed(bundle)
        return count

    async def _add_declarations(self, bundle: BundleWriter) -> None:
        async with self._open() as connection:
            rows = await connection.fetch(queries.declarations, self._export.tenant_id)
        for row in rows:
            bundle.add_declaration(row["note"])

    async def _add_unsealed(self, bundle: BundleWriter) -> None:
        """Adds the events of the period that no leaf has: as many are recorded as are sealed, or the verifier names them."""
        last, end = first_id_at(self._export.begin), first_id_at(self._export.end)
        while True:
            async with self._open() as connection:
                rows = await connection.fetch(queries.unsealed_events, self._export.tenant_id, last, end, PAGE)
            for row in rows:
                bundle.add_unsealed(row["envelope"])
            if len(rows) < PAGE:
                return
            last = rows[-1]["id"]

    async def _add_checkpoints(self, bundle: BundleWriter, leaves: range) -> list[int]:
        """Adds the checkpoints around and within the leaves, each with its proof from the one before."""
        tenant, last_id = self._export.tenant_id, UUID(int=0)
        sizes: list[int] = []
        notes: list[tuple[int, str]] = []
        distance = 1 + len(leaves) // MAX_CHECKPOINTS
        while True:
            async with self._open() as connection:
                rows = await connection.fetch(
                    queries.checkpoints_between, tenant, leaves.start, leaves.stop, last_id, PAGE
                )
            for row in rows:
                last_id = row["id"]
                # Of checkpoints of one size the first says when it was reached; later ones only repeat it.
                grown = row["size"] - notes[-1][0] if notes else distance
                if grown >= distance or (grown and row["size"] == leaves.stop):
                    notes.append((row["size"], row["note"]))
            if len(rows) < PAGE:
                break
        async with self._open() as connection:
            newest = await connection.fetchrow(queries.newest_checkpoint, tenant)
        assert newest is not None
        if newest["size"] > leaves.stop:
            notes.append((newest["size"], newest["note"]))
        for size, note in notes:
            path = await self._prove(consistency_path(sizes[-1], size)) if sizes and sizes[-1] else None
            bundle.add_checkpoint(note, path)
            sizes.append(size)
        return sizes

    async def _inclusion_proofs(self, page: Sequence[asyncpg.Record], sizes: Sequence[int]) -> dict[int, list[bytes]]:
        """Returns the proof of each leaf in the first of the checkpoints that covers it."""
        paths = {
            row["index"]: inclusion_path(row["index"], next(size for size in sizes if size > row["index"]))
            for row in page
        }
        known = await self._hashes([segment for path in paths.values() for segment in path])
        return {index: proof(path, lambda level, position: known[level, position]) for index, path in paths.items()}

    def _add_event(
        self, bundle: BundleWriter, row: asyncpg.Record, texts: Mapping[str, RevealedPayload], path: list[bytes] | None
    ) -> None:
        if row["envelope"] is None:
            bundle.add_missing(row["index"], bytes(row["hash"]))
            return
        payloads: list[RevealedPayload | ErasedPayload] = []
        if self._export.reveal:
            named = orjson.loads(row["envelope"]).get("payloads", {})
            payloads = [texts.get(name) or ErasedPayload(name) for name in named]
        bundle.add_event(row["index"], row["envelope"], sealed_hash=bytes(row["hash"]), payloads=payloads, proof=path)

    async def _add_erasures(self, bundle: BundleWriter, leaves: range, last: int) -> None:
        """Adds erasures and archivings from outside the export; of later ones than its last checkpoint there is no proof."""
        start = leaves.stop if self._export.filters else leaves.start
        async with self._open() as connection:
            rows = await connection.fetch(queries.erasures_after, self._export.tenant_id, start, leaves.stop)
        for row in rows:
            if row["index"] < last:
                bundle.add_erasure(row["index"], row["envelope"], await self._prove(inclusion_path(row["index"], last)))

    async def _pages(self, leaves: range) -> AsyncIterator[list[asyncpg.Record]]:
        export, position = self._export, leaves.start
        while position < leaves.stop:
            async with self._open() as connection:
                page = await connection.fetch(
                    queries.leaves, export.tenant_id, position, leaves.stop, PAGE,
                    export.principal_id, export.action, export.outcome, export.document,
                )  # fmt: skip
            if page:
                yield page
            position = page[-1]["index"] + 1 if len(page) == PAGE else leaves.stop
            await self._report(position - leaves.start, len(leaves))

    async def _texts(self, page: Sequence[asyncpg.Record]) -> dict[UUID, dict[str, RevealedPayload]]:
        async with self._open() as connection:
            rows = await connection.fetch(
                queries.payloads_of_events, self._export.tenant_id, [row["event_id"] for row in page]
            )
        assert self._reader is not None
        texts: dict[UUID, dict[str, RevealedPayload]] = {}
        for row in rows:
            try:
                salt, text = await self._reader.decrypt(
                    row["key_id"], row["wrapped"], row["event_id"], row["name"], row["ciphertext"]
                )
            except PayloadInvalid:
                # Somebody changed it. What is exported cannot match the commitment either, and the verifier says so.
                salt, text = b"", ""
            texts.setdefault(row["event_id"], {})[row["name"]] = RevealedPayload(row["name"], salt, text)
        return texts

    async def _prove(self, path: Sequence[Segment]) -> list[bytes]:
        known = await self._hashes(path)
        return proof(path, lambda level, position: known[level, position])

    async def _hashes(self, path: Sequence[Segment]) -> dict[tuple[int, int], bytes]:
        places = [place for segment in path for place in segment]
        async with self._open() as connection:
            known = await read_nodes(connection, self._export.tenant_id, places)
        return {place: known.get(place, _GONE) for place in places}

    async def _write_lines(self, stream: BinaryIO, part: Part) -> int:
        """Writes one JSON object a line, the first of which describes the file."""
        stream.write(orjson.dumps(await self._header(part)) + b"\n")
        count = 0
        async for page in self._pages(part.leaves):
            texts = await self._texts(page) if self._export.reveal else {}
            for row in page:
                if row["envelope"] is not None:
                    line: dict[str, object] = {"leaf": row["index"], "event": orjson.loads(row["envelope"])}
                    if revealed := texts.get(row["event_id"]):
                        line["payloads"] = {name: payload.text for name, payload in revealed.items()}
                    stream.write(orjson.dumps(line) + b"\n")
                    count += 1
        return count

    async def _write_csv(self, stream: BinaryIO, part: Part) -> int:
        """Writes RFC 4180 with a first row that describes the file, and a second that names the columns."""
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([f"# {orjson.dumps(await self._header(part)).decode()}"])
        writer.writerow(CSV_COLUMNS)
        count = 0
        async for page in self._pages(part.leaves):
            for row in page:
                if row["envelope"] is not None:
                    writer.writerow([_cell(value) for value in _flat(row)])
                    count += 1
        text.detach()
        return count

    async def _header(self, part: Part) -> dict[str, object]:
        export, leaves = self._export, part.leaves
        async with self._open() as connection:
            rows = await connection.fetch(
                archives.queries.archives_of_leaves, export.tenant_id, leaves.start, leaves.stop
            )
        archived = [
            {"month": f"{row['month']:%Y-%m}", "leaves": [row["first_leaf"], row["end_leaf"]], "sha256": row["sha256"].hex()}
            for row in rows
        ]  # fmt: skip
        return {
            "schema": f"affidavit-{export.format}/1", "tenant": str(export.tenant_id), "from": timestamp(export.begin),
            "to": timestamp(export.end), "filters": export.filters, "first_leaf": leaves.start, "end_leaf": leaves.stop,
            "archived": archived,
            "part": part.number, "parts": part.of, "truncated": part.of > 1, "proves": "nothing; export a bundle for proofs",
        }  # fmt: skip


def _flat(row: asyncpg.Record) -> list[object]:
    event = orjson.loads(row["envelope"])
    principal = event["principal"]
    return [
        row["index"], event["id"], event["time"], event["action"], event["outcome"], event.get("reason", ""),
        principal.get("id", ""), principal["kind"], event["request_id"], event.get("source", ""),
    ]  # fmt: skip


def _cell(value: object) -> str:
    """Returns the text of a cell. A spreadsheet would run one that starts like a formula."""
    text = str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
