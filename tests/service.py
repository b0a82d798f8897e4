"""The service under test: on a database of its own, in this process, and spoken to from outside."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI
from starlette.routing import BaseRoute

from backend.app import create_app
from backend.database import open_pool
from backend.embedded_postgres import EmbeddedPostgres, Passwords
from backend.identity.callers.permissions import Permission, Role
from backend.identity.sign_in.tokens import generate_private_key_pem
from backend.ledger.checkpoints import SigningKey
from backend.ledger.keyring import Keyring
from backend.ledger.sealer import Sealer
from backend.ledger.sinks import CheckpointSink
from backend.migration import migrate, store_context_key
from backend.operation.service import Operator, operator
from backend.provided import provide
from backend.services import Services, services_of
from backend.settings import Settings
from backend.tenancy import ContextSigner

PASSWORD = "correct horse battery staple"  # of every test user
TEMPLATE = "affidavit"  # the migrated database that each test file gets a clone of

_numbers = itertools.count(1)
_routes: dict[int, BaseRoute] = {}


@dataclass(frozen=True)
class Secrets:
    """The secrets of one test run."""

    context_key: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    payload_key: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    jwt_private_key: str = field(default_factory=generate_private_key_pem)


@dataclass(frozen=True)
class Database:
    """One database of the test server, under the URLs of every role."""

    owner_url: str
    runtime_url: str
    sealer_url: str
    operator_url: str
    superuser_url: str


@contextmanager
def postgres_server(folder: Path, run_secrets: Secrets, settings: dict[str, str]) -> Iterator[EmbeddedPostgres]:
    """A server of its own with a migrated database, until the block ends."""
    server = EmbeddedPostgres(folder, Passwords.generate(), settings=settings)
    server.start()
    try:
        server.prepare_roles()
        migrate(server.urls()["owner_url"])
        asyncio.run(store_context_key(server.urls()["owner_url"], ContextSigner(run_secrets.context_key)))
        yield server
    finally:
        server.stop("immediate")


@asynccontextmanager
async def cloned_database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A fresh copy of the migrated database; dropped afterwards."""
    name = f"test_{next(_numbers)}"
    admin_url = postgres.url("postgres", postgres.passwords.superuser, "postgres")
    admin = await asyncpg.connect(admin_url)
    try:
        # By files, without the log: half of the work.
        await admin.execute(f"create database {name} template {TEMPLATE} owner affidavit_owner strategy file_copy")
        await admin.execute(f"revoke all on database {name} from public")
        await admin.execute(
            f"grant connect on database {name} to affidavit_runtime, affidavit_sealer, affidavit_operator"
        )
        yield Database(**postgres.urls(name))
    finally:
        await admin.execute(f"drop database if exists {name} with (force)")
        await admin.close()


def settings_for(database: Database, run_secrets: Secrets, home: Path, **changed: Any) -> Settings:
    """Settings of a service on this database, as a deployment would give them; it waits longer, for busy machines."""
    patient: dict[str, Any] = {"database_timeout": 30}
    return Settings(
        home=home, runtime_database_url=database.runtime_url, sealer_database_url=database.sealer_url,
        operator_database_url=database.operator_url, context_key=run_secrets.context_key, payload_key=run_secrets.payload_key,
        jwt_private_key=run_secrets.jwt_private_key, log_level="WARNING", **patient | changed,
    )  # fmt: skip


@dataclass
class Tenant:
    """A tenant of the test service with a user of every role, all with PASSWORD."""

    id: UUID
    slug: str
    partner_key: str
    users: dict[str, UUID]


