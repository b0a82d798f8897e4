"""Asks a tenant's documents a question: the one place where a retrieval is put together, whoever asks for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.identity.callers.principals import readable_at
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.explanation import explain
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.ranking.ordering import ranked
from backend.retrieval.ranking.reranker import Reranker, Reranking
from backend.retrieval.ranking.reranking import reranked
from backend.retrieval.record import asked_texts, retrieval_event
from backend.retrieval.search import survey
from backend.retrieval.stages import Asked, Question, Ranking, Validity, claims_of, embed, validity_of
from backend.retrieval.weights import Weights
from backend.tenancy import Tenancy


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Answers what chunks bear on a question; what is found is on record before anybody sees it."""

    tenancy: Tenancy
    recorder: Recorder
    embedder: Embedder
    weights: Weights
    reranker: Reranker | None = None

    async def ask(self, caller: Caller, request: RetrievalRequest) -> Asked:
        """Returns the best chunks for the caller, whose record is committed; raises as `asking` does."""
        async with self.asking(caller, request) as (_, asked):
            pass
        return asked

    @asynccontextmanager
    async def asking(self, caller: Caller, request: RetrievalRequest) -> AsyncIterator[tuple[Connection, Asked]]:
        """Finds and records the best chunks in a transaction that is open for what is recorded together with them.

        A model in this process embeds the query while the transaction opens, learns what the search covers and drafts its
        record; no connection waits for a model behind a network, or for a reranker. Raises Unavailable when the embedder is
        away, NotFound for a collection that the caller may not read, and Forbidden when an explanation or the access of
        another day is asked for without documents:review.
        """
        if request.explain:
            caller.require(Permission.DOCUMENTS_REVIEW)
        caller = await self._caller_then(caller, request)
        async with self._embedding(request) as embedding:
            reranking = await self.rerank(caller, await embedding) if self.reranker else None
            claims = claims_of(caller, request, validity_of(request))
            async with self.tenancy.transaction(claims, reuse_plans=True) as connection:
                coverage = await survey(connection, caller, request, self.weights)
                draft = await self.recorder.draft(connection, caller, asked_texts(request, coverage))
                question = await embedding
                started = time.perf_counter()
                ranking = await ranked(connection, caller, question, coverage, reranking)
                explanations = await explain(connection, caller, question, ranking) if request.explain else {}
                took = milliseconds(started)
                event = retrieval_event(question, ranking, took)
                event_id = await self.recorder.record(connection, caller, event, draft)
                yield connection, Asked(caller, question, ranking, event_id, took, explanations)

    async def ask_lapsed(self, asked: Asked) -> Asked | None:
        """Finds what would have answered an earlier time, with the vector that the question has already; None for nothing.

        It is recorded as not shown: whoever uses it may name versions, and shows no text.
        """
        question = replace(asked.question, validity=Validity.LAPSED)
        caller = asked.caller
        async with self.tenancy.transaction(question.claims(caller), reuse_plans=True) as connection:
            started = time.perf_counter()
            ranking = await ranked(
                connection, caller, question, await survey(connection, caller, question.request, question.weights)
            )
            took = milliseconds(started)
            if not ranking.hits:
                return None
            event = retrieval_event(question, ranking, took, shown=False)
            return Asked(caller, question, ranking, await self.recorder.record(connection, caller, event), took)

    async def repeat(
        self, caller: Caller, question: Question, idf: Mapping[int, float], told: Reranking | None
    ) -> Ranking:
        """Searches again with what words weighed and a reranker told then; who repeats it records it. Raises NotFound."""
        async with self.tenancy.transaction(question.claims(caller)) as connection:
            coverage = replace(await survey(connection, caller, question.request, question.weights), idf=idf)
            return await ranked(connection, caller, question, coverage, told)

    async def rerank(self, caller: Caller, question: Question, asker: Caller | None = None) -> Reranking | None:
        """Returns what the reranker makes of the best chunks, searched for as `asker`; None without one, or nothing to rank."""
        if self.reranker is None:
            return None
        return await reranked(self.tenancy, caller, self.recorder, question, self.reranker, asker or caller)

    async def _caller_then(self, caller: Caller, request: RetrievalRequest) -> Caller:
        """Returns the caller for a request: with `as_caller_then`, confined to what it could read at `known_at`.

        Confined to both: access that was withdrawn does not come back by asking about the past.
        """
        if not request.as_caller_then or request.known_at is None:
            return caller
        caller.require(Permission.DOCUMENTS_REVIEW)
        async with self.tenancy.transaction(caller.claims()) as connection:
            then = await readable_at(connection, caller.tenant_id, caller.principal_id, request.known_at)
        return replace(caller, readable=caller.readable & then)

    @asynccontextmanager
    async def _embedding(self, request: RetrievalRequest) -> AsyncIterator[asyncio.Task[Question]]:
        """Gives the task that embeds the query; for a model behind a network, it is done."""
        embedding = asyncio.create_task(embed(request, self.embedder, self.weights))
        try:
            await asyncio.sleep(0)  # begins it; what follows keeps the loop busy for a while
            if not self.embedder.in_process:
                await embedding
            yield embedding
        finally:
            if not embedding.cancel():
                embedding.exception()  # seen, so that nobody warns of it


def milliseconds(started: float) -> int:
    """Returns how long ago `time.perf_counter` told `started`."""
    return round((time.perf_counter() - started) * 1000)
