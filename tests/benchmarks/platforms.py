"""Platforms to measure: a deployment filled with tenants of known sizes, each with twenty collections, among many others.

A platform lives in a folder. What was loaded is written down there, so that a kept one need not be filled again.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from pgvector import HalfVector
from uuid_utils.compat import uuid7

from backend.audit.key_encryption import LocalKeyEncryption
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.database import open_pool
from backend.identity.callers.caller import Caller
from backend.operation import placement
from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Question, validity_of
from backend.retrieval.weights import weights_of
from backend.tenancy import ContextSigner, Tenancy
from tests.benchmarks.deployment import Deployment, connect, deployment
from tests.benchmarks.synthetic import DIMENSIONS, Corpus, Progress, Topics, load, spread
from tests.retrieval.hits import DISCRETION

COLLECTIONS = 20


@dataclass(frozen=True)
class Size:
    """How large a platform is: its tenants to measure by slug, those of them with private partitions, and the whole."""

    measured: Mapping[str, int]
    private: tuple[str, ...]
    chunks: int
    tenants: int


@dataclass
class Subject:
    """A tenant that is measured: its collections and the headers of a key that may read them all."""

    id: UUID
    slug: str
    chunks: int
    collections: list[UUID]
    headers: dict[str, str]

    def caller(self, collections: int = COLLECTIONS) -> Caller:
        """Returns a caller who may read so many of the collections."""
        return Caller(
            tenant_id=self.id, tenant_slug=self.slug, principal_id=uuid7(), kind="user", name="bench", request_id="bench",
            readable=frozenset(self.collections[:collections]),
        )  # fmt: skip

    def corpora(self) -> list[Corpus]:
        """Returns its collections, to be filled evenly."""
        shares = [self.chunks // COLLECTIONS + (n < self.chunks % COLLECTIONS) for n in range(COLLECTIONS)]
        return [Corpus(self.id, c, share) for c, share in zip(self.collections, shares, strict=True) if share]


@dataclass
class Platform:
    """A running platform, with a superuser's connection to its database and what the service itself works with."""

    deployed: Deployment
    superuser: asyncpg.Connection
    tenancy: Tenancy
    recorder: Recorder
    topics: Topics
    subjects: dict[str, Subject]

    def question(self, **asked: Any) -> Question:
        """Returns a question about the corpus with its vector."""
        text, dense = self.topics.question()
        request = RetrievalRequest(query=text, **{"k": 10, **asked})
        vector = None if request.mode == "lexical" else HalfVector(dense)
        return Question(
            request,
            vector,
            self.topics.model,
            DIMENSIONS,
            validity_of(request),
            weights_of(self.topics.model),
            DISCRETION,
        )

    async def fill(self, size: Size, progress: Progress) -> None:
        """Loads the subjects and other tenants, interleaved, and gives the large ones their partitions."""
        corpora = [corpus for subject in self.subjects.values() for corpus in subject.corpora()]
        others = spread(
            size.chunks - sum(size.measured.values()), size.tenants - len(self.subjects), self.topics.random
        )
        corpora += [Corpus(uuid7(), uuid7(), chunks) for chunks in others]
        added = corpora[-(size.tenants - len(self.subjects)) :]
        await self.superuser.copy_records_to_table(
            "tenant", schema_name="tenancy", columns=["id", "slug", "name"],
            records=[(c.tenant_id, f"t-{c.tenant_id}", f"t-{c.tenant_id}") for c in added],
        )  # fmt: skip
        await self.superuser.copy_records_to_table(
            "collection", schema_name="documents", columns=["tenant_id", "id", "slug", "name"],
            records=[(c.tenant_id, c.collection_id, "default", "Default") for c in added],
        )  # fmt: skip
        await load(self.superuser, self.topics, corpora, progress)
        for slug in size.private:
            await placement.promote(
                self.deployed.urls["owner_url"], self.subjects[slug].id,
                partial(_promoting, progress, slug),
            )  # fmt: skip
        await self.superuser.execute("vacuum documents.chunk")
        await self.superuser.execute("checkpoint")


def _promoting(progress: Progress, slug: str, step: str, done: int, total: int) -> None:
    progress(f"{slug}: {step}", done, total)


@asynccontextmanager
async def platform(folder: Path, size: Size, progress: Progress, *, keep: bool) -> AsyncIterator[Platform]:
    """Starts a platform of a size in a folder, filling it unless that was done before; raises ValueError if it has another."""
    written, expected = folder / "size.json", json.dumps(asdict(size))
    if written.exists() and written.read_text() != expected:
        message = f"{folder} has a platform of another size: {written.read_text()}"
        raise ValueError(message)
    async with deployment(folder, keep=keep) as deployed:
        known = json.loads((folder / "secrets.json").read_text())
        superuser = await connect(deployed.urls["superuser_url"])
        # The role that serves has these two; a comparison must not differ by them.
        await superuser.execute("set plan_cache_mode = force_custom_plan; set jit = off")
        pool = await open_pool(deployed.urls["runtime_url"], size=4, timeout=5)
        recorder = Recorder(
            PayloadVault(LocalKeyEncryption(known["payload_key"])), SearchWords(known["payload_key"]), {}
        )
        tenancy = Tenancy(pool, ContextSigner(known["context_key"]), timeout=5)
        running = Platform(deployed, superuser, tenancy, recorder, Topics(MINILM.name), {})
        try:
            for slug, chunks in size.measured.items():
                running.subjects[slug] = await _subject(running, slug, chunks, made=written.exists())
            if not written.exists():
                await running.fill(size, progress)
                written.write_text(expected)
            yield running
        finally:
            await superuser.close()
            await pool.close()


async def _subject(running: Platform, slug: str, chunks: int, *, made: bool) -> Subject:
    if not made:
        await running.deployed.tenant(slug, [f"part-{n}" for n in range(COLLECTIONS)])
    rows = await running.superuser.fetch(
        "select c.tenant_id, c.id from documents.collection c join tenancy.tenant t on t.id = c.tenant_id"
        " where t.slug = $1 and c.slug like 'part-%' order by c.id",
        slug,
    )
    # A key, since a user's token would end before a large platform is filled.
    headers = await running.deployed.key(rows[0]["tenant_id"], [f"part-{n}" for n in range(COLLECTIONS)])
    return Subject(rows[0]["tenant_id"], slug, chunks, [row["id"] for row in rows], headers)
