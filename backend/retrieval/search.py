"""Searches: what is covered for a caller, which plan finds it, and the chunks that are best.

Chunks of small tenants share a partition. All chunks that a search covers are compared, which an index on their collections
makes cheap. A large tenant has a partition of its own, with HNSW indexes for vectors and an inverted index for terms.

HNSW finds the nearest vectors, and misses chunks that only share a rare term with the question. So chunks that have one of its
rare terms are compared as well. When a filter leaves fewer chunks than were asked for, all are compared: to search further
through the HNSW graph would return enough rows, but not the best ones.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from pgvector import SparseVector

from backend.database import Connection, Queries, fetch_row
from backend.documents.tables import ChunkSpan
from backend.errors import NotFound
from backend.identity.callers.caller import Caller
from backend.retrieval import lexicon
from backend.retrieval.crossover import CROSSOVER
from backend.retrieval.filters import Conditions
from backend.retrieval.models import Mode, RetrievalRequest
from backend.retrieval.periods import asked_periods
from backend.retrieval.stages import CANDIDATES, Coverage, Found, Hit, Partition, Question, SearchPlan, ValidityFilter
from backend.retrieval.weights import PERIOD_WEIGHT, Weights

queries = Queries.beside(__file__, place=ChunkSpan)
log = structlog.get_logger()

EF_SEARCH = 200  # nodes that an HNSW search keeps in view; recall@10 needs more than the default 40
MAX_EF_SEARCH = 1_000  # pgvector's limit, and about where comparing what passes becomes cheaper
RARE = 3_000  # chunks with a question's rarest terms that are compared beside those that the graphs yield
SAMPLE = 2_000  # chunks by which the share that passes the filters is estimated
DEFAULT_LANGUAGE = "english"


# In these, $3 is the moment asked about, null for now; of what was known, the moment whose knowledge is asked for. As a
# subquery, since now() is no leakproof function, and what is not waits for the policies' conditions instead of using an index.
_CANDIDATES = {
    ValidityFilter.IN_FORCE: "effective_from <= (select coalesce($3, now())) and effective_to > (select coalesce($3, now()))",
    ValidityFilter.KNOWN: "created_at <= $3 and version_id = any ((select documents.versions_known_in_force())::uuid[])",
    ValidityFilter.LAPSED: "effective_to <= (select coalesce($3, now())) and effective_from < effective_to",
}


# Where a search looks. In the one partition that most tenants share, a plan fits all of them and is made once.
_SHARED_PARTITION = "placement = '00000000-0000-0000-0000-000000000000'"
_BOTH_PARTITIONS = "placement = any (array[$1, '00000000-0000-0000-0000-000000000000']::uuid[])"

# Of chunks with identical texts, the best.
_DISTINCT = "(select distinct on (sha256) * from scored order by sha256, cosine + $7 * bm25 desc, id) scored"


async def search(
    connection: Connection, caller: Caller, question: Question, coverage: Coverage, limit: int, first: int | None = None
) -> Found:
    """Returns so many of the best chunks of what is covered for the caller.

    `first` of them may be all that it returns where none of those is on a page.
    """
    if not coverage.collections or (question.dense is None and not coverage.idf):
        return Found([], SearchPlan.EXACT)
    if coverage.partition is Partition.SHARED:
        if coverage.chunks > CROSSOVER:
            _propose_promotion(caller.tenant_slug)
        rows = await _exact(connection, caller, question, coverage, limit, _SHARED_PARTITION, first=first)
        elsewhere = rows[0]["placed"] if rows else await connection.fetchval(queries.placed, caller.tenant_id)
        if not elsewhere:
            return Found([_hit(row, coverage) for row in rows], SearchPlan.EXACT)
    await connection.execute(queries.plan_for_values)
    plan = SearchPlan.EXACT
    if (ef_search := await _ef_search(connection, caller, question, coverage)) <= MAX_EF_SEARCH:
        await connection.execute(queries.prefer_indexes, str(ef_search))
        statement, values = statement_of(queries.indexed_search, 12, question)
        limits = (limit, CANDIDATES, lexicon.rarest(coverage.frequencies, RARE), int(ef_search))
        rows = await connection.fetch(
            statement, *scope_of(caller, question, coverage), question.weights.lexical, *limits, *values
        )
        if rows and rows[0]["filled"] and not (question.request.distinct and len(rows) < question.request.k):
            return Found([_hit(row, coverage) for row in rows], SearchPlan.INDEXED)
        plan = SearchPlan.EXACT_AFTER_INDEX
    rows = await _exact(connection, caller, question, coverage, limit, first=first)
    return Found([_hit(row, coverage) for row in rows], plan)


async def _exact(
    connection: Connection,
    caller: Caller,
    question: Question,
    coverage: Coverage,
    limit: int,
    partitions: str | None = None,
    *,
    first: int | None = None,
) -> list[asyncpg.Record]:
    statement, values = statement_of(queries.exact_search, 10, question, partitions or _BOTH_PARTITIONS)
    scope = scope_of(caller, question, coverage)
    return await connection.fetch(statement, *scope, question.weights.lexical, limit, first or limit, *values)


@cache
def _propose_promotion(tenant: str) -> None:
    """Logs, once per process, that a tenant has outgrown the shared partition."""
    log.warning("promotion proposed", tenant=tenant, command=f"affidavit tenant promote {tenant}")


async def _ef_search(connection: Connection, caller: Caller, question: Question, coverage: Coverage) -> float:
    """Returns how many nodes an HNSW search must keep in view so that enough of them pass; infinite when none should run."""
    indexed = bool(coverage.indexed_models) and (question.dense is None or question.model in coverage.indexed_models)
    if not indexed or coverage.chunks <= CROSSOVER or question.validity is not ValidityFilter.IN_FORCE:
        return math.inf
    share = min(1.0, coverage.chunks / max(coverage.partition_chunks, 1))
    statement, values = statement_of(queries.sample, 4, question)
    if values:
        percentage = min(100.0, 100 * SAMPLE / coverage.chunks)
        row = await connection.fetchrow(statement, caller.tenant_id, list(coverage.collections), percentage, *values)
        assert row is not None
        share *= row["passing"] / max(row["sampled"], 1)
    return max(EF_SEARCH, math.ceil(1.5 * CANDIDATES / share)) if share else math.inf


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The collections that a search covers, with their languages and sizes; in how many chunks each term is; where chunks are."""

    ids: list[UUID]
    slugs_found: list[str]
    masked: list[str]
    languages: list[str]
    chunks: int
    dimensions_found: list[int]
    frequencies: list[int]
    placement: str | None
    indexed_models: list[str] | None
    partition_chunks: int | None


