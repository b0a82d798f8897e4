"""Requests that are answered by more than whether one may: their bodies, queries and ids name what is there and fits."""

import time
from base64 import b32decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from backend.gateways.openai.ids import file_id
from backend.identity.callers.permissions import Role
from backend.identity.second_factor import codes
from tests import factories
from tests.gateways import provider
from tests.isolation.routes import Given, Route
from tests.isolation.things import OF_PARAMETER, QUESTION, RULE, Things, fresh, last_day
from tests.service import PASSWORD, Service, Tenant


@dataclass(frozen=True)
class Requester:
    """Who asks: a user of a tenant, its key `partner`, its provider with a bearer, or nobody."""

    tenant: Tenant
    username: str | None
    bearer: str | None = None

    @property
    def is_person(self) -> bool:
        return self.username not in {None, "partner"} and self.bearer is None

    async def headers(self, service: Service) -> dict[str, str]:
        if self.bearer is not None:
            return {"Authorization": f"Bearer {self.bearer}"}
        return {} if self.username is None else await service.as_user(self.tenant, self.username)

    async def twin(self, service: Service) -> "Requester":
        """Somebody of the same role, made for one request that changes or ends the sign-in of who asks."""
        if self.username is None or not self.is_person:
            return self
        name = fresh(self.username)
        await service.add_user(self.tenant, name, Role(self.username))
        return Requester(self.tenant, name)


# Each is asked by somebody who is made for it.
ABOUT_ONESELF = {
    "POST /auth/password", "POST /auth/logout", "DELETE /auth/sessions/{session_id}", "POST /auth/second-factor",
    "POST /auth/second-factor/confirm", "POST /auth/second-factor/remove",
}  # fmt: skip


async def given(things: Things, route: Route, asker: Requester) -> Given:
    """Returns what a request to the route names, so that nothing but who asks decides on the answer."""
    if route.name in RIGHTLY:
        return await RIGHTLY[route.name](things, asker)
    return Given(await _ids(things, route.parameters))


