"""Has a question's candidates reranked between two transactions: no connection is held while a reranker works.

The first searches as the caller, and records what will be sent; only when that is committed do texts leave. The second
searches again, which decides what is shown: what was withdrawn meanwhile is not, and what is new stands behind what was
scored. So a reranker decides the order of what is shown, and never what is shown.
"""

import time
from collections.abc import Sequence

import structlog

from backend.audit.recorder import Recorder
from backend.errors import Unavailable
from backend.identity.callers.caller import Caller
from backend.retrieval.ranking.ordering import candidates, masked
from backend.retrieval.ranking.reranker import Reranker, RerankerUnavailable, Reranking
from backend.retrieval.record import submission_event
from backend.retrieval.search import survey
from backend.retrieval.stages import Question
from backend.tenancy import Tenancy

log = structlog.get_logger()


async def reranked(
    tenancy: Tenancy,
    caller: Caller,
    recorder: Recorder,
    question: Question,
    reranker: Reranker,
    asker: Caller,
) -> Reranking | None:
    """Returns what a reranker makes of the best chunks that `asker` finds; None when it finds none. The caller records it.

    While the reranker is away the search's order stands, unless the settings require it: then this raises Unavailable.
    Raises NotFound for a collection that the asker may not read.
    """
    async with tenancy.transaction(question.claims(asker), reuse_plans=True) as connection:
        coverage = await survey(connection, asker, question.request, question.weights)
        found = await candidates(connection, asker, question, coverage, reordered=True)
        sent = await masked(found.hits[: max(question.request.k, reranker.candidates)], question, coverage)
        if not sent:
            return None
        if asker is not caller:
            await tenancy.bind(connection, question.claims(caller))
        submitted = await recorder.record(connection, caller, submission_event(question, reranker.model, sent))
    started = time.perf_counter()
    scores: Sequence[int] = ()
    try:
        scores = await reranker.scores(question.request.query, [hit.text for hit in sent])
    except RerankerUnavailable as error:
        log.warning("reranker unavailable", problem=str(error))
        if reranker.required:
            raise Unavailable("The reranker is unavailable; nothing was returned.", reason="reranker") from error
    by_chunk = dict(zip([hit.chunk_id for hit in sent], scores, strict=False))
    took = round((time.perf_counter() - started) * 1000)
    return Reranking(reranker.model, by_chunk, submitted, took)
