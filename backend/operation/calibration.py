"""Measures on a tenant's own texts what fits the configured embedding model, and leaves the result in the tenant's log."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import numpy as np

from backend.audit.actions.operation import Calibrated, TenantChanged
from backend.database import Queries, prepare_connection
from backend.operation.placement import Progress
from backend.operation.reembedding import as_embedded
from backend.operation.service import Operator, OperatorError
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.retrieval import calibration
from backend.retrieval.calibration import Calibration, SampledText
from backend.retrieval.embedding import fingerprint
from backend.retrieval.embedding.embedder import Embedder, EmbedderUnavailable
from backend.retrieval.ranking.reranker import MICROS

queries = Queries(Path(__file__).with_name("calibration.sql"))

_TEXTS = 1_000  # more hardly change the result, and are compared with each question


@dataclass(frozen=True, slots=True)
class Profile:
    """What fits an embedding model: the weight of words, and how many tokens of a text it reads, None for as many as are sent."""

    model: str
    measured: Calibration
    max_tokens: int | None


async def calibrate(
    owner_url: str, tenant_id: UUID, embedder: Embedder, keys: PseudonymKeys, progress: Progress
) -> Profile:
    """Returns what fits the embedder, once it is in the tenant's log.

    An embedder is given pseudonyms where a collection wants them. Raises OperatorError when the tenant has too few texts by this
    model, or while the embedder is another model or away.
    """
    connection = await asyncpg.connect(owner_url)
    try:
        await prepare_connection(connection)
        if (problem := await fingerprint.problem(connection, embedder)) is not None:
            raise OperatorError(problem)
        rows = await connection.fetch(queries.sampled, tenant_id, embedder.model, _TEXTS)
        pseudonyms = keys.of_tenant(tenant_id)
        passages = [
            SampledText(
                *as_embedded(row["text"], row["title"], row["heading_path"], pseudonyms if row["masked"] else None),
                row["language"],
                np.array(row["dense"].to_list(), dtype=np.float32),
            )
            for row in rows
        ]
        progress("asking", 0, len(passages))
        try:
            measured = await calibration.calibrate(passages, embedder)
            longest = None if embedder.in_process else await calibration.longest_read(embedder)
        except EmbedderUnavailable as error:
            raise OperatorError(str(error)) from error
        if measured is None:
            message = (
                f"{embedder.model} embedded {len(rows)} texts of this tenant, of which fewer than {calibration.FEWEST_QUESTIONS} "
                "can spare a sentence; add documents, or run `affidavit reembed` if another model embedded them"
            )
            raise OperatorError(message)
        progress("asking", len(passages), len(passages))
        calibrated = Calibrated(
            model=embedder.model,
            questions=measured.questions,
            lexical_micros=round(measured.weight * MICROS),
            max_tokens=longest,
        )
        async with connection.transaction():
            await Operator(connection).record(tenant_id, TenantChanged(calibrated=calibrated))
        return Profile(embedder.model, measured, longest)
    finally:
        await connection.close()
