"""Verifies the logs of a deployment in its live database, and that all checkpoints of all logs are there."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit import key_encryption
from backend.audit.payloads import PayloadVault
from backend.database import open_pool
from backend.identity.callers.permissions import Permission
from backend.ledger.checkpoints import VerifierKey
from backend.ledger.meta_log import verify_checkpoints
from backend.ledger.verifier import Report
from backend.review.verification.live import LiveLog
from backend.settings import Settings
from backend.tenancy import Claims, ContextSigner, Tenancy

Progress = Callable[[int, int], Awaitable[None]]


async def tenants(owner_url: str, slugs: Collection[str]) -> dict[str, UUID]:
    """Returns the tenants of these slugs, or all, by slug; a slug of nobody is left out."""
    owner = await asyncpg.connect(owner_url)
    try:
        rows = await owner.fetch("select id, slug from tenancy.tenant where tenancy.is_home(id) order by slug")
        known = {row["slug"]: row["id"] for row in rows}
    finally:
        await owner.close()
    return {slug: tenant for slug, tenant in known.items() if slug in slugs or not slugs}


async def check_checkpoints(sealer_url: str, keys: str, kept: Sequence[str] = ()) -> Report:
    """Verifies the log of all checkpoints, and holds it against what was kept of it, as the sealer's role."""
    report = Report()
    sealer = await asyncpg.connect(sealer_url)
    try:
        await sealer.execute("set statement_timeout = 0")
        await verify_checkpoints(sealer, [VerifierKey.parse(line) for line in keys.split()], report, kept)
    finally:
        await sealer.close()
    return report


@dataclass(frozen=True, slots=True)
class LogReader:
    """Reads logs as the runtime role, under contexts of the operator; with a vault, also their texts."""

    tenancy: Tenancy
    vault: PayloadVault | None

    async def check(self, tenant_id: UUID, keys: str, kept: Sequence[str], progress: Progress) -> Report:
        """Verifies the log of a tenant."""
        permissions = (
            [Permission.AUDIT_READ] if self.vault is None else [Permission.AUDIT_READ, Permission.AUDIT_REVEAL]
        )
        claims = Claims(str(uuid7()), tenant_id, kind="operator", permissions=permissions)
        log = LiveLog(lambda: self.tenancy.transaction(claims), tenant_id, keys, kept, self.vault)
        return await log.verify(progress)


@asynccontextmanager
async def open_reader(
    settings: Settings, runtime_url: str, context_key: str, payload_key: str | None
) -> AsyncIterator[LogReader]:
    """Opens a reader, of texts too if there is a payload key."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            runtime_url, size=1, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler
        )
        stack.push_async_callback(pool.close)
        vault = None
        if payload_key is not None:
            others = (key.get_secret_value() for key in settings.payload_other_keys)
            vault = PayloadVault(
                await stack.enter_async_context(key_encryption.opened(settings, [payload_key, *others]))
            )
        yield LogReader(
            Tenancy(
                pool,
                ContextSigner(context_key),
                timeout=settings.database_timeout,
                behind_pooler=settings.behind_pooler,
            ),
            vault,
        )
