"""The lines that README and /docs show for each client are run as they stand there, but for the address and the key."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from tests.gateways.clients.environments import Environments, ended
from tests.gateways.clients.shown import FILE, ShownPrograms
from tests.gateways.clients.test_official_clients import AI_SDK, LANGCHAIN, OPENAI
from tests.service import Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.doors]

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"


async def output_of(*command: str, folder: Path, path: str = os.environ["PATH"]) -> str:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AFFIDAVIT_", "OPENAI_", "PYTHON"))
    }
    running = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=kept | {"PATH": path, "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await ended(running, command[0]))[0].decode()
    assert running.returncode == 0, output[-4000:]
    return output


@pytest.mark.parametrize(("word", "package"), [("OpenAI(", f"openai=={OPENAI[0]}"), ("ChatOpenAI(", LANGCHAIN)])
async def test_the_lines_for_python(
    shown: ShownPrograms, environments: Environments, tmp_path: Path, word: str, package: str
) -> None:
    block = shown.block("python", f" {word}" if word == "OpenAI(" else word)
    assert FILE in await output_of(environments.python(package), "-c", block, folder=tmp_path)


async def test_the_lines_for_the_ai_sdk(shown: ShownPrograms, environments: Environments, tmp_path: Path) -> None:
    folder = environments.node(*AI_SDK)
    (folder / "shown.mjs").write_text(shown.block("js", "createOpenAI"))
    output = await output_of("node", "shown.mjs", folder=folder, path=environments.path_of_node())
    assert FILE in output
    assert "sourceType: 'url'" in output


async def test_the_file_of_servers_by_the_inspectors_command_line(
    shown: ShownPrograms, environments: Environments, tmp_path: Path
) -> None:
    (tmp_path / ".mcp.json").write_text(shown.block("json", "mcpServers"))
    inspector = environments.node(INSPECTOR) / "node_modules/.bin/inspector"
    asked = ("node", str(inspector), "--cli", "--config", ".mcp.json", "--server", "affidavit", "--method")
    path = environments.path_of_node()
    listed = printed(await output_of(*asked, "tools/list", folder=tmp_path, path=path))
    assert {"search", "fetch", "ask"} <= {tool["name"] for tool in listed["tools"]}
    question = ("--tool-name", "ask", "--tool-arg", "question=How long do customers have to file card disputes?")
    called = printed(await output_of(*asked, "tools/call", *question, folder=tmp_path, path=path))
    assert called["structuredContent"]["answer"].startswith(FILE)


def printed(output: str) -> Any:
    """Returns the JSON that is printed behind what the inspector says of itself."""
    return json.loads(output[output.index("\n{\n") :])


async def test_the_address_for_clients_that_search_and_fetch(
    shown: ShownPrograms, service: Service, tenant: Tenant
) -> None:
    """How such a client signs a person in, `tests/demo/test_agent.py` tries; what it then calls is tried here."""

    given = json.loads(shown.block("json", "server_url"))
    assert (given["type"], given["server_label"]) == ("mcp", "affidavit")
    async with (
        httpx2.AsyncClient(headers=await service.as_user(tenant, "analyst"), timeout=30) as http,
        McpClient(streamable_http_client(given["server_url"], http_client=http)) as client,
    ):
        found = (await client.call_tool("search", {"query": "card disputes"})).structured_content
        assert found is not None
        first = found["results"][0]
        assert first["url"].startswith(shown.address)
        fetched = (await client.call_tool("fetch", {"id": first["id"]})).structured_content
        assert fetched is not None
    assert (set(fetched), FILE in fetched["text"]) == ({"id", "title", "text", "url", "metadata"}, True)
