"""The conformance suite of the Model Context Protocol, run against the agents' door over a real socket.

It runs as it was for the versions that keep a session, and with what the stateless version of 2026-07-28 requires. It sends no
credentials, so each of its requests gets those of a user on the way. It asks for tools, prompts and resources that only its own
example server has; those scenarios stand in two files, and any other failure, as well as an expected one that passes, is red.
"""

import asyncio
import re
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.gateways.clients.environments import NODE, Environments, ended
from tests.listening import serving
from tests.service import Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.doors]

EXPECTED = Path(__file__).with_name("expected_failures.yaml")
EXPECTED_OF_2026 = Path(__file__).with_name("expected_failures_of_2026.yaml")
SUITES = (
    ("0.1.16", ("--expected-failures", str(EXPECTED))),
    ("0.2.0-alpha.12", ("--expected-failures", str(EXPECTED))),
    ("0.2.0-alpha.12", ("--expected-failures", str(EXPECTED_OF_2026), "--requirements", "2026-07-28")),
)


class WithCredentials:
    """Gives every request the credentials of one user."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], *self._headers]}
        await self._app(scope, receive, send)


@pytest.fixture(params=SUITES, ids=["0.1.16", "0.2.0-alpha.12", "2026-07-28"])
def suite(request: pytest.FixtureRequest, environments: Environments) -> list[str]:
    """A version of the suite, with the Node that it needs, and what is asked of it."""
    version, asked = request.param
    package = "@modelcontextprotocol/conformance"
    node = environments.node(NODE) / "node_modules/node/bin/node"
    return [
        str(node),
        str(environments.node(f"{package}@{version}") / "node_modules" / package / "dist/index.js"),
        "server",
        *asked,
    ]


async def test_the_agents_door_conforms(service: Service, tenant: Tenant, suite: list[str], tmp_path: Path) -> None:
    door = WithCredentials(service.app, await service.as_user(tenant, "analyst"))
    async with serving(door) as address:
        settings = service.services.settings.model_copy(update={"public_url": address})
        service.exchange(settings=settings)
        judge = await asyncio.create_subprocess_exec(
            *suite, "--url", f"{address}/mcp", "-o", str(tmp_path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await ended(judge, suite[1]))[0].decode()
    assert judge.returncode == 0, output[-6000:]
    passed = re.search(r"(\d+) passed", output)
    assert passed, output[-2000:]
    assert int(passed[1]) > 0
