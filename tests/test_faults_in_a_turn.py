"""Faults between a question and its answer, over HTTP against the service's own process: no record, no content."""

import asyncio
import json
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import openai
import pytest
from fastapi import Response

from backend.embedded_postgres import EmbeddedPostgres
from backend.review.erasure import service as erasure
from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.service import Database, Secrets, Service, Tenant, postgres_server, running, sealing, settings_for
from tests.serving import Started, started

pytestmark = pytest.mark.anyio

CHUNK = {"doc_id": "wires", "chunk_text": "Wires leave before noon.", "source_type": "policy"}
QUESTION = {"question": "When do wires leave?"}
SAID = "Wires leave before noon [1]."


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A small disk where mounting one is permitted, or else a folder."""
    with tempfile.TemporaryDirectory(prefix="affidavit-test-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", folder]
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
        Path(folder).chmod(0o755)
        yield Path(folder)
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def mortal(disk: Path, run_secrets: Secrets) -> Iterator[EmbeddedPostgres]:
    """A server of its own on that disk."""
    small = {"fsync": "off", "min_wal_size": "32MB", "max_wal_size": "64MB", "shared_buffers": "32MB"}
    with postgres_server(disk / "data", run_secrets, small) as server:
        yield server


@dataclass
class Api:
    """The service's process, and what tests ask of it."""

    service: Service
    process: Started
    tenant: Tenant
    headers: dict[str, str] = field(default_factory=dict)

    async def answer(self, **changed: object) -> httpx.Response:
        return await self.service.client.post("/answer", json={**QUESTION, **changed}, headers=self.headers)


@pytest.fixture(scope="module")
async def api(
    mortal: EmbeddedPostgres, model: ModelServer, run_secrets: Secrets, model_home: Path
) -> AsyncIterator[Api]:
    database = Database(**mortal.urls())
    settings = {
        "AFFIDAVIT_HOME": str(model_home), "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
        "AFFIDAVIT_JWT_PRIVATE_KEY": run_secrets.jwt_private_key, "AFFIDAVIT_MODEL_URL": model.url,
        "AFFIDAVIT_MODEL_NAME": "test-model", "AFFIDAVIT_MODEL_API_KEY": "key",
    }  # fmt: skip
    model.reply = model_server.saying(SAID)
    async with sealing(database), AsyncExitStack() as stack:
        serving = started("serve", settings=settings)
        process = await asyncio.to_thread(serving.__enter__)  # while the sealer goes on here
        stack.push(serving)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=process.url, timeout=30))
        service = Service(None, client, database)  # type: ignore[arg-type] - it is in another process
        tenant = await service.create_tenant()
        assert (await service.post("/ingest", tenant, "editor", CHUNK)).status_code == 201
        for user in ("analyst", "compliance"):
            await service.token(tenant, user)
        yield Api(service, process, tenant, await service.as_user(tenant, "analyst"))


@pytest.fixture(autouse=True)
def talkative(model: ModelServer) -> None:
    model.reply = model_server.saying(SAID)


async def turn_of(api: Api, answer: httpx.Response) -> set[str]:
    events = await api.service.events(api.tenant, request_id=answer.headers["x-request-id"])
    return {event["action"] for event in events}


