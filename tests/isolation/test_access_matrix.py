"""Every route and every tool of agents as everyone: derived from what is served, answered by the running service, compared with a golden file."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from backend.identity.callers.permissions import Permission, Role
from backend.identity.sign_in import throttle
from tests.gateways.programs import granted, let_programs_register
from tests.isolation.agent_calls import AgentCall, offered
from tests.isolation.findings import Findings
from tests.isolation.golden import assert_golden
from tests.isolation.never_answered import NEVER
from tests.isolation.rightly_asked import ABOUT_ONESELF, Requester, given
from tests.isolation.routes import Given, Route, served
from tests.isolation.things import Things
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

ALLOWED = (Permission.RETRIEVAL_QUERY, Permission.DOCUMENTS_READ)


@pytest.fixture(scope="module")
async def routes(service: Service) -> list[Route]:
    return [*await served(service), *await offered(service)]


@pytest.fixture(scope="module")
async def things(service: Service, tenant: Tenant) -> Things:
    things = Things(service, tenant)
    await things.prepare()
    return things


@pytest.fixture(scope="module")
async def agent(service: Service, tenant: Tenant) -> Requester:
    """A program that an analyst lets search and read, and not ask, which the analyst may."""
    server = service.services.authorization
    let_programs_register(service)
    exchanged = await (await granted(service, tenant, scope=" ".join(ALLOWED))).exchange()
    service.exchange(authorization=server)
    return Requester(tenant, "agent", exchanged.json()["access_token"])


@pytest.fixture(scope="module")
def askers(tenant: Tenant, other_tenant: Tenant, things: Things, agent: Requester) -> dict[str, Requester]:
    """The columns."""
    roles = {role.value: Requester(tenant, role.value) for role in Role}
    assert things.provider is not None
    provider = Requester(tenant, "provider", things.provider.bearer)
    others = {"agent": agent, "foreign admin": Requester(other_tenant, "admin"), "provider": provider}
    return {"anonymous": Requester(tenant, None), **roles, **others}


@dataclass(frozen=True)
class Answered:
    status: int
    text: str


@pytest.fixture(scope="module")
async def answers(
    service: Service, things: Things, routes: list[Route], askers: dict[str, Requester]
) -> dict[tuple[str, str], Answered]:
    """What each route answers to each asker, who rightly asks for something that is made for it."""
    with pytest.MonkeyPatch.context() as patch:  # all ask from one address, each as if it were alone there
        patch.setattr(throttle, "FROM_ONE_ADDRESS", throttle.PER_ADDRESS)
        return {
            (route.name, column): answer
            for route in routes
            for column, answer in (await _row(service, things, route, askers)).items()
        }


async def _row(service: Service, things: Things, route: Route, askers: dict[str, Requester]) -> dict[str, Answered]:
    """Asks as each column for the same, until somebody has changed it: then for another."""
    row, asked = {}, None
    for column, known in askers.items():
        asker = known
        if route.name in ABOUT_ONESELF:
            asker, asked = await known.twin(service), None
        asked = asked or await given(things, route, asker)
        answer = await route.ask(service, await asker.headers(service), asked)
        row[column] = Answered(answer.status_code, _sentence(answer))
        if answer.is_success and route.method != "get":
            asked = None
    return row


def _sentence(answer: httpx.Response) -> str:
    """What an error says, in whichever door's shape."""
    if answer.status_code < 400:
        return ""
    body = answer.json()
    error = body.get("error")
    return str(error["message"] if isinstance(error, dict) else body.get("detail", body))


async def test_every_route_answers_everyone_as_reviewed(
    routes: list[Route], askers: dict[str, Requester], answers: dict[tuple[str, str], Answered],
    request: pytest.FixtureRequest, findings: Findings,
) -> None:  # fmt: skip
    width = max(len(route.path) for route in routes) + 8
    lines = ["".ljust(width) + "  ".join(askers)]
    for route in routes:
        row = {column: answers[route.name, column] for column in askers}
        failed = {column: answer for column, answer in row.items() if answer.status >= 500}
        assert not failed, (route.name, failed)
        statuses = "  ".join(str(answer.status).ljust(len(column)) for column, answer in row.items())
        kind, _, what = route.name.partition(" ")
        lines.append(f"{kind:7}{what.ljust(width - 7)}{statuses}".rstrip())
    findings["access"] = {
        "routes": len(routes), "actors": list(askers), "requests": len(answers), "lines": lines,
        "ids": sum(route.names_something for route in routes),
    }  # fmt: skip
    assert_golden(request.config, "access_matrix.txt", lines)