async def _ids(things: Things, parameters: list[str]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for name in parameters:
        if name in OF_PARAMETER:
            ids[name] = await OF_PARAMETER[name](things, ids)
    return ids


Rightly = Callable[[Things, Requester], Awaitable[Given]]


def with_body(make: Callable[[Things], Awaitable[dict[str, Any]]], *parameters: str) -> Rightly:
    """A request with this JSON body, and ids for these parameters of its path."""

    async def rightly(things: Things, _: Requester) -> Given:
        return Given(await _ids(things, list(parameters)), {"json": await make(things)})

    return rightly


async def _why(things: Things) -> dict[str, Any]:
    return {"query": QUESTION, "doc_id": (await things.version())["doc_id"]}


async def _sign_in(things: Things, _: Requester) -> Given:
    form = {"username": "analyst", "password": PASSWORD, "client_id": things.tenant.slug}
    return Given(arguments={"data": form})


async def _password(_: Things) -> dict[str, Any]:
    return {"old_password": PASSWORD, "new_password": PASSWORD}


async def _reset(things: Things) -> dict[str, Any]:
    user = await OF_PARAMETER["user_id"](things, {})
    return {"token": await things.made(f"/users/{user}/reset", "admin", None, "token"), "password": PASSWORD}


async def _own_session(things: Things, asker: Requester) -> Given:
    """Of another sign-in of who asks."""
    if not asker.is_person:
        return Given()
    form = {"username": asker.username, "password": PASSWORD, "client_id": asker.tenant.slug}
    assert (await things.service.client.post("/auth/token", data=form)).status_code == 200
    headers = await asker.headers(things.service)
    sessions = (await things.service.client.get("/auth/sessions", headers=headers)).json()["sessions"]
    return Given({"session_id": next(session["id"] for session in sessions if not session["current"])})


async def _begun(service: Service, asker: Requester) -> str:
    """Sets a second factor up, and returns a code of its app."""
    begun = await service.client.post("/auth/second-factor", headers=await asker.headers(service))
    return codes._totp(b32decode(begun.json()["secret"])).generate(int(time.time())).decode()


async def _confirmed(service: Service, asker: Requester) -> str:
    """Has the asker have a second factor, and returns a recovery code of it."""
    shown, headers = {"code": await _begun(service, asker)}, await asker.headers(service)
    confirmed = await service.client.post("/auth/second-factor/confirm", json=shown, headers=headers)
    return str(confirmed.json()["recovery_codes"][0])


async def _code_to_confirm(things: Things, asker: Requester) -> Given:
    return Given(arguments={"json": {"code": await _begun(things.service, asker)}}) if asker.is_person else Given()


async def _code_to_remove(things: Things, asker: Requester) -> Given:
    return Given(arguments={"json": {"code": await _confirmed(things.service, asker)}}) if asker.is_person else Given()


async def _user_with_a_second_factor(things: Things, _: Requester) -> Given:
    name = await things.user()
    await _confirmed(things.service, Requester(things.tenant, name))
    return Given({"user_id": str(things.tenant.users[name])})


async def _user_of_another_administrator(things: Things, _: Requester) -> Given:
    """Whom one of the two administrators made, and who has chosen a password."""
    wanted = {"username": fresh("user"), "roles": ["analyst"]}
    made = (await things.service.post("/users", things.tenant, "admin2", wanted)).json()
    chosen = {"token": made["invitation"]["token"], "password": PASSWORD}
    assert (await things.service.client.post("/auth/reset", json=chosen)).status_code == 204
    return Given({"user_id": made["id"]})


async def _page_of_a_file(things: Things, _: Requester) -> Given:
    return Given(things.file)


async def _draft(things: Things, _: Requester) -> Given:
    """A chunk in a collection that asks for approval begins a draft, which its author submits."""
    doc_id = fresh("draft")
    await factories.ingest(things.service, things.tenant, doc_id, "A rule.", collection=factories.GUIDANCE)
    listed = await things.service.get("/documents", things.tenant, "editor", doc_id=doc_id)
    return Given({"document_id": listed.json()["documents"][0]["id"], "number": "1"})


async def _in_review(things: Things, _: Requester) -> Given:
    return Given(await things.version(factories.GUIDANCE))


async def _approved(things: Things, _: Requester) -> Given:
    submitted = await factories.approved(things.service, things.tenant, fresh("rule"), RULE)
    return Given({"document_id": submitted["document_id"], "number": "1"})


async def _two_versions(things: Things, _: Requester) -> Given:
    first = await things.version()
    await things.version(text="Another rule.", doc_id=first["doc_id"])
    return Given(first, {"params": {"from": 1, "to": 2}})


async def _grant(_: Things) -> dict[str, Any]:
    return {"role": "analyst", "access": "read"}


async def _cancelled_job(things: Things, _: Requester) -> Given:
    """Its events have an end."""
    job = await things.upload()
    await things.made(f"/jobs/{job}/cancel", "editor", None)
    return Given({"job_id": job})


async def _failed_job(things: Things, _: Requester) -> Given:
    job = await things.upload()
    await things.work({})
    return Given({"job_id": job})


async def _sealed_event(things: Things, _: Requester) -> Given:
    return Given({"event_id": things.sealed})


async def _from_the_first(_: Things, __: Requester) -> Given:
    return Given(arguments={"params": {"from": 1}})


async def _timeline(_: Things, __: Requester) -> Given:
    return Given(arguments={"params": {"actor": "analyst"}})


async def _hold_of_one(_: Things) -> dict[str, Any]:
    return {"subject": "analyst", "reason": "Court order 12"}  # of everyone it would stop the erasures that follow


async def _longer(things: Things) -> dict[str, Any]:
    known = (await things.service.get("/audit/retention", things.tenant, "compliance")).json()["retention"]
    return {"event_class": "usage", "days": 1 + sum(of["days"] for of in known if of["event_class"] == "usage")}


async def _export(_: Things) -> dict[str, Any]:
    return last_day()


async def _new_file(things: Things) -> dict[str, Any]:
    return {"file_id": await things.raw_file()}


async def _new_files(things: Things) -> dict[str, Any]:
    return {"file_ids": [await things.raw_file()]}


async def _new_run(things: Things) -> dict[str, Any]:
    return {"name": await things.evaluation_set()}


async def _new_scim_user(_: Things) -> dict[str, Any]:
    return {"schemas": [provider.USER], "userName": fresh("user")}


async def _question(_: Things) -> dict[str, Any]:
    return {"question": QUESTION}


async def _new_source(_: Things) -> dict[str, Any]:
    wanted = {"name": fresh("source"), "kind": "sitemap", "collection": factories.GUIDANCE}
    return {**wanted, "address": "https://www.example.com/sitemap.xml"}


async def _query(_: Things) -> dict[str, Any]:
    return {"query": QUESTION}


async def _question_of_a_document(things: Things) -> dict[str, Any]:
    return {"question": QUESTION, "doc_id": (await things.version())["doc_id"]}


async def _fetched(things: Things, _: Requester) -> Given:
    version = await things.version()
    return Given({"id": file_id(UUID(version["document_id"]), int(version["number"]))})


async def _compared(things: Things, asker: Requester) -> Given:
    two = await _two_versions(things, asker)
    return Given({"document_id": two.ids["document_id"]}, {"json": {"from_version": 1, "to_version": 2}})


async def _read_page(things: Things, _: Requester) -> Given:
    return Given({"document_id": things.file["document_id"]}, {"json": things.file})


VERSION = "/documents/{document_id}/versions/{number}"
RIGHTLY: dict[str, Rightly] = {
    "POST /retrieve/why": with_body(_why),
    "POST /auth/token": _sign_in,
    "POST /auth/password": with_body(_password),
    "POST /auth/reset": with_body(_reset),
    "DELETE /auth/sessions/{session_id}": _own_session,
    "POST /auth/second-factor/confirm": _code_to_confirm,
    "POST /auth/second-factor/remove": _code_to_remove,
    "DELETE /users/{user_id}/second-factor": _user_with_a_second_factor,
    "POST /users/{user_id}/vouch": _user_of_another_administrator,
    f"GET {VERSION}/file": _page_of_a_file,
    f"GET {VERSION}/pages/{{page}}": _page_of_a_file,
    f"GET {VERSION}/pages/{{page}}/picture": _page_of_a_file,
    f"POST {VERSION}/submit": _draft,
    f"POST {VERSION}/approve": _in_review,
    f"POST {VERSION}/reject": _in_review,
    f"POST {VERSION}/retire": _approved,
    "GET /documents/{document_id}/diff": _two_versions,
    "POST /collections/{slug}/grants": with_body(_grant, "slug"),
    "POST /jobs/{job_id}/retry": _failed_job,
    "GET /jobs/{job_id}/events": _cancelled_job,
    "GET /audit/events/{event_id}/proof": _sealed_event,
    "GET /audit/consistency": _from_the_first,
    "GET /audit/timeline": _timeline,
    "POST /audit/holds": with_body(_hold_of_one),
    "POST /audit/retention": with_body(_longer),
    "POST /audit/exports": with_body(_export),
    "POST /evaluations/runs": with_body(_new_run),
    "POST /sources": with_body(_new_source),
    "POST /scim/v2/Users": with_body(_new_scim_user),
    "PUT /scim/v2/Users/{scim_user_id}": with_body(_new_scim_user, "scim_user_id"),
    "POST /v1/vector_stores/{store_id}/files": with_body(_new_file, "store_id"),
    "POST /v1/vector_stores/{store_id}/file_batches": with_body(_new_files, "store_id"),
    "MCP search": with_body(_query),
    "MCP search_documents": with_body(_query),
    "MCP ask": with_body(_question),
    "MCP why_not_found": with_body(_question_of_a_document),
    "MCP fetch": _fetched,
    "MCP compare_versions": _compared,
    "MCP prove_event": _sealed_event,
    "MCP resources/read a page": _read_page,
}
