"""What paths name: made for each request by somebody of the tenant who may, and never by who asks."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from backend.identity.callers.permissions import Role
from backend.jobs.worker import Worker
from backend.operation import provisioning
from backend.sources.asking import SourceHosts
from backend.sources.service import MOST_SOURCES
from backend.webhooks.destinations import Destinations
from backend.webhooks.service import MOST_ENDPOINTS
from tests import factories
from tests.documents.test_parsing_pdf import DrawnPage, lines, pdf
from tests.gateways.provider import USER, Provider, provider_of
from tests.service import Service, Tenant, sealing

RULE = "The rule is the rule."
QUESTION = "What is the rule?"


def fresh(what: str) -> str:
    return f"{what}-{secrets.token_hex(5)}"


@dataclass
class Things:
    """A tenant whose things are asked for; it has two people for what one alone cannot do."""

    service: Service
    tenant: Tenant
    file: dict[str, str] = field(default_factory=dict)  # a version that was uploaded, and its page
    export: str = ""  # one whose file is written
    provider: Provider | None = None  # the tenant's, with a bearer
    sealed: str = ""  # an event that the log's checkpoint covers

    async def prepare(self) -> None:
        """Makes once what a worker and a sealer make: a version of a file, the file of an export, and a sealed event."""
        await self.service.add_user(self.tenant, "compliance2", Role.COMPLIANCE)
        await self.service.add_user(self.tenant, "privacy2", Role.PRIVACY)
        await self.service.add_user(self.tenant, "approver2", Role.APPROVER)
        await self.service.add_user(self.tenant, "admin2", Role.ADMIN)
        await factories.create_collection(self.service, self.tenant)
        self.service.exchange(destinations=Destinations(["*"]), source_hosts=SourceHosts(["*"]))
        self.provider = await provider_of(self.service, self.tenant)
        content = pdf([DrawnPage(lines(*[RULE] * 8)).content()])
        job = await factories.ingested(self.service, self.tenant, "rule.pdf", content, media_type="application/pdf")
        version = job["result"]
        self.file = {"document_id": version["document_id"], "number": str(version["document_version"]), "page": "1"}
        self.sealed = await self.retrieval()
        async with sealing(self.service.database):
            while not (await self.proof()).is_success:
                await asyncio.sleep(0.05)
            self.export = await self.made("/audit/exports", "compliance", last_day())
            await self.work(self.service.services.job_handlers())

    async def bearer(self) -> str:
        """Returns the id of another bearer of the provider."""
        async with self.service.operator() as acting:
            await provisioning.create(acting.connection, self.tenant.slug, fresh("bearer"))
        return str((await self.service.get("/provisioning", self.tenant, "admin")).json()["bearers"][0]["id"])

    async def scim(self, kind: str) -> str:
        """Returns the id of a user or a group that the provider keeps."""
        assert self.provider is not None
        made = await (self.provider.user if kind == "user" else self.provider.group)(fresh(kind))
        return str(made["id"])

    async def proof(self) -> httpx.Response:
        return await self.service.get(f"/audit/events/{self.sealed}/proof", self.tenant, "compliance")

    async def made(self, path: str, username: str, body: Any, member: str = "id") -> str:
        """Has a user make something, and returns what it is called."""
        answer = await self.service.post(path, self.tenant, username, body)
        assert answer.is_success, (path, answer.text)
        return str(answer.json()[member])

    async def work(self, handlers: dict[str, Any]) -> None:
        """Does all jobs; one without a handler fails, and can be tried again."""
        worker = Worker(self.service.services.tenancy, handlers)
        while await worker.work_once():
            pass

    async def user(self, role: str = "analyst") -> str:
        """Returns the name of a user who can sign in."""
        name = fresh("user")
        made = await factories.create_user(self.service, self.tenant, name, role)
        self.tenant.users[name] = made["id"]
        return name

    async def retrieval(self) -> str:
        return await self.made("/retrieve", "analyst", {"query": QUESTION}, "audit_event_id")

    async def answer(self, member: str) -> str:
        return await self.made("/answer", "analyst", {"question": QUESTION}, member)

    async def version(self, collection: str = "default", text: str = RULE, doc_id: str | None = None) -> dict[str, str]:
        """The first version of a document: in force in `default`, in review where approval is asked for."""
        doc_id = doc_id or fresh("rule")
        submitted = await factories.submit(self.service, self.tenant, doc_id, text, collection=collection)
        return {"document_id": submitted["document_id"], "number": "1", "doc_id": doc_id}

    async def upload(self) -> str:
        """Returns the job of an uploaded file, which waits for a worker."""
        content = fresh("# Rule").encode()
        answer = await factories.post_file(self.service, self.tenant, f"{fresh('rule')}.md", content)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    async def raw_file(self) -> str:
        """Returns the id of a file that came by the OpenAI door and is in no vector store yet."""
        form = {"file": ("rule.md", fresh("# Rule").encode(), "text/markdown")}
        headers = await self.service.as_user(self.tenant, "editor")
        answer = await self.service.client.post(
            "/v1/files", files=form, data={"purpose": "assistants"}, headers=headers
        )
        return str(answer.json()["id"])

    async def evaluation_set(self) -> str:
        """Returns the name of a set whose first version waits for a second person."""
        name = fresh("set")
        question = {"question": QUESTION, "expected": "refusal"}
        await self.made(f"/evaluations/sets/{name}/versions", "approver2", {"questions": [question]}, "name")
        return name

    async def run(self) -> str:
        """Returns a run that is finished, of an approved set."""
        name = await self.evaluation_set()
        await self.made(f"/evaluations/sets/{name}/versions/1/approve", "approver", {}, "name")
        run = await self.made("/evaluations/runs", "approver2", {"name": name})
        await self.work(self.service.services.job_handlers())
        return run

    async def change(self) -> str:
        """Returns a change that waits; later ones are made at once again, as two people want it."""
        answers = [await self.put("/evaluations/rule", "admin", {"changes_need_approval": True})]
        answers.append(await self.put("/answer/policy", "admin", {}))
        for username in ("admin", "admin2"):
            await self.put("/evaluations/rule", username, {"changes_need_approval": False})
        return str(answers[1].json()["change"])

    async def put(self, path: str, username: str, body: Any) -> httpx.Response:
        headers = await self.service.as_user(self.tenant, username)
        answer = await self.service.client.put(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer

    async def store(self) -> str:
        listed = await self.service.get("/v1/vector_stores", self.tenant, "analyst", order="asc")
        return str(next(store["id"] for store in listed.json()["data"] if store["name"] == "default"))


def last_day() -> dict[str, str]:
    """The period and format of an export."""
    now = datetime.now(UTC)
    return {"from": (now - timedelta(days=1)).isoformat(), "to": now.isoformat(), "format": "csv"}


Made = Callable[[Things, dict[str, str]], Awaitable[str]]


async def _key(things: Things, _: dict[str, str]) -> str:
    return str((await factories.create_key(things.service, things.tenant))["id"])


async def _shown_document(things: Things, _: dict[str, str]) -> str:
    doc_id = (await things.version())["doc_id"]
    found = await things.service.post("/retrieve", things.tenant, "analyst", {"query": RULE, "k": 100})
    assert f'"{doc_id}"' in found.text
    return doc_id


async def _document(things: Things, _: dict[str, str]) -> str:
    return (await things.version())["document_id"]


async def _export(things: Things, _: dict[str, str]) -> str:
    return things.export


async def _model(things: Things, _: dict[str, str]) -> str:
    listed = await things.service.get("/v1/models", things.tenant, "analyst")
    return str(listed.json()["data"][0]["id"])


async def _grant(things: Things, ids: dict[str, str]) -> str:
    return await things.made(f"/collections/{ids['slug']}/grants", "admin", {"role": "analyst", "access": "read"})


async def _hold(things: Things, _: dict[str, str]) -> str:
    return await things.made("/audit/holds", "compliance", {"subject": "analyst", "reason": "Court order 12"})


async def _erasure(things: Things, _: dict[str, str]) -> str:
    subject = await things.user()
    return await things.made("/audit/erasures", "privacy2", {"subject": subject, "legal_basis": "GDPR article 17"})


async def _joint_request(things: Things, ids: dict[str, str]) -> str:
    hold = await _hold(things, ids)
    headers = await things.service.as_user(things.tenant, "compliance")
    asked = await things.service.client.delete(f"/audit/holds/{hold}", headers=headers)
    assert asked.status_code == 202, asked.text
    return str(asked.json()["request"])


async def _file_in_store(things: Things, ids: dict[str, str]) -> str:
    files = await things.service.get(f"/v1/vector_stores/{ids['store_id']}/files", things.tenant, "analyst")
    return str(files.json()["data"][0]["id"])


async def _batch(things: Things, ids: dict[str, str]) -> str:
    body = {"file_ids": [await things.raw_file()]}
    return await things.made(f"/v1/vector_stores/{ids['store_id']}/file_batches", "editor", body)


async def _named(name: str) -> str:
    return name


async def _webhook(things: Things, _: dict[str, str]) -> str:
    listed = (await things.service.get("/webhooks", things.tenant, "admin")).json()["endpoints"]
    if len(listed) == MOST_ENDPOINTS:  # no more are allowed, and nobody asks for the oldest any more
        headers = await things.service.as_user(things.tenant, "admin")
        await things.service.client.delete(f"/webhooks/{listed[-1]['id']}", headers=headers)
    wanted = {"url": "https://hooks.example.com/affidavit", "kinds": ["hold.placed"]}
    return await things.made("/webhooks", "admin", wanted)


async def _message(things: Things, ids: dict[str, str]) -> str:
    return await things.made(f"/webhooks/{ids['webhook_id']}/test", "admin", None)


async def _source(things: Things, _: dict[str, str]) -> str:
    listed = (await things.service.get("/sources", things.tenant, "admin")).json()["sources"]
    if len(listed) == MOST_SOURCES:  # no more are allowed, and nobody asks for the oldest any more
        headers = await things.service.as_user(things.tenant, "admin")
        await things.service.client.delete(f"/sources/{listed[-1]['id']}", headers=headers)
    wanted = {
        "name": fresh("source"), "kind": "urls", "collection": factories.GUIDANCE, "address": "https://www.example.com/a.md",
    }  # fmt: skip
    return await things.made("/sources", "admin", wanted)


async def _source_run(things: Things, ids: dict[str, str]) -> str:
    return await things.made(f"/sources/{ids['source_id']}/runs", "admin", {"dry_run": True})


OF_PARAMETER: dict[str, Made] = {
    "source_id": _source,
    "source_run_id": _source_run,
    "webhook_id": _webhook,
    "message_id": _message,
    "bearer_id": lambda things, _: things.bearer(),
    "scim_user_id": lambda things, _: things.scim("user"),
    "scim_group_id": lambda things, _: things.scim("group"),
    "resource_type": lambda _, __: _named("User"),
    "schema": lambda _, __: _named(USER),
    "key_id": _key,
    "user_id": lambda things, _: things.made("/users", "admin", {"username": fresh("user"), "roles": ["analyst"]}),
    "host": lambda things, _: things.made("/auth/client-hosts", "admin", {"host": f"{fresh('agent')}.example"}, "host"),
    "event_id": lambda things, _: things.retrieval(),
    "doc_id": _shown_document,
    "document_id": _document,
    "slug": lambda things, _: things.made("/collections", "admin", {"slug": fresh("matrix"), "name": "M"}, "slug"),
    "grant_id": _grant,
    "search_id": lambda things, _: things.made("/audit/searches", "compliance", {"name": fresh("search")}),
    "conversation_id": lambda things, _: things.answer("conversation"),
    "turn_id": lambda things, _: things.answer("turn"),
    "turn": lambda things, _: things.answer("turn"),
    "hold_id": _hold,
    "erasure_id": _erasure,
    "request_id": _joint_request,
    "export_id": _export,
    "verification_id": lambda things, _: things.made("/audit/verifications", "compliance", {}),
    "job_id": lambda things, _: things.upload(),
    "store_id": lambda things, _: things.store(),
    "file": _file_in_store,
    "upload_id": lambda things, _: things.raw_file(),
    "batch_id": _batch,
    "response_id": lambda things, _: things.made("/v1/responses", "analyst", {"input": QUESTION}),
    "model": _model,
    "set_name": lambda things, _: things.evaluation_set(),
    "version": lambda _, __: _named("1"),
    "run_id": lambda things, _: things.run(),
    "change_id": lambda things, _: things.change(),
}
