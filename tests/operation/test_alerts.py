"""Every rule of infra/alerts.yaml is quiet at first, and fires when what it is for has happened."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import yaml
from prometheus_client import REGISTRY

from backend.embedded_postgres import EmbeddedPostgres
from backend.identity.callers.admission import Admission, Lane, LaneLimits, LaneName, Party
from backend.jobs.worker import Worker
from backend.operation import measures
from tests.ledger.forking import forked
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

ALERTS = Path(__file__).resolve().parents[2] / "infra" / "alerts.yaml"
RULES: dict[str, str] = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}
_FORM = re.compile(
    r"(?P<since>time\(\) - )?(?P<increase>increase\()?(?P<name>\w+)(\{(?P<label>\w+)(?P<match>=~?)\"(?P<value>[^\"]*)\"\})?"
    r"(\[\d+m\]\))? (?P<operator>[>=]+) (?P<number>\d+)"
)
Sample = tuple[str, dict[str, str], float]


def samples() -> list[Sample]:
    return [(s.name, s.labels, s.value) for family in REGISTRY.collect() for s in family.samples]


@dataclass(frozen=True)
class Rule:
    """One comparison, evaluated on what is measured now and, for an increase, what was measured before."""

    expression: str

    def fires(self, before: list[Sample]) -> bool:
        parts = _FORM.fullmatch(self.expression)
        assert parts is not None, self.expression
        values = {str(labels): value for labels, value in self._chosen(parts, samples())}
        if parts["increase"]:
            known = {str(labels): value for labels, value in self._chosen(parts, before)}
            values = {labels: value - known.get(labels, 0) for labels, value in values.items()}
        if parts["since"]:
            values = {labels: time.time() - value for labels, value in values.items()}
        limit = float(parts["number"])
        return any(value == limit if parts["operator"] == "==" else value > limit for value in values.values())

    @staticmethod
    def _chosen(parts: re.Match[str], measured: list[Sample]) -> Iterator[tuple[dict[str, str], float]]:
        for name, labels, value in measured:
            held = labels.get(parts["label"] or "", "")
            wanted = parts["value"] if parts["match"] == "=~" else re.escape(parts["value"] or "")
            if name == parts["name"] and (not parts["label"] or re.fullmatch(wanted, held)):
                yield labels, value


class AlertCause:
    """Brings about what a rule is for."""

    def __init__(
        self, service: Service, tenant: Tenant, database: Any, postgres: EmbeddedPostgres, folder: Path,
        stopping: AsyncExitStack,
    ) -> None:  # fmt: skip
        self.service, self.tenant, self.database = service, tenant, database
        self.postgres, self.folder, self.stopping = postgres, folder, stopping

    async def SealingStopped(self) -> None:  # noqa: N802 - named after the rules
        await self.stopping.enter_async_context(forked(self.postgres, self.service.database, self.folder))

    async def SealingBehind(self) -> None:  # noqa: N802
        old = UUID(int=int((time.time() - 120) * 1000) << 80)
        await self.database.execute(
            "insert into audit.unsealed (tenant_id, event_id) values ($1, $2)", self.tenant.id, old
        )

    async def CheckpointsOld(self) -> None:  # noqa: N802
        note = "a/meta\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\ntime 1\n\n— a AAAA\n"
        await self.database.execute(
            "insert into audit.checkpoint (tenant_id, id, size, note, signed_at) values ($1, $2, 0, $3, now() - interval '6 minutes')",
            UUID(int=1),
            uuid4(),
            note,
        )

    async def DatabaseNotMeasured(self) -> None:  # noqa: N802
        measures.MEASURED_AT.set(time.time() - 121)

    async def JobsWait(self) -> None:  # noqa: N802
        await self._upload()
        await self.database.execute("update jobs.job set created_at = now() - interval '16 minutes'")

    async def WebhooksWait(self) -> None:  # noqa: N802
        endpoint = uuid4()
        await self.database.execute(
            "insert into webhooks.endpoint (tenant_id, id, url, kinds, position, turns_position, created_by)"
            " values ($1, $2, 'https://hooks.example.com/', '{hold.placed}', 0, 0, $2)", self.tenant.id, endpoint,
        )  # fmt: skip
        await self.database.execute(
            "insert into webhooks.delivery (tenant_id, endpoint_id, id, kind, body, next_attempt_at)"
            " values ($1, $2, $2, 'webhook.test', '{}', now() - interval '11 minutes')", self.tenant.id, endpoint,
        )  # fmt: skip
        await self.service.services.deliverer.measure()

    async def JobsFail(self) -> None:  # noqa: N802
        headers, own = await self.service.as_user(self.tenant, "editor"), self.service.services
        for number in range(11):
            files = {"file": (f"{number}.pdf", b"%PDF-1.7\n" + uuid4().hex.encode(), "application/pdf")}
            form = {"doc_id": f"broken-{number}", "source_type": "policy"}
            answer = await self.service.client.post("/documents", files=files, data=form, headers=headers)
            assert answer.status_code == 202, answer.text
        worker = Worker(own.tenancy, own.job_handlers())
        while await worker.work_once():
            pass

    async def ServerErrors(self) -> None:  # noqa: N802
        await self.database.execute("revoke insert on audit.payload from affidavit_runtime")
        try:
            for _ in range(6):
                answer = await self.service.post("/retrieve", self.tenant, "analyst", {"query": "wires"})
                assert answer.status_code == 503
        finally:
            await self.database.execute(
                "grant insert (tenant_id, event_id, name, key_id, ciphertext, terms) on audit.payload to affidavit_runtime"
            )

    async def RequestsRefusedForLoad(self) -> None:  # noqa: N802
        before, full = self.service.services.admission, Lane(LaneLimits(1, 1, 40, wait_seconds=0.05))
        self.service.exchange(admission=Admission(dict.fromkeys(LaneName, full)))
        try:
            async with full.admitted(Party("another tenant", "whose request hangs")):
                asked = [self.service.post("/retrieve", self.tenant, "analyst", {"query": "wires"}) for _ in range(6)]
                assert {answer.status_code for answer in await asyncio.gather(*asked)} == {503}
        finally:
            self.service.exchange(admission=before)

    async def RefusedForNumber(self) -> None:  # noqa: N802
        form = {"username": "analyst", "password": "wrong", "client_id": self.tenant.slug}
        for _ in range(35):
            await self.service.client.post("/auth/token", data=form)

    async def _upload(self) -> None:
        files, form = {"file": ("a.txt", uuid4().hex.encode(), "text/plain")}, {"doc_id": "a", "source_type": "policy"}
        headers = await self.service.as_user(self.tenant, "editor")
        assert (
            await self.service.client.post("/documents", files=files, data=form, headers=headers)
        ).status_code == 202


@pytest.mark.parametrize("alert", RULES)
async def test_a_rule_fires_when_what_it_is_for_has_happened(
    alert: str, service: Service, tenant: Tenant, database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    rule = Rule(RULES[alert])
    superuser, sealer = await asyncpg.connect(database.superuser_url), await asyncpg.connect(database.sealer_url)
    try:
        await service.as_user(tenant, "analyst")
        await measures.measure(sealer)
        before = samples()
        assert not rule.fires(before)
        async with AsyncExitStack() as stopping:
            cause = getattr(AlertCause(service, tenant, superuser, postgres, tmp_path / "kept", stopping), alert)
            await cause()
            if alert != "DatabaseNotMeasured":
                await measures.measure(sealer)
            assert rule.fires(before)
    finally:
        await superuser.close()
        await sealer.close()
