"""Re-runs a recorded retrieval at its own moment, and says whether it finds the same, and if not, why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from backend.audit.events import Action, Event
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.identity.callers.principals import readable_at
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.ranking.reranker import Reranking
from backend.retrieval.stages import Question, embed
from backend.retrieval.weights import UNRECORDED, Weights
from backend.review.events import service as audit
from backend.review.replay.models import Cause, Difference, Knowledge, Replay, ReplayedChunk, ReplayRequest
from backend.tenancy import Tenancy

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A retrieval as its event and payloads tell it."""

    event_id: UUID
    time: datetime
    principal_id: UUID | None
    readable: frozenset[UUID]
    lists_all_readable: bool
    moment: datetime
    known_at: datetime
    embedding_model: str
    request: Mapping[str, Any]
    idf: Mapping[int, float]
    reranking: Reranking | None
    weights: Weights
    chunks: Sequence[ReplayedChunk]


@dataclass(frozen=True, slots=True)
class Replaying:
    """Replays retrievals for reviewers."""

    tenancy: Tenancy
    recorder: Recorder
    vault: PayloadVault
    retrieval: Retrieval

    async def replay(self, reviewer: Caller, event_id: UUID, wanted: ReplayRequest) -> Replay:
        """Returns what the retrieval finds, compared; recorded. Raises NotFound, and Conflict for what is no retrieval."""
        async with self.tenancy.transaction(reviewer.claims()) as connection:
            recorded = await _recorded(connection, reviewer, self.vault, event_id)
        readable_now = await self._readable_at(reviewer, recorded, datetime.now(UTC))
        if not recorded.lists_all_readable:
            recorded = replace(recorded, readable=await self._readable_at(reviewer, recorded, recorded.time))
        known_at = recorded.known_at if wanted.knowledge is Knowledge.THEN else None
        request = RetrievalRequest.model_validate({**recorded.request, "as_of": recorded.moment, "known_at": known_at})
        question = await embed(request, self.retrieval.embedder, recorded.weights)
        # Searched as the recorded caller was or is: what comes out of it are ids and ranks, as in the recorded event.
        searcher = replace(reviewer, readable=recorded.readable if wanted.as_caller_then else readable_now)
        found = await self._found(searcher, question, recorded)
        async with self.tenancy.transaction(reviewer.claims()) as connection:
            ids = [chunk.chunk_id for chunk in (*recorded.chunks, *found)]
            states = await self._states(connection, reviewer, recorded.readable | readable_now, ids, recorded.moment)
            comparison = Comparison(recorded, question, found, searcher.readable, readable_now, states)
            replay = comparison.replay(wanted)
            await self.recorder.record(connection, reviewer, _event(wanted, replay))
        return replay

    async def _found(self, searcher: Caller, question: Question, recorded: Recorded) -> list[ReplayedChunk]:
        try:
            ranking = await self.retrieval.repeat(searcher, question, recorded.idf, recorded.reranking)
        except NotFound:  # the collection that was asked for is closed to the caller
            return []
        return [
            ReplayedChunk(
                chunk_id=hit.chunk_id, doc_id=hit.doc_id, document_version=hit.version, page=hit.span.page_start,
                sha256=hit.sha256, rank=rank,
            )
            for rank, hit in enumerate(ranking.hits, start=1)
        ]  # fmt: skip

    async def _readable_at(self, reviewer: Caller, recorded: Recorded, moment: datetime) -> frozenset[UUID]:
        """Returns what the recorded caller could read at a moment; grants are seen by whom they are given to."""
        theirs = replace(
            reviewer.claims(), principal_id=recorded.principal_id, permissions=(), readable=(), writable=()
        )
        async with self.tenancy.transaction(theirs) as connection:
            return await readable_at(connection, reviewer.tenant_id, recorded.principal_id, moment)

    async def _states(
        self, connection: Connection, reviewer: Caller, readable: frozenset[UUID], ids: Sequence[UUID], moment: datetime
    ) -> dict[UUID, asyncpg.Record]:
        """Returns what became of chunks.

        To tell an erased chunk from a withdrawn one, all versions must be seen: for this query, which returns no text, the
        transaction may see what reviewers of documents do.
        """
        claims = replace(reviewer.claims(), readable=readable, permissions=[Permission.DOCUMENTS_REVIEW])
        await self.tenancy.bind(connection, claims)
        rows = await connection.fetch(queries.chunk_states, reviewer.tenant_id, list(ids), moment)
        await self.tenancy.bind(connection, reviewer.claims())
        return {row["id"]: row for row in rows}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A recorded retrieval beside what it finds now, and what is needed to explain the differences."""

    recorded: Recorded
    question: Question
    found: Sequence[ReplayedChunk]
    searched: frozenset[UUID]
    readable_now: frozenset[UUID]
    states: Mapping[UUID, asyncpg.Record]

    def replay(self, wanted: ReplayRequest) -> Replay:
        """Returns the comparison as reviewers see it."""
        differences = self._differences()
        return Replay(
            event_id=self.recorded.event_id, outcome="differs" if differences else "equal",
            as_of=self.recorded.moment, known_at=self.question.request.known_at, as_caller_then=wanted.as_caller_then,
            reasons=sorted({difference.why for difference in differences}), changed_since=sorted(self._changes()),
            then=list(self.recorded.chunks), now=list(self.found), differences=differences,
        )  # fmt: skip

    def _differences(self) -> list[Difference]:
        then = {chunk.chunk_id: chunk for chunk in self.recorded.chunks}
        now = {chunk.chunk_id: chunk for chunk in self.found}
        return [
            Difference(
                chunk_id=chunk.chunk_id, doc_id=chunk.doc_id, document_version=chunk.document_version,
                rank_then=then[identifier].rank if identifier in then else None,
                rank_now=now[identifier].rank if identifier in now else None,
                why=self._why(identifier, then.get(identifier), now.get(identifier)),
            )
            for identifier, chunk in {**now, **then}.items()
            if then.get(identifier) != now.get(identifier)
        ]  # fmt: skip

    def _why(self, identifier: UUID, then: ReplayedChunk | None, now: ReplayedChunk | None) -> Cause:
        state = self.states.get(identifier)
        if state is None:
            return Cause.ERASED
        if now is None and state["collection_id"] not in self.searched:
            return Cause.GRANT_CHANGED
        if then is None and state["collection_id"] not in self.recorded.readable:
            return Cause.GRANT_CHANGED
        if self.question.request.known_at is None:
            if now is None and not state["covers"]:
                return Cause.VERSION_WITHDRAWN if state["status"] == "retired" else Cause.VERSION_SUPERSEDED
            if then is None and state["recorded_at"] > self.recorded.known_at:
                return Cause.VERSION_ADDED
        return Cause.MODEL_CHANGED if self._model_changed else Cause.RANKING_CHANGED

    def _changes(self) -> set[Cause]:
        """Returns what has happened since to the chunks that were found then, whether or not it shows."""
        changes = {Cause.MODEL_CHANGED} if self._model_changed else set()
        for chunk in self.recorded.chunks:
            state = self.states.get(chunk.chunk_id)
            if state is None:
                changes.add(Cause.ERASED)
            elif state["has_ended"]:
                changes.add(Cause.VERSION_WITHDRAWN if state["status"] == "retired" else Cause.VERSION_SUPERSEDED)
            if state is not None and state["collection_id"] not in self.readable_now:
                changes.add(Cause.GRANT_CHANGED)
        return changes

    @property
    def _model_changed(self) -> bool:
        return self.question.model != self.recorded.embedding_model


async def _recorded(connection: Connection, reviewer: Caller, vault: PayloadVault, event_id: UUID) -> Recorded:
    envelope, payloads = await audit.open_event(connection, reviewer, vault, event_id)
    details = envelope.get("retrieval")
    if (
        envelope["action"] != Action.RETRIEVAL_EXECUTED
        or details is None
        or ("reading" in details and "known_at" not in details)
    ):
        raise Conflict("Only a retrieval that was shown to somebody can be replayed.", reason="replay:no_retrieval")
    if "query" not in payloads:
        raise Conflict("The question was erased.", reason="replay:erased")
    chunks = orjson.loads(payloads["chunks"]) if "chunks" in payloads else details["chunks"]
    named = ("mode", "k", "source_type", "collection", "language", "distinct")
    principal = envelope["principal"]
    time = datetime.fromisoformat(envelope["time"])
    return Recorded(
        event_id=event_id,
        time=time,
        principal_id=UUID(principal["id"]) if "id" in principal else None,
        readable=frozenset(map(UUID, principal["collections"])),
        lists_all_readable=len(principal["collections"]) == principal["collection_count"],
        moment=datetime.fromisoformat(details["as_of"]) if "as_of" in details else time,
        known_at=datetime.fromisoformat(details["known_at"]) if "known_at" in details else time,
        embedding_model=details["embedding_model"],
        request={"query": payloads["query"], **{name: details[name] for name in named if name in details}}
        | {"diversity": details.get("diversity_micros", 0) / 1_000_000}
        | orjson.loads(payloads.get("filters", "{}")),
        reranking=_reranking(details, payloads),
        weights=_weights(details),
        idf={int(dimension): weight for dimension, weight in orjson.loads(payloads["term_weights"]).items()},
        chunks=[
            ReplayedChunk(
                chunk_id=chunk["id"], doc_id=chunk["doc_id"], document_version=chunk["version"],
                page=chunk.get("page"), sha256=chunk["sha256"], rank=chunk["rank"],
            )
            for chunk in chunks
        ],
    )  # fmt: skip


def _weights(details: Mapping[str, Any]) -> Weights:
    """Returns how the parts of a score counted then."""
    told = details.get("weights")
    if told is None:
        return UNRECORDED
    return Weights(told["lexical_micros"] / 1_000_000, told["page_micros"] / 1_000_000)


def _reranking(details: Mapping[str, Any], payloads: Mapping[str, str]) -> Reranking | None:
    """Returns what the reranker said then; it is not asked again."""
    if "reranking" not in details:
        return None
    scores = {UUID(chunk): micros for chunk, micros in orjson.loads(payloads.get("reranking", "{}")).items()}
    return Reranking(details["reranking"]["model"], scores, UUID(details["reranking"]["submitted"]))


def _event(wanted: ReplayRequest, replay: Replay) -> Event:
    details = {
        "event": str(replay.event_id), "outcome": replay.outcome, "reasons": list(replay.reasons),
        "as_caller_then": wanted.as_caller_then, "knowledge": wanted.knowledge,
    }  # fmt: skip
    return Event(Action.RETRIEVAL_REPLAYED, details={"replay": details}, payloads={"reason": wanted.reason})
