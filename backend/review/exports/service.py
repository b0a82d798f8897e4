"""Writes exports of a tenant's log: a bundle that the offline verifier proves, JSON lines, or CSV.

An export reads page by page, each in a transaction of its own bound to whoever asked for it: a long one holds back neither
the vacuum nor the sealer, and ends when its caller loses the permission.
"""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import BinaryIO
from uuid import UUID

import orjson

from backend.audit.details import timestamp
from backend.audit.indexer import index_own_events
from backend.audit.payloads import PayloadVault
from backend.database import Queries
from backend.ledger.bundle import BundleScope, BundleWriter, ErasedPayload, RevealedPayload
from backend.ledger.merkle import Frontier, consistency_path, frontier_nodes, inclusion_path, proof
from backend.review.events.service import first_id_at
from backend.review.exports import plain
from backend.review.exports.envelopes import one_line, payload_names
from backend.review.exports.export import Export, ExportFormat
from backend.review.exports.growth import extensions
from backend.review.exports.leaves import PAGE, ArchivedLeaves, LeafReader, LeafRow, Open, Report
from backend.review.exports.parts import LeafPart, split

queries = Queries.beside(__file__)

# The most checkpoints in a bundle, since to verify a signature takes as long as to verify ten events.
MAX_CHECKPOINTS = 2_000


class NothingSealed(Exception):
    """The log has no checkpoint yet, so there is nothing to export."""


