"""What used to answer a question that nothing in force does: named with its dates, never quoted.

Whether it did is decided by the built-in extractive generator, whatever generates answers: no lapsed text goes to a model.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import asyncpg

from backend.answers import prompt as prompts
from backend.answers.extractive import ExtractiveGenerator
from backend.answers.generator import Passage
from backend.answers.models import SupersededVersion
from backend.audit.recorder import Recorder
from backend.documents.versions.service import list_validities
from backend.identity.callers.caller import Caller
from backend.retrieval import service as retrieval
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.service import Hit, Question, Reading
from backend.tenancy import Tenancy


async def find_superseded(
    tenancy: Tenancy, recorder: Recorder, embedder: Embedder, caller: Caller, question: Question
) -> list[SupersededVersion]:
    """Returns the versions that answered a question before the moment asked about, the last to end first.

    Records what was searched; nothing of its text is shown.
    """
    if question.reading is not Reading.IN_FORCE:
        return []
    lapsed = replace(question, reading=Reading.LAPSED, reranking=None)
    async with tenancy.transaction(lapsed.claims(caller), reuse_plans=True) as connection:
        started = time.perf_counter()
        ranking = await retrieval.ranked(connection, caller, lapsed)
        searched = retrieval.milliseconds(started)
        if not ranking.hits:
            return []
        await recorder.record(connection, caller, retrieval.retrieval_event(lapsed, ranking, searched, shown=False))
        keys = [(hit.document_id, hit.version) for hit in ranking.hits]
        validities = await list_validities(connection, caller, keys)
    prompt = prompts.render(question.request.query, passages(ranking.hits))
    generation = await ExtractiveGenerator(embedder.embed_passages).generate(prompt)
    answering = {quote.passage.chunk_id for claim in generation.claims for quote in claim.quotes}
    named = {
        (hit.document_id, hit.version): _version(hit, validities[hit.document_id, hit.version])
        for hit in ranking.hits
        if hit.chunk_id in answering
    }
    return sorted(named.values(), key=lambda version: version.effective_to, reverse=True)


def notice(versions: Sequence[SupersededVersion]) -> str | None:
    """Returns the sentence that says what used to apply; None when nothing did."""
    if not versions:
        return None
    applied = "; ".join(
        f"version {version.document_version} of {version.doc_id} applied from {_day(version.effective_from)}"
        f" to {_day(version.effective_to)}"
        for version in versions
    )
    return f"Nothing in force answers this question. What used to: {applied}."


def passages(hits: Sequence[Hit]) -> list[Passage]:
    """Returns hits as the numbered passages of a prompt."""
    return [
        Passage(
            number=number, chunk_id=hit.chunk_id, document_id=hit.document_id, doc_id=hit.doc_id,
            document_version=hit.version, span=hit.span, title=hit.title, text=hit.text, score=hit.score,
            cosine=hit.cosine, bm25=hit.bm25,
        )
        for number, hit in enumerate(hits, start=1)
    ]  # fmt: skip


def _version(hit: Hit, validity: asyncpg.Record) -> SupersededVersion:
    return SupersededVersion(
        doc_id=hit.doc_id, document_version=hit.version, title=hit.title, collection=hit.collection,
        status="expired" if validity["status"] == "approved" else validity["status"],
        effective_from=validity["effective_from"], effective_to=validity["effective_to"],
    )  # fmt: skip


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
