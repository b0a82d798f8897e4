"""Says why retrieved chunks rank where they do."""

from collections.abc import Mapping
from uuid import UUID

from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.retrieval import lexicon
from backend.retrieval.models import Explanation, MatchedTerm
from backend.retrieval.periods import asked_periods
from backend.retrieval.search import candidates_of, conditions_of, queries, scope_of
from backend.retrieval.stages import Question, Ranking


async def explain(
    connection: Connection, caller: Caller, question: Question, ranking: Ranking
) -> Mapping[UUID, Explanation]:
    """Returns the explanation of each chunk found; compares all chunks that the search covers, whatever its plan was."""
    conditions = conditions_of(question.request, first_parameter=8)
    statement = queries.ranks.replace("{filters}", str(conditions)).replace("{candidates}", candidates_of(question))
    scope = scope_of(caller, question, ranking.coverage)
    ids = [hit.chunk_id for hit in ranking.hits]
    await connection.execute(queries.plan_for_values)
    rows = {row["id"]: row for row in await connection.fetch(statement, *scope, ids, *conditions.values)}
    names = _names(question.request.query, ranking.coverage.languages)
    asked = lexicon.query_terms(question.request.query)
    by_score = sorted(ranking.candidates, key=lambda hit: (-hit.score, hit.chunk_id))
    search_ranks = {hit.chunk_id: rank for rank, hit in enumerate(by_score, start=1)}
    explanations = {}
    for hit in ranking.hits:
        row = rows[hit.chunk_id]
        matched = [
            MatchedTerm(term=names[dimension], idf=weight / max(asked[dimension], 1))
            for dimension, weight in sorted(ranking.coverage.idf.items(), key=lambda item: -item[1])
            if dimension in set(row["sparse"].indices())
        ]
        explanations[hit.chunk_id] = Explanation(
            rerank_score=None if hit.rerank_micros is None else hit.shown_score, search_rank=search_ranks[hit.chunk_id],
            cosine=hit.cosine, bm25=hit.bm25,
            matched_terms=matched, page_score=hit.page_score,
            phrases=list(hit.phrases), furniture=hit.furniture, tier=ranking.coverage.partition, plan=ranking.plan,
            semantic_rank=row["semantic_rank"] if question.dense is not None else None,
            lexical_rank=row["lexical_rank"] if ranking.coverage.idf else None,
        )  # fmt: skip
    return explanations


def _names(query: str, languages: set[str]) -> dict[int, str]:
    """Returns the question's terms by dimension."""
    named = (*asked_periods(query), *(term for language in languages for term in lexicon.terms(query, language)))
    return {lexicon.dimension(term): term for term in named}
