"""Whatever is created, granted and withdrawn in whatever order: everyone retrieves exactly what the model allows."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from backend.embedded_postgres import EmbeddedPostgres
from backend.identity.callers.permissions import Role
from tests.conftest import PASSWORD, Secrets, Service, Tenant, cloned_database, running, settings_for
from tests.isolation.model import Model

Result = TypeVar("Result")
ROLES = ("admin", "editor", "approver", "analyst", "compliance")
SLUGS = ("legal", "fees", "claims")
MOST_TENANTS, MOST_USERS = 3, 4


class Everyone:
    """The service and its event loop, which outlive the examples; each example makes tenants of its own."""

    def __init__(self, loop: asyncio.Runner, service: Service) -> None:
        self._loop = loop
        self.service = service
        self.tenants = 0

    def run(self, awaitable: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run(awaitable)


def machine(everyone: Everyone) -> type[RuleBasedStateMachine]:
    """Returns the state machine over a running service."""

    class Isolation(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model()
            self.tenants: dict[str, Tenant] = {}
            self.ids: dict[tuple[str, str], UUID] = {}
            self.documents = 0

        @initialize()
        def two_tenants(self) -> None:
            self._add_tenant()
            self._add_tenant()

        @precondition(lambda self: len(self.tenants) < MOST_TENANTS)
        @rule()
        def create_tenant(self) -> None:
            self._add_tenant()

        @rule(role=st.sampled_from(ROLES), choice=st.randoms(use_true_random=False))
        def create_user(self, role: str, choice: Any) -> None:
            tenant = choice.choice(sorted(self.tenants))
            if sum(t == tenant for t, _ in self.model.roles) < MOST_USERS:
                everyone.run(self._create_user(tenant, f"user{len(self.model.roles)}", role))

        @rule(slug=st.sampled_from(SLUGS), choice=st.randoms(use_true_random=False))
        def create_collection(self, slug: str, choice: Any) -> None:
            tenant = choice.choice(sorted(self.tenants))
            if (tenant, slug) not in self.model.readers:
                everyone.run(self._create_collection(tenant, slug))

        @rule(choice=st.randoms(use_true_random=False), to_role=st.booleans())
        def grant(self, choice: Any, *, to_role: bool) -> None:
            tenant, slug = choice.choice(sorted(self.model.readers))
            users = sorted(user for t, user in self.model.roles if t == tenant)
            grantee = choice.choice(ROLES[1:] if to_role else users)
            if grantee not in self.model.readers[tenant, slug]:
                everyone.run(self._grant(tenant, slug, grantee, to_role=to_role))

        @rule(choice=st.randoms(use_true_random=False))
        def withdraw(self, choice: Any) -> None:
            tenant, slug = choice.choice(sorted(self.model.readers))
            everyone.run(self._withdraw(tenant, slug, choice))

        @rule(choice=st.randoms(use_true_random=False))
        def ingest(self, choice: Any) -> None:
            tenant, slug = choice.choice(sorted(self.model.readers))
            everyone.run(self._ingest(tenant, slug))

        @rule()
        def retrieve_as_everyone(self) -> None:
            for tenant, user in self.model.roles:
                assert everyone.run(self._retrieve(tenant, user)) == self.model.visible(tenant, user), (tenant, user)

        def teardown(self) -> None:
            self.retrieve_as_everyone()

        def _add_tenant(self) -> None:
            everyone.tenants += 1
            slug = f"model-{everyone.tenants}"
            everyone.run(self._create_tenant(slug))
            self.model.add_tenant(slug)
            for user, role in (("chief", "admin"), ("author", "editor")):
                everyone.run(self._create_user(slug, user, role))

        async def _create_tenant(self, slug: str) -> None:
            async with everyone.service.operator() as acting:
                self.tenants[slug] = Tenant(await acting.create_tenant(slug, slug), slug, "", {})

        async def _create_user(self, tenant: str, name: str, role: str) -> None:
            async with everyone.service.operator() as acting:
                self.ids[tenant, name] = await acting.create_user(self.tenants[tenant].id, name, PASSWORD, [Role(role)])
            self.model.roles[tenant, name] = role

        async def _create_collection(self, tenant: str, slug: str) -> None:
            await self._succeed(tenant, "chief", "POST", "/collections", {"slug": slug, "name": slug})
            self.model.add_collection(tenant, slug, set())
            await self._succeed(
                tenant, "chief", "POST", f"/collections/{slug}/grants", {"access": "write", "role": "editor"}
            )

        async def _grant(self, tenant: str, slug: str, grantee: str, *, to_role: bool) -> None:
            to = {"role": grantee} if to_role else {"principal_id": str(self.ids[tenant, grantee])}
            headers = await everyone.service.as_user(self.tenants[tenant], "chief")
            answer = await everyone.service.client.post(
                f"/collections/{slug}/grants", json={"access": "read", **to}, headers=headers
            )
            if grantee == "chief":  # nobody grants to itself
                assert answer.status_code == 403, answer.text
                return
            assert answer.status_code == 201, answer.text
            self.model.readers[tenant, slug].add(grantee)

        async def _withdraw(self, tenant: str, slug: str, choice: Any) -> None:
            listed = await self._succeed(tenant, "chief", "GET", f"/collections/{slug}/grants")
            reading = [grant for grant in listed["grants"] if grant["access"] == "read"]
            if reading:
                grant = choice.choice(reading)
                await self._succeed(tenant, "chief", "DELETE", f"/collections/{slug}/grants/{grant['id']}")
                self.model.readers[tenant, slug].discard(grant["role"] or grant["principal_name"])

        async def _ingest(self, tenant: str, slug: str) -> None:
            self.documents += 1
            doc_id = f"{tenant}-{slug}-{self.documents}"
            chunk = {"doc_id": doc_id, "chunk_text": f"Rule {doc_id}.", "source_type": "rule", "collection": slug}
            answer = await everyone.service.post("/ingest", self.tenants[tenant], "author", chunk)
            assert answer.status_code in ({201} if self.model.reads(tenant, "author", slug) else {403, 404}), (
                answer.text
            )
            if answer.status_code == 201:
                self.model.documents[tenant, slug].add(doc_id)

        async def _retrieve(self, tenant: str, user: str) -> set[str] | None:
            answer = await everyone.service.post(
                "/retrieve", self.tenants[tenant], user, {"query": "Which rule?", "k": 100}
            )
            if answer.status_code == 403:
                return None
            assert answer.status_code == 200, answer.text
            return {context["doc_id"] for context in answer.json()["contexts"]}

        async def _succeed(self, tenant: str, user: str, method: str, path: str, body: Any = None) -> Any:
            headers = await everyone.service.as_user(self.tenants[tenant], user)
            answer = await everyone.service.client.request(method, path, json=body, headers=headers)
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

    return Isolation


def test_everyone_retrieves_exactly_what_the_model_allows(
    postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path
) -> None:
    with asyncio.Runner() as loop:
        started: asyncio.Future[Service] = loop.get_loop().create_future()
        done = asyncio.Event()

        async def serve() -> None:  # in one task, since some of what starts must end in the task that started it
            async with (
                cloned_database(postgres) as database,
                running(settings_for(database, run_secrets, model_home), database) as service,
            ):
                started.set_result(service)
                await done.wait()

        async def begin() -> Service:
            await asyncio.wait([serving, started], return_when=asyncio.FIRST_COMPLETED)
            if not started.done():
                await serving  # which raises
            return started.result()

        async def end() -> None:
            done.set()
            await serving

        serving = loop.get_loop().create_task(serve())
        try:
            everyone = Everyone(loop, loop.run(begin()))
            run_state_machine_as_test(
                machine(everyone),
                settings=settings(
                    max_examples=6, stateful_step_count=20, deadline=None, derandomize=True,
                    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
                ),
            )  # fmt: skip
        finally:
            loop.run(end())
