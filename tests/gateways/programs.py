"""Programs that ask to act for a person, who decides in a browser, and what they exchange the code for."""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.service import PASSWORD, Service, Tenant

CALLBACK = "http://127.0.0.1:41999/callback"
RESOURCE = "http://127.0.0.1:8000/mcp"


def let_programs_register(service: Service) -> None:
    """Lets programs register, as the operator may."""
    server = service.services.authorization
    clients = replace(server.clients, registration=True)
    service.exchange(authorization=replace(server, clients=clients))


@dataclass
class Browser:
    """A person's browser, signed in to the console."""

    client: httpx.AsyncClient

    async def open(self, query: dict[str, str]) -> httpx.Response:
        """Follows a program's request to the page on which the person decides."""
        begun = await self.client.get("/oauth/authorize", params=query)
        assert begun.status_code == 302, begun.text
        return await self.client.get(begun.headers["location"])

    async def decide(self, shown: httpx.Response, decision: str = "allow") -> dict[str, str]:
        """Presses a button, and returns what came to the program's redirect address."""
        form = {name: hidden(shown.text, name) for name in ("form_token", "asked")}
        answer = await self.client.post("/console/authorize", data=form | {"decision": decision})
        assert answer.status_code == 303, answer.text
        return answer_of(answer)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1].replace("&amp;", "&").replace("&#39;", "'")


def answer_of(answer: httpx.Response) -> dict[str, str]:
    target = urlsplit(answer.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == CALLBACK
    return {name: values[0] for name, values in parse_qs(target.query).items()}


async def browser_of(service: Service, tenant: Tenant, username: str) -> Browser:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://127.0.0.1:8000")
    form = {"tenant": tenant.slug, "username": username, "password": PASSWORD}
    answer = await client.post("/console/sign-in", data=form)
    assert answer.status_code == 303, answer.text
    return Browser(client)


async def registered(service: Service, **said: Any) -> str:
    body = {"client_name": "Agent <b>Smith</b>", "redirect_uris": [CALLBACK]} | said
    answer = await service.client.post("/oauth/register", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["client_id"])


def pkce() -> tuple[str, str]:
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def asking(client_id: str, challenge: str, **changed: str) -> dict[str, str]:
    return {
        "response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "code_challenge": challenge,
        "code_challenge_method": "S256", "resource": RESOURCE, "state": "af0ifjsldkj",
        "scope": "retrieval:query answers:create offline_access",
    } | changed  # fmt: skip


@dataclass
class AuthorizationCode:
    """A code that a person gave a program, and what the program exchanges it with."""

    service: Service
    client_id: str
    code: str
    verifier: str

    async def exchange(self, **changed: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code", "client_id": self.client_id, "code": self.code,
            "redirect_uri": CALLBACK, "code_verifier": self.verifier, "resource": RESOURCE,
        } | changed  # fmt: skip
        return await self.service.client.post("/oauth/token", data={n: v for n, v in form.items() if v})


async def granted(service: Service, tenant: Tenant, username: str = "analyst", **changed: str) -> AuthorizationCode:
    browser, client_id, (verifier, challenge) = (
        await browser_of(service, tenant, username),
        await registered(service),
        pkce(),
    )
    shown = await browser.open(asking(client_id, challenge, **changed))
    assert shown.status_code == 200, shown.text
    return AuthorizationCode(service, client_id, (await browser.decide(shown))["code"], verifier)
