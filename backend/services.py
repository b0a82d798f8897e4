"""The composition root: every collaborator, built once from Settings, opened and closed here and nowhere else.

The API, the worker, the command line, tests and benchmarks all get theirs from here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cached_property
from typing import Any

import httpx
from fastapi import FastAPI

from backend.answers import generators
from backend.answers.conversations import Conversations
from backend.answers.generators import Generators
from backend.answers.service import Answering
from backend.audit import key_encryption
from backend.audit.events import DoorKind
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.cells.homes import CellHomes, homes_from_settings
from backend.cells.known import KnownDirectory
from backend.database import Pool, open_pool
from backend.documents.chunks.vectors import Vectorizer
from backend.documents.files import ingestion
from backend.documents.files.pictures import PagePictures
from backend.documents.files.service import INGEST
from backend.documents.files.withdrawal import Withdrawal
from backend.egress import Egress, outside_client
from backend.evaluation.jobs import RunFailureHandler, RunHandler
from backend.evaluation.runs import EVALUATE
from backend.health import Probe, ProcessReadiness
from backend.identity.callers.addresses import TrustedProxies
from backend.identity.callers.admission import Admission
from backend.identity.callers.caller import Resolver
from backend.identity.oauth.clients import Clients
from backend.identity.oauth.service import AuthorizationServer
from backend.identity.second_factor.service import SecondFactors
from backend.identity.sign_in.accounts import Accounts
from backend.identity.sign_in.browsers import Browsers
from backend.identity.sign_in.federation import Federation
from backend.identity.sign_in.providers import Providers
from backend.identity.sign_in.seal import Seal, client_secret_seal, second_factor_seal
from backend.identity.sign_in.service import SignIn
from backend.identity.sign_in.tokens import AccessTokens, SigningKeys
from backend.identity.usage.accounting import Accounting
from backend.jobs.failures import FailureHandlers
from backend.jobs.room import JobRoom
from backend.jobs.worker import Handler
from backend.operation.guard import OperatorDatabase
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.provenance import provenance
from backend.provided import given_to
from backend.retrieval.ask import Retrieval
from backend.retrieval.embedding import choice as embedders
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.embedding.fingerprint import WatchedEmbedder
from backend.retrieval.embedding.vectorizer import ChunkVectorizer
from backend.retrieval.ranking import reranker as rerankers
from backend.retrieval.weights import weights_of
from backend.review.exports.jobs import EXPORT, ExportHandler
from backend.review.replay.service import Replaying
from backend.review.verification.jobs import VerificationHandler
from backend.review.verification.service import VERIFY
from backend.self_check import SealerWatch, SelfCheck
from backend.settings import Settings, payload_keys, pseudonym_secret, required, search_secrets
from backend.settings.answers import Price
from backend.sources.asking import SourceHosts
from backend.sources.opening import Bounds, Opening
from backend.sources.running import RUN, RunEnding, Running
from backend.sources.scheduling import Scheduler
from backend.storage.objects import ObjectStore
from backend.storage.service import FileKeys, FileVault, archives_from_settings, store_from_settings
from backend.tenancy import ContextSigner, Homes, Tenancy
from backend.tls import shared
from backend.webhooks.delivering import Deliverer
from backend.webhooks.destinations import Destinations


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
    pseudonym_keys: PseudonymKeys
    retrieval: Retrieval
    accounting: Accounting
    generators: Generators
    conversations: Conversations
    answering: Answering
    destinations: Destinations
    deliverer: Deliverer
    source_hosts: SourceHosts
    source_opening: Opening
    scheduler: Scheduler

    @property
    def withdrawal(self) -> Withdrawal:
        """What takes back an upload of which no version is made."""
        return Withdrawal(self.tenancy, self.files, self.recorder)

    def job_handlers(self) -> dict[str, Handler]:
        """Returns who does which kind of job."""
        return {
            INGEST: ingestion.from_settings(self.settings, self.withdrawal, self.vectorizer, self.pseudonym_keys),
            EXPORT: ExportHandler(
                self.files, self.payloads, self.recorder, self.pseudonym_keys, self.settings.export_part_leaves
            ),
            VERIFY: VerificationHandler(self.payloads, self.recorder, self.settings.checkpoint_public_key),
            EVALUATE: RunHandler(self.recorder, self.answering),
            RUN: Running(self.tenancy, self.recorder, self.files, self.source_opening),
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

    probe: Probe
    readiness: ProcessReadiness
    sealer: SealerWatch
    operator_database: OperatorDatabase
    proxies: TrustedProxies
    tokens: AccessTokens
    admission: Admission
    resolver: Resolver
    second_factors: SecondFactors
    sign_in: SignIn
    accounts: Accounts
    browsers: Browsers
    federation: Federation
    authorization: AuthorizationServer
    failure_handlers: FailureHandlers
    pictures: PagePictures
    archives: ObjectStore
    replaying: Replaying
    job_room: JobRoom


def services_of(app: FastAPI) -> Services:
    """Returns the services of an application that has started, for what stands beside it: the demo, tests, benchmarks."""
    given = given_to(app)
    assert isinstance(given, Services)
    return given


@asynccontextmanager
async def open_worker_services(settings: Settings, *, pool_size: int) -> AsyncIterator[WorkerServices]:
    """Opens what a worker needs; raises MissingSettingError."""
    async with AsyncExitStack() as stack:
        yield await _worker_services(settings, stack, pool_size)


@dataclass(frozen=True, kw_only=True)
class SharedByCells:
    """What the cells that a process serves have in common: nothing that holds anything of a tenant."""

    known: KnownDirectory
    admission: Admission
    readiness: ProcessReadiness
    local_embedder: Embedder | None  # None where vectors come from a server


@asynccontextmanager
async def open_services(settings: Settings, shared: SharedByCells | None = None) -> AsyncIterator[Services]:
    """Opens what the API needs, connected when it is first used; raises MissingSettingError.

    `shared` is what cells have in common in a process that serves several.
    """
    async with AsyncExitStack() as stack:
        base = await _worker_services(settings, stack, settings.database_pool_size, shared=shared)
        keys = SigningKeys(required(settings.jwt_private_key, "JWT_PRIVATE_KEY"), settings.jwt_previous_public_keys)
        resource = f"{settings.public_url}/mcp"
        tokens = AccessTokens(
            keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience, resources={DoorKind.MCP: resource}
        )
        resolver = Resolver(base.tenancy, tokens)
        second_factors = SecondFactors(base.tenancy, base.recorder, second_factor_seal(*payload_keys(settings)))
        sign_in = SignIn(
            base.tenancy, tokens, base.recorder, settings.refresh_token_days, second_factors,
            settings.refresh_reuse_seconds,
        )  # fmt: skip
        sealer = SealerWatch()
        probe = await _probe(settings, base, sealer, stack)
        readiness = shared.readiness if shared else ProcessReadiness()
        readiness.probes[settings.cell or ""] = probe
        probe.cell = (settings.cell or "") if shared else ""
        yield Services(
            **{field.name: getattr(base, field.name) for field in fields(base)},
            probe=probe,
            readiness=readiness,
            sealer=sealer,
            operator_database=await _operator_database(settings, stack),
            proxies=TrustedProxies.parse(settings.trusted_proxies),
            tokens=tokens,
            admission=shared.admission if shared else admission_of(settings),
            resolver=resolver,
            second_factors=second_factors,
            sign_in=sign_in,
            accounts=Accounts(base.tenancy, base.recorder),
            browsers=Browsers(base.tenancy, sign_in, tokens, resolver),
            federation=await _federation(settings, base, sign_in, stack),
            authorization=await _authorization(settings, base, sign_in, stack, resource),
            failure_handlers=FailureHandlers(
                {
                    INGEST: base.withdrawal,
                    EXPORT: ExportHandler(base.files, base.payloads, base.recorder, base.pseudonym_keys),
                    VERIFY: VerificationHandler(base.payloads, base.recorder, settings.checkpoint_public_key),
                    EVALUATE: RunFailureHandler(base.recorder),
                    RUN: RunEnding(base.tenancy, base.recorder),
                }
            ),
            pictures=PagePictures(base.tenancy, base.recorder, base.files, ingestion.parse_limits(settings)),
            archives=archives_from_settings(settings),
            job_room=JobRoom(base.tenancy, settings.max_tenant_jobs, {INGEST: settings.max_tenant_files}),
            replaying=Replaying(base.tenancy, base.recorder, base.payloads, base.retrieval),
        )


async def _worker_services(
    settings: Settings,
    stack: AsyncExitStack,
    pool_size: int,
    *,
    shared: SharedByCells | None = None,
) -> WorkerServices:
    pool = await _runtime_pool(settings, stack, pool_size)
    secrets = payload_keys(settings)
    encryption = await stack.enter_async_context(key_encryption.opened(settings, secrets))
    payloads = PayloadVault(encryption, settings.data_key_seconds)
    words = SearchWords(*search_secrets(settings))
    if shared and settings.cell:
        homes: Homes = CellHomes(settings.cell, shared.known, redirect=settings.cell_redirect)
    else:
        homes = await stack.enter_async_context(homes_from_settings(settings))
    tenancy = _tenancy(settings, pool, homes)
    embedder: Embedder
    if (remote := embedders.remote_from_settings(settings)) is not None:
        stack.push_async_callback(remote.aclose)
        embedder = WatchedEmbedder(remote, tenancy)
    elif shared and shared.local_embedder:
        embedder = shared.local_embedder
    else:
        embedder = await asyncio.to_thread(embedders.from_settings, settings)
    recorder = Recorder(payloads, words, provenance(settings))
    pseudonym_keys, vectorizer = PseudonymKeys(pseudonym_secret(settings)), ChunkVectorizer(embedder)
    reranker = rerankers.from_settings(settings)
    if reranker is not None:
        stack.push_async_callback(reranker.aclose)
    weights = weights_of(embedder.model, settings.lexical_weight, calibrated=settings.lexical_weight_model)
    retrieval = Retrieval(tenancy, recorder, embedder, pseudonym_keys, weights, reranker)
    offered = await asyncio.to_thread(generators.from_settings, settings, embedder)
    stack.push_async_callback(offered.aclose)
    conversations = Conversations(tenancy, recorder, payloads)
    accounting = Accounting(_prices(settings, offered, embedder))
    files = FileVault(store_from_settings(settings), FileKeys(*secrets))
    destinations = Destinations(settings.webhook_hosts, plain=settings.webhook_own_machine)
    own, own_source = settings.webhook_own_machine, settings.source_own_machine
    source_hosts = SourceHosts(settings.source_hosts, plain=own_source)
    outside = await stack.enter_async_context(outside_client())
    return WorkerServices(
        settings=settings,
        pool=pool,
        tenancy=tenancy,
        payloads=payloads,
        words=words,
        recorder=recorder,
        files=files,
        embedder=embedder,
        vectorizer=vectorizer,
        pseudonym_keys=pseudonym_keys,
        retrieval=retrieval,
        accounting=accounting,
        generators=offered,
        conversations=conversations,
        answering=Answering(
            tenancy, recorder, retrieval, offered, conversations, accounting, settings.public_url,
            str(ingestion.chunk_size(settings, vectorizer)),
        ),
        destinations=destinations,
        deliverer=Deliverer(
            tenancy=tenancy, vault=files, recorder=recorder, destinations=destinations,
            egress=Egress(outside, own_machine=own, plain=own),
            seconds=settings.webhook_seconds, failing_days=settings.webhook_failing_days,
            open_after=settings.open_after,
        ),
        source_hosts=source_hosts,
        source_opening=Opening(
            egress=Egress(outside, own_machine=own_source, plain=own_source), hosts=source_hosts,
            bounds=Bounds.from_settings(settings),
        ),
        scheduler=Scheduler(tenancy=tenancy),
    )  # fmt: skip


def admission_of(settings: Settings) -> Admission:
    """Returns how many requests a process does at once, and for each tenant."""
    return Admission.limited_to(
        settings.max_running_requests, settings.max_tenant_running_requests, settings.max_tenant_waiting_requests
    )  # fmt: skip


async def _runtime_pool(settings: Settings, stack: AsyncExitStack, size: int) -> Pool:
    url = required(settings.runtime_database_url, "RUNTIME_DATABASE_URL")
    pool = await open_pool(
        url, size=size, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler,
        other_passwords=settings.other_passwords,
    )  # fmt: skip
    stack.push_async_callback(pool.close)
    return pool


def _tenancy(settings: Settings, pool: Pool, homes: Homes | None = None) -> Tenancy:
    signer = ContextSigner(required(settings.context_key, "CONTEXT_KEY"), settings.cell)
    return Tenancy(pool, signer, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler, homes=homes)


async def _probe(settings: Settings, base: WorkerServices, sealer: SealerWatch, stack: AsyncExitStack) -> Probe:
    own = await _runtime_pool(settings, stack, size=1)  # that no request can take
    conditions = not settings.accept_conditions_before_policies
    return Probe(_tenancy(settings, own), base.pool, SelfCheck(), conditions, base.embedder, sealer)


async def _operator_database(settings: Settings, stack: AsyncExitStack) -> OperatorDatabase:
    if settings.operator_database_url is None:
        return OperatorDatabase(None, settings.database_timeout)
    url = settings.operator_database_url.get_secret_value()
    pool = await open_pool(
        url, size=2, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler,
        other_passwords=settings.other_passwords,
    )  # fmt: skip
    stack.push_async_callback(pool.close)
    return OperatorDatabase(pool, settings.database_timeout)


async def _federation(settings: Settings, base: WorkerServices, sign_in: SignIn, stack: AsyncExitStack) -> Federation:
    secrets = payload_keys(settings)
    client = await stack.enter_async_context(httpx.AsyncClient(verify=shared(httpx.create_ssl_context)))
    return Federation(
        base.tenancy, base.recorder, sign_in, Providers(client, loopback_http=settings.oidc_loopback_http),
        settings.public_url,
        cookie=Seal("login cookie", *secrets), client_secrets=client_secret_seal(*secrets),
    )  # fmt: skip


async def _authorization(
    settings: Settings, base: WorkerServices, sign_in: SignIn, stack: AsyncExitStack, resource: str
) -> AuthorizationServer:
    secrets = payload_keys(settings)
    egress = Egress(await stack.enter_async_context(outside_client()))
    # A program registers before anybody's tenant is named, and cells have the key of searches in common.
    seal = Seal("registered client", *search_secrets(settings), *secrets)
    clients = Clients(egress, seal, settings.oauth_registration)
    return AuthorizationServer(
        base.tenancy, base.recorder, sign_in, sign_in.tokens, clients, Seal("authorization code", *secrets),
        issuer=settings.public_url, resource=resource,
    )  # fmt: skip


def _prices(settings: Settings, offered: Generators, embedder: Embedder) -> dict[str, Price]:
    """Returns what models cost; those in this process cost nothing, and a revision of vectors what its model does."""
    prices = {offered.built_in.name: Price(prompt=Decimal(0))} | settings.model_prices
    if embedder.in_process:
        prices |= {embedder.model: Price(prompt=Decimal(0))}
    elif (price := settings.model_prices.get(settings.embeddings_model or "")) is not None:
        prices |= {embedder.model: price}
    return prices