async def survey(connection: Connection, caller: Caller, request: RetrievalRequest, weights: Weights) -> Coverage:
    """Returns what a search covers; raises NotFound for a collection that the caller may not read."""
    lexical, words = request.mode is not Mode.SEMANTIC, lexicon.Words(request.query)
    # A period is no word: where words alone are asked for, it counts as little as it is one.
    periods = (
        {lexicon.dimension(term) for term in asked_periods(request.query)} if request.mode is Mode.HYBRID else set()
    )
    wanted = [*words.counted(DEFAULT_LANGUAGE), *periods] if lexical else []
    surveyed = await fetch_row(
        connection,
        Surveyed,
        queries.survey,
        caller.tenant_id,
        list(caller.readable),
        request.collections,
        request.languages,
        wanted,
    )
    assert surveyed is not None
    for slug in request.collections or ():
        # With a language asked for as well, a collection in another one is left out like a missing one.
        if slug not in surveyed.slugs_found and request.languages is None:
            raise NotFound(f"There is no collection {slug!r} that you may read.", reason="collection:unknown")
    frequencies = await _frequencies(connection, caller, words, surveyed) if lexical else {}
    idf: dict[int, float] = {}
    for language in set(surveyed.languages):
        idf |= words.vector(frequencies, surveyed.chunks, language)
    idf |= {period: PERIOD_WEIGHT / weights.lexical for period in periods if frequencies.get(period)}
    return Coverage(
        collections=dict(zip(surveyed.ids, surveyed.slugs_found, strict=True)), languages=set(surveyed.languages),
        chunks=surveyed.chunks, partition=Partition.PRIVATE if surveyed.placement else Partition.SHARED,
        indexed_models=frozenset((surveyed.indexed_models or ()) if surveyed.placement == "private" else ()),
        partition_chunks=surveyed.partition_chunks or 0, idf=idf, frequencies=frequencies,
        masked=frozenset(surveyed.masked),
    )  # fmt: skip


