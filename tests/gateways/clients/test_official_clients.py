"""Clients that others wrote, each as its registry has it, against the service on a real socket."""

import asyncio
import json
import os
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.client.wheel import PROJECT, unpacked
from tests.gateways.clients.environments import Environments, ended
from tests.listening import listening
from tests.service import Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.doors]

PROGRAMS = Path(__file__).with_name("programs")
FEE = "An outgoing domestic wire transfer costs 25 dollars."
QUESTION = "What does an outgoing domestic wire transfer cost?"
OFF_TOPIC = "What is the capital of Mongolia?"
OPENAI = ("3.57.0", "2.54.0")
LANGCHAIN = "langchain-openai==1.7.4"
LLAMA_INDEX = "llama-index-llms-openai-like==0.8.1"
LITELLM = "litellm==1.110.0"
OPENAI_NPM = "openai@7.59.0"
AI_SDK = ("ai@7.0.173", "@ai-sdk/openai@4.0.118", "zod@4")


@dataclass(frozen=True)
class DoorAddress:
    """What a client is told: the address, and a key that may retrieve, answer and read."""

    address: str
    key: str
    store: str

    async def run(self, *command: str, folder: Path | None = None, **more: str) -> Any:
        """Returns what a program printed as JSON."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AFFIDAVIT_", "OPENAI_", "PYTHON"))
        }
        settings = {"OPENAI_BASE_URL": f"{self.address}/v1", "OPENAI_API_KEY": self.key, "AFFIDAVIT_URL": self.address}
        running = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=kept | settings | more,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await ended(running, " ".join(command[:2]))
        assert running.returncode == 0, (errors or b"").decode()[-4000:]
        return json.loads(output.decode().splitlines()[-1])


@pytest.fixture(scope="module")
async def door(service: Service, tenant: Tenant) -> AsyncIterator[DoorAddress]:
    chunk = {"doc_id": "wires", "chunk_text": FEE, "source_type": "policy"}
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201
    may = ["retrieval:query", "answers:create", "documents:read"]
    made = await service.post("/auth/keys", tenant, "admin", {"name": "assistant", "permissions": may})
    store = (await service.get("/v1/vector_stores", tenant, "analyst")).json()["data"][0]["id"]
    async with listening(service) as address:
        yield DoorAddress(address, made.json()["key"], store)


def answers(seen: dict[str, Any], *names: str) -> None:
    """Every way to ask gave the same sentence."""
    assert {name: seen[name].startswith(FEE) for name in names} == dict.fromkeys(names, True), seen


def is_whole(seen: dict[str, Any]) -> None:
    """What OpenAI's own clients see."""
    answers(seen, "chat", "streamed", "response", "streamed_response", "again")
    assert seen["models"] == ["affidavit", "affidavit/default", "affidavit-tasks"]
    assert seen["annotations"] == ["url_citation"]
    assert (seen["refused"], seen["usage"]) == (["stop", "true"], True)
    assert seen["file"] == seen["found"] == "wires"
    assert seen["error"] == ["n", "unsupported_parameter"]


@pytest.mark.parametrize("version", OPENAI)
async def test_openai_for_python(door: DoorAddress, environments: Environments, version: str) -> None:
    python = environments.python(f"openai=={version}")
    strict = "strict" if version.startswith("3") else "lenient"
    is_whole(await door.run(python, str(PROGRAMS / "openai_client.py"), QUESTION, OFF_TOPIC, strict))


def extra(name: str) -> list[str]:
    """What the client's extra asks for; the client itself is put beside it as its wheel has it."""
    needed: list[str] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"][
        name
    ]
    return needed


async def run_node(
    door: DoorAddress, environments: Environments, program: str, *arguments: str, packages: tuple[str, ...]
) -> Any:
    """Runs a program beside its packages, where Node looks for them."""
    folder = environments.node(*packages)
    (folder / program).write_text((PROGRAMS / program).read_text())
    return await door.run("node", program, *arguments, folder=folder, PATH=environments.path_of_node())


async def test_openai_for_javascript(door: DoorAddress, environments: Environments) -> None:
    is_whole(await run_node(door, environments, "openai_client.mjs", QUESTION, OFF_TOPIC, packages=(OPENAI_NPM,)))


async def test_the_ai_sdk(door: DoorAddress, environments: Environments) -> None:
    seen = await run_node(door, environments, "ai_sdk.mjs", QUESTION, OFF_TOPIC, door.store, packages=AI_SDK)
    answers(seen, "chat", "streamed", "response", "streamed_response")
    assert (seen["finish"], len(seen["sources"]), seen["files"]) == ("stop", 1, ["wires"])
    assert seen["sources"][0].startswith("http")
    assert seen["refused"]


async def test_langchain_and_our_retriever_in_it(
    service: Service, tenant: Tenant, door: DoorAddress, environments: Environments, tmp_path: Path
) -> None:
    python = environments.python(LANGCHAIN, *extra("langchain"))
    seen = await door.run(
        python,
        str(PROGRAMS / "langchain_client.py"),
        QUESTION,
        OFF_TOPIC,
        door.store,
        PYTHONPATH=str(unpacked(tmp_path)),
    )
    answers(seen, "chat", "streamed", "response", "streamed_response")
    assert (seen["cited"], seen["retrieved"]) == (["wires"], [FEE, "wires", True])
    assert seen["refused"]
    await is_on_record(service, tenant, seen["event"])


async def test_llama_index_and_our_retriever_in_it(
    service: Service, tenant: Tenant, door: DoorAddress, environments: Environments, tmp_path: Path
) -> None:
    python = environments.python(LLAMA_INDEX, *extra("llama-index"))
    seen = await door.run(
        python, str(PROGRAMS / "llama_index_client.py"), QUESTION, OFF_TOPIC, PYTHONPATH=str(unpacked(tmp_path))
    )
    answers(seen, "chat", "streamed")
    assert seen["retrieved"] == [FEE, "wires", True]
    assert seen["refused"]
    await is_on_record(service, tenant, seen["event"])


async def test_litellm_with_its_end_user_on_record(
    service: Service, tenant: Tenant, door: DoorAddress, environments: Environments
) -> None:
    seen = await door.run(environments.python(LITELLM), str(PROGRAMS / "litellm_client.py"), QUESTION, OFF_TOPIC)
    answers(seen, "chat", "streamed", "response")
    assert seen["annotations"] == ["url_citation"]
    assert seen["refused"]
    found = await service.events(tenant, action="answer:returned", end_user="employee-7")
    assert len(found) == 1


async def is_on_record(service: Service, tenant: Tenant, event: str) -> None:
    told = (await service.get(f"/audit/events/{event}", tenant, "compliance")).json()["event"]
    assert (told["action"], told["outcome"]) == ("retrieval:executed", "succeeded")
