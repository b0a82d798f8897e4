"""Whoever makes, grants, hands over and approves in whatever order: nobody is more than the model of people allows."""

import secrets
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backend.embedded_postgres import EmbeddedPostgres
from backend.identity.callers.permissions import Role
from tests.isolation.everyone import Everyone, everyone
from tests.isolation.people import Employee, Grant, Key, People
from tests.service import PASSWORD, Secrets, Tenant

BOSSES = ("ann", "bob")  # administrators whom the operator made
COLLECTION = "guidance"
MOST_USERS, MOST_KEYS = 9, 4
Choice = st.randoms(use_true_random=False)


def machine(everyone: Everyone) -> type[RuleBasedStateMachine]:
    """Returns the state machine over a running service."""

    class Accountability(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = People()
            self.ids: dict[str, str] = {}
            self.secrets: dict[str, str] = {}  # of keys
            self.versions: dict[str, dict[str, Any]] = {}

        @initialize()
        def two_administrators_and_two_of_each_hand(self) -> None:
            everyone.run(self._found())

        @rule(choice=Choice, role=st.sampled_from(("admin", "editor", "approver")), by_link=st.booleans())
        def hire_and_have_access_granted(self, choice: Any, role: str, *, by_link: bool) -> None:
            if len(self.model.users) < MOST_USERS:
                by = choice.choice(self._administrators())
                name = f"{role}{len(self.model.users)}"
                body = {"username": name, "roles": [role], **({} if by_link else {"password": PASSWORD})}
                made = everyone.run(self._ask(by, "POST", "/users", body)).json()
                self.ids[name] = made["id"]
                if by_link:
                    everyone.run(self._follow(made["invitation"]["token"]))
                self.model.users[name] = Employee(role, by, chosen=by_link, made=self.model.hour)
                for boss in sorted(BOSSES, key=lambda boss: boss != by):  # who hired it tries first, and then the other
                    self._grant(boss, name)
                if role == "admin":  # at once for whoever may act as it
                    self._make_a_partner_or_not_any_more(name, by)

        @precondition(lambda self: any(not user.chosen for user in self._staff().values()))
        @rule(choice=Choice)
        def choose_an_own_password(self, choice: Any) -> None:
            name = choice.choice(sorted(name for name, user in self._staff().items() if not user.chosen))
            body = {"old_password": PASSWORD, "new_password": PASSWORD}
            assert everyone.run(self._ask(name, "POST", "/auth/password", body)).status_code == 204
            self.model.users[name].chosen = True

        @rule(choice=Choice)
        def give_a_link_and_set_a_password_by_it(self, choice: Any) -> None:
            by, to = choice.choice(self._administrators()), choice.choice(sorted(self._staff()))
            answer = everyone.run(self._ask(by, "POST", f"/users/{self.ids[to]}/reset", {}))
            assert answer.status_code == (200 if self.model.may_change_roles(by, to) else 403), (by, to, self.model)
            if answer.is_success:
                everyone.run(self._follow(answer.json()["token"]))
                everyone.service.forget_token(self.tenant, to)
                user = self.model.users[to]
                if user.counts_as != by:
                    self.model.end_hand(to, user.counts_as)
                user.counts_as, user.chosen = by, True

        @precondition(lambda self: any(user.counts_as for user in self._staff().values()))
        @rule(choice=Choice)
        def vouch(self, choice: Any) -> None:
            to = choice.choice(sorted(name for name, user in self._staff().items() if user.counts_as))
            by = choice.choice(self._administrators())
            answer = everyone.run(self._ask(by, "POST", f"/users/{self.ids[to]}/vouch"))
            assert answer.status_code == (200 if self.model.may_vouch(by, to) else 403), (by, to, self.model)
            if answer.is_success:
                user = self.model.users[to]
                self.model.end_hand(to, user.counts_as)
                user.counts_as = None

        @rule()
        def an_hour_goes_by(self) -> None:
            everyone.run(self._age())
            self.model.hour += 1

        @rule(choice=Choice)
        def make_a_partner_or_not_any_more(self, choice: Any) -> None:
            self._make_a_partner_or_not_any_more(
                choice.choice(self._administrators()), choice.choice(sorted(self._staff()))
            )

        @precondition(lambda self: not self.model.partners_read)
        @rule(choice=Choice)
        def grant_to_partners(self, choice: Any) -> None:
            by, body = choice.choice(self._administrators()), {"role": "partner", "access": "read"}
            answer = everyone.run(self._ask(by, "POST", f"/collections/{COLLECTION}/grants", body))
            assert answer.status_code == (201 if self.model.may_grant_to_partners(by) else 403), (by, self.model)
            self.model.partners_read = answer.is_success

        @precondition(lambda self: self._hired_editors())
        @rule(by=st.sampled_from(BOSSES), choice=Choice)
        def delete_an_editor(self, by: str, choice: Any) -> None:
            name = choice.choice(self._hired_editors())
            assert everyone.run(self._ask(by, "DELETE", f"/users/{self.ids[name]}")).status_code == 204
            self.model.users[name].deleted = True

        @rule(by=st.sampled_from(BOSSES))
        def make_a_key(self, by: str) -> None:
            if len(self.model.keys) < MOST_KEYS:
                name = f"key{len(self.model.keys)}"
                body = {"name": name, "permissions": ["retrieval:query"]}
                made = everyone.run(self._ask(by, "POST", "/auth/keys", body)).json()
                self.ids[name], self.secrets[name] = made["id"], made["key"]
                self.model.keys[name] = Key(by, {by})

        @precondition(lambda self: self.model.keys)
        @rule(by=st.sampled_from(BOSSES), to=st.sampled_from(BOSSES), choice=Choice)
        def hand_a_key_over(self, by: str, to: str, choice: Any) -> None:
            name = choice.choice(sorted(self.model.keys))
            answer = everyone.run(self._ask(by, "PATCH", f"/auth/keys/{self.ids[name]}", {"owner": self.ids[to]}))
            assert answer.status_code == (200 if self.model.may_hand_over(by, name) else 403), answer.text
            if answer.is_success:
                if self.model.keys[name].owner != to:
                    self.model.end_hand(name, self.model.keys[name].owner)
                self.model.keys[name].owner, self.model.keys[name].knowers = to, set()
                assert everyone.run(self._ask(name, "GET", "/auth/me")).status_code == 401
                if name in self.model.grants:  # what was granted beyond its owner was for the other one
                    self.model.grants[name].beyond_owner = False

        @precondition(lambda self: self.model.keys)
        @rule(by=st.sampled_from(BOSSES), choice=Choice)
        def rotate_a_key(self, by: str, choice: Any) -> None:
            name = choice.choice(sorted(self.model.keys))
            path = f"/auth/keys/{self.ids[name]}/rotate"
            answer = everyone.run(self._ask(by, "POST", path, {"overlap_seconds": 0}))
            assert answer.status_code == (200 if self.model.keys[name].owner == by else 403), answer.text
            if answer.is_success:
                self.secrets[name], self.model.keys[name].knowers = answer.json()["key"], {by}

        @precondition(lambda self: self._without_a_grant())
        @rule(by=st.sampled_from(BOSSES), choice=Choice)
        def grant(self, by: str, choice: Any) -> None:
            to = choice.choice(self._without_a_grant())
            self._grant(by, to)

        @precondition(lambda self: self._readers("editor"))
        @rule(choice=Choice)
        def submit(self, choice: Any) -> None:
            by = choice.choice(self._readers("editor"))
            doc_id = f"version-{len(self.versions)}"
            body = {"doc_id": doc_id, "collection": COLLECTION, "source_type": "policy", "chunks": [{"text": doc_id}]}
            answer = everyone.run(self._ask(by, "POST", "/documents/versions", body))
            assert answer.status_code == 201, answer.text
            self.versions[doc_id], self.model.authors[doc_id] = answer.json(), (by, self.model.hour)

        @precondition(lambda self: self.model.authors)
        @rule(choice=Choice)
        def approve(self, choice: Any) -> None:
            by = choice.choice(sorted(name for name, user in self._staff().items() if user.role == "approver"))
            doc_id = choice.choice(sorted(self.model.authors))
            version = self.versions[doc_id]
            path = f"/documents/{version['document_id']}/versions/{version['document_version']}/approve"
            answer = everyone.run(self._ask(by, "POST", path, {}))
            expected = {200} if self.model.may_approve(by, doc_id) else {403, 404}
            assert answer.status_code in expected, (by, doc_id, answer.text)
            if answer.is_success:
                del self.model.authors[doc_id]

        @rule(choice=Choice)
        def converse(self, choice: Any) -> None:
            asking = sorted(name for name, user in self._staff().items() if user.role != "admin")
            by, known = choice.choice(asking), sorted(self.model.conversations)
            conversation = choice.choice([*known, str(UUID(int=len(known) + 1))])
            body = {"question": "Which version?", "conversation": conversation}
            answer = everyone.run(self._ask(by, "POST", "/answer", body))
            mine = self.model.conversations.get(conversation, by) == by
            assert answer.status_code == (200 if mine else 404), answer.text
            self.model.conversations.setdefault(conversation, by)
            for name in asking:
                seen = everyone.run(self._ask(name, "GET", f"/conversations/{conversation}"))
                assert seen.status_code == (200 if self.model.conversations[conversation] == name else 404), seen.text

        @invariant()
        def everybody_reads_what_the_model_allows(self) -> None:
            for name in [*self._staff(), *self._live_keys()]:
                me = everyone.run(self._ask(name, "GET", "/auth/me")).json()
                reads = COLLECTION in me["readable_collections"]
                assert reads == self.model.reads(name), (name, self.model)

        def _grant(self, by: str, to: str) -> None:
            body = {"principal_id": self.ids[to], "access": "read"}
            answer = everyone.run(self._ask(by, "POST", f"/collections/{COLLECTION}/grants", body))
            assert answer.status_code == (201 if self.model.may_grant(by, to) else 403), (by, to, answer.text)
            if answer.is_success:
                self.model.grants[to] = Grant(to in self.model.keys and not self.model.controls(by, to))

        def _make_a_partner_or_not_any_more(self, by: str, to: str) -> None:
            user = self.model.users[to]
            roles = [user.role] if user.partner else [user.role, "partner"]
            answer = everyone.run(self._ask(by, "PUT", f"/users/{self.ids[to]}/roles", {"roles": roles}))
            assert answer.status_code == (200 if self.model.may_change_roles(by, to) else 403), (by, to, self.model)
            if answer.is_success:
                user.partner = not user.partner

        def _staff(self) -> dict[str, Employee]:
            return {name: user for name, user in self.model.users.items() if not user.deleted}

        def _administrators(self) -> list[str]:
            return sorted(name for name, user in self._staff().items() if user.role == "admin")

        def _live_keys(self) -> list[str]:
            return [name for name, key in self.model.keys.items() if key.knowers]

        def _hired_editors(self) -> list[str]:
            return sorted(n for n, user in self._staff().items() if user.role == "editor" and n != "eve")

        def _without_a_grant(self) -> list[str]:
            return [name for name in [*self._staff(), *self.model.keys] if name not in self.model.grants]

        def _readers(self, role: str) -> list[str]:
            return sorted(n for n, user in self._staff().items() if user.role == role and self.model.reads(n))

        async def _found(self) -> None:
            everyone.tenants += 1
            slug = f"people-{everyone.tenants}-{secrets.token_hex(3)}"
            async with everyone.service.operator() as acting:
                self.tenant = Tenant(await acting.create_tenant(slug, slug), slug, "", {})
                for name, role in (
                    *((boss, Role.ADMIN) for boss in BOSSES),
                    ("eve", Role.EDITOR),
                    ("al", Role.APPROVER),
                ):
                    self.ids[name] = str(await acting.create_user(self.tenant.id, name, PASSWORD, [role]))
                    self.model.users[name] = Employee(role.value)
            wanted = {"slug": COLLECTION, "name": "Guidance", "approval_required": True}
            assert (await self._ask("ann", "POST", "/collections", wanted)).status_code == 201
            written = {"role": "editor", "access": "write"}
            await self._ask("ann", "POST", f"/collections/{COLLECTION}/grants", written)

        async def _follow(self, token: str) -> None:
            body = {"token": token, "password": PASSWORD}
            assert (await everyone.service.client.post("/auth/reset", json=body)).status_code == 204

        async def _age(self) -> None:
            """Moves what is on record of this tenant an hour back."""
            superuser = await asyncpg.connect(everyone.service.database.superuser_url)
            await superuser.execute("set session_replication_role = replica")
            for column in (
                "identity.ended_hand.counts_until", "documents.version.created_at", 'identity."user".created_at',
            ):  # fmt: skip
                table, _, name = column.rpartition(".")
                statement = f"update {table} set {name} = {name} - interval '1 hour' where tenant_id = $1"
                await superuser.execute(statement, self.tenant.id)
            await superuser.close()

        async def _ask(self, by: str, method: str, path: str, body: Any = None) -> httpx.Response:
            if by in self.secrets:
                headers = {"Authorization": f"Bearer {self.secrets[by]}"}
            else:
                headers = await everyone.service.as_user(self.tenant, by)
            return await everyone.service.client.request(method, path, json=body, headers=headers)

    return Accountability


def test_nobody_is_more_than_the_model_of_people_allows(
    postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path
) -> None:
    with everyone(postgres, run_secrets, model_home) as running:
        running.hold(machine(running), examples=6, steps=25)


RULES = {
    "each principal is a person of its own": """
        create or replace function identity.behind(tenant uuid, principal uuid, since timestamptz) returns uuid[]
        language sql stable security definer set search_path = pg_catalog, pg_temp begin atomic select array[$2]; end""",
    "who knew the old password may choose the next": """
        create or replace function identity.note_chosen() returns trigger language plpgsql security definer
        set search_path = pg_catalog, pg_temp as $$ begin
          update identity."user" u set credentials_of = null where u.tenant_id = new.tenant_id and u.id = new.user_id; return null; end $$;
        create trigger note_chosen after update on identity.password for each row execute function identity.note_chosen()""",
    "nobody acts but who signed in": """
        create or replace function identity.behind_acting_user() returns uuid[]
        language sql stable security definer set search_path = pg_catalog, pg_temp begin atomic select array[identity.acting_user()]; end""",
    "nobody controls anything": """
        create or replace function identity.is_controlled(principal uuid) returns boolean
        language sql stable security definer set search_path = pg_catalog, pg_temp begin atomic select false; end""",
    "who chose a password bounds nobody": """
        create or replace function identity.read_by_all_behind_it() returns uuid[]
        language sql stable security definer set search_path = pg_catalog, pg_temp
        begin atomic select array_agg(g.collection_id) from identity.collection_grant g where g.tenant_id = tenancy.tenant_id(); end""",
    "a conversation belongs to the tenant": """
        drop policy own on answers.conversation;
        create policy own on answers.conversation to affidavit_runtime using (tenant_id = (select tenancy.tenant_id()))""",
}


@pytest.mark.parametrize("taken_out", RULES)
def test_the_model_finds_a_rule_that_is_taken_out(
    postgres: EmbeddedPostgres, run_secrets: Secrets, model_home: Path, taken_out: str
) -> None:
    async def take_out(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(RULES[taken_out])
        await connection.close()

    with everyone(postgres, run_secrets, model_home) as running:
        running.run(take_out(running.service.database.superuser_url))
        with pytest.raises(AssertionError):
            running.hold(machine(running), examples=6, steps=25)
