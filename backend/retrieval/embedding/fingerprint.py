"""Notices when an embedding server answers with another model than the one that made the stored vectors.

Vectors of two models cannot be compared, and nothing fails when they are: what is found is only wrong. So the vectors of a few
sentences are kept from the first time that a model is asked, and compared with what it makes of them later.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from uuid_utils.compat import uuid7

from backend.database import Connection, Queries
from backend.retrieval.embedding.embedder import Embedder, EmbedderChanged, EmbedderUnavailable, Vectors
from backend.tenancy import Claims, Tenancy

queries = Queries(Path(__file__).with_name("fingerprint.sql"))

PROBES = (
    "A card dispute must be filed within 60 days of the statement date.",
    "Der Zinssatz wird jedes Quartal angepasst.",
    "Net interest income rose by 4.2 % to $1,310 million in fiscal 2023.",
)
LEAST_LIKENESS = 0.9  # of the same model in two precisions it is .97 and .905; of two models about 0
TRUSTED_SECONDS = 60.0


async def fingerprint(embedder: Embedder) -> Vectors:
    """Returns the vectors (len(PROBES), dimensions) by which a model is known again; raises EmbedderUnavailable."""
    return await embedder.embed_passages(PROBES)


async def compare(connection: Connection, embedder: Embedder, made: Vectors) -> None:
    """Compares a fingerprint with the stored one, or stores it as the model's first; raises EmbedderChanged."""
    await connection.execute(queries.remember, embedder.model, embedder.dimensions, made.ravel().tolist())
    stored = await connection.fetchrow(queries.fingerprint, embedder.model)
    assert stored is not None
    if stored["dimensions"] != embedder.dimensions:
        message = f"The vectors of {embedder.model} had {stored['dimensions']} dimensions, and now have {embedder.dimensions}."
        raise EmbedderChanged(message)
    likeness = float(np.mean(np.sum(np.array(stored["vectors"]).reshape(made.shape) * made, axis=1)))
    if likeness < LEAST_LIKENESS:
        message = (
            f"The embedding server answers as another model than the one that made the stored vectors of {embedder.model} "
            f"(cosine {likeness:.2f})."
        )
        raise EmbedderChanged(message)


@dataclass
class WatchedEmbedder:
    """An embedder behind a network, which is not asked while it is another model than it was."""

    embedder: Embedder
    tenancy: Tenancy
    in_process: bool = field(default=False, init=False)
    _trusted_until: float = field(default=0.0, init=False)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.embedder.model

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self.embedder.dimensions

    @property
    def max_tokens(self) -> int:
        """Longest text that the model reads at once."""
        return self.embedder.max_tokens

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of tokens of each text."""
        return self.embedder.count_each(texts)

    async def embed_query(self, text: str) -> Vectors:
        """Returns the vector (dimensions,) of a question; raises EmbedderUnavailable, also when the model changed."""
        await self.verify()
        return await self.embedder.embed_query(text)

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Returns the vectors (len(texts), dimensions) of passages; raises EmbedderUnavailable, also when the model changed."""
        await self.verify()
        return await self.embedder.embed_passages(texts, titles)

    async def verify(self) -> None:
        """Looks whether it is still the same model, at most once in a while; raises EmbedderChanged and EmbedderUnavailable."""
        if time.monotonic() < self._trusted_until:
            return
        made = await fingerprint(self.embedder)
        async with self.tenancy.transaction(Claims(request_id=str(uuid7()))) as connection:
            await compare(connection, self.embedder, made)
        self._trusted_until = time.monotonic() + TRUSTED_SECONDS


async def problem(connection: Connection, embedder: Embedder) -> str | None:
    """Says what keeps vectors of an embedder from being compared with the stored ones, and what helps; None for nothing."""
    try:
        await compare(connection, embedder, await fingerprint(embedder))
    except EmbedderChanged as error:
        return (
            f"{error} Bring the former model back, or set AFFIDAVIT_EMBEDDINGS_REVISION and run `affidavit reembed` "
            "for each tenant."
        )
    except EmbedderUnavailable as error:
        return str(error)
    return None