async def test_an_answer_is_delivered_once_its_record_is_committed(api: Api) -> None:
    answer = await api.answer()
    assert answer.status_code == 200, answer.text
    assert "noon" in answer.json()["answer"]
    assert await turn_of(api, answer) == {"retrieval:executed", "prompt:submitted", "answer:returned"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_database_killed_between_retrieval_and_commit_delivers_nothing(
    api: Api, mortal: EmbeddedPostgres, model: ModelServer, *, stream: bool
) -> None:
    def kill_then_say(body: dict[str, object]) -> Response:
        mortal.stop("immediate")
        return model_server.saying(SAID)(body)

    model.reply = kill_then_say
    answer = await api.answer(stream=stream)
    mortal.start()
    assert answer.status_code == 503
    assert answer.json().keys() == {"error", "detail", "request_id"}
    assert "noon" not in answer.text
    assert await turn_of(api, answer) == {"retrieval:executed", "prompt:submitted"}


async def test_openais_client_does_not_ask_again_by_itself_what_is_on_record(
    api: Api, mortal: EmbeddedPostgres, model: ModelServer
) -> None:
    """The database is back soon, so that a second try would make a second turn of one click."""
    healing = threading.Timer(0.3, mortal.start)

    def stop_then_say(body: dict[str, object]) -> Response:
        if healing.ident is None:  # else this is the second try
            mortal.stop("immediate")
            healing.start()
        return model_server.saying(SAID)(body)

    async def prompts() -> int:
        return len(await api.service.events(api.tenant, action="prompt:submitted", limit=200))

    before = await prompts()
    model.reply = stop_then_say
    key = api.headers["Authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(base_url=f"{api.process.url}/v1", api_key=key, max_retries=2) as client:
        with pytest.raises(openai.APIStatusError) as failed:
            await client.responses.create(model="affidavit", input=QUESTION["question"])
    assert (failed.value.status_code, failed.value.response.headers["x-should-retry"]) == (503, "false")
    healing.join()
    assert await prompts() == before + 1


def fill(filler: Path) -> None:
    """Writes until nothing more fits."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


async def test_a_full_disk_delivers_nothing_that_is_not_on_record_and_room_heals_it(
    api: Api, mortal: EmbeddedPostgres, disk: Path
) -> None:
    if not disk.is_mount():
        pytest.skip("mounting a small disk is not permitted here")
    filler = disk / "filler"
    shown, refused = set[str](), list[httpx.Response]()
    try:
        fill(filler)
        for _ in range(200):
            answer = await api.service.client.post("/answer", json=QUESTION, headers=api.headers)
            if answer.status_code == 200:
                shown.add(answer.json()["audit_event_id"])
            else:
                refused.append(answer)
            if len(refused) == 3:
                break
    finally:
        filler.unlink()
    mortal.start()  # unless it healed by itself: without room for its own log, PostgreSQL stops
    assert [answer.status_code for answer in refused] == [503] * 3
    assert "DiskFullError" in api.process.written()
    assert not any("noon" in answer.text for answer in refused)
    async with asyncio.timeout(60):
        while (await api.answer()).status_code != 200:
            await asyncio.sleep(0.1)
    recorded = await api.service.events(api.tenant, action="answer:returned", limit=500)
    assert shown <= {event["id"] for event in recorded}


async def test_a_connection_cut_during_a_stream_leaves_the_whole_answer_on_record(api: Api) -> None:
    body = json.dumps({**QUESTION, "stream": True}).encode()
    head = f"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    before = {event["id"] for event in await api.service.events(api.tenant, action="answer:returned", limit=500)}
    with socket.create_connection(("127.0.0.1", api.process.port)) as connection:
        connection.sendall(f"{head}Authorization: {api.headers['Authorization']}\r\n\r\n".encode() + body)
        received = b""
        while b"event: token" not in received:
            received += await asyncio.to_thread(connection.recv, 64)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # cut, not closed
    recorded = await api.service.events(api.tenant, action="answer:returned", limit=500)
    (own,) = [event for event in recorded if event["id"] not in before]
    path = f"/audit/events/{own['id']}"
    revealed = await api.service.get(path, api.tenant, "compliance", reveal=True, reason="cut off")
    assert revealed.json()["payloads"]["answer"] == SAID.replace("noon [1].", "noon. [1]")


async def test_a_service_killed_between_prompt_and_answer_says_nothing_and_leaves_an_open_turn(
    api: Api, model: ModelServer, run_secrets: Secrets, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test, since the process is gone afterwards; another one reports the turn."""
    killed = threading.Event()

    def kill_then_say(body: dict[str, object]) -> Response:
        api.process.process.send_signal(signal.SIGKILL)
        api.process.process.wait()
        killed.set()
        return model_server.saying(SAID)(body)

    model.reply = kill_then_say
    with pytest.raises(httpx.TransportError):
        await api.answer()
    assert killed.wait(60)
    assert erasure.OPEN_AFTER.total_seconds() < 60
    monkeypatch.setattr(erasure, "OPEN_AFTER", erasure.OPEN_AFTER * 0)  # half a minute later
    settings = settings_for(api.service.database, run_secrets, model_home)
    async with running(settings, api.service.database) as other:
        open_turns = (await other.get("/audit/turns/open", api.tenant, "compliance")).json()["turns"]
        (newest, *_) = await other.events(api.tenant, action="prompt:submitted", limit=1)
        answered = {event["event"]["turn"] for event in await other.events(api.tenant, action="answer:returned")}
    assert open_turns[0]["event_id"] == newest["id"]
    assert newest["id"] not in answered