async def _frequencies(
    connection: Connection, caller: Caller, words: lexicon.Words, surveyed: Surveyed
) -> dict[int, int]:
    """Returns how many chunks have each of the question's terms, as the languages of the searched collections stem them."""
    frequencies = dict(zip(surveyed.dimensions_found, surveyed.frequencies, strict=True))
    stems = {term for language in set(surveyed.languages) for term in words.counted(language)}
    if missing := stems - set(words.counted(DEFAULT_LANGUAGE)):
        row = await connection.fetchrow(queries.term_statistics, caller.tenant_id, surveyed.ids, list(missing))
        assert row is not None
        frequencies |= dict(zip(row["dimensions_found"], row["frequencies"], strict=True))
    return frequencies


def scope_of(caller: Caller, question: Question, coverage: Coverage) -> tuple[object, ...]:
    """Returns the first six parameters of every search statement: who, where, when, and both vectors."""
    sparse = SparseVector(dict(coverage.idf), lexicon.DIMENSIONS) if coverage.idf else None
    at = question.request.known_at if question.validity is ValidityFilter.KNOWN else question.moment
    return (caller.tenant_id, list(coverage.collections), at, question.model, question.dense, sparse)


def statement_of(
    template: str, first_parameter: int, question: Question, partitions: str = _BOTH_PARTITIONS
) -> tuple[str, list[Any]]:
    """Returns a search statement with what the question narrows it to, and the values of that."""
    conditions = conditions_of(question.request, first_parameter)
    statement = template.replace("{filters}", str(conditions)).replace("{dimensions}", str(int(question.dimensions)))
    statement = statement.replace("{partitions}", partitions)
    statement = statement.replace("{scored}", _DISTINCT if question.request.distinct else "scored")
    return statement.replace("{candidates}", candidates_of(question)), conditions.values


def candidates_of(question: Question) -> str:
    """Returns the condition that makes a chunk a candidate; fixed text."""
    return _CANDIDATES[question.validity]


def conditions_of(request: RetrievalRequest, first_parameter: int) -> Conditions:
    """Returns what the request narrows the search to, beyond collections and moment."""
    conditions = Conditions(first_parameter)
    if request.source_types is not None:
        conditions.source_types(request.source_types)
    if request.effective_from is not None:
        conditions.in_force_since(request.effective_from)
    conditions.metadata(request.filters)
    return conditions


def _hit(row: asyncpg.Record, coverage: Coverage) -> Hit:
    return Hit(
        chunk_id=row["id"], document_id=row["document_id"], version_id=row["version_id"],
        doc_id=row["doc_id"], version=row["version"],
        title=row["title"], text=row["text"], sha256=row["sha256"].hex(), metadata=row["metadata"],
        source_type=row["source_type"], collection=coverage.collections[row["collection_id"]],
        cosine=row["cosine"], bm25=row["bm25"], score=row["score"], span=_span(row),
        status=row["status"], effective_from=row["effective_from"], effective_to=row["effective_to"],
    )  # fmt: skip


def _span(row: asyncpg.Record) -> ChunkSpan:
    return ChunkSpan(**{name: row[name] for name in ChunkSpan.model_fields})
