"""What used to answer a question that nothing in force does: named with its dates, never quoted.

Whether it did is decided by the built-in extractive generator, whatever generates answers: no lapsed text goes to a model.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from backend.answers import prompt as prompts
from backend.answers.generator import Generator, Passage
from backend.answers.models import SupersededVersion
from backend.retrieval.ask import Retrieval
from backend.retrieval.stages import Asked, Hit, ValidityFilter

_MOST_YEARS = 30


async def find_superseded(retrieval: Retrieval, asked: Asked, built_in: Generator) -> list[SupersededVersion]:
    """Returns the versions that answered a question before the moment asked about, the last to end first.

    Records what was searched; nothing of its text is shown.
    """
    if asked.question.validity is not ValidityFilter.IN_FORCE:
        return []
    lapsed = await retrieval.ask_lapsed(asked)
    if lapsed is None:
        return []
    prompt = prompts.render(asked.question.request.query, _dated(lapsed.hits), vector=vector_of(lapsed))
    generation = await built_in.generate(prompt)
    answering = {quote.passage.chunk_id for claim in generation.claims for quote in claim.quotes}
    named = {(hit.document_id, hit.version): _version(hit) for hit in lapsed.hits if hit.chunk_id in answering}
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


def vector_of(asked: Asked) -> NDArray[np.float32] | None:
    """Returns the vector with which the question was searched, so that nothing embeds it again."""
    dense = asked.question.dense
    return None if dense is None else np.asarray(dense.to_numpy(), dtype=np.float32)


def passages(hits: Sequence[Hit]) -> list[Passage]:
    """Returns hits as the numbered passages of a prompt."""
    return [
        Passage(
            number=number, chunk_id=hit.chunk_id, document_id=hit.document_id, doc_id=hit.doc_id,
            document_version=hit.version, span=hit.span, title=hit.title, text=hit.text, score=hit.score,
            cosine=hit.cosine, bm25=hit.bm25, masked=hit.masked,
        )
        for number, hit in enumerate(hits, start=1)
    ]  # fmt: skip


def _dated(hits: Sequence[Hit]) -> list[Passage]:
    """Returns hits as passages whose titles name the years in which they applied: a question about one of these means them."""
    return [
        replace(passage, title=f"{passage.title or passage.doc_id}, {_years(hit)}")
        for hit, passage in zip(hits, passages(hits), strict=True)
    ]


def _years(hit: Hit) -> str:
    """Returns the years in which a version applied, the last of many: no question is about more."""
    last = hit.effective_to.year
    return ", ".join(map(str, range(max(hit.effective_from.year, last - _MOST_YEARS), last + 1)))


def _version(hit: Hit) -> SupersededVersion:
    return SupersededVersion(
        doc_id=hit.doc_id, document_version=hit.version, title=hit.title, collection=hit.collection,
        status="expired" if hit.status == "approved" else hit.status,
        effective_from=hit.effective_from, effective_to=hit.effective_to,
    )  # fmt: skip


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
