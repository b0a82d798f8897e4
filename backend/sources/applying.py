"""Lets in what a run found, in the one transaction that ends it: versions into review, other names, and what is gone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.collections.models import CollectionView
from backend.documents.files import uploads
from backend.documents.versions import leaving
from backend.documents.versions.service import list_documents
from backend.errors import ServiceError
from backend.identity.callers.caller import Caller
from backend.sources.connector import Seen
from backend.sources.erased import take_out_erased
from backend.sources.fetching import Looked, StagedItem
from backend.sources.plan import KnownItem, Plan, doc_id_of, key_hash
from backend.sources.report import OF_THE_FILE, RunReport
from backend.sources.stored import StoredSource
from backend.tenancy import Renewal

queries = Queries.beside(__file__, source=StoredSource, item=KnownItem)

_NOTHING = (None,) * 6
"""What stays of one that was erased: neither key, path, name, tag, content nor document."""


@dataclass(slots=True, kw_only=True)
class Applying:
    """Lets in what one run found."""

    connection: Connection
    caller: Caller
    recorder: Recorder
    source: StoredSource
    collection: CollectionView
    renew: Renewal
    report: RunReport = field(default_factory=RunReport)
    refused_files: list[UUID] = field(default_factory=list)  # that are still kept aside
    known_files: list[UUID] = field(default_factory=list)  # of which the document has a version already

    async def apply(self, plan: Plan, looked: Looked, *, accept_gone: bool) -> RunReport:
        """Returns what came of it; raises SourceFailed when too much is gone, and nothing must be committed then."""
        left, files = await take_out_erased(self.connection, self.caller, plan, looked)
        self.refused_files += files
        for seen in left:
            self.report.tell("refused", None, reason="erased")
            await self.connection.execute(queries.put_item, *self._own, key_hash(seen.key), *_NOTHING, "erased", None)
        renamed = {item.key_sha256 for item, _, _ in looked.renamed}
        plan.gone = [item for item in [*plan.gone, *looked.gone] if item.key_sha256 not in renamed]
        if not accept_gone:
            plan.check_gone()
        self.report.counts["unchanged"] += plan.unchanged - len(plan.moved)
        self.report.counts["left"] += looked.left
        for staged in looked.staged:
            await self._let_in(staged)
        await self._note_others(plan, looked)
        if looked.left_new == 0:  # else what is gone here may be what was left there, under another name
            for item in plan.gone:
                await self._note_gone(item)
            for document_id in plan.still_gone:  # what nobody joined within a week is asked for again
                await self._ask_retirement(document_id)
        return self.report

    async def _note_others(self, plan: Plan, looked: Looked) -> None:
        """Notes files of which no version is made: those that are refused, are the same, or have another name."""
        for seen, reason in plan.refused:
            self.report.tell("refused", seen.path, reason=reason)
        for seen, item, reason in looked.refused:
            await self._refuse(seen, item, reason)
        for item, seen, tag in looked.same:
            await self._note_same(item, seen, tag)
        for former, seen, tag in looked.renamed:
            await self._rename(former, seen, tag)
        for item, seen in plan.moved:
            await self._rename(item, seen, item.tag)

    async def _let_in(self, staged: StagedItem) -> None:
        """Has a version made of a file, which lands in review."""
        await self.renew()
        seen, item = staged.seen, staged.item
        doc_id = item.doc_id if item is not None and item.doc_id is not None else doc_id_of(seen.path)
        if await self._is_taken(doc_id, item.document_id if item is not None else None):
            self.refused_files.append(staged.stored.id)
            await self._refuse(seen, item, "name_taken")
            return
        attributes = {
            **self.source.metadata, "doc_id": doc_id, "source_type": self.source.source_type, "replace": True,
        }  # fmt: skip
        try:
            async with self.connection.transaction():
                bound = await uploads.bind(
                    self.connection, self.caller, self.recorder, staged.stored.id, self.collection, attributes
                )
        except ServiceError as error:
            self.refused_files.append(staged.stored.id)
            await self._refuse(seen, item, error.reason.replace(":", "_"))
            return
        accepted = bound.accepted
        if not accepted.accepted:
            self.known_files.append(staged.stored.id)
        if item is not None and item.state == "gone" and item.document_id is not None:
            await leaving.take_back_retirement(self.connection, self.caller, self.recorder, item.document_id)
        await self._put(seen, doc_id, staged.tag, staged.stored.sha256, accepted.document_id, "present", None)
        change = "new" if item is None or item.document_id is None else "changed"
        self.report.tell(change, seen.path, document=accepted.document_id)

    async def _is_taken(self, doc_id: str, own: UUID | None) -> bool:
        """Tells whether somebody else keeps a document of this name in the collection, which no source takes over."""
        page = await list_documents(
            self.connection, self.caller, collection=self.collection.slug, doc_id=doc_id, limit=1, cursor=None
        )
        return any(document.id != own for document in page.documents)

    async def _refuse(self, seen: Seen, item: KnownItem | None, reason: str) -> None:
        """Keeps why a file was refused, so that it is asked for again only when it is another."""
        self.report.tell("refused", seen.path, reason=reason)
        doc_id = item.doc_id if item is not None else doc_id_of(seen.path)
        sha256, document = (item.content_sha256, item.document_id) if item is not None else (None, None)
        tag = seen.tag if reason in OF_THE_FILE else None
        await self._put(seen, doc_id, tag, sha256, document, "refused", reason)

    async def _note_same(self, item: KnownItem, seen: Seen, tag: str | None) -> None:
        await self._put(seen, item.doc_id, tag or seen.tag, item.content_sha256, item.document_id, "present", None)
        if seen.path == item.path:
            self.report.counts["unchanged"] += 1
        else:
            self.report.tell("renamed", seen.path, document=item.document_id)

    async def _rename(self, former: KnownItem, seen: Seen, tag: str | None) -> None:
        """Follows a file to its new place; the document, and what is cited of it, keeps its name."""
        if key_hash(seen.key) != former.key_sha256:
            await self.connection.execute(queries.forget_item, *self._own, former.key_sha256)
        await self._put(
            seen, former.doc_id, tag or seen.tag, former.content_sha256, former.document_id, "present", None
        )
        self.report.tell("renamed", seen.path, document=former.document_id)

    async def _note_gone(self, item: KnownItem) -> None:
        """Asks that the document be retired; one that never was in force is left to its reviewers."""
        self.report.tell("gone", item.path, document=item.document_id)
        if item.document_id is None:
            await self.connection.execute(queries.forget_item, *self._own, item.key_sha256)
            return
        await self._ask_retirement(item.document_id)
        await self.connection.execute(
            queries.put_item, *self._own, item.key_sha256, item.key, item.path, item.doc_id, None, item.content_sha256,
            item.document_id, "gone", None,
        )  # fmt: skip

    async def _ask_retirement(self, document_id: UUID) -> None:
        await self.renew()
        asked = await leaving.ask_retirement(self.connection, self.caller, self.recorder, document_id)
        self.report.counts["retirements_asked"] += asked

    @property
    def _own(self) -> Sequence[UUID]:
        return (self.caller.tenant_id, self.source.id)

    async def _put(
        self, seen: Seen, doc_id: str | None, tag: str | None, sha256: bytes | None, document: UUID | None, state: str,
        reason: str | None,
    ) -> None:  # fmt: skip
        await self.connection.execute(
            queries.put_item, *self._own, key_hash(seen.key), seen.key, seen.path, doc_id, tag, sha256, document, state, reason,
        )  # fmt: skip