async def test_every_route_does_what_it_is_for_to_somebody(
    routes: list[Route], askers: dict[str, Requester], answers: dict[tuple[str, str], Answered]
) -> None:
    """A row of refusals alone would hide that a route refuses for another reason than who asks."""
    without = {
        route.name for route in routes if not any(200 <= answers[route.name, column].status < 300 for column in askers)
    }
    assert sorted(without - NEVER.keys()) == [], (
        "needs an example in rightly_asked.py, or a reason in never_answered.py"
    )
    assert sorted(NEVER.keys() - without) == [], "needs no reason: it answers somebody with 2xx, or is gone"


async def test_what_a_route_asks_for_is_what_it_takes(
    service: Service, routes: list[Route], askers: dict[str, Requester], answers: dict[tuple[str, str], Answered]
) -> None:
    """The documented permission decides: who lacks it is refused with 403, and who has it is not."""
    for role in Role:
        headers = await askers[role.value].headers(service)
        held = (await service.client.get("/auth/me", headers=headers)).json()["permissions"]
        for route in routes:
            needed = route.operation.get("x-required-permission")
            if needed is None:
                continue
            answer = answers[route.name, role.value]
            refused = answer.status == 403 and needed in answer.text
            assert refused == (needed not in held), (route.name, role, answer)


async def test_a_program_may_do_what_it_was_allowed_at_the_agents_door_alone(
    routes: list[Route], answers: dict[tuple[str, str], Answered]
) -> None:
    for route in routes:
        status = answers[route.name, "agent"].status
        if isinstance(route, AgentCall):
            needed = route.operation.get("x-required-permission")
            assert status == (200 if needed in {None, *ALLOWED} else 403), route.name
        elif "security" in route.operation:
            assert status == 401, route.name


async def test_nobody_unknown_gets_past_any_route_but_the_public_ones(service: Service, routes: list[Route]) -> None:
    public = set()
    for route in routes:
        answer = await route.ask(service, {})
        if answer.status_code != 401 or "security" not in route.operation:
            public.add(route.path)
        else:
            told = answer.headers["www-authenticate"]
            assert told == "Bearer" or (told.startswith("Bearer ") and isinstance(route, AgentCall))
    signing_in = {"/auth/token", "/auth/reset", "/auth/oidc/{tenant}/login", "/auth/oidc/callback"}
    oauth = {path for path in public if path.startswith(("/oauth/", "/.well-known/oauth-"))}
    assert len(oauth) == 7
    assert public == {"/health", "/ready", "/.well-known/jwks.json", *signing_in, *oauth}


def _same(answer: httpx.Response) -> tuple[int, dict[str, Any], list[str]]:
    told = answer.json()
    body = {**told, **told["error"]} if isinstance(told.get("error"), dict) else told
    body = {name: value for name, value in body.items() if name != "request_id" and not isinstance(value, dict)}
    return answer.status_code, body, sorted(answer.headers.keys())


async def test_of_nobody_unknown_is_a_body_read(service: Service, routes: list[Route]) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append("a part")
        yield b"{"

    taking = [route for route in routes if "requestBody" in route.operation and "security" in route.operation]
    assert len(taking) > 20
    for route in taking:
        for kind, authorization in (
            ("application/json", ""),
            ("text/plain", ""),
            ("application/json", "Bearer made-up"),
        ):
            headers = {"Content-Type": kind, "Authorization": authorization}
            answer = await service.client.request(route.method, route.url({}), content=body(), headers=headers)
            assert (answer.status_code, read) == (401, []), (route.method, route.path, kind, answer.text)


async def test_another_tenants_id_is_answered_like_a_random_one(
    service: Service, other_tenant: Tenant, things: Things, routes: list[Route]
) -> None:
    """To every role that the route lets in, and to one that it refuses: it refuses all of them before it looks for anything."""
    held = {role: await _permissions(service, other_tenant, role) for role in Role}
    checked = []
    for route in routes:
        if not route.names_something:
            continue
        asked = await given(things, route, Requester(things.tenant, "admin"))
        nobodys = Given(arguments=asked.arguments)
        needed = route.operation.get("x-required-permission")
        refused = [role for role in Role if needed is not None and needed not in held[role]]
        for role in [role for role in Role if role not in refused[1:]]:
            headers = await service.as_user(other_tenant, role.value)
            foreign = await route.ask(service, headers, asked)
            random = await route.ask(service, headers, nobodys)
            assert _same(foreign) == _same(random), (route.method, route.path, role)
            assert foreign.status_code == 403 if role in refused else foreign.status_code in {403, 404}
            checked.append((route.path, foreign.status_code))
    named = {route.path for route in routes if route.names_something}
    assert {path for path, status in checked if status == 404} == named, (
        "some role of the other tenant gets as far as a 404"
    )


async def _permissions(service: Service, tenant: Tenant, role: Role) -> set[str]:
    answer = await service.get("/auth/me", tenant, role.value)
    return set(answer.json()["permissions"])
