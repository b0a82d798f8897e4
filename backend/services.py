"""The composition root: every collaborator, built once from Settings, opened and closed here and nowhere else.

The API, the worker, the command line, tests and benchmarks all get theirs from here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import httpx

from backend.answers import generators
from backend.answers.conversations import Conversations
from backend.answers.generator import Generator
from backend.answers.openai_compatible import OpenAICompatibleGenerator
from backend.answers.service import Answering
from backend.audit import key_encryption
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.database import Pool, open_pool
from backend.documents.chunks.vectors import Vectorizer
from backend.documents.files import ingestion
from backend.documents.files.service import INGEST
from backend.documents.files.withdrawal import Withdrawal
from backend.identity.callers.addresses import TrustedProxies
from backend.identity.callers.admission import Admission
from backend.identity.callers.caller import Resolver
from backend.identity.sign_in.accounts import Accounts
from backend.identity.sign_in.browsers import Browsers
from backend.identity.sign_in.federation import Federation
from backend.identity.sign_in.providers import Providers
from backend.identity.sign_in.seal import Seal, client_secret_seal
from backend.identity.sign_in.service import SignIn
from backend.identity.sign_in.tokens import AccessTokens, SigningKeys
from backend.jobs.endings import JobEndings
from backend.jobs.worker import Handler
from backend.operation.guard import OperatorDatabase
from backend.provenance import provenance
from backend.retrieval.ask import Retrieval
from backend.retrieval.embedding import embedder as embedders
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.embedding.vectorizer import ChunkVectorizer
from backend.retrieval.ranking import reranker as rerankers
from backend.retrieval.weights import weights_of
from backend.review.exports.jobs import EXPORT, ExportHandler
from backend.review.replay.service import Replaying
from backend.self_check import SelfCheck
from backend.settings import Settings, required
from backend.storage.objects import ObjectStore
from backend.storage.service import FileVault, archives_from_settings, store_from_settings
from backend.tenancy import ContextSigner, Tenancy

WORKER_POOL = 4


@dataclass(frozen=True, kw_only=True)
class WorkerServices:
    """What every process has that acts for tenants."""

    settings: Settings
    pool: Pool
    tenancy: Tenancy
    payloads: PayloadVault
    words: SearchWords
    recorder: Recorder
    files: FileVault
    embedder: Embedder
    vectorizer: Vectorizer

    @property
    def withdrawal(self) -> Withdrawal:
        """What takes back an upload of which no version is made."""
        return Withdrawal(self.tenancy, self.files, self.recorder)

    def job_handlers(self) -> dict[str, Handler]:
        """Returns who does which kind of job."""
        return {
            INGEST: ingestion.from_settings(self.settings, self.withdrawal, self.vectorizer),
            EXPORT: ExportHandler(self.files, self.payloads, self.recorder, self.settings.export_part_leaves),
        }

    @cached_property
    def _by_type(self) -> dict[object, Any]:
        return {field.type: getattr(self, field.name) for field in fields(self)}

    def collaborator(self, kind: object) -> Any:  # noqa: ANN401 - of the type that is asked for
        """Returns the collaborator whose field has a type; raises KeyError."""
        return self._by_type[kind]


@dataclass(frozen=True, kw_only=True)
class Services(WorkerServices):
    """What the API has. A route asks for the type of a field: `tenancy: Provided[Tenancy]`."""

    self_check: SelfCheck
    operator_database: OperatorDatabase
    proxies: TrustedProxies
    tokens: AccessTokens
    admission: Admission
    resolver: Resolver
    sign_in: SignIn
    accounts: Accounts
    browsers: Browsers
    federation: Federation
    retrieval: Retrieval
    job_endings: JobEndings
    archives: ObjectStore
    answering: Answering
    conversations: Conversations
    replaying: Replaying


@asynccontextmanager
async def open_worker_services(settings: Settings, *, pool_size: int = WORKER_POOL) -> AsyncIterator[WorkerServices]:
    """Opens what a worker needs; raises MissingSettingError."""
    async with AsyncExitStack() as stack:
        yield await _worker_services(settings, stack, pool_size)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Opens what the API needs, connected when it is first used; raises MissingSettingError."""
    async with AsyncExitStack() as stack:
        base = await _worker_services(settings, stack, settings.database_pool_size)
        keys = SigningKeys(required(settings.jwt_private_key, "JWT_PRIVATE_KEY"), settings.jwt_previous_public_keys)
        tokens = AccessTokens(keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
        resolver = Resolver(base.tenancy, tokens)
        sign_in = SignIn(
            base.tenancy, tokens, base.recorder, settings.refresh_token_days, settings.refresh_reuse_seconds
        )
        reranker = rerankers.from_settings(settings)
        if reranker is not None:
            stack.push_async_callback(reranker.aclose)
        retrieval = Retrieval(
            base.tenancy,
            base.recorder,
            base.embedder,
            weights_of(base.embedder.model, settings.lexical_weight),
            reranker,
        )
        generator = _generator(settings, base.embedder, stack)
        conversations = Conversations(base.tenancy, base.recorder, base.payloads)
        yield Services(
            **{field.name: getattr(base, field.name) for field in fields(base)},
            self_check=SelfCheck(),
            operator_database=await _operator_database(settings, stack),
            proxies=TrustedProxies.parse(settings.trusted_proxies),
            tokens=tokens,
            admission=Admission.limited_to(
                settings.max_running_requests,
                settings.max_tenant_running_requests,
                settings.max_tenant_waiting_requests,
            ),
            resolver=resolver,
            sign_in=sign_in,
            accounts=Accounts(base.tenancy, base.recorder),
            browsers=Browsers(base.tenancy, sign_in, tokens, resolver),
            federation=await _federation(settings, base, sign_in, stack),
            retrieval=retrieval,
            job_endings=JobEndings(
                {INGEST: base.withdrawal, EXPORT: ExportHandler(base.files, base.payloads, base.recorder)}
            ),
            archives=archives_from_settings(settings),
            answering=Answering(base.tenancy, base.recorder, retrieval, generator, conversations, settings.public_url),
            conversations=conversations,
            replaying=Replaying(base.tenancy, base.recorder, base.payloads, retrieval),
        )


async def _worker_services(settings: Settings, stack: AsyncExitStack, pool_size: int) -> WorkerServices:
    url = required(settings.runtime_database_url, "RUNTIME_DATABASE_URL")
    pool = await open_pool(url, size=pool_size, timeout=settings.database_timeout)
    stack.push_async_callback(pool.close)
    signer = ContextSigner(required(settings.context_key, "CONTEXT_KEY"))
    secret = required(settings.payload_key, "PAYLOAD_KEY")
    encryption = await stack.enter_async_context(key_encryption.opened(settings, secret))
    payloads, words = PayloadVault(encryption, settings.data_key_seconds), SearchWords(secret)
    embedder = await asyncio.to_thread(embedders.from_settings, settings)
    return WorkerServices(
        settings=settings,
        pool=pool,
        tenancy=Tenancy(pool, signer, timeout=settings.database_timeout),
        payloads=payloads,
        words=words,
        recorder=Recorder(payloads, words, provenance(settings)),
        files=FileVault(store_from_settings(settings), secret),
        embedder=embedder,
        vectorizer=ChunkVectorizer(embedder),
    )


async def _operator_database(settings: Settings, stack: AsyncExitStack) -> OperatorDatabase:
    if settings.operator_database_url is None:
        return OperatorDatabase(None, settings.database_timeout)
    url = settings.operator_database_url.get_secret_value()
    pool = await open_pool(url, size=2, timeout=settings.database_timeout)
    stack.push_async_callback(pool.close)
    return OperatorDatabase(pool, settings.database_timeout)


async def _federation(settings: Settings, base: WorkerServices, sign_in: SignIn, stack: AsyncExitStack) -> Federation:
    secret = required(settings.payload_key, "PAYLOAD_KEY")
    client = await stack.enter_async_context(httpx.AsyncClient())
    return Federation(
        base.tenancy, base.recorder, sign_in, Providers(client, loopback_http=settings.oidc_loopback_http),
        f"{settings.public_url}/auth/oidc/callback",
        cookie=Seal(secret, "login cookie"), client_secrets=client_secret_seal(secret),
    )  # fmt: skip


def _generator(settings: Settings, embedder: Embedder, stack: AsyncExitStack) -> Generator:
    generator = generators.from_settings(settings, embedder)
    if isinstance(generator, OpenAICompatibleGenerator):
        stack.push_async_callback(generator.aclose)
    return generator
