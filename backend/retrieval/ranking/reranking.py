"""Has a question's candidates reranked between two transactions: no connection is held while a reranker works.

The first searches as the caller, and records what will be sent; only when that is committed do texts leave. The second
searches again, which decides what is shown: what was withdrawn meanwhile is not, and what is new stands behind what was
scored. So a reranker says in which order, and never what.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import orjson
import structlog

from backend.audit.events import Action, Event, leading
from backend.audit.recorder import Recorder
from backend.errors import Unavailable
from backend.identity.callers.caller import Caller
from backend.retrieval.question import CANDIDATES, Hit, Question
from backend.retrieval.ranking.ordering import candidates
from backend.retrieval.ranking.reranker import Reranker, RerankerUnavailable, Reranking
from backend.tenancy import Tenancy

log = structlog.get_logger()


async def reranked(
    tenancy: Tenancy,
    caller: Caller,
    recorder: Recorder,
    question: Question,
    reranker: Reranker | None,
    asker: Caller | None = None,
) -> Question:
    """Returns the question with what a reranker makes of its best chunks; without a reranker, as it is.

    Searches as `asker`, if that is not the caller. While the reranker is away the search's order stands, unless the settings
    require it: then this raises Unavailable. Raises NotFound as the search does.
    """
    if reranker is None:
        return question
    asker, question = asker or caller, replace(question, depth=CANDIDATES)
    async with tenancy.transaction(question.claims(asker), reuse_plans=True) as connection:
        found = (await candidates(connection, asker, question)).hits
        sent = found[: max(question.request.k, reranker.candidates)]
        if not sent:
            return question
        if asker is not caller:
            await tenancy.bind(connection, question.claims(caller))
        submitted = await recorder.record(connection, caller, _event(question, reranker, sent))
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
    return replace(question, reranking=Reranking(reranker.model, by_chunk, submitted, took))


def _event(question: Question, reranker: Reranker, sent: Sequence[Hit]) -> Event:
    chunks = [
        {"id": str(hit.chunk_id), "doc_id": hit.doc_id, "version": hit.version, "sha256": hit.sha256} for hit in sent
    ]
    listed, conversation = leading(chunks), question.request.conversation
    payloads = {"query": question.request.query}
    if len(listed) < len(chunks):
        payloads["chunks"] = orjson.dumps(chunks).decode()
    submission = {"model": reranker.model, "chunk_count": len(chunks), "chunks": listed}
    return Event(
        Action.CANDIDATES_SUBMITTED, payloads=payloads, doc_ids=[hit.doc_id for hit in sent],
        details={"submission": submission, "conversation": conversation and str(conversation)},
    )  # fmt: skip
