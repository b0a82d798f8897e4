"""Re-runs a recorded retrieval at its own moment, and says whether it finds the same, and if not, why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from backend.audit.actions.retrieval import RecordedChunk, RecordedRetrieval, RetrievalExecuted, RetrievalReplayed
from backend.audit.events import Event
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_rows
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.identity.callers.principals import readable_at
from backend.retrieval.ask import Retrieval
from backend.retrieval.discretion import Discretion
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.ranking.reranker import MICROS, Reranking
from backend.retrieval.stages import Question, embed
from backend.retrieval.weights import UNRECORDED, Weights
from backend.review.events import service as audit
from backend.review.replay.models import Cause, Knowledge, Replay, ReplayDifference, ReplayedChunk, ReplayRequest
from backend.tenancy import Tenancy

queries = Queries.beside(__file__)

_NO_RETRIEVAL = "Only a retrieval that was shown to somebody can be replayed."
_CHUNKS = TypeAdapter(Sequence[RecordedChunk])


@dataclass(frozen=True, slots=True)
class ChunkState:
    """What became of a chunk: whether its version covers a moment or has ended, and since when that version was known."""

    id: UUID
    collection_id: UUID
    status: str
    has_ended: bool
    covers: bool
    recorded_at: datetime | None


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
        discretion = Discretion(self.retrieval.pseudonym_keys.of_tenant(reviewer.tenant_id))
        question = await embed(request, self.retrieval.embedder, recorded.weights, discretion)
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
    ) -> dict[UUID, ChunkState]:
        """Returns what became of chunks.

        To tell an erased chunk from a withdrawn one, all versions must be seen: for this query, which returns no text, the
        transaction may see what reviewers of documents do.
        """
        claims = replace(reviewer.claims(), readable=readable, permissions=[Permission.DOCUMENTS_REVIEW])
        await self.tenancy.bind(connection, claims)
        states = await fetch_rows(connection, ChunkState, queries.chunk_states, reviewer.tenant_id, list(ids), moment)
        await self.tenancy.bind(connection, reviewer.claims())
        return {state.id: state for state in states}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A recorded retrieval beside what it finds now, and what is needed to explain the differences."""

    recorded: Recorded
    question: Question
    found: Sequence[ReplayedChunk]
    searched: frozenset[UUID]
    readable_now: frozenset[UUID]
    states: Mapping[UUID, ChunkState]

    def replay(self, wanted: ReplayRequest) -> Replay:
        """Returns the comparison as reviewers see it."""
        differences = self._differences()
        return Replay(
            event_id=self.recorded.event_id, outcome="differs" if differences else "equal",
            as_of=self.recorded.moment, known_at=self.question.request.known_at, as_caller_then=wanted.as_caller_then,
            reasons=sorted({difference.why for difference in differences}), changed_since=sorted(self._changes()),
            then=list(self.recorded.chunks), now=list(self.found), differences=differences,
        )  # fmt: skip

    def _differences(self) -> list[ReplayDifference]:
        then = {chunk.chunk_id: chunk for chunk in self.recorded.chunks}
        now = {chunk.chunk_id: chunk for chunk in self.found}
        return [
            ReplayDifference(
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
        if now is None and state.collection_id not in self.searched:
            return Cause.GRANT_CHANGED
        if then is None and state.collection_id not in self.recorded.readable:
            return Cause.GRANT_CHANGED
        if self.question.request.known_at is None:
            if now is None and not state.covers:
                return Cause.VERSION_WITHDRAWN if state.status == "retired" else Cause.VERSION_SUPERSEDED
            if then is None and state.recorded_at and state.recorded_at > self.recorded.known_at:
                return Cause.VERSION_ADDED
        return Cause.MODEL_CHANGED if self._model_changed else Cause.RANKING_CHANGED

    def _changes(self) -> set[Cause]:
        """Returns what has happened since to the chunks that were found then, whether or not it shows."""
        changes = {Cause.MODEL_CHANGED} if self._model_changed else set()
        for chunk in self.recorded.chunks:
            state = self.states.get(chunk.chunk_id)
            if state is None:
                changes.add(Cause.ERASED)
            elif state.has_ended:
                changes.add(Cause.VERSION_WITHDRAWN if state.status == "retired" else Cause.VERSION_SUPERSEDED)
            if state is not None and state.collection_id not in self.readable_now:
                changes.add(Cause.GRANT_CHANGED)
        return changes

    @property
    def _model_changed(self) -> bool:
        return self.question.model != self.recorded.embedding_model


async def _recorded(connection: Connection, reviewer: Caller, vault: PayloadVault, event_id: UUID) -> Recorded:
    envelope, payloads = await audit.open_event(connection, reviewer, vault, event_id)
    try:
        told = RetrievalExecuted.of(envelope).retrieval
    except ValueError as error:
        raise Conflict(_NO_RETRIEVAL, reason="replay:no_retrieval") from error
    if told.reading is not None and told.known_at is None:
        raise Conflict(_NO_RETRIEVAL, reason="replay:no_retrieval")
    if "query" not in payloads:
        raise Conflict("The question was erased.", reason="replay:erased")
    chunks = _CHUNKS.validate_json(payloads["chunks"]) if "chunks" in payloads else told.chunks
    principal = envelope["principal"]
    time = datetime.fromisoformat(envelope["time"])
    return Recorded(
        event_id=event_id,
        time=time,
        principal_id=UUID(principal["id"]) if "id" in principal else None,
        readable=frozenset(map(UUID, principal["collections"])),
        lists_all_readable=len(principal["collections"]) == principal["collection_count"],
        moment=told.as_of or time,
        known_at=told.known_at or time,
        embedding_model=told.embedding_model,
        request=_request(told, payloads),
        reranking=_reranking(told, payloads),
        weights=_weights(told),
        idf={int(dimension): weight for dimension, weight in orjson.loads(payloads["term_weights"]).items()},
        chunks=[
            ReplayedChunk(
                chunk_id=chunk.id, doc_id=chunk.doc_id, document_version=chunk.version, page=chunk.page,
                sha256=chunk.sha256, rank=chunk.rank,
            )
            for chunk in chunks
        ],
    )  # fmt: skip


def _request(told: RecordedRetrieval, payloads: Mapping[str, str]) -> dict[str, Any]:
    """Returns what was asked for, as the fields of a RetrievalRequest."""
    request = {
        "query": payloads["query"], "mode": told.mode, "k": told.k, "source_type": told.source_type,
        "collection": told.collection, "language": told.language, "distinct": told.distinct or False,
        "diversity": (told.diversity_micros or 0) / MICROS,
    }  # fmt: skip
    narrowed: dict[str, Any] = orjson.loads(payloads.get("filters", "{}"))
    return request | narrowed


def _weights(told: RecordedRetrieval) -> Weights:
    """Returns how the parts of a score counted then."""
    if told.weights is None:
        return UNRECORDED
    known = told.weights
    return Weights(known.lexical_micros / MICROS, known.page_micros / MICROS, (known.furniture_micros or 0) / MICROS)


def _reranking(told: RecordedRetrieval, payloads: Mapping[str, str]) -> Reranking | None:
    """Returns what the reranker said then; it is not asked again."""
    if told.reranking is None:
        return None
    scores = {UUID(chunk): micros for chunk, micros in orjson.loads(payloads.get("reranking", "{}")).items()}
    return Reranking(told.reranking.model, scores, told.reranking.submitted)


def _event(wanted: ReplayRequest, replay: Replay) -> Event:
    replayed = RetrievalReplayed(
        event=replay.event_id, outcome=replay.outcome, reasons=replay.reasons, as_caller_then=wanted.as_caller_then,
        knowledge=wanted.knowledge,
    )  # fmt: skip
    return Event(replayed, payloads={"reason": wanted.reason})