class Exporter:
    """Writes one export to a stream."""

    def __init__(self, open_transaction: Open, vault: PayloadVault | None, export: Export, report: Report) -> None:
        """`report` is told the numbers of leaves that are read and that are to be read; `vault` opens what is revealed."""
        self._open = open_transaction
        self._export = export
        self._read = LeafReader(open_transaction, export, vault.reader(export.tenant_id) if vault else None, report)

    async def parts(self, limit: int) -> list[LeafPart]:
        """Returns the parts of the export, of about `limit` leaves each; raises NothingSealed."""
        leaves = await self._leaves()
        async with self._open() as connection:
            return await split(connection, self._export.tenant_id, leaves, self._export.begin, self._export.end, limit)

    async def write(self, stream: BinaryIO, part: LeafPart) -> int:
        """Writes one part of the export and returns the number of its events."""
        if self._export.format is ExportFormat.BUNDLE:
            return await self._write_bundle(stream, part)
        if self._export.format is ExportFormat.JSONL:
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

    async def _write_bundle(self, stream: BinaryIO, part: LeafPart) -> int:
        export, leaves, frontier = self._export, part.leaves, None
        if not export.filters:
            hashes = await self._read.hashes([frontier_nodes(leaves.start)]) if leaves.start else {}
            places = frontier_nodes(leaves.start) if leaves.start else ()
            frontier = Frontier(leaves.start, [hashes[place] for place in places])
        scope = BundleScope(
            tenant=str(export.tenant_id), begin=part.begin, end=part.end, leaves=leaves, frontier=frontier,
            filters=export.filters, revealed=export.reveal,
        )  # fmt: skip
        count = 0
        with BundleWriter(stream, scope) as bundle:
            sizes = await self._add_checkpoints(bundle, leaves)
            async for page in self._read.pages(leaves):
                texts = await self._read.texts(page) if export.reveal else {}
                proofs = await self._inclusion_proofs(page, sizes) if frontier is None else {}
                for row in page:
                    self._add_event(bundle, row, texts.get(row.event_id, {}), proofs.get(row.index))
                count += len(page)
            await self._add_erasures(bundle, leaves, max(sizes, default=0))
            await self._add_declarations(bundle)
            await self._add_handovers(bundle)
            if frontier is not None and part.number == part.of:
                await self._add_unsealed(bundle)
        return count

    async def _add_declarations(self, bundle: BundleWriter) -> None:
        async with self._open() as connection:
            rows = await connection.fetch(queries.declarations, self._export.tenant_id)
        for row in rows:
            bundle.add_declaration(row["note"])

    async def _add_handovers(self, bundle: BundleWriter) -> None:
        """Adds what lets a reviewer who trusts one key of the log learn the others."""
        async with self._open() as connection:
            rows = await connection.fetch(queries.handovers)
        for row in rows:
            bundle.add_handover(row["note"])

    async def _add_unsealed(self, bundle: BundleWriter) -> None:
        """Adds the events of the period that are not sealed; the verifier reports all but the newest as gaps in the log."""
        last, end = first_id_at(self._export.begin), first_id_at(self._export.end)
        while True:
            async with self._open() as connection:
                rows = await connection.fetch(queries.unsealed_events, self._export.tenant_id, last, end, PAGE)
            for row in rows:
                bundle.add_unsealed(one_line(row["envelope"]))
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
                # The first checkpoint of a size says when the log reached it; later ones of that size add nothing.
                grown = row["size"] - notes[-1][0] if notes else distance
                if grown >= distance or (grown and row["size"] == leaves.stop):
                    notes.append((row["size"], row["note"]))
            if len(rows) < PAGE:
                break
        async with self._open() as connection:
            newest = await connection.fetchrow(queries.newest_checkpoint, tenant)
        if newest is not None and newest["size"] > leaves.stop:
            notes.append((newest["size"], newest["note"]))
        extends = await extensions(self._open, [note for _, note in notes])
        for (size, note), extension in zip(notes, extends, strict=True):
            grows = sizes and 0 < sizes[-1] <= size
            path = await self._read.prove(consistency_path(sizes[-1], size)) if grows else None
            bundle.add_checkpoint(note, path, extension)
            sizes.append(size)
        return sizes

    async def _inclusion_proofs(self, page: Sequence[LeafRow], sizes: Sequence[int]) -> dict[int, list[bytes]]:
        """Returns the proof of each leaf in the first of the checkpoints that covers it, if one does."""
        covered = {row.index: next((size for size in sizes if size > row.index), 0) for row in page}
        paths = {index: inclusion_path(index, size) for index, size in covered.items() if size}
        known = await self._read.hashes([segment for path in paths.values() for segment in path])
        return {index: proof(path, lambda level, position: known[level, position]) for index, path in paths.items()}

    def _add_event(
        self, bundle: BundleWriter, row: LeafRow, texts: Mapping[str, RevealedPayload], path: list[bytes] | None
    ) -> None:
        if row.envelope is None:
            bundle.add_missing(row.index, row.hash)
            return
        payloads: list[RevealedPayload | ErasedPayload] = []
        if self._export.reveal:
            payloads = [texts.get(name) or ErasedPayload(name) for name in payload_names(row.envelope)]
        envelope, sealed = one_line(row.envelope), row.hash
        bundle.add_event(row.index, envelope, sealed_hash=sealed, payloads=payloads, proof=path)

    async def _add_erasures(self, bundle: BundleWriter, leaves: range, last: int) -> None:
        """Adds erasures and archivings from outside the export; of later ones than its last checkpoint there is no proof."""
        start = leaves.stop if self._export.filters else leaves.start
        async with self._open() as connection:
            rows = await connection.fetch(queries.erasures_after, self._export.tenant_id, start, leaves.stop)
        for row in rows:
            if row["index"] < last:
                path = await self._read.prove(inclusion_path(row["index"], last))
                bundle.add_erasure(row["index"], one_line(row["envelope"]), path)

    async def _write_lines(self, stream: BinaryIO, part: LeafPart) -> int:
        """Writes one JSON object a line, the first of which describes the file."""
        archived = await self._read.archived(part.leaves)
        stream.write(orjson.dumps(self._header(part, archived)) + b"\n")
        count = 0
        async for page in self._told(part.leaves, archived):
            rows = [told for told in page if not isinstance(told, range)]
            texts = await self._read.texts(rows) if self._export.reveal else {}
            stream.writelines(plain.line(told, texts) for told in page)
            count += sum(row.envelope is not None for row in rows)
        return count

    async def _write_csv(self, stream: BinaryIO, part: LeafPart) -> int:
        """Writes RFC 4180 with a first row that describes the file, and a second that names the columns."""
        archived = await self._read.archived(part.leaves)
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([f"# {orjson.dumps(self._header(part, archived)).decode()}"])
        writer.writerow(plain.CSV_COLUMNS)
        count = 0
        async for page in self._told(part.leaves, archived):
            writer.writerows(map(plain.cells, page))
            count += sum(not isinstance(told, range) and told.envelope is not None for told in page)
        text.detach()
        return count

    async def _told(self, leaves: range, archived: Sequence[ArchivedLeaves]) -> AsyncIterator[list[LeafRow | range]]:
        """Yields, page by page, the leaves that a plain file tells of, and ranges of those that somebody removed.

        Leaves that left for an archive are passed over: the file's first line says which.
        """
        expected, whole = leaves.start, not self._export.filters
        async for page in self._read.pages(leaves):
            told: list[LeafRow | range] = []
            for row in page:
                if whole and row.index > expected:
                    told.append(range(expected, row.index))
                expected = row.index + 1
                left = any(archive.first_leaf <= row.index < archive.end_leaf for archive in archived)
                if row.envelope is not None or not left:
                    told.append(row)
            yield told
        if whole and expected < leaves.stop:
            yield [range(expected, leaves.stop)]

    def _header(self, part: LeafPart, archived: Sequence[ArchivedLeaves]) -> dict[str, object]:
        export, leaves = self._export, part.leaves
        files = [
            {"month": f"{row.month:%Y-%m}", "leaves": [row.first_leaf, row.end_leaf], "sha256": row.sha256.hex()}
            for row in archived
        ]  # fmt: skip
        return {
            "schema": f"affidavit-{export.format}/1", "tenant": str(export.tenant_id), "from": timestamp(export.begin),
            "to": timestamp(export.end), "filters": export.filters, "first_leaf": leaves.start, "end_leaf": leaves.stop,
            "archived": files,
            "part": part.number, "parts": part.of, "truncated": part.of > 1, "proves": "nothing; export a bundle for proofs",
        }  # fmt: skip
