"""An agent's whole way to the demo: the official client finds out where to ask, a person agrees, and it calls tools."""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from tests.scratch import place
from tests.serving import started

pytestmark = [pytest.mark.anyio, pytest.mark.doors]

CALLBACK = "http://127.0.0.1:41998/callback"


class Memory:
    """Where the client keeps what it was given."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def agreed(address: str, user: dict[str, str], tenant: str) -> AuthorizationCodeResult:
    """Opens the address as a person's browser does: signs in, is led back to the question, and allows it."""
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(address)
        base = str(page.url.copy_with(path="/", query=None)).rstrip("/")
        following = re.search(r'name="next" value="([^"]+)"', page.text)
        assert following, page.text
        form = {"tenant": tenant, "username": user["username"], "password": user["password"]}
        page = browser.post(f"{base}/console/sign-in", data=form | {"next": following[1].replace("&amp;", "&")})
        hidden = dict(re.findall(r'name="(form_token|asked)" value="([^"]*)"', page.text))
        assert set(hidden) == {"form_token", "asked"}, page.text
        sent = {name: value.replace("&amp;", "&") for name, value in hidden.items()} | {"decision": "allow"}
        answer = browser.post(f"{base}/console/authorize", data=sent, follow_redirects=False)
    given = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    return AuthorizationCodeResult(code=given["code"], state=given["state"], iss=given["iss"])


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the embedded database may enter as its own user."""
    with tempfile.TemporaryDirectory(prefix="affidavit-test-", dir=place()) as folder:
        yield Path(folder)


async def test_the_official_client_signs_a_person_in_and_asks(home: Path) -> None:
    with started("demo", settings={"AFFIDAVIT_HOME": str(home), "AFFIDAVIT_OAUTH_REGISTRATION": "true"}) as demo:
        tenant = json.loads((home / "demo-credentials.json").read_text())["tenants"][0]
        analyst = next(user for user in tenant["users"] if user["username"] == "analyst")
        opened: list[str] = []

        async def open_browser(address: str) -> None:
            opened.append(address)

        async def wait_for_answer() -> AuthorizationCodeResult:
            return agreed(opened[-1], analyst, tenant["slug"])

        metadata = OAuthClientMetadata(
            client_name="A test agent", redirect_uris=[CALLBACK], token_endpoint_auth_method="none",  # type: ignore[list-item]
            grant_types=["authorization_code", "refresh_token"], response_types=["code"],
        )  # fmt: skip
        memory = Memory()
        signing_in = OAuthClientProvider(f"{demo.url}/mcp", metadata, memory, open_browser, wait_for_answer)
        async with httpx2.AsyncClient(auth=signing_in, timeout=30) as http:
            async with Client(streamable_http_client(f"{demo.url}/mcp", http_client=http)) as client:
                answered = await client.call_tool("ask", {"question": "What is the overdraft fee?"})
                assert "$20" in answered.structured_content["answer"]
            assert memory.tokens
            first = memory.tokens.refresh_token
            memory.tokens = memory.tokens.model_copy(update={"access_token": "no.longer.good"})
        refreshing = OAuthClientProvider(f"{demo.url}/mcp", metadata, memory, open_browser, wait_for_answer)
        async with (
            httpx2.AsyncClient(auth=refreshing, timeout=30) as http,
            Client(streamable_http_client(f"{demo.url}/mcp", http_client=http)) as client,
        ):
            assert (await client.list_tools()).tools
        assert len(opened) <= 2
        assert memory.tokens.refresh_token != first
