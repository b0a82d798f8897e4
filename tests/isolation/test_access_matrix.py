"""Every route as everyone: derived from the served OpenAPI, answered by the running service, compared with a golden file."""

import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from backend.identity.callers.permissions import Permission, Role
from tests.conftest import Service, Tenant
from tests.isolation.examples import body_of, example, query_of
from tests.isolation.findings import Findings
from tests.isolation.golden import assert_golden

pytestmark = pytest.mark.anyio

METHODS = ("get", "post", "put", "patch", "delete")
ACTORS = ("anonymous", *(role.value for role in Role), "foreign admin")
ROUNDS = 25  # of each kind, when times are compared


@dataclass(frozen=True)
class Route:
    """One operation of the served document."""

    method: str
    path: str
    operation: dict[str, Any]
    document: dict[str, Any]

    @property
    def parameters(self) -> list[str]:
        return [p["name"] for p in self.operation.get("parameters", ()) if p["in"] == "path"]

    @property
    def names_something(self) -> bool:
        """Whether the path names a thing that belongs to a tenant by an id that the service gave it."""
        kinds = [p["schema"] for p in self.operation.get("parameters", ()) if p["in"] == "path"]
        return any(kind.get("format") == "uuid" for kind in kinds)

    async def ask(self, service: Service, headers: dict[str, str], ids: dict[str, str]) -> httpx.Response:
        """Asks with the ids; where none is given, with an example that is nobody's."""
        arguments = {**body_of(self.operation, self.document), "params": query_of(self.operation, self.document)}
        answer = await service.client.request(self.method, self.url(ids), headers=headers, **arguments)
        if self.path == "/auth/logout":
            service.forget_tokens()
        return answer

    def url(self, ids: dict[str, str]) -> str:
        wanted = [p for p in self.operation.get("parameters", ()) if p["in"] == "path"]
        return self.path.format(
            **{p["name"]: ids.get(p["name"]) or example(p["schema"], self.document) for p in wanted}
        )


@pytest.fixture(scope="module")
async def routes(service: Service) -> list[Route]:
    document = (await service.client.get("/openapi.json")).json()
    return [
        Route(method, path, operation, document)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]


@pytest.fixture(scope="module")
def known() -> dict[str, Callable[[Service, Tenant, dict[str, str]], Any]]:
    """How to come by a fresh thing for each path parameter; anything else is asked for by a random id."""
    return {
        "key_id": _new_key, "event_id": _some_event, "doc_id": _some_doc_id, "document_id": _some_document,
        "user_id": _some_user, "slug": _new_collection, "grant_id": _new_grant,
        "search_id": _new_search, "conversation_id": _some_conversation, "turn_id": _some_turn, "store_id": _some_store, "file": _some_file,
    }  # fmt: skip


