"""A tenant with thousands of chunks, and searches of it whose plan and exact result can be seen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pgvector import HalfVector

from backend.identity.callers.caller import Caller
from backend.retrieval import search
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Coverage, Found, Question, validity_of
from tests.benchmarks.synthetic import DIMENSIONS, Corpus, Topics, load
from tests.retrieval.hits import DISCRETION
from tests.service import Service, Tenant


@dataclass
class LargeTenant:
    """The tenant, its collections `default` and `restricted`, and the topics that its chunks are about."""

    service: Service
    tenant: Tenant
    topics: Topics
    collections: dict[str, UUID]

    @classmethod
    async def create(cls, service: Service, chunks: dict[str, int]) -> "LargeTenant":
        tenant = await service.create_tenant()
        topics = Topics(service.services.embedder.model)
        connection = await asyncpg.connect(service.database.superuser_url)
        try:
            rows = await connection.fetch("select slug, id from documents.collection where tenant_id = $1", tenant.id)
            collections = {row["slug"]: row["id"] for row in rows}
            await load(
                connection, topics, [Corpus(tenant.id, collections[slug], count) for slug, count in chunks.items()]
            )
        finally:
            await connection.close()
        return cls(service, tenant, topics, collections)

    def caller(self, *collections: str) -> Caller:
        return Caller(
            tenant_id=self.tenant.id, tenant_slug=self.tenant.slug, principal_id=self.tenant.users["analyst"], kind="user",
            name="analyst", request_id="test", readable=frozenset(self.collections[slug] for slug in collections),
        )  # fmt: skip

    def question(self, **asked: Any) -> Question:
        text, dense = self.topics.question()
        request = RetrievalRequest(query=text, **asked)
        vector = None if request.mode == "lexical" else HalfVector(dense)
        return Question(
            request,
            vector,
            self.topics.model,
            DIMENSIONS,
            validity_of(request),
            self.service.services.retrieval.weights,
            DISCRETION,
        )

    async def covered(self, question: Question, *collections: str) -> Coverage:
        caller = self.caller(*collections)
        async with self.service.services.tenancy.transaction(caller.claims()) as connection:
            return await search.survey(connection, caller, question.request, question.weights)

    async def search(self, question: Question, *collections: str, limit: int | None = None) -> Found:
        caller = self.caller(*collections)
        async with self.service.services.tenancy.transaction(caller.claims()) as connection:
            coverage = await search.survey(connection, caller, question.request, question.weights)
            return await search.search(connection, caller, question, coverage, limit or question.request.k)

    async def exact(self, question: Question, *collections: str) -> list[UUID]:
        """The right answer: every permitted chunk compared."""
        caller = self.caller(*collections)
        async with self.service.services.tenancy.transaction(caller.claims()) as connection:
            coverage = await search.survey(connection, caller, question.request, question.weights)
            statement, values = search.statement_of(search.queries.exact_search, 10, question)
            scope = search.scope_of(caller, question, coverage)
            rows = await connection.fetch(
                statement, *scope, question.weights.lexical, question.request.k, question.request.k, *values
            )
        return [row["id"] for row in rows]

    async def repeat_texts(self, distinct: int) -> None:
        """Lets chunks have no more than so many distinct texts, as far as their hashes tell."""
        statement = """
            update documents.chunk set sha256 = sha256((abs(hashtext(id::text)) % $2)::text::bytea) where tenant_id = $1
        """
        connection = await asyncpg.connect(self.service.database.superuser_url)
        try:
            await connection.execute(statement, self.tenant.id, distinct)
        finally:
            await connection.close()

    async def with_terms(
        self, question: Question, *collections: str, searched: str = "default", known_at: datetime | None = None
    ) -> list[UUID]:
        """What a caller gets who asks for the question's terms that so many chunks have."""
        caller = self.caller(*collections)
        claims = replace(caller.claims(), known_at=known_at)
        async with self.service.services.tenancy.transaction(claims) as connection:
            coverage = await search.survey(
                connection, self.caller(*self.collections), question.request, question.weights
            )
            *_, sparse = search.scope_of(caller, question, coverage)
            statement = "select retrieval.chunks_with_terms($1, $2, $3, 10)"
            rows = await connection.fetch(statement, [*coverage.idf], [self.collections[searched]], sparse)
        return [row[0] for row in rows]

    async def reads_of_inverted_index(self, terms: list[int]) -> int:
        """How often the server reads the index to find what has terms; told to a superuser, whom the function serves alike."""
        statement = "select retrieval.chunks_with_terms($1, $2, '{}/1000000000', 10)"
        connection = await asyncpg.connect(self.service.database.superuser_url)
        try:
            async with connection.transaction():
                await self.service.services.tenancy.bind(connection, self.caller(*self.collections).claims())
                await connection.fetch(statement, terms, [*self.collections.values()])
                scans: int = await connection.fetchval(
                    "select pg_stat_get_xact_numscans(to_regclass($1))", f"documents.chunk_{self.tenant.id.hex}_terms"
                )
                return scans
        finally:
            await connection.close()

    async def plan(self, template: str, first_parameter: int, question: Question, limits: Sequence[object]) -> str:
        """What PostgreSQL makes of a search statement, as text."""
        caller = self.caller("default")
        async with self.service.services.tenancy.transaction(caller.claims()) as connection:
            coverage = await search.survey(connection, caller, question.request, question.weights)
            statement, values = search.statement_of(template, first_parameter, question)
            if template == search.queries.indexed_search:
                await connection.execute(search.queries.prefer_indexes, str(search.EF_SEARCH))
            scope = search.scope_of(caller, question, coverage)
            rows = await connection.fetch(
                f"explain (costs off) {statement}", *scope, question.weights.lexical, *limits, *values
            )
        return "\n".join(re.sub(r"'[\[{][^']{100,}'", "…", row[0]) for row in rows)

    async def placed(self) -> dict[str, int]:
        """How many distinct chunks each partition holds, and how many rows there are altogether."""
        connection = await asyncpg.connect(self.service.database.superuser_url)
        try:
            row = await connection.fetchrow(
                """
                select count(distinct id) filter (where placement = tenant_id) as private,
                  count(distinct id) filter (where placement <> tenant_id) as shared,
                  count(distinct id) as distinct, count(*) as rows
                from documents.chunk where tenant_id = $1
                """,
                self.tenant.id,
            )
            return dict(row)
        finally:
            await connection.close()