@dataclass
class Service:
    """The running service and what tests do with it from outside."""

    app: FastAPI
    client: httpx.AsyncClient
    database: Database
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        return services_of(self.app)

    async def ready(self) -> httpx.Response:
        """What /ready says after a check that begins now, instead of one seconds ago."""
        await self.services.probe.check()
        return await self.client.get("/ready")

    def exchange(self, **collaborators: Any) -> None:
        """Gives the service other collaborators from now on."""
        provide(self.app, replace(self.services, **collaborators))

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Operator]:
        async with operator(self.database.owner_url) as acting:
            yield acting

    async def create_tenant(self, slug: str | None = None) -> Tenant:
        """A tenant with users named after their roles, a partner key, and a collection `restricted` that the analyst
        and the partner may not read."""
        slug = slug or f"tenant-{secrets.token_hex(4)}"
        async with self.operator() as acting:
            tenant_id = await acting.create_tenant(slug, slug)
            users = {
                role.value: await acting.create_user(tenant_id, role.value, PASSWORD, [role])
                for role in Role
                if role is not Role.PARTNER
            }
            await acting.create_collection(tenant_id, "restricted", "Restricted")
            for role in (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE):
                await acting.grant(tenant_id, "restricted", "read", role=role)
            await acting.grant(tenant_id, "restricted", "write", role=Role.EDITOR)
            key = await acting.create_key(tenant_id, "partner", [Permission.RETRIEVAL_QUERY], ["default"])
        return Tenant(tenant_id, slug, key, users)

    async def add_user(self, tenant: Tenant, username: str, *roles: Role) -> UUID:
        """A user of its own: the operator made it, so that nobody in the tenant knows its password."""
        async with self.operator() as acting:
            tenant.users[username] = await acting.create_user(tenant.id, username, PASSWORD, roles)
        return tenant.users[username]

    async def token(self, tenant: Tenant, username: str) -> str:
        """An access token, from signing in once per user."""
        known = self._tokens.get((tenant.slug, username))
        if known is None:
            form = {"username": username, "password": PASSWORD, "client_id": tenant.slug}
            answer = await self.client.post("/auth/token", data=form)
            assert answer.status_code == 200, answer.text
            known = self._tokens[tenant.slug, username] = answer.json()["access_token"]
        return known

    def forget_tokens(self) -> None:
        """Has everybody sign in anew."""
        self._tokens.clear()

    def forget_token(self, tenant: Tenant, username: str) -> None:
        """Has one user sign in anew."""
        self._tokens.pop((tenant.slug, username), None)

    async def as_user(self, tenant: Tenant, username: str) -> dict[str, str]:
        """Headers of a user; `partner` is the API key."""
        credential = tenant.partner_key if username == "partner" else await self.token(tenant, username)
        return {"Authorization": f"Bearer {credential}"}

    async def post(self, path: str, tenant: Tenant, username: str, body: Any) -> httpx.Response:
        return await self.client.post(path, json=body, headers=await self.as_user(tenant, username))

    async def get(self, path: str, tenant: Tenant, username: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=await self.as_user(tenant, username))

    async def release_hold(self, tenant: Tenant, hold_id: str) -> None:
        """Has a legal hold released by two people: the compliance officer asks, and a second one asks for the same."""
        if "compliance2" not in tenant.users:
            await self.add_user(tenant, "compliance2", Role.COMPLIANCE)
        for username, status in (("compliance", 202), ("compliance2", 204)):
            answer = await self.client.delete(f"/audit/holds/{hold_id}", headers=await self.as_user(tenant, username))
            assert answer.status_code == status, answer.text

    async def events(self, tenant: Tenant, **params: Any) -> list[dict[str, Any]]:
        """The tenant's events as its compliance officer reads them, newest first."""
        answer = await self.get("/audit/events", tenant, "compliance", **params)
        assert answer.status_code == 200, answer.text
        events: list[dict[str, Any]] = answer.json()["events"]
        return events


@asynccontextmanager
async def sealing(database: Database, key: SigningKey | None = None) -> AsyncIterator[None]:
    """A sealer beside the service, as in a deployment; it has sealed once when the block begins."""
    async with sealing_to(database, key or SigningKey.generate("affidavit-test")):
        watching = await asyncpg.connect(database.superuser_url)
        while await watching.fetchval("select sealed_at from audit.sealer") is None:
            await asyncio.sleep(0.05)
        await watching.close()
        yield


@asynccontextmanager
async def sealing_to(database: Database, key: SigningKey, *sinks: CheckpointSink) -> AsyncIterator[None]:
    """A sealer that also publishes to these sinks; it may not have sealed when the block begins."""
    pool = await open_pool(database.sealer_url, size=3, timeout=5)
    sealer = asyncio.create_task(Sealer(pool, Keyring(key), sinks).run())
    try:
        yield
    finally:
        sealer.cancel()
        await asyncio.gather(sealer, return_exceptions=True)
        await pool.close()


def share_routes(app: FastAPI) -> None:
    """Lets the applications of this process share what FastAPI makes of each router at its first request: a second for all.

    That depends on signatures alone; collaborators come with the request.
    """
    for place, route in enumerate(app.router.routes):
        if (router := getattr(route, "original_router", None)) is not None:
            app.router.routes[place] = _routes.setdefault(id(router), route)


@asynccontextmanager
async def running(settings: Settings, database: Database) -> AsyncIterator[Service]:
    """The service in this process, spoken to through its ASGI interface."""
    app = create_app(settings)
    share_routes(app)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
            yield Service(app, client, database)