async def _new_key(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    body = {"name": "matrix", "permissions": [Permission.RETRIEVAL_QUERY]}
    return str((await service.post("/auth/keys", tenant, "admin", body)).json()["id"])


async def _some_event(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    return str((await service.events(tenant, limit=1))[0]["id"])


async def _some_doc_id(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    chunk = {"doc_id": "matrix", "chunk_text": "A rule.", "source_type": "policy"}
    return str((await service.post("/ingest", tenant, "editor", chunk)).json()["doc_id"])


async def _some_document(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    await _some_doc_id(service, tenant, {})
    return str((await service.get("/documents", tenant, "editor")).json()["documents"][0]["id"])


async def _some_user(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    wanted = {"username": f"matrix-{uuid4().hex[:12]}", "roles": ["analyst"]}
    return str((await service.post("/users", tenant, "admin", wanted)).json()["id"])


async def _new_collection(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    body = {"slug": f"matrix-{uuid4().hex[:8]}", "name": "Matrix"}
    return str((await service.post("/collections", tenant, "admin", body)).json()["slug"])


async def _new_grant(service: Service, tenant: Tenant, things: dict[str, str]) -> str:
    body = {"role": "analyst", "access": "read"}
    answer = await service.post(f"/collections/{things['slug']}/grants", tenant, "admin", body)
    return str(answer.json()["id"])


async def _new_search(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    body = {"name": uuid4().hex}
    return str((await service.post("/audit/searches", tenant, "compliance", body)).json()["id"])


async def _some_conversation(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    answer = await service.post("/answer", tenant, "analyst", {"question": "What is the rule?"})
    return str(answer.json()["conversation"])


async def _some_turn(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    answer = await service.post("/answer", tenant, "analyst", {"question": "What is the rule?"})
    return str(answer.json()["turn"])


async def _some_store(service: Service, tenant: Tenant, _: dict[str, str]) -> str:
    stores = (await service.get("/v1/vector_stores", tenant, "analyst", order="asc")).json()["data"]
    return str(next(store["id"] for store in stores if store["name"] == "default"))


async def _some_file(service: Service, tenant: Tenant, things: dict[str, str]) -> str:
    await _some_doc_id(service, tenant, {})
    path = f"/v1/vector_stores/{things['store_id']}/files"
    return str((await service.get(path, tenant, "analyst")).json()["data"][0]["id"])


async def _headers(service: Service, tenant: Tenant, foreign: Tenant, actor: str) -> dict[str, str]:
    if actor == "anonymous":
        return {}
    if actor == "foreign admin":
        return await service.as_user(foreign, "admin")
    return await service.as_user(tenant, actor)


async def _things(known: dict[str, Any], service: Service, tenant: Tenant, route: Route) -> dict[str, str]:
    things: dict[str, str] = {}
    for name in route.parameters:
        if name in known:
            things[name] = await known[name](service, tenant, things)
    return things


async def test_every_route_answers_everyone_as_reviewed(
    service: Service, tenant: Tenant, other_tenant: Tenant, routes: list[Route], known: dict[str, Any],
    request: pytest.FixtureRequest, findings: Findings,
) -> None:  # fmt: skip
    width = max(len(route.path) for route in routes) + 8
    lines = ["".ljust(width) + "  ".join(ACTORS)]
    for route in routes:
        statuses = []
        for actor in ACTORS:
            headers = await _headers(service, tenant, other_tenant, actor)
            answer = await route.ask(service, headers, await _things(known, service, tenant, route))
            # Nobody seals in this test, so it is rightly not ready.
            assert answer.status_code < 500 or route.path == "/ready", (route.path, actor, answer.text)
            statuses.append(str(answer.status_code).ljust(len(actor)))
        lines.append(f"{route.method.upper():7}{route.path.ljust(width - 7)}{'  '.join(statuses)}".rstrip())
    findings["access"] = {
        "routes": len(routes), "actors": list(ACTORS), "requests": len(routes) * len(ACTORS), "lines": lines,
        "ids": sum(route.names_something for route in routes),
    }  # fmt: skip
    assert_golden(request.config, "access_matrix.txt", lines)


def _sentence(answer: httpx.Response) -> str:
    """What an error says, in whichever door's shape."""
    body = answer.json()
    return str(body["error"]["message"] if isinstance(body["error"], dict) else body["detail"])


async def test_what_a_route_asks_for_is_what_it_takes(
    service: Service, tenant: Tenant, routes: list[Route], known: dict[str, Any]
) -> None:
    """The documented permission decides: who lacks it is refused with 403, and who has it is not."""
    for route in routes:
        needed = route.operation.get("x-required-permission")
        if needed is None:
            continue
        for role in Role:
            headers = await service.as_user(tenant, role.value)
            held = (await service.client.get("/auth/me", headers=headers)).json()["permissions"]
            answer = await route.ask(service, headers, await _things(known, service, tenant, route))
            refused = answer.status_code == 403 and needed in _sentence(answer)
            assert refused == (needed not in held), (route.method, route.path, role, answer.text)


async def test_nobody_unknown_gets_past_any_route_but_the_public_ones(service: Service, routes: list[Route]) -> None:
    public = set()
    for route in routes:
        answer = await route.ask(service, {}, {})
        if answer.status_code != 401 or "security" not in route.operation:
            public.add(route.path)
        else:
            assert answer.headers["www-authenticate"] == "Bearer"
    signing_in = {"/auth/token", "/auth/reset", "/auth/oidc/{tenant}/login", "/auth/oidc/callback"}
    assert public == {"/health", "/ready", "/.well-known/jwks.json", *signing_in}


def _same(answer: httpx.Response) -> tuple[int, dict[str, Any], list[str]]:
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
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
    service: Service, tenant: Tenant, other_tenant: Tenant, routes: list[Route], known: dict[str, Any]
) -> None:
    checked = []
    for route in routes:
        if not route.names_something:
            continue
        for role in Role:
            headers = await service.as_user(other_tenant, role.value)
            foreign = await route.ask(service, headers, await _things(known, service, tenant, route))
            random = await route.ask(service, headers, {})
            assert _same(foreign) == _same(random), (route.method, route.path, role)
            assert foreign.status_code in {403, 404}, (route.method, route.path, role)
            checked.append((route.path, foreign.status_code))
    named = {route.path for route in routes if route.names_something}
    assert {path for path, status in checked if status == 404} == named, (
        "some role of the other tenant gets as far as a 404"
    )


async def test_another_tenants_id_takes_as_long_as_a_random_one(
    service: Service, tenant: Tenant, other_tenant: Tenant, routes: list[Route], known: dict[str, Any]
) -> None:
    """By the Mann-Whitney test: |z| < 4.5 would be exceeded by chance once in 150,000 routes."""
    for route in routes:
        if not route.names_something:
            continue
        headers = await _of_who_may(service, other_tenant, route)
        ids = await _things(known, service, tenant, route)
        foreign, random = [], []
        for _ in range(ROUNDS):
            foreign.append(await _seconds(service, route, headers, ids))
            random.append(await _seconds(service, route, headers, {}))
        assert abs(_rank_sum_z(foreign, random)) < 4.5, (
            route.path,
            sorted(foreign)[ROUNDS // 2],
            sorted(random)[ROUNDS // 2],
        )


async def _of_who_may(service: Service, tenant: Tenant, route: Route) -> dict[str, str]:
    for role in Role:
        headers = await service.as_user(tenant, role.value)
        if (await route.ask(service, headers, {})).status_code == 404:
            return headers
    raise AssertionError(f"nobody gets as far as a 404 at {route.path}")


async def _seconds(service: Service, route: Route, headers: dict[str, str], ids: dict[str, str]) -> float:
    started = time.perf_counter()
    answer = await route.ask(service, headers, ids)
    elapsed = time.perf_counter() - started
    assert answer.status_code == 404
    return elapsed


def _rank_sum_z(first: list[float], second: list[float]) -> float:
    ranked = sorted([(value, True) for value in first] + [(value, False) for value in second])
    ranks = sum(rank for rank, (_, is_first) in enumerate(ranked, start=1) if is_first)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def test_the_comparison_of_times_notices_a_difference_of_a_tenth() -> None:
    base = [1.0 + 0.001 * (n % 7) for n in range(ROUNDS)]
    assert abs(_rank_sum_z(base, base)) < 4.5
    assert abs(_rank_sum_z([value * 1.1 for value in base], base)) > 4.5
