"""Whatever is created, granted and withdrawn in whatever order: everyone retrieves exactly what the model allows."""

from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from backend.embedded_postgres import EmbeddedPostgres
from backend.identity.callers.permissions import Role
from tests.isolation.everyone import Everyone, everyone
from tests.isolation.model import AccessModel
from tests.service import PASSWORD, Secrets, Tenant

ROLES = ("admin", "editor", "approver", "analyst", "compliance")
SLUGS = ("legal", "fees", "claims")
MOST_TENANTS, MOST_USERS = 3, 4


def machine(everyone: Everyone) -> type[RuleBasedStateMachine]:
    """Returns the state machine over a running service."""

    class Isolation(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = AccessModel()
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
    with everyone(postgres, run_secrets, model_home) as running:
        running.hold(machine(running), examples=6, steps=20)
