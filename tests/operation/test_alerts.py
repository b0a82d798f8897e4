"""Every rule of infra/alerts.yaml is quiet at first, and fires when what it is for has happened."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import yaml
from prometheus_client import REGISTRY

from backend import metrics
from backend.embedded_postgres import EmbeddedPostgres
from backend.identity.callers.admission import Admission, Lane, LaneLimits, LaneName, Party
from backend.jobs.worker import Worker
from backend.operation import measures
from tests.answers import model_server
from tests.ledger.forking import forked
from tests.service import Database, Secrets, Service, Tenant, sealing, settings_for
from tests.serving import started
from tests.webhooks.endpoints import created, delivering, sent_test, serve
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.anyio

ALERTS = Path(__file__).resolve().parents[2] / "infra" / "alerts.yaml"
RULES: dict[str, str] = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}
_FORM = re.compile(
    r"(?P<since>time\(\) - )?(?P<increase>increase\()?(?P<name>\w+)(\{(?P<label>\w+)(?P<match>=~?)\"(?P<value>[^\"]*)\"\})?"
    r"(\[\d+m\]\))? (?P<operator>[>=]+) (?P<number>\d+)"
)
HURRY = 300  # how many times sooner than Prometheus these tests say that something is too old
Sample = tuple[str, dict[str, str], float]


def samples() -> list[Sample]:
    return [(s.name, s.labels, s.value) for family in REGISTRY.collect() for s in family.samples]


@dataclass(frozen=True)
class Rule:
    """One comparison, evaluated on what is measured now and, for an increase, what was measured before."""

    expression: str

    @property
    def is_of_an_age(self) -> bool:
        parts = _FORM.fullmatch(self.expression)
        return parts is not None and bool(parts["since"] or parts["name"].endswith("_seconds"))

    def fires(self, before: list[Sample], hurry: int = 1) -> bool:
        parts = _FORM.fullmatch(self.expression)
        assert parts is not None, self.expression
        values = {str(labels): value for labels, value in self._chosen(parts, samples())}
        if parts["increase"]:
            known = {str(labels): value for labels, value in self._chosen(parts, before)}
            values = {labels: value - known.get(labels, 0) for labels, value in values.items()}
        if parts["since"]:
            values = {labels: time.time() - value for labels, value in values.items()}
        limit = float(parts["number"]) / (hurry if self.is_of_an_age else 1)
        return any(value == limit if parts["operator"] == "==" else value > limit for value in values.values())

    @staticmethod
    def _chosen(parts: re.Match[str], measured: list[Sample]) -> Iterator[tuple[dict[str, str], float]]:
        for name, labels, value in measured:
            held = labels.get(parts["label"] or "", "")
            wanted = parts["value"] if parts["match"] == "=~" else re.escape(parts["value"] or "")
            if name == parts["name"] and (not parts["label"] or re.fullmatch(wanted, held)):
                yield labels, value


Measuring = Callable[[], Awaitable[None]]


async def quiet(alert: str, measure: Measuring) -> None:
    """Waits until a rule of an age fires no longer."""
    await measure()
    while Rule(RULES[alert]).fires([], HURRY):
        await measure()


@dataclass(frozen=True)
class AlertCause:
    """Brings about what a rule is for, until the block ends."""

    service: Service
    tenant: Tenant
    database: Any
    postgres: EmbeddedPostgres
    folder: Path
    run_secrets: Secrets
    model_home: Path
    sealer: Any

    async def measure(self) -> None:
        await measures.measure(self.sealer)

    @asynccontextmanager
    async def SealingStopped(self) -> AsyncIterator[Measuring]:  # noqa: N802 - named after the rules
        async with forked(self.postgres, self.service.database, self.folder):
            yield self.measure

    @asynccontextmanager
    async def SealingBehind(self) -> AsyncIterator[Measuring]:  # noqa: N802
        """Nobody seals what is recorded."""
        await self.service.post("/retrieve", self.tenant, "analyst", {"query": "wires"})
        yield self.measure
        async with sealing(self.service.database):
            await quiet("SealingBehind", self.measure)

    @asynccontextmanager
    async def CheckpointsOld(self) -> AsyncIterator[Measuring]:  # noqa: N802
        """The only sealer has ended."""
        await self._seal_all()
        yield self.measure
        async with sealing(self.service.database):
            await quiet("CheckpointsOld", self.measure)

    @asynccontextmanager
    async def TurnsLeftOpen(self) -> AsyncIterator[Measuring]:  # noqa: N802
        """A process that serves is killed in the middle of an answer."""
        chunk = {"doc_id": "fees", "chunk_text": "An outgoing wire costs $25.", "source_type": "policy"}
        assert (await self.service.post("/ingest", self.tenant, "editor", chunk)).status_code == 201
        headers = await self.service.as_user(self.tenant, "analyst")
        with model_server.running() as model:
            model.reply = model_server.hanging(60)
            settings = {
                "AFFIDAVIT_HOME": str(self.model_home), "AFFIDAVIT_RUNTIME_DATABASE_URL": self.service.database.runtime_url,
                "AFFIDAVIT_CONTEXT_KEY": self.run_secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": self.run_secrets.payload_key,
                "AFFIDAVIT_JWT_PRIVATE_KEY": self.run_secrets.jwt_private_key, "AFFIDAVIT_MODEL_URL": model.url,
                "AFFIDAVIT_MODEL_NAME": "a-model", "AFFIDAVIT_MODEL_API_KEY": "k",
            }  # fmt: skip
            with started("serve", settings=settings) as serving:
                async with httpx.AsyncClient(base_url=serving.url, headers=headers, timeout=60) as client:
                    question = {"question": "What does an outgoing wire cost?"}
                    asking = asyncio.create_task(client.post("/answer", json=question))
                    while not model.requests:
                        assert not asking.done(), asking
                        await asyncio.sleep(0.02)
                    serving.process.kill()
                    with pytest.raises(httpx.TransportError):
                        await asking
        await self._seal_all()
        await measures.measure_turns(self.sealer, self.service.services.settings.open_after)
        assert not Rule(RULES["TurnsLeftOpen"]).fires([])  # it may still be answered
        yield lambda: measures.measure_turns(self.sealer, timedelta(seconds=-1))

    @asynccontextmanager
    async def DatabaseNotMeasured(self) -> AsyncIterator[Measuring]:  # noqa: N802
        """The database takes no connections any more."""
        settings = settings_for(self.service.database, self.run_secrets, self.model_home)
        keeping = asyncio.create_task(measures.keep(settings))
        name = self.service.database.superuser_url.rpartition("/")[2]
        admin = await asyncpg.connect(self.postgres.url("postgres", self.postgres.passwords.superuser, "postgres"))
        try:
            at_first = measures.MEASURED_AT._value.get()
            while measures.MEASURED_AT._value.get() == at_first:
                await asyncio.sleep(0.02)
            await admin.execute(f"alter database {name} allow_connections false")
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = 'affidavit_sealer'",
                name,
            )
            yield lambda: asyncio.sleep(0.05)
            await admin.execute(f"alter database {name} allow_connections true")
            await quiet("DatabaseNotMeasured", lambda: asyncio.sleep(0.05))  # by itself
        finally:
            await admin.execute(f"alter database {name} allow_connections true")
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await admin.close()

    @asynccontextmanager
    async def CellAway(self) -> AsyncIterator[Measuring]:  # noqa: N802
        """The database of one of several cells no longer passes the self-check."""
        probe = replace(self.service.services.probe, cell="eu-1")
        await self.database.execute("alter table documents.chunk no force row level security")
        try:
            yield probe.check
        finally:
            await self.database.execute("alter table documents.chunk force row level security")
            await probe.check()
        assert not Rule(RULES["CellAway"]).fires([])

    @asynccontextmanager
    async def JobsWait(self) -> AsyncIterator[Measuring]:  # noqa: N802
        """No worker is there."""
        files, form = {"file": ("a.txt", uuid4().hex.encode(), "text/plain")}, {"doc_id": "a", "source_type": "policy"}
        headers = await self.service.as_user(self.tenant, "editor")
        sent = await self.service.client.post("/documents", files=files, data=form, headers=headers)
        assert sent.status_code == 202
        yield self.measure
        await self._work()
        await quiet("JobsWait", self.measure)

    @asynccontextmanager
    async def WebhooksWait(self) -> AsyncIterator[Measuring]:  # noqa: N802
        """No worker is there that sends; a receiver that refuses is asked again when a message is due, which is no waiting."""
        async with receiving() as receiver, delivering(self.service) as deliverer:
            await sent_test(self.service, self.tenant, await created(self.service, self.tenant, receiver))
            yield deliverer.measure
            await serve(deliverer)
            assert receiver.received
            await quiet("WebhooksWait", deliverer.measure)

    @asynccontextmanager
    async def JobsFail(self) -> AsyncIterator[Measuring]:  # noqa: N802
        headers = await self.service.as_user(self.tenant, "editor")
        for number in range(11):
            files = {"file": (f"{number}.pdf", b"%PDF-1.7\n" + uuid4().hex.encode(), "application/pdf")}
            form = {"doc_id": f"broken-{number}", "source_type": "policy"}
            answer = await self.service.client.post("/documents", files=files, data=form, headers=headers)
            assert answer.status_code == 202, answer.text
        await self._work()
        yield self.measure

    @asynccontextmanager
    async def ServerErrors(self) -> AsyncIterator[Measuring]:  # noqa: N802
        await self.database.execute("revoke insert on audit.payload from affidavit_runtime")
        try:
            for _ in range(6):
                answer = await self.service.post("/retrieve", self.tenant, "analyst", {"query": "wires"})
                assert answer.status_code == 503
        finally:
            await self.database.execute(
                "grant insert (tenant_id, event_id, name, key_id, ciphertext, terms) on audit.payload to affidavit_runtime"
            )
        yield self.measure

    @asynccontextmanager
    async def RequestsRefusedForLoad(self) -> AsyncIterator[Measuring]:  # noqa: N802
        before, full = self.service.services.admission, Lane(LaneLimits(1, 1, 40, wait_seconds=0.05))
        self.service.exchange(admission=Admission(dict.fromkeys(LaneName, full)))
        try:
            async with full.admitted(Party("another tenant", "whose request hangs")):
                asked = [self.service.post("/retrieve", self.tenant, "analyst", {"query": "wires"}) for _ in range(6)]
                assert {answer.status_code for answer in await asyncio.gather(*asked)} == {503}
        finally:
            self.service.exchange(admission=before)
        yield self.measure

    @asynccontextmanager
    async def RefusedForNumber(self) -> AsyncIterator[Measuring]:  # noqa: N802
        form = {"username": "analyst", "password": "wrong", "client_id": self.tenant.slug}
        for _ in range(35):
            await self.service.client.post("/auth/token", data=form)
        yield self.measure

    async def _seal_all(self) -> None:
        async with sealing(self.service.database):
            while await self.database.fetchval("select exists (select from audit.unsealed)"):
                await asyncio.sleep(0.02)

    async def _work(self) -> None:
        own = self.service.services
        worker = Worker(own.tenancy, own.job_handlers())
        while await worker.work_once():
            pass


@pytest.mark.parametrize("alert", RULES)
async def test_a_rule_fires_when_what_it_is_for_has_happened_and_no_longer_when_it_is_mended(
    alert: str, service: Service, tenant: Tenant, database: Database, postgres: EmbeddedPostgres, tmp_path: Path,
    run_secrets: Secrets, model_home: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(measures, "EVERY_SECONDS", 0.1)
    metrics.CELL_READY.clear()  # of cells that ended in other tests
    rule = Rule(RULES[alert])
    superuser, sealer = await asyncpg.connect(database.superuser_url), await asyncpg.connect(database.sealer_url)
    try:
        await service.as_user(tenant, "analyst")
        await measures.measure(sealer)
        before = samples()
        assert not rule.fires(before)
        cause = AlertCause(service, tenant, superuser, postgres, tmp_path / "kept", run_secrets, model_home, sealer)
        caused: AbstractAsyncContextManager[Measuring] = getattr(cause, alert)()
        async with asyncio.timeout(120), caused as measure:
            await measure()
            while not rule.fires(before, HURRY):
                assert rule.is_of_an_age
                await measure()
    finally:
        await superuser.close()
        with suppress(asyncpg.PostgresError):
            await sealer.close()
