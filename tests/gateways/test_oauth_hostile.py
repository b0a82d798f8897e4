"""What attackers and broken programs send to the authorization server: refused, said so to the right one, and on record."""

from dataclasses import replace
from urllib.parse import urlencode

import asyncpg
import pytest

from backend.identity.sign_in.seal import Seal
from backend.tenancy import PLATFORM_TENANT
from tests.gateways.programs import (
    answer_of,
    asking,
    browser_of,
    granted,
    let_programs_register,
    pkce,
    registered,
)
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
async def registering(service: Service) -> None:
    let_programs_register(service)


async def failures(service: Service, tenant: Tenant) -> set[str | None]:
    return {event["reason"] for event in await service.events(tenant, action="auth:failed", limit=200)}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"code_verifier": "w" * 50}, "oauth:pkce"),
        ({"code_verifier": ""}, "oauth:pkce"),
        ({"client_id": "https://other.example/c"}, "oauth:code_of_other_client"),
        ({"redirect_uri": "http://127.0.0.1:41999/other"}, "oauth:redirect_uri"),
        ({"redirect_uri": ""}, "oauth:redirect_uri"),
        ({"resource": "https://other.example/mcp"}, "oauth:resource"),
    ],
)
async def test_a_stolen_code_is_worth_nothing(
    service: Service, tenant: Tenant, changed: dict[str, str], reason: str
) -> None:
    grant = await granted(service, tenant)
    refused = await grant.exchange(**changed)
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        "invalid_target" if "resource" in reason else "invalid_grant",
    )
    assert reason in await failures(service, tenant)
    assert (await grant.exchange()).status_code == 200, "who holds the verifier still gets the tokens"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "documents:write"}, "invalid_scope"),
        ({"scope": "audit:reveal"}, "invalid_scope"),
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"scope": "audit:read"}, "access_denied"),
    ],
)
async def test_a_bad_request_goes_back_to_the_program(
    service: Service, tenant: Tenant, changed: dict[str, str], error: str
) -> None:
    browser = await browser_of(service, tenant, "analyst")
    client_id = await registered(service)
    answer = answer_of(await browser.open(asking(client_id, pkce()[1], **changed)))
    assert (answer["error"], answer["state"]) == (error, "af0ifjsldkj")
    assert answer["iss"] == "http://127.0.0.1:8000", "a refusal, too, cannot be taken for another server's"
    await is_refused_on_record(service, tenant, client_id, f"oauth:{error}")


async def is_refused_on_record(service: Service, tenant: Tenant, client_id: str, reason: str) -> None:
    """The person's own log names the program and why it was refused."""
    (denied,) = await service.events(tenant, action="client:allowed", limit=1)
    assert (denied["outcome"], denied["reason"]) == ("denied", reason)
    assert denied["event"]["client"]["id"] == client_id[:300]
    assert denied["principal_id"] == str(tenant.users["analyst"])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"redirect_uri": "https://attacker.example/callback"}, "oauth:redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1:41999/callback/../other"}, "oauth:redirect_uri"),
        ({"redirect_uri": "http://localhost:41999/callback"}, "oauth:redirect_uri"),
        ({"client_id": "registered.made-up"}, "oauth:client"),
        ({"client_id": "https://not-allowed.example/client.json"}, "oauth:client_host"),
        ({"client_id": "https://10.0.0.7/client.json"}, "oauth:client_host"),
        ({"client_id": "http://not-allowed.example/client.json"}, "oauth:client_document"),
    ],
)
async def test_nothing_leads_to_an_address_that_the_program_did_not_name(
    service: Service, tenant: Tenant, changed: dict[str, str], reason: str
) -> None:
    browser = await browser_of(service, tenant, "analyst")
    asked = asking(await registered(service), pkce()[1]) | changed
    shown = await browser.open(asked)
    assert shown.status_code in {404, 422}
    assert "location" not in shown.headers
    await is_refused_on_record(service, tenant, asked["client_id"], reason)


@pytest.mark.parametrize(
    "netloc",
    ["[::1]; script-src *:80", "[::1] *:80", "[::1]';:80", "[::1]x:80", "[::1]\t:80", "127.0.0.1:80;", "127.0.0.1:80 *", "127.0.0.1;:80"],
)  # fmt: skip
async def test_nothing_in_an_address_begins_another_rule_of_the_page(
    service: Service, tenant: Tenant, netloc: str
) -> None:
    own = ["http://[::1]:41999/callback", "http://127.0.0.1:41999/callback"]
    client_id = await registered(service, redirect_uris=own)
    browser = await browser_of(service, tenant, "analyst")
    shown = await browser.open(asking(client_id, pkce()[1], redirect_uri="http://[::1]:52000/callback"))
    assert "form-action 'self' http://[::1]:52000;" in shown.headers["content-security-policy"]
    refused = await browser.open(asking(client_id, pkce()[1], redirect_uri=f"http://{netloc}/callback"))
    assert refused.status_code == 422
    assert "form-action 'self';" in refused.headers["content-security-policy"]


