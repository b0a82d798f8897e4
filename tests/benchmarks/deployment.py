"""A deployment to measure: its own PostgreSQL with production settings, and the service in a process of its own."""

import asyncio
import json
import os
import secrets
import shutil
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from backend.embedded_postgres import EmbeddedPostgres, Passwords
from backend.identity.callers.permissions import Permission, Role
from backend.identity.sign_in.tokens import generate_private_key_pem
from backend.migration import migrate, store_context_key
from backend.operation.service import operator
from backend.tenancy import ContextSigner

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench-results"
SHARED_DATA = ROOT / "../shared/data"
PASSWORD = "correct horse battery staple"

# As `affidavit serve` does it, but that a load client's connection may rest for longer.
_SERVE = """
import sys
from backend import http_server
options = http_server.options()
http_server.options = lambda: options | {"timeout_keep_alive": 600}
http_server.run("backend.app:create_prepared_app", host="127.0.0.1", port=int(sys.argv[1]), workers=1, drain_seconds=0)
"""


def write_results(file: str, found: Mapping[str, Any]) -> None:
    """Writes what was measured to a file of results, beside what was measured before and is not anew."""
    path = RESULTS / file
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(before | dict(found), indent=2) + "\n")


@dataclass
class Deployment:
    """A running service, the URLs and the folder of its database, and the process of the service."""

    urls: dict[str, str]
    base_url: str
    process: asyncio.subprocess.Process
    data_folder: Path
    copies: Sequence[dict[str, str]] = ()  # of the empty database, for more cells on the same server

    async def start_again(self) -> float:
        """Starts another process beside the one that serves, and ends it; returns after how many seconds it served."""
        folder = self.data_folder.parent
        async with _service(folder, self.urls, _secrets(folder)) as (_, _, seconds):
            return seconds

    @asynccontextmanager
    async def beside(self, **settings: str) -> AsyncIterator[str]:
        """Runs another process of the service on the same database, with further settings; gives its address."""
        folder = self.data_folder.parent
        async with _service(folder, self.urls, _secrets(folder), settings) as (base_url, _, _):
            yield base_url

    async def tenant(self, slug: str, collections: Sequence[str] = ()) -> UUID:
        """Creates a tenant with an editor, an analyst and an approver who may use all of these collections, and a reviewer."""
        async with operator(self.urls["owner_url"]) as acting:
            tenant_id = await acting.create_tenant(slug, slug)
            for collection in collections:
                await acting.create_collection(tenant_id, collection, collection)
                for role in (Role.EDITOR, Role.ANALYST, Role.APPROVER):
                    await acting.grant(tenant_id, collection, "read", role=role)
                await acting.grant(tenant_id, collection, "write", role=Role.EDITOR)
            for role in (Role.EDITOR, Role.ANALYST, Role.APPROVER, Role.COMPLIANCE):
                await acting.create_user(tenant_id, role.value, PASSWORD, [role])
        return tenant_id

    async def key(self, tenant_id: UUID, collections: Sequence[str], writable: Sequence[str] = ()) -> dict[str, str]:
        """Returns headers with an API key that may only retrieve from these collections, and ingest into some."""
        permissions = [Permission.RETRIEVAL_QUERY, *([Permission.DOCUMENTS_WRITE] if writable else [])]
        async with operator(self.urls["owner_url"]) as acting:
            key = await acting.create_key(
                tenant_id, f"bench-{secrets.token_hex(4)}", permissions, collections, writable=writable
            )
        return {"Authorization": f"Bearer {key}"}

    async def sign_in(self, client: httpx.AsyncClient, slug: str, username: str) -> dict[str, str]:
        """Returns headers with a user's access token."""
        form = {"username": username, "password": PASSWORD, "client_id": slug}
        answer = await client.post("/auth/token", data=form)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def client(self) -> httpx.AsyncClient:
        """Returns a client with connections that are kept."""
        return httpx.AsyncClient(base_url=self.base_url, timeout=120)


