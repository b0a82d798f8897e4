"""Asks a tenant's documents a question: the one place where a retrieval is put together, whoever asks for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.errors import NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.identity.callers.principals import readable_at
from backend.metrics import stage
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.retrieval.discretion import Discretion, Request, discreetly
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.explanation import explain
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.ranking.ordering import ranked
from backend.retrieval.ranking.reranker import Reranker, Reranking
from backend.retrieval.ranking.reranking import reranked
from backend.retrieval.record import asked_texts, retrieval_event
from backend.retrieval.search import survey
from backend.retrieval.stages import Asked, Coverage, Question, Ranking, ValidityFilter, claims_of, embed, validity_of
from backend.retrieval.weights import Weights
from backend.tenancy import Tenancy


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Answers what chunks bear on a question; what is found is on record before anybody sees it."""

    tenancy: Tenancy
    recorder: Recorder
    embedder: Embedder
    pseudonym_keys: PseudonymKeys
    weights: Weights
    reranker: Reranker | None = None

    async def ask(self, caller: Caller, request: RetrievalRequest, within: frozenset[UUID] | None = None) -> Asked:
        """Returns the best chunks for the caller, whose record is committed; raises as `asking` does."""
        async with self.asking(caller, request, within) as (_, asked):
            pass
        return asked

    @asynccontextmanager
    async def asking(
        self, caller: Caller, request: RetrievalRequest, within: frozenset[UUID] | None = None
    ) -> AsyncIterator[tuple[Connection, Asked]]:
        """Finds and records the best chunks in a transaction that is open for what is recorded together with them.

        A model in this process embeds the query while the transaction opens, learns what the search covers and drafts its
        record; no connection waits for a model behind a network, or for a reranker. Raises Unavailable when the embedder is
        away, NotFound for a collection that the caller may not read, and Forbidden when an explanation or the access of
        another day is asked for without documents:review. Raises InvalidInput for personal data that a collection refuses.
        `within` confines to collections by their ids, for which the same transaction finds the names that go on record.
        """
        if within is not None:
            caller = replace(caller, readable=caller.readable & within)
        if request.explain:
            caller.require(Permission.DOCUMENTS_REVIEW)
        request, discretion = await self.discreetly(caller, request)
        caller = await self._caller_then(caller, request)
        async with self._embedding(request, discretion) as embedding:
            reranking = await self.rerank(caller, await embedding) if self.reranker else None
            claims = claims_of(caller, request, validity_of(request))
            async with self.tenancy.transaction(claims, reuse_plans=True) as connection:
                coverage = await survey(connection, caller, request, self.weights)
                draft = await self.recorder.draft(connection, caller, asked_texts(request, coverage))
                question = await embedding
                if within is not None:
                    question = replace(question, request=_named(request, coverage, within))
                started = time.perf_counter()
                with stage("search"):
                    ranking = await ranked(connection, caller, question, coverage, reranking, whole=request.explain)
                explanations = await explain(connection, caller, question, ranking) if request.explain else {}
                took = milliseconds(started)
                event = retrieval_event(question, ranking, took)
                with stage("record"):
                    event_id = await self.recorder.record(connection, caller, event, draft)
                yield connection, Asked(caller, question, ranking, event_id, took, explanations)

    async def ask_lapsed(self, asked: Asked) -> Asked | None:
        """Finds what would have answered an earlier time, with the vector that the question has already; None for nothing.

        It is recorded as not shown: whoever uses it may name versions, and shows no text.
        """
        question = replace(asked.question, validity=ValidityFilter.LAPSED)
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
        with stage("rerank"):
            return await reranked(self.tenancy, caller, self.recorder, question, self.reranker, asker or caller)

    async def discreetly(self, caller: Caller, request: Request) -> tuple[Request, Discretion]:
        """Returns the question with pseudonyms where its collections want them; raises InvalidInput where they take none."""
        pseudonyms = self.pseudonym_keys.of_tenant(caller.tenant_id)
        return await discreetly(self.tenancy, self.recorder, pseudonyms, caller, request)

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
    async def _embedding(
        self, request: RetrievalRequest, discretion: Discretion
    ) -> AsyncIterator[asyncio.Task[Question]]:
        """Gives the task that embeds the query; for a model behind a network, it is done."""
        embedding = asyncio.create_task(embed(request, self.embedder, self.weights, discretion))
        try:
            await asyncio.sleep(0)  # begins it; what follows keeps the loop busy for a while
            if not self.embedder.in_process:
                await embedding
            yield embedding
        finally:
            if not embedding.cancel():
                embedding.exception()  # seen, so that nobody warns of it


def _named(request: RetrievalRequest, coverage: Coverage, within: frozenset[UUID]) -> RetrievalRequest:
    """Returns the request with the names of the collections to which it was confined; raises NotFound if one is not read."""
    if not within <= coverage.collections.keys():
        raise NotFound("There is no such collection that you may read.", reason="collection:unknown")
    names = sorted(coverage.collections[one] for one in within)
    return request.model_copy(update={"collection": names[0] if len(names) == 1 else names})


def milliseconds(started: float) -> int:
    """Returns how long ago `time.perf_counter` told `started`."""
    return round((time.perf_counter() - started) * 1000)