async def test_a_code_of_another_server_is_worth_nothing_and_that_is_on_record(
    service: Service, tenant: Tenant, database: Database
) -> None:
    """Mix-up: a program is led to bring here what another authorization server gave it. Whose code it is nobody knows here."""
    grant = await granted(service, tenant)
    own = service.services.authorization
    foreign = replace(own, codes=Seal("codes", "a secret of another server, long enough"))
    sealed = foreign.codes.close(own.codes.open(grant.code.rpartition(".")[2], max_age=60))
    refused = await grant.exchange(code=sealed)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    superuser = await asyncpg.connect(database.superuser_url)
    try:
        envelope = await superuser.fetchval(
            "select envelope from audit.event where tenant_id = $1 order by id desc limit 1", PLATFORM_TENANT
        )
    finally:
        await superuser.close()
    assert "oauth:code_unknown" in str(envelope)
    assert '"method":"oauth"' in str(envelope).replace(" ", "")
    assert (await grant.exchange()).status_code == 200


async def test_another_site_cannot_agree_in_a_persons_name(service: Service, tenant: Tenant) -> None:
    browser = await browser_of(service, tenant, "analyst")
    query = urlencode(asking(await registered(service), pkce()[1]))
    for form in ({"form_token": "x" * 64}, {}):
        refused = await browser.client.post("/console/authorize", data={"asked": query, "decision": "allow", **form})
        assert refused.status_code == 403


@pytest.mark.parametrize(
    "uri",
    [
        "http://attacker.example/callback", "javascript:alert(1)", "data:text/html,x", "https://user@bank.example/",
        "https://bank.example/#fragment", "https://a;script-src-elem *.example/", "https://a b.example/", "not an address", "https://", "HTTP://attacker.example/",
    ],
)  # fmt: skip
async def test_no_code_can_go_to_a_script_or_in_plain_text(service: Service, uri: str) -> None:
    answer = await service.client.post("/oauth/register", json={"redirect_uris": [uri]})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("path", "form", "status", "error"),
    [
        ("token", b"", 400, "invalid_request"),
        ("token", b"grant_type=password&client_id=a", 400, "unsupported_grant_type"),
        ("token", b"grant_type=refresh_token", 400, "invalid_request"),
        ("token", b"grant_type=refresh_token&client_id=a&client_id=b&refresh_token=c", 400, "invalid_request"),
        ("token", b"grant_type=authorization_code&client_id=a&code=a%00", 400, "invalid_request"),
        ("token", b"grant_type=authorization_code&client_id=a&code=" + b"c" * 9_000, 400, "invalid_request"),
        ("token", b"grant_type=authorization_code&client_id=%ED%A0%80&code=c", 400, "invalid_grant"),
        ("token", b"grant_type=authorization_code&client_id=a&code=%FF%FE", 400, "invalid_grant"),
        ("token", b'{"grant_type": "refresh_token"}', 400, "invalid_request"),
        ("revoke", b"token=a&token=b&client_id=c", 400, "invalid_request"),
        ("revoke", b"client_id=c", 400, "invalid_request"),
    ],
)
async def test_a_bad_form_is_refused_in_the_words_of_oauth(
    service: Service, path: str, form: bytes, status: int, error: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = await service.client.post(f"/oauth/{path}", content=form, headers=headers)
    told = refused.json()
    assert (refused.status_code, told["error"]) == (status, error), refused.text
    assert set(told) == {"error", "error_description", "request_id"}
    assert len(refused.content) < 1_000


ODD_REQUESTS = {
    "many parameters": "&".join(f"a{n}=1" for n in range(40)), "twice": "client_id=a&client_id=b", "nothing": "",
    "NUL in the client": "client_id=a%00b", "no UTF-8": "client_id=%FF%FE", "a surrogate": "client_id=%ED%A0%80",
    "NUL in a published client": "client_id=https://agent.example/%00", "a long client": "client_id=" + "c" * 3_000,
    "spaces": "client_id=https://agent.example/a%20b%0d%0aSet-Cookie:%20a=b", "no host": "client_id=https:///client.json",
    "a bracket": "client_id=https://[::1/client.json", "a port": "client_id=https://agent.example:99999999/c",
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_REQUESTS)
async def test_an_odd_request_of_a_program_is_refused_to_its_person_and_is_on_record(
    service: Service, tenant: Tenant, case: str
) -> None:
    browser = await browser_of(service, tenant, "analyst")
    before = {event["id"] for event in await service.events(tenant, action="client:allowed", limit=200)}
    begun = await browser.client.get(f"/oauth/authorize?{ODD_REQUESTS[case]}")
    assert begun.status_code in {302, 400}, begun.text
    if begun.status_code == 400:
        assert begun.json()["error"] == "invalid_request"
    shown = await browser.client.get(f"/console/authorize?{ODD_REQUESTS[case]}")
    assert shown.status_code in {404, 422}, shown.text
    assert ("set-cookie" in shown.headers, "location" in shown.headers) == (False, False)
    refused = [e for e in await service.events(tenant, action="client:allowed", limit=200) if e["id"] not in before]
    assert [event["outcome"] for event in refused] == ([] if case in {"many parameters", "twice"} else ["denied"])


@pytest.mark.parametrize("value", ["a\0b", "\r\nSet-Cookie: a=b", "\U0001f4b6", "x" * 2_000, "&error=none", "#"])
async def test_a_state_comes_back_as_it_was(service: Service, tenant: Tenant, value: str) -> None:
    browser = await browser_of(service, tenant, "analyst")
    shown = await browser.open(asking(await registered(service), pkce()[1], state=value))
    assert shown.status_code == 200, shown.text
    assert (await browser.decide(shown, "deny"))["state"] == value
