"""Verifies a tenant's log in the live database, in memory that does not grow with it.

What is evidence is exported, part by part, and given to the offline verifier, so that every check has one implementation.
What the database holds beside it (nodes, archives, indexes, keys) is then compared with the evidence.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from backend.audit.indexer import index_own_events
from backend.audit.payloads import PayloadVault
from backend.database import Connection, fetch_row
from backend.ledger import verifier
from backend.ledger.verifier import Kind, Report
from backend.review.events.service import first_id_at
from backend.review.exports.export import Export, ExportFormat
from backend.review.exports.parts import LeafPart
from backend.review.exports.service import Exporter
from backend.review.verification.beside import Beside, LogEdge, queries

Open = Callable[[], AbstractAsyncContextManager[Connection]]
Progress = Callable[[int, int], Awaitable[None]]

# Of one temporary file, which is deleted before the next is written.
PART_LEAVES = 200_000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LiveLog:
    """The log of a tenant, read in transactions that `open_transaction` opens, each with audit:read.

    `keys` verify checkpoints and `kept` are some that were kept outside. With a `vault` texts are opened and compared with
    what was committed to, which takes audit:reveal.
    """

    open_transaction: Open
    tenant_id: UUID
    keys: str
    kept: Sequence[str] = ()
    vault: PayloadVault | None = None
    part_leaves: int = PART_LEAVES

    async def verify(self, progress: Progress) -> Report:
        """Returns what was found; `progress` is told how many leaves were read, of how many.

        It looks again if texts were erased or a month left meanwhile, which would look like tampering to who sees half of it.
        """
        while True:
            began = first_id_at(datetime.now(UTC))
            report = await self._verify(progress)
            async with self.open_transaction() as connection:
                shrank = await connection.fetchval(queries.shrank_since, self.tenant_id, began)
            if not (shrank and convicting(report)):
                return report

    async def _verify(self, progress: Progress) -> Report:
        async with self.open_transaction() as connection:
            edge = await fetch_row(connection, LogEdge, queries.edge, self.tenant_id)
            await index_own_events(connection)
        assert edge is not None
        report, size = Report(tenant=str(self.tenant_id)), edge.known_size
        report.leaves = range(size)
        await self._verify_evidence(edge, report, lambda done: progress(done, 2 * size))
        beside = Beside(self.open_transaction, self.tenant_id, report, texts=self.vault is not None)
        await beside.check(edge, lambda done: progress(size + done, 2 * size))
        return report

    async def _verify_evidence(self, edge: LogEdge, report: Report, progress: Callable[[int], Awaitable[None]]) -> None:
        if edge.signed_at is None:
            return

        async def read(start: int, done: int, _leaves: int) -> None:
            await progress(start + done)

        export = Export(
            self.tenant_id, _BEGINNING, edge.signed_at, ExportFormat.BUNDLE, reveal=self.vault is not None
        )  # fmt: skip
        for part in await Exporter(self.open_transaction, self.vault, export, partial(read, 0)).parts(self.part_leaves):
            exporter = Exporter(self.open_transaction, self.vault, export, partial(read, part.leaves.start))
            _add(await self._verify_part(exporter, part), report)

    async def _verify_part(self, exporter: Exporter, part: LeafPart) -> Report:
        with tempfile.NamedTemporaryFile(prefix="affidavit-verification-") as bundle:
            await exporter.write(bundle, part)  # type: ignore[arg-type]
            bundle.flush()
            return await asyncio.to_thread(verifier.verify, bundle.name, self.keys, known=self.kept)


def convicting(report: Report) -> int:
    """Returns how many findings convict."""
    return sum(report.counts[kind] for kind in verifier.CONVICTING)


def _add(part: Report, report: Report) -> None:
    for finding in part.findings:
        report.add(Kind(finding.kind), finding.subject, finding.detail)
    report.counts.update({kind: max(0, count - verifier.MAX_SHOWN) for kind, count in part.counts.items()})
    report.events += part.events
