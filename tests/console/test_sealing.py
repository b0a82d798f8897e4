"""Whoever reads the log is told on every such page when sealing is late, and when it has stopped."""

import asyncio
from pathlib import Path

import httpx
import pytest

from backend import self_check
from backend.embedded_postgres import EmbeddedPostgres
from tests.console.visits import visiting
from tests.ledger.forking import forked
from tests.service import Database, Service, Tenant, sealing

pytestmark = pytest.mark.anyio

READ = ("/console/review", "/console/review/open", "/console/review/counts", "/console/review/timeline")
LATE, STOPPED = "Sealing is late", "Sealing has stopped"


async def told(client: httpx.AsyncClient, service: Service, *pages: str) -> set[str]:
    """What these pages say of sealing, once the process has looked again."""
    assert (await service.ready()).status_code == 200
    shown = [await client.get(page) for page in pages]
    assert [page.status_code for page in shown] == [200] * len(pages)
    return {next((words for words in (LATE, STOPPED) if words in page.text), "nothing") for page in shown}


async def test_reviewers_see_that_nobody_seals_and_that_the_log_has_forked(
    service: Service,
    tenant: Tenant,
    database: Database,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with visiting(service, tenant, "compliance") as reviewer, visiting(service, tenant, "analyst") as analyst:
        async with sealing(database):
            assert await told(reviewer, service, *READ) == {"nothing"}
        monkeypatch.setattr(self_check, "SEALER_MAY_PAUSE_SECONDS", 0)
        await asyncio.sleep(1.6)  # whole seconds are compared
        assert await told(reviewer, service, *READ) == {LATE}
        reviewer.cookies.set("language", "de")
        assert "Die Versiegelung ist im Verzug" in (await reviewer.get(READ[0])).text
        reviewer.cookies.delete("language")
        async with forked(postgres, database, tmp_path / "kept"):
            assert await told(reviewer, service, *READ) == {STOPPED}
            assert await told(reviewer, service, "/console/waiting") == {"nothing"}, "it is no page of the log"
            assert await told(analyst, service, "/console/ask", "/console/search") == {"nothing"}