@asynccontextmanager
async def deployment(folder: Path, *, keep: bool = False, copies: int = 0) -> AsyncIterator[Deployment]:
    """Starts everything in a folder and stops it at the end; removes the folder unless told to keep it."""
    known = _secrets(folder)
    server = EmbeddedPostgres(
        folder / "postgres", Passwords(**known["passwords"]), settings={"shared_buffers": "1GB", "max_wal_size": "8GB"}
    )
    await asyncio.to_thread(server.start)
    try:
        server.prepare_roles()
        urls = server.urls()
        await asyncio.to_thread(migrate, urls["owner_url"])
        await store_context_key(urls["owner_url"], ContextSigner(known["context_key"]))
        more = [await _copy(server, f"affidavit_{number}") for number in range(copies)]
        async with _service(folder, urls, known) as (base_url, process, _):
            yield Deployment(urls, base_url, process, server.folder, more)
    finally:
        await asyncio.to_thread(server.stop)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _copy(server: EmbeddedPostgres, name: str) -> dict[str, str]:
    """Copies the migrated database while nobody is connected to it; returns the URLs of the copy."""
    admin = await asyncpg.connect(server.url("postgres", server.passwords.superuser, "postgres"))
    await admin.execute(f"create database {name} template affidavit owner affidavit_owner")
    await admin.execute(f"revoke all on database {name} from public")
    await admin.execute(f"grant connect on database {name} to affidavit_runtime, affidavit_sealer, affidavit_operator")
    await admin.close()
    return server.urls(name)


def _secrets(folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "secrets.json"
    if not path.exists():
        made = {
            "passwords": asdict(Passwords.generate()), "context_key": secrets.token_urlsafe(48),
            "payload_key": secrets.token_urlsafe(48), "jwt_private_key": generate_private_key_pem(),
        }  # fmt: skip
        path.touch(mode=0o600)
        path.write_text(json.dumps(made))
    known: dict[str, Any] = json.loads(path.read_text())
    return known


@asynccontextmanager
async def _service(
    folder: Path, urls: dict[str, str], known: dict[str, Any], more: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process, float]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = _environment(folder, urls, known) | {
        "AFFIDAVIT_JWT_PRIVATE_KEY": known["jwt_private_key"], "AFFIDAVIT_DATABASE_POOL_SIZE": "16", **more,
    }  # fmt: skip
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _SERVE, str(port), cwd=ROOT, env=environment)
    base_url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=base_url) as client:
            await _until_healthy(client, process)
        yield base_url, process, time.perf_counter() - began
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def worker(running: Deployment, folder: Path) -> AsyncIterator[int]:
    """Runs a worker beside the service of a folder; gives its process's id."""
    known = json.loads((folder / "secrets.json").read_text())
    environment = _environment(folder, running.urls, known) | {"AFFIDAVIT_DATABASE_TIMEOUT": "10"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "backend", "worker", cwd=ROOT, env=environment)
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


def _environment(folder: Path, urls: dict[str, str], known: dict[str, Any]) -> dict[str, str]:
    return {
        **os.environ, "AFFIDAVIT_HOME": str(folder / "home"), "AFFIDAVIT_RUNTIME_DATABASE_URL": urls["runtime_url"],
        "AFFIDAVIT_CONTEXT_KEY": known["context_key"], "AFFIDAVIT_PAYLOAD_KEY": known["payload_key"],
        "AFFIDAVIT_LOG_LEVEL": "WARNING",
    }  # fmt: skip


async def _until_healthy(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    for _ in range(6000):
        if process.returncode is not None:
            raise RuntimeError("the service did not start")
        try:
            if (await client.get("/health")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.02)
    raise RuntimeError("the service did not become healthy")


async def connect(url: str) -> asyncpg.Connection:
    """Opens a connection with the codecs that the service uses."""
    from backend.database import prepare_connection  # noqa: PLC0415

    connection = await asyncpg.connect(url)
    await prepare_connection(connection)
    return connection


async def latencies(act: Callable[[int], Awaitable[object]], times: int, warm: int = 10) -> list[float]:
    """Returns how long each of `times` runs took in milliseconds, after some that do not count."""
    for number in range(warm):
        await act(number)
    taken = []
    for number in range(times):
        started = time.perf_counter()
        await act(number)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def p50(taken: Sequence[float]) -> float:
    """Returns the median."""
    return statistics.median(taken)
